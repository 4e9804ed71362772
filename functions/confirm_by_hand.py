"""POST /admin/orders/{trade_id}/confirm-payment: an operator has seen the money at the provider."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.adapters.workflow import StepFunctions
from cardshop.api import orders as present
from cardshop.api import schemas
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator_on
from cardshop.usecases.confirm_by_hand import ConfirmByHand
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

door = Door()


@cache
def _confirm() -> ConfirmByHand:
    orders = DynamoOrders()
    record = RecordPayment(orders, DynamoPool(), DynamoCatalogue(), clock)
    settle = SettlePayment(record, StepFunctions(os.environ["STATE_MACHINE_ARN"]))
    return ConfirmByHand(orders, settle, OperatorNote(DynamoTimeline(), clock))


@door.route("POST", "/admin/orders/<trade_id>/confirm-payment")
def confirm(trade_id: str) -> Response[str]:
    who = operator_on(door, trade_id)
    body = schemas.read(schemas.ConfirmRequest, door.body)
    amount = body.amount.money() if body.amount else None
    order = _confirm()(trade_id, body.payment_id, amount, body.provider_ref, Reason(who, body.note))
    logger.info("confirmed by hand", extra={"trade_id": trade_id, "operator": who})
    return answer(200, present.summary(order))


handler = door.handler
