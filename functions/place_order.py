"""POST /orders: accept an order and open its payment."""

from __future__ import annotations

import os
import re
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettings, fixed_secret, public_urls
from cardshop.adapters.stock import DynamoPool
from cardshop.api import orders as present
from cardshop.api import schemas
from cardshop.api.holders import token
from cardshop.api.http import Door, Response, answer, money, rfc3339
from cardshop.domain.errors import InvalidIdempotencyKey
from cardshop.domain.order import Actor
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.place_order import PlaceOrder, Wish

door = Door()

#: Unguessable, since a replay is answered with the order's token: 22 of these characters hold 128 bits.
_KEY = re.compile(r"[A-Za-z0-9_\-.:+/=]{22,64}")


@cache
def _place() -> PlaceOrder:
    orders = DynamoOrders()
    return PlaceOrder(
        orders=orders,
        pool=DynamoPool(),
        catalogue=DynamoCatalogue(),
        open=OpenPayment(orders, ChannelSettings(os.environ["CHANNELS_PREFIX"]), provider, public_urls),
        secret=fixed_secret(os.environ["TRADE_ID_SECRET"]),
        hold_caps={
            "address": int(os.environ["HOLDS_PER_ADDRESS"]),
            "device": int(os.environ["HOLDS_PER_DEVICE"]),
            "contact": int(os.environ["HOLDS_PER_CONTACT"]),
        },
        window_ms=int(os.environ["PAYMENT_WINDOW_SECONDS"]) * 1000,
        first_look_ms=int(os.environ["FIRST_LOOK_SECONDS"]) * 1000,
        clock=clock,
    )


@door.route("POST", "/orders")
def place() -> Response[str]:
    key = door.header("Idempotency-Key") or ""
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey("Idempotency-Key: 22 to 64 characters, a random UUID will do")
    body = schemas.read(schemas.OrderRequest, door.body)
    wish = Wish(
        idempotency_key=key,
        items=tuple((item.sku, item.quantity) for item in body.items),
        channel=body.channel,
        actor=Actor("buyer", body.terminal, body.device_id, door.address),
        email=body.contact.email if body.contact else None,
        password=body.query_password,
        payer=body.payer.openid if body.payer else None,
        body=body.model_dump_json(),
    )
    placed = _place()(wish)
    order = placed.order
    logger.info("placed", extra={"trade_id": order.trade_id, "claims": placed.claims})
    return answer(
        201,
        {
            "trade_id": order.trade_id,
            "status": order.status.value,
            "amount": money(order.amount),
            "expires_at": rfc3339(order.expires_at),
            "payment": present.session(order.payments[-1], placed.session),
            "token": token(order.trade_id, body.terminal, body.device_id),
        },
    )


handler = door.handler
