"""POST /orders/{trade_id}/cards: the codes, to the order's holder only."""

from __future__ import annotations

import os
import time
from functools import cache

from aws_lambda_powertools.event_handler import Response
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.sealing import KmsOpener
from cardshop.adapters.settings import SigningKeys
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.api import schemas, tokens
from cardshop.api.http import Door, answer, logger
from cardshop.domain.errors import NotFound
from cardshop.domain.order import Actor
from cardshop.usecases.reveal_cards import RevealCards

door = Door()


@cache
def _reveal() -> RevealCards:
    return RevealCards(
        orders=DynamoOrders(),
        sealed=DynamoSealedCards(),
        opener=KmsOpener(os.environ["SEALING_KEY"]),
        clock=lambda: time.time_ns() // 1_000_000,
    )


@cache
def _keys() -> SigningKeys:
    return SigningKeys(os.environ["ORDER_TOKEN_KEY"])


@door.route("POST", "/orders/<trade_id>/cards")
def reveal(trade_id: str) -> Response[str]:
    bearer = tokens.verify(_keys(), door.header("Authorization"), audience="order")
    if bearer.subject != trade_id:
        raise NotFound("no such order")
    body = schemas.read(schemas.RevealRequest, door.body or b"{}")
    actor = Actor("buyer", body.terminal or bearer.terminal, body.device_id or bearer.device, door.address)
    cards = _reveal()(trade_id, actor)
    logger.info("revealed", extra={"trade_id": trade_id, "cards": len(cards)})
    return answer(200, {"cards": [{"sku": card.sku, "code": card.code} for card in cards]})


handler = door.handler
