"""POST /orders/{trade_id}/payments: pay again, through the same channel or another."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettings, public_urls
from cardshop.api import orders as present
from cardshop.api import schemas
from cardshop.api.holders import buyer, holder
from cardshop.api.http import Door, Response, answer, money, rfc3339
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.pay_order import PayOrder

door = Door()


@cache
def _pay() -> PayOrder:
    channels = ChannelSettings(os.environ["CHANNELS_PREFIX"])
    orders = DynamoOrders()
    return PayOrder(orders, OpenPayment(orders, channels, provider, public_urls), clock)


@door.route("POST", "/orders/<trade_id>/payments")
def pay(trade_id: str) -> Response[str]:
    bearer = holder(door, trade_id)
    body = schemas.read(schemas.PaymentRequest, door.body)
    actor = buyer(door, bearer, body.terminal, body.device_id)
    order, payment, session = _pay()(trade_id, body.channel, actor, body.payer.openid if body.payer else None)
    logger.info("payment opened", extra={"trade_id": trade_id, "payment_id": payment.payment_id})
    return answer(
        201,
        {
            "trade_id": order.trade_id,
            "status": order.status.value,
            "amount": money(payment.amount),
            "expires_at": rfc3339(order.expires_at),
            "payment": present.session(payment, session),
        },
    )


handler = door.handler
