"""POST /orders/{trade_id}/confirm: the buyer has the cards, and the trade is complete."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.workflow import StepFunctions
from cardshop.api import schemas
from cardshop.api.holders import buyer, holder
from cardshop.api.http import Door, Response, answer
from cardshop.usecases.confirm_receipt import ConfirmReceipt

door = Door()


@cache
def _confirm() -> ConfirmReceipt:
    return ConfirmReceipt(DynamoOrders(), StepFunctions(os.environ["STATE_MACHINE_ARN"]), clock)


@door.route("POST", "/orders/<trade_id>/confirm")
def confirm(trade_id: str) -> Response[str]:
    bearer = holder(door, trade_id)
    body = schemas.read(schemas.Whence, door.body or b"{}")
    order = _confirm()(trade_id, buyer(door, bearer, body.terminal, body.device_id))
    logger.info("confirmed", extra={"trade_id": trade_id, "order_status": order.status})
    return answer(200, {"trade_id": trade_id, "status": order.status.value})


handler = door.handler
