"""Open the codes for the order's holder. The reveal is on record before the first code is opened."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotRevealable, Unavailable
from cardshop.domain.order import Actor, Order
from cardshop.domain.trade import REVEALABLE
from cardshop.ports import Clock, Opener, Orders, SealedCards
from cardshop.usecases.change import change


@dataclass(frozen=True, slots=True)
class RevealedCard:
    sku: str
    code: str

    def __repr__(self) -> str:
        return f"RevealedCard({self.sku!r}, …)"


@dataclass(frozen=True, slots=True)
class RevealCards:
    orders: Orders
    sealed: SealedCards
    opener: Opener
    clock: Clock

    def __call__(self, trade_id: str, actor: Actor) -> list[RevealedCard]:
        """The order's codes, in its own sequence. NotRevealable before delivery. May be asked again; each is noted."""

        def decide(order: Order) -> Order:
            if order.status not in REVEALABLE:
                raise NotRevealable(f"the order is {order.status}")
            if order.contested:
                raise NotRevealable("its payment was taken back")
            return order.revealed(self.clock(), actor)

        order = change(self.orders, trade_id, decide)
        found = self.sealed.get(card.card_id for card in order.cards)
        if len(found) != len(order.cards):
            raise Unavailable("a sealed card is missing")
        wrapped = self.sealed.keys(card.key_id for card in found.values())
        keys = {key_id: self.opener.unwrap(key) for key_id, key in wrapped.items()}
        return [
            RevealedCard(
                card.pool.sku, self.opener.open(keys[sealed.key_id], card.pool.sku, card.card_id, sealed.sealed)
            )
            for card in order.cards
            for sealed in [found[card.card_id]]
        ]
