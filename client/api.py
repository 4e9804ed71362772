"""Calls of the API, and what went wrong as a line for the terminal."""

from __future__ import annotations

from typing import IO, Any
from urllib.parse import quote

import click
import httpx

from client.settings import Shop

_PATIENCE = httpx.Timeout(30, connect=10)  # seconds


class Failure(click.ClickException):
    """What the shop, or the way to it, answered; exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


def call(shop: Shop, method: str, *path: str, **request: Any) -> httpx.Response:
    """The API's answer to `/admin/{path[0]}/{path[1]}…`. Failure for anything but a 2xx with JSON."""
    with httpx.Client(base_url=shop.url, headers=bearer(shop), timeout=_PATIENCE) as client:
        try:
            answer = client.request(method, resource(*path), **request)
        except httpx.TransportError as error:
            raise unreachable(error) from error
    accepted(answer)
    return answer


def resource(*path: str) -> str:
    return "/".join(["/admin", *(quote(part, safe="") for part in path)])


def bearer(shop: Shop) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.token}"}


def accepted(answer: httpx.Response) -> dict[str, Any]:
    """The document of a 2xx answer; Failure with the problem's own words otherwise."""
    found = document(answer)
    if answer.is_success and found is not None:
        return found
    raise Failure(problem(answer))


def problem(answer: httpx.Response) -> str:
    """`title: detail (code)`, RFC 9457.

    A body that is no problem is not shown: some gateways quote the Authorization header in theirs.
    """
    found = document(answer) or {}
    if "title" not in found or "code" not in found:
        status = f"HTTP {answer.status_code} {answer.reason_phrase}".rstrip()
        return f"不是店铺 API 的应答 No answer of the shop's API: {status}"
    title, detail, code = (printable(str(found.get(name, ""))) for name in ("title", "detail", "code"))
    said = title if detail in ("", title) else f"{title}: {detail}"
    if answer.status_code == 401:
        return f'{said} ({code})\n令牌一小时有效 A token lasts an hour: export CARDSHOP_TOKEN="$(cardshop token)"'
    return f"{said} ({code})"


def unreachable(error: httpx.TransportError) -> Failure:
    why = f"{type(error).__name__}: {error}".rstrip(": ")
    return Failure(f"连接不上店铺 The shop cannot be reached: {why}")


def printable(text: str) -> str:
    """Buyers' words too come this way: whatever would steer a terminal is shown as a box."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def document(answer: httpx.Response) -> dict[str, Any] | None:
    """The JSON object that was answered, if it was one."""
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
