"""POST /admin/orders/{trade_id}/refunds and …/payments/{payment_id}/keep: money goes back, or stays."""

from __future__ import annotations

import os
import re
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettings
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.adapters.workflow import StepFunctions
from cardshop.api import orders as present
from cardshop.api import schemas
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator_on
from cardshop.domain.errors import InvalidIdempotencyKey
from cardshop.usecases.decide_refund import DecideRefund
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.refund_payment import RefundPayment

door = Door()

_KEY = re.compile(r"[\x21-\x7e]{8,64}")


@cache
def _decide() -> DecideRefund:
    orders = DynamoOrders()
    channels = ChannelSettings(os.environ["CHANNELS_PREFIX"])
    refund = RefundPayment(orders, channels, provider, StepFunctions(os.environ["STATE_MACHINE_ARN"]), clock)
    return DecideRefund(orders, refund, OperatorNote(DynamoTimeline(), clock))


@door.route("POST", "/admin/orders/<trade_id>/refunds")
def refund(trade_id: str) -> Response[str]:
    who = operator_on(door, trade_id)
    body = schemas.read(schemas.RefundRequest, door.body)
    amount = body.amount.money() if body.amount else None
    if body.provider_ref is not None:
        order, sent = _decide().sent(trade_id, body.payment_id, amount, body.provider_ref, Reason(who, body.note))
    else:
        key = door.header("Idempotency-Key") or ""
        if not _KEY.fullmatch(key):
            raise InvalidIdempotencyKey("Idempotency-Key: 8 to 64 characters, a random UUID will do")
        order, sent = _decide().send(trade_id, body.payment_id, amount, key, Reason(who, body.note))
    logger.info(
        "refund", extra={"trade_id": trade_id, "refund_id": sent.refund_id, "state": sent.state, "operator": who}
    )
    return answer(200, {"refund": present.refund(sent), "order": present.summary(order)})


@door.route("POST", "/admin/orders/<trade_id>/payments/<payment_id>/keep")
def keep(trade_id: str, payment_id: str) -> Response[str]:
    who = operator_on(door, trade_id)
    body = schemas.read(schemas.KeepRequest, door.body)
    order = _decide().keep(trade_id, payment_id, Reason(who, body.note))
    logger.info("payment kept", extra={"trade_id": trade_id, "payment_id": payment_id, "operator": who})
    return answer(200, present.summary(order))


handler = door.handler
