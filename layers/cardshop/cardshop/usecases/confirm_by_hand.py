"""An operator has seen the money at the provider: the payment is confirmed as its notice would have confirmed it."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotFound
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import EventKind, Payment, PaymentEvent
from cardshop.ports import Orders
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.settle_payment import SettlePayment


@dataclass(frozen=True, slots=True)
class ConfirmByHand:
    orders: Orders
    settle: SettlePayment
    note: OperatorNote

    def __call__(
        self, trade_id: str, payment_id: str | None, amount: Money | None, provider_ref: str, reason: Reason
    ) -> Order:
        """The order as it goes on: the normal path, whatever state it is in. Confirmed again, it stays as it is.

        `payment_id` None: the payment that has this money already, else the latest. `amount` None: what was asked for.
        `provider_ref`: the provider's number of the money. The provider's own notice, should it come after all,
        changes nothing any more.
        """
        order = self.orders.find(trade_id)
        payment = None
        if order is not None:
            payment = _last(order, provider_ref) if payment_id is None else order.payment(payment_id)
        if order is None or payment is None:
            raise NotFound("no such order or payment")
        received = amount or payment.amount
        said = f"{received.minor} {received.currency}, number {provider_ref}"
        self.note("confirmed_by_hand", trade_id, payment, reason, said)
        event = PaymentEvent(payment.payment_id, EventKind.PAID, received, provider_ref)
        settled, _ = self.settle(event, order, Actor("operator"))
        return settled


def _last(order: Order, provider_ref: str) -> Payment:
    """Asked again, it is the same payment, whatever was opened meanwhile."""
    confirmed = (each for each in order.payments if each.provider_ref == provider_ref)
    return next(confirmed, order.payments[-1])
