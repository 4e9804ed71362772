"""GET|POST /webhooks/{channel}: a provider's notice, verified, queued and answered in the provider's own words."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.payments import provider
from cardshop.adapters.queue import SqsNoticeQueue
from cardshop.adapters.settings import ChannelSettings
from cardshop.api.http import Door, Response
from cardshop.domain.errors import BodyTooLarge, ShopError
from cardshop.domain.payment import Notice
from cardshop.usecases.receive_notice import ReceiveNotice

door = Door()

_MAX_BODY = 256 * 1024
_REFUSED = "fail"  # neither `success` nor `ok` may stand in it


@cache
def _receive() -> ReceiveNotice:
    return ReceiveNotice(
        channels=ChannelSettings(os.environ["CHANNELS_PREFIX"]),
        provider=provider,
        queue=SqsNoticeQueue(os.environ["NOTICES_QUEUE_URL"]),
        clock=clock,
    )


@door.route("GET", "/webhooks/<channel>")
def by_get(channel: str) -> Response[str]:
    return _answer(channel)


@door.route("POST", "/webhooks/<channel>")
def by_post(channel: str) -> Response[str]:
    return _answer(channel)


def _answer(channel: str) -> Response[str]:
    try:
        reply, trades = _receive()(channel, _notice())
    except ShopError as refusal:
        if refusal.status >= 500:
            raise
        logger.warning("notice refused", extra={"channel": channel, "code": refusal.code, "why": refusal.detail})
        return Response(refusal.status, "text/plain", _REFUSED)
    logger.info("notice queued", extra={"channel": channel, "trade_id": trades[0] if trades else None})
    return Response(reply.status, reply.content_type, reply.body)


def _notice() -> Notice:
    event = door.app.current_event
    body = door.body
    if len(body) > _MAX_BODY:
        raise BodyTooLarge("notice too large")
    query = event.get("multiValueQueryStringParameters") or {}
    return Notice(
        method=event.http_method,
        query=tuple((name, value) for name, values in query.items() for value in values),
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=body,
    )


handler = door.handler
