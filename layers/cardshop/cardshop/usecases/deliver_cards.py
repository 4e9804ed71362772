"""The cards named on a paid order become the buyer's: one conditional write."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.order import Order
from cardshop.domain.trade import REVEALABLE, Status
from cardshop.ports import Clock, Orders
from cardshop.usecases.change import change


class OrderNotPaid(Exception):
    """There is nothing to deliver: the trade is to be closed. The machine catches it by this name."""


@dataclass(frozen=True, slots=True)
class DeliverCards:
    orders: Orders
    clock: Clock

    def __call__(self, trade_id: str) -> Order:
        """The delivered order; delivering it again changes nothing. OrderNotPaid if it is not to be delivered."""
        return change(self.orders, trade_id, self._decide)

    def _decide(self, order: Order) -> Order:
        if order.status in REVEALABLE:
            return order
        if order.status is not Status.PAID:
            raise OrderNotPaid(order.status)
        return order.delivered(self.clock())
