"""The cards named on a paid order become the buyer's: one conditional write."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.order import Order
from cardshop.domain.product import BatchStatus
from cardshop.domain.trade import REVEALABLE, Status
from cardshop.ports import Catalogue, Clock, Orders
from cardshop.usecases.change import change
from cardshop.usecases.close_trade import OrderAwaitsStock


class OrderNotPaid(Exception):
    """There is nothing to deliver: the trade is to be closed. The machine catches it by this name."""


@dataclass(frozen=True, slots=True)
class DeliverCards:
    orders: Orders
    catalogue: Catalogue
    after_sale_ms: int
    clock: Clock

    def __call__(self, trade_id: str) -> Order:
        """The delivered order; delivering it again changes nothing.

        OrderNotPaid if it is not to be delivered, OrderAwaitsStock if its cards are not there, or were withdrawn.
        """
        order = change(self.orders, trade_id, self._decide)
        if order.status is Status.AWAITING_STOCK:
            raise OrderAwaitsStock(order.status)
        return order

    def _decide(self, order: Order) -> Order:
        if order.status in REVEALABLE or order.status is Status.AWAITING_STOCK:
            return order
        if order.status is not Status.PAID:
            raise OrderNotPaid(order.status)
        if not order.has_its_cards:
            return order.short_of_cards(self.clock(), next(iter(order.wanted)))
        if (withdrawn := self._withdrawn(order)) is not None:
            return order.short_of_cards(self.clock(), withdrawn)
        return order.delivered(self.clock(), self.after_sale_ms)

    def _withdrawn(self, order: Order) -> str | None:
        """A SKU whose card was taken off sale while the order held it."""
        for sku, batch in sorted({(card.pool.sku, card.pool.batch) for card in order.cards}):
            found = self.catalogue.batch(sku, batch)
            if found is not None and found.status is BatchStatus.WITHDRAWN:
                return sku
        return None
