"""One function's door: routing and problem answers (RFC 9457), one log line a call, nothing else.

A handler parses, calls one use case and presents. `Door` gives it what the gateway vouches for: the caller's address
(never from a header a client can write), the raw body and the bearer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler import api_gateway
from aws_lambda_powertools.utilities.typing import LambdaContext

from cardshop.adapters.log import logger
from cardshop.domain.errors import Changed, InvalidRequest, NotFound, ShopError
from cardshop.domain.money import Money

Response = api_gateway.Response

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_EDGE, _VIEWER = "Cardshop-Edge", "CloudFront-Viewer-Address"


class Door:
    """A REST function: `door.route(...)` its paths, `handler = door.handler` the Lambda entry."""

    def __init__(self) -> None:
        self.app = api_gateway.APIGatewayRestResolver(strip_prefixes=[], debug=False)
        self.app.exception_handler(ShopError)(_problem)
        self.app.exception_handler(Exception)(_broken)
        self.app.not_found()(lambda _: _problem(NotFound("no such resource")))
        self.handler = logger.inject_lambda_context(self._handle, clear_state=True)

    def route(self, method: str, path: str) -> Callable[[Callable[..., Response[str]]], Callable[..., Response[str]]]:
        return self.app.route(path, method=method)

    def _handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        started = time.perf_counter()
        answer = self.app.resolve(event, context)
        logger.info(
            "answered",
            extra={
                "method": event.get("httpMethod"),
                "resource": event.get("resource"),
                "status": answer.get("statusCode"),
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )
        return answer

    @property
    def body(self) -> bytes:
        """The body as it was sent. InvalidRequest if the gateway's own encoding is broken."""
        raw = self.app.current_event.get("body") or ""
        if not self.app.current_event.get("isBase64Encoded"):
            return str(raw).encode()
        return decoded(str(raw))

    @property
    def address(self) -> str | None:
        """The caller's. Of a call that came through the pages' own distribution, which proves itself by its secret,
        that is whom the distribution names; of any other, whoever opened the connection.
        """
        secret, viewer = os.environ.get("EDGE_SECRET", ""), self.header(_VIEWER)
        if secret and viewer and hmac.compare_digest(secret.encode(), (self.header(_EDGE) or "").encode()):
            return _address(viewer)
        return self.app.current_event.request_context.identity.source_ip

    def header(self, name: str) -> str | None:
        value = self.app.current_event.headers.get(name)
        return value if isinstance(value, str) else None


def _address(viewer: str) -> str | None:
    """Of `198.51.100.10:46532` or `2001:db8::1:46532`: the port is after the last colon, and nothing bracketed."""
    try:
        return str(ipaddress.ip_address(viewer.rpartition(":")[0]))
    except ValueError:  # rather nobody's than the distribution's, which is everybody's
        return None


def decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("the body's encoding is broken") from error


def answer(
    status: int, content: dict[str, Any], *, headers: dict[str, str] | None = None, cache: str = "no-store"
) -> Response[str]:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(status, _JSON, body, headers={"Cache-Control": cache, **(headers or {})})


def cacheable(
    content: dict[str, Any], if_none_match: str | None, *, cache: str, tag: str | None = None
) -> Response[str]:
    """200 with an ETag, or 304 for a caller that has it (RFC 9110, weak comparison)."""
    etag = tag or f'"{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]}"'
    if matches(if_none_match, etag):
        return Response(304, None, "", headers={"ETag": etag, "Cache-Control": cache})
    return answer(200, content, headers={"ETag": etag}, cache=cache)


def matches(if_none_match: str | None, etag: str) -> bool:
    given = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return etag in given or "*" in given


def money(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _problem(error: ShopError) -> Response[str]:
    if isinstance(error, Changed):
        logger.warning("contention outlasted the attempts")
    if error.status >= 500:
        logger.error("unavailable", extra={"code": error.code}, exc_info=True)
    else:
        logger.info("refused", extra={"code": error.code})
    problem = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail or error.title,
    }
    headers = {"Cache-Control": "no-store"}
    retry_after = error.retry_after or (1 if error.status == 503 else None)
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(error.status, _PROBLEM, json.dumps(problem, ensure_ascii=False), headers=headers)


def _broken(error: Exception) -> Response[str]:
    """A bug. The caller learns nothing of it; the log does, without the request's content."""
    logger.exception("unexpected error", extra={"kind": type(error).__name__})
    return _problem(ShopError())
