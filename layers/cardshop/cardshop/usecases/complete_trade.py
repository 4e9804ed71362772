"""The after-sale window is over: the trade is complete."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.ports import Clock, Orders
from cardshop.usecases.change import change


@dataclass(frozen=True, slots=True)
class CompleteTrade:
    orders: Orders
    clock: Clock

    def __call__(self, trade_id: str) -> Order:
        """The completed order; one that is not delivered (any more) is left as it is."""
        return change(self.orders, trade_id, self._decide)

    def _decide(self, order: Order) -> Order:
        return order.completed(self.clock()) if order.status is Status.DELIVERED else order
