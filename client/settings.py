"""Which shop, and the operator's token for it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx

#: What `make up` wrote beside the script.
OUTPUTS = Path(__file__).resolve().parents[1] / ".local" / "outputs.json"
_HERE = ("localhost", "127.0.0.1", "::1")


class Unset(click.ClickException):
    """The command cannot begin; nothing was sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Shop:
    url: str
    token: str = field(repr=False)


def shop(url: str | None) -> Shop:
    """The shop at `url`, else the one that runs here. Unset: no address, no token, or a way a token must not go."""
    kept = _outputs()
    here = kept.get("api_url")
    url = url or here
    if url is None:
        raise Unset("没有 API 地址 No API address: give --api URL or CARDSHOP_API, or run `make up`")
    _check(url)
    token = os.environ.get("CARDSHOP_TOKEN") or (kept["demo"]["operator_token"] if url == here else None)
    if token is None:
        raise Unset(f'没有令牌 No token for {url}: export CARDSHOP_TOKEN="$(cardshop token --stack NAME)"')
    return Shop(url, token)


def _outputs() -> dict[str, Any]:
    try:
        return dict(json.loads(OUTPUTS.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _check(url: str) -> None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unset(f"API 地址无效 Not an API address: {url}") from error
    on_this_machine = parts.host in _HERE or parts.host.endswith(".localhost")
    if not parts.host or not (parts.scheme == "https" or (parts.scheme == "http" and on_this_machine)):
        raise Unset(f"API 地址须为 https The API's address must be https, or http on this machine: {url}")
