"""POST /orders/{trade_id}/cards: the codes, to the order's holder only."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.sealing import KmsOpener
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.api import schemas
from cardshop.api.holders import buyer, holder
from cardshop.api.http import Door, Response, answer
from cardshop.usecases.reveal_cards import RevealCards

door = Door()


@cache
def _reveal() -> RevealCards:
    return RevealCards(
        orders=DynamoOrders(),
        sealed=DynamoSealedCards(),
        opener=KmsOpener(os.environ["SEALING_KEY"]),
        clock=clock,
    )


@door.route("POST", "/orders/<trade_id>/cards")
def reveal(trade_id: str) -> Response[str]:
    bearer = holder(door, trade_id)
    body = schemas.read(schemas.Whence, door.body or b"{}")
    actor = buyer(door, bearer, body.terminal, body.device_id)
    cards = _reveal()(trade_id, actor)
    logger.info("revealed", extra={"trade_id": trade_id, "cards": len(cards)})
    return answer(200, {"cards": [{"sku": card.sku, "code": card.code} for card in cards]})


handler = door.handler
