"""POST /orders/lookup: a new token for whoever knows the order's query password."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.attempts import DynamoAttemptBook
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.settings import fixed_secret
from cardshop.api import schemas
from cardshop.api.holders import token
from cardshop.api.http import Door, Response, answer
from cardshop.usecases.lookup_order import LookupOrder

door = Door()


@cache
def _lookup() -> LookupOrder:
    return LookupOrder(DynamoOrders(), DynamoAttemptBook(), fixed_secret(os.environ["TRADE_ID_SECRET"]), clock)


@door.route("POST", "/orders/lookup")
def lookup() -> Response[str]:
    body = schemas.read(schemas.LookupRequest, door.body)
    order = _lookup()(body.trade_id, body.query_password)
    logger.info("looked up", extra={"trade_id": order.trade_id})
    given = token(order.trade_id, body.terminal, body.device_id)
    return answer(200, {"trade_id": order.trade_id, "status": order.status.value, "token": given})


handler = door.handler
