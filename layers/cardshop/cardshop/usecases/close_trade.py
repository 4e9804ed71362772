"""The window is over, or the payment failed for good: the cards go back on sale with the order's closing write."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.ports import Clock, Orders
from cardshop.usecases.change import change

_CLOSABLE = frozenset({Status.PENDING_PAYMENT, Status.PAYMENT_FAILED})


class OrderPaid(Exception):
    """A payment came first: the trade is to be delivered. The machine catches it by this name."""


@dataclass(frozen=True, slots=True)
class CloseTrade:
    orders: Orders
    clock: Clock

    def __call__(self, trade_id: str) -> Order:
        """The order, closed or past closing; OrderPaid if it is to be delivered instead."""
        return change(self.orders, trade_id, self._decide)

    def _decide(self, order: Order) -> Order:
        if order.status is Status.PAID:
            raise OrderPaid(order.status)
        return order.closed(self.clock()) if order.status in _CLOSABLE else order
