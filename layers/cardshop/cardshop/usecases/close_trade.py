"""The window is over, or the payment failed for good: the cards go back on sale with the order's closing write.

The provider is asked first and the payments closed there where the protocol can, so that a buyer who has paid gets the
cards after all. Closing and paying each write the order under the condition that it is as it was read: one of the two
happens.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import Busy, Changed, NotFound, Unavailable
from cardshop.domain.order import Order
from cardshop.domain.trade import UNPAID, Status
from cardshop.ports import Clock, Orders
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.settle_payment import RecordPayment

_ATTEMPTS = 10  # each lost one means that another change was written


class OrderPaid(Exception):
    """A payment came first: the trade goes on where it is delivered. The machine catches it by this name."""


class OrderAwaitsStock(Exception):
    """A payment came, and there are no cards for it: the trade waits for some. The machine catches it by this name."""


class PaymentConfirming(Exception):
    """Money is on its way, and a chain takes its time: the trade waits for one window more. Caught by this name."""


@dataclass(frozen=True, slots=True)
class CloseTrade:
    orders: Orders
    ask: AskProvider
    record: RecordPayment
    clock: Clock

    def __call__(self, trade_id: str) -> Order:
        """The order, closed or past closing; OrderPaid or OrderAwaitsStock if money is in.

        PaymentConfirming if it is on its way: a buyer who cancelled is not waited for, and gets it back. Unavailable
        if a provider does not answer: an order that may have been paid is not closed.
        """
        for _ in range(_ATTEMPTS):
            order = self.orders.find(trade_id)
            if order is None:
                raise NotFound("no such order")
            if order.status in {Status.PAID, Status.DELIVERED}:
                raise OrderPaid(order.status)
            if order.status is Status.AWAITING_STOCK:
                raise OrderAwaitsStock(order.status)
            if order.status not in UNPAID:
                return order
            answers = self.ask(order, close=True)
            for said in answers.paid:
                self.record(said)
            if answers.paid:
                continue
            if answers.silent:
                raise Unavailable(f"no answer from the provider of {', '.join(sorted(answers.silent))}")
            if answers.confirming and order.status is Status.PENDING_PAYMENT:
                raise PaymentConfirming
            try:
                return self.orders.record(order, order.closed(self.clock()))
            except Changed:
                continue
        raise Busy("the order kept changing")
