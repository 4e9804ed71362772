"""POST /orders/{trade_id}/handoffs: a code for another terminal. POST /handoffs: a token for whoever brings it."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.attempts import DynamoAttemptBook
from cardshop.adapters.clock import clock
from cardshop.adapters.handoffs import DynamoHandoffs
from cardshop.adapters.log import logger
from cardshop.adapters.settings import fixed_secret
from cardshop.api import schemas, tokens
from cardshop.api.holders import holder, keys
from cardshop.api.http import Door, Response, answer, rfc3339
from cardshop.usecases.hand_off_order import HandOffOrder

door = Door()


@cache
def _hand_off() -> HandOffOrder:
    return HandOffOrder(DynamoHandoffs(), DynamoAttemptBook(), fixed_secret(os.environ["TRADE_ID_SECRET"]), clock)


@door.route("POST", "/orders/<trade_id>/handoffs")
def offer(trade_id: str) -> Response[str]:
    bearer = holder(door, trade_id)
    code, over = _hand_off().offer(trade_id, bearer.until)
    logger.info("handed off", extra={"trade_id": trade_id})
    return answer(201, {"code": code, "expires_at": rfc3339(over)})


@door.route("POST", "/handoffs")
def take() -> Response[str]:
    body = schemas.read(schemas.HandoffRequest, door.body)
    found = _hand_off().take(body.code, door.address)
    logger.info("taken over", extra={"trade_id": found.trade_id})
    given = tokens.issue(
        keys(),
        audience="order",
        subject=found.trade_id,
        lifetime=max(0, found.session_until - clock() // 1000),
        terminal=body.terminal,
        device=body.device_id,
    )
    return answer(200, {"trade_id": found.trade_id, "token": given})


handler = door.handler
