"""An operator sends money back, has sent it by hand, or decides that it stays."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotFound, NotRefundable
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import FUNDING, Payment, Refund
from cardshop.ports import Orders
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.refund_payment import RefundPayment

_OPERATOR = Actor("operator")


@dataclass(frozen=True, slots=True)
class DecideRefund:
    orders: Orders
    refund: RefundPayment
    note: OperatorNote

    def send(
        self, trade_id: str, payment_id: str | None, amount: Money | None, key: str, reason: Reason
    ) -> tuple[Order, Refund]:
        """Through the provider; where the channel cannot, it waits `by_hand`. The same `key` is the same refund.

        `payment_id` None: the payment that paid for the order. `amount` None: all that is left of it.
        """
        payment = self._payment(trade_id, payment_id)
        self.note("refund_asked", trade_id, payment, reason)
        return self.refund(trade_id, payment.payment_id, amount, _OPERATOR, key)

    def sent(
        self, trade_id: str, payment_id: str | None, amount: Money | None, provider_ref: str, reason: Reason
    ) -> tuple[Order, Refund]:
        """Done by hand at the provider, under this number."""
        payment = self._payment(trade_id, payment_id)
        self.note("refunded_by_hand", trade_id, payment, reason, f"number {provider_ref}")
        return self.refund.done_by_hand(trade_id, payment.payment_id, amount, provider_ref, _OPERATOR)

    def keep(self, trade_id: str, payment_id: str, reason: Reason) -> Order:
        """What is left of it stays with the shop."""
        payment = self._payment(trade_id, payment_id)
        self.note("payment_kept", trade_id, payment, reason)
        return self.refund.keep(trade_id, payment.payment_id, _OPERATOR)

    def _payment(self, trade_id: str, payment_id: str | None) -> Payment:
        order = self.orders.find(trade_id)
        if order is None:
            raise NotFound("no such order")
        if payment_id is None:
            payment = next((each for each in order.payments if each.judged in FUNDING), None)
            if payment is None:
                raise NotRefundable("nothing has paid for this order: name the payment")
            return payment
        payment = order.payment(payment_id)
        if payment is None:
            raise NotFound("the order has no such payment")
        return payment
