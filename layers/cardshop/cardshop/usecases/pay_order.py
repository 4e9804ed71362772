"""Pay again, or through another channel: one more payment of what is due, or the one that is open already."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotPayable, PaymentSpent, TooManyPayments
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import Payment, PaymentSession, PaymentState
from cardshop.ports import Clock, Orders
from cardshop.usecases.change import change
from cardshop.usecases.open_payment import OpenPayment, Payer

_MAX_PAYMENTS = 10  # they live inside the order, which stays small


@dataclass(frozen=True, slots=True)
class PayOrder:
    orders: Orders
    open: OpenPayment
    clock: Clock

    def __call__(
        self, trade_id: str, channel: str, actor: Actor, openid: str | None = None
    ) -> tuple[Order, Payment, PaymentSession]:
        """The order, the payment to pay and how. Unavailable: the payment is noted, asking again opens it."""
        order, payment = self._payment(trade_id, channel, actor, openid)
        payer = self._payer(order, actor, openid)
        try:
            return order, payment, self.open(order, payment, payer)
        except PaymentSpent:
            order, payment = self._payment(trade_id, channel, actor, openid, spent=payment.payment_id)
            return order, payment, self.open(order, payment, payer)

    def _payment(
        self, trade_id: str, channel: str, actor: Actor, openid: str | None, spent: str | None = None
    ) -> tuple[Order, Payment]:
        """`spent` gives way to one more, unless it has been opened after all by somebody else."""
        configured = self.open.channel(channel)

        def decide(order: Order) -> Order:
            if not order.is_payable(self.clock()):
                raise NotPayable(f"the order is {order.status}, or its window is over")
            payer = self._payer(order, actor, openid)
            way = self.open.way(configured, payer)
            there = _open(order, channel, way)
            self.open.check(configured, order.amount_due, payer, anew=there is None)
            if there is not None and (there.payment_id != spent or there.session_ref is not None):
                return order
            if len(order.payments) >= _MAX_PAYMENTS:
                raise TooManyPayments(f"at most {_MAX_PAYMENTS} payments an order")
            return order.reopened(channel, actor, self.clock(), way, instead_of=there)

        order = change(self.orders, trade_id, decide)
        payment = _open(order, channel, self.open.way(configured, self._payer(order, actor, openid)))
        if payment is None:
            raise NotPayable("money came in meanwhile")
        return order, payment

    @staticmethod
    def _payer(order: Order, actor: Actor, openid: str | None) -> Payer:
        return Payer(actor.terminal or order.terminal, actor.address, openid)


def _open(order: Order, channel: str, way: str | None) -> Payment | None:
    """A payment through this channel, in this way, of exactly what is due, that is still open."""
    return next(
        (
            each
            for each in order.payments
            if (each.state, each.channel, each.way) == (PaymentState.OPEN, channel, way)
            and each.amount == order.amount_due
        ),
        None,
    )
