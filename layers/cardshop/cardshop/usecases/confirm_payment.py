"""A queued notice meets its order: ask the provider, then accept the payment by one conditional write.

Any message may come twice, late or beside its own twin: the payment's state decides, and a message that finds its
work done only wakes the machine again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from cardshop.domain.errors import Confirming, NotFound
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import (
    FUNDING,
    UNSETTLED,
    Channel,
    EventKind,
    Payment,
    PaymentEvent,
    PaymentState,
    RefundState,
    trade_id_of,
)
from cardshop.domain.trade import Status
from cardshop.ports import Channels, Clock, Incident, Orders, Provider, QueuedNotice, Timeline, Workflow
from cardshop.usecases.cancel_order import end_waiting
from cardshop.usecases.change import change
from cardshop.usecases.refund_payment import RefundPayment
from cardshop.usecases.settle_payment import SettlePayment, UnknownPayment


class Outcome(StrEnum):
    """What a notice came to. Everything but `DENIED` is final."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    AWAITS_STOCK = "awaits_stock"  # accepted, and there are no cards for it
    IRREGULAR = "irregular"  # recorded on the order: short, surplus, duplicate, late
    MISMATCH = "mismatch"  # recorded beside it: wrong account, channel or amount; the order is as it was
    WAITING = "waiting"  # the provider was to be asked, and has no money (yet)
    FAILED = "failed"  # no money will come through this payment
    RETURNED = "returned"  # a refund goes on, is done or refused
    CONTESTED = "contested"  # charged back, or decided for the shop after all
    DENIED = "denied"  # the provider does not (yet) confirm it


@dataclass(frozen=True, slots=True)
class ConfirmPayment:
    orders: Orders
    timeline: Timeline
    channels: Channels
    provider: Callable[[str], Provider]
    settle: SettlePayment
    refund: RefundPayment
    workflow: Workflow
    clock: Clock

    def __call__(self, queued: QueuedNotice) -> list[Outcome]:
        channel = self.channels.find(queued.channel)
        if channel is None:
            raise NotFound("the channel is gone")
        provider = self.provider(channel.provider)
        events = provider.read_notice(channel, queued.notice, queued.received_at)
        return [self._hear(channel, provider, event) for event in events if event.kind is not EventKind.OPEN]

    def _hear(self, channel: Channel, provider: Provider, event: PaymentEvent) -> Outcome:
        order, payment = self._load(event.payment_id or provider.trace(channel, event))
        if misfit := _misfit(event, payment, channel, provider):
            return self._mismatch(misfit, order, payment, channel, event)
        match event.kind:
            case EventKind.PAID | EventKind.ASK | EventKind.FAILED:
                return self._confirm(channel, provider, event, order, payment)
            case EventKind.REFUNDED:
                return self._returned(channel, provider, event, order, payment)
        return self._contested(event, order, payment, channel)

    def _confirm(
        self, channel: Channel, provider: Provider, event: PaymentEvent, order: Order, payment: Payment
    ) -> Outcome:
        if payment.state not in UNSETTLED:
            self.settle.wake(order)
            return Outcome.REPEATED
        said = event
        if provider.terms(channel).weak or event.kind is EventKind.ASK or (event.paid and event.amount is None):
            said = self._asked(channel, provider, order, payment)
        if said.kind in {EventKind.FAILED, EventKind.REFUNDED}:
            return self._ended(said.kind, order, payment)
        if not said.paid or said.amount is None:
            if event.kind is not EventKind.PAID:
                return Outcome.WAITING
            self._note("denied", order, payment, channel, event)
            return Outcome.DENIED
        if event.paid and event.amount is not None and _less(event.amount, _expected(payment, said.amount)):
            return self._mismatch("wrong_amount", order, payment, channel, event)
        order, new = self.settle(replace(said, payment_id=payment.payment_id), order)
        return _outcome(order, payment.payment_id) if new else Outcome.REPEATED

    def _asked(self, channel: Channel, provider: Provider, order: Order, payment: Payment) -> PaymentEvent:
        """What the provider says. Of an order that cannot be paid any more, nothing is taken that was only approved."""
        ask = provider.query_payment if order.status is Status.PENDING_PAYMENT else provider.close_payment
        try:
            return ask(channel, payment)
        except Confirming:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)

    def _ended(self, kind: EventKind, order: Order, payment: Payment) -> Outcome:
        """No money will come through it, or what came has gone again."""
        if kind is EventKind.REFUNDED:
            self._came_and_went(order, payment)
            return Outcome.RETURNED
        order = change(self.orders, order.trade_id, lambda there: there.declined(payment.payment_id, self.clock()))
        end_waiting(order, self.workflow)
        return Outcome.FAILED

    def _returned(
        self, channel: Channel, provider: Provider, event: PaymentEvent, order: Order, payment: Payment
    ) -> Outcome:
        """A refund, ours or one made at the provider. It may come before the notice of the money itself."""
        if payment.state in UNSETTLED:
            order = self._came(channel, provider, event, order, payment)
        if event.refund is not None:
            order = self.refund.hear(channel, order.trade_id, payment.payment_id, event.refund)
        self.settle.wake(order)  # not before it is known what has gone back
        return Outcome.RETURNED

    def _came(self, channel: Channel, provider: Provider, event: PaymentEvent, order: Order, payment: Payment) -> Order:
        """The money that a refund is of, and that nobody here has heard of. Some of it may have stayed."""
        number = payment.payment_id
        said = provider.query_payment(channel, payment)
        received = said.amount if said.paid else None
        if received is None and said.kind is EventKind.OPEN:
            raise UnknownPayment("its money is not known yet")  # its books are behind: later, then
        if received is None and _in_part(event, payment):
            received = payment.amount  # its books say that money went, not how much came
        if received is None:
            return self._came_and_went(order, payment)
        paid = PaymentEvent(number, EventKind.PAID, received, said.provider_ref or event.provider_ref)
        return self.settle.record(paid, order).order

    def _came_and_went(self, order: Order, payment: Payment) -> Order:
        number = payment.payment_id
        return change(self.orders, order.trade_id, lambda there: there.came_and_went(number, self.clock()))

    def _contested(self, event: PaymentEvent, order: Order, payment: Payment, channel: Channel) -> Outcome:
        """The payer takes the money back, or could not after all."""
        if payment.state in UNSETTLED:
            raise UnknownPayment("its money is not known yet")  # the notice of it is on its way: later, then
        self._note(event.kind, order, payment, channel, event)
        number, dispute = payment.payment_id, event.dispute
        if event.kind is EventKind.CHARGED_BACK:
            order = change(self.orders, order.trade_id, lambda there: there.charged_back(number, self.clock(), dispute))
        else:
            order = change(self.orders, order.trade_id, lambda there: there.reinstated(number, self.clock(), dispute))
        self.refund.finish(order)
        return Outcome.CONTESTED

    def _load(self, payment_id: str | None) -> tuple[Order, Payment]:
        trade_id = trade_id_of(payment_id or "")
        order = self.orders.find(trade_id) if trade_id else None
        payment = order.payment(payment_id or "") if order else None
        if order is None or payment is None:
            raise UnknownPayment("no order of ours has this payment")
        return order, payment

    def _mismatch(self, kind: str, order: Order, payment: Payment, channel: Channel, event: PaymentEvent) -> Outcome:
        self._note(kind, order, payment, channel, event)
        return Outcome.MISMATCH

    def _note(self, kind: str, order: Order, payment: Payment, channel: Channel, event: PaymentEvent) -> None:
        amount = f"{event.amount.minor} {event.amount.currency}" if event.amount else "no amount"
        said = f"{channel.name}: {amount}, account {event.account}, number {event.provider_ref}"
        self.timeline.note(
            Incident(
                trade_id=order.trade_id,
                kind=kind,
                channel=channel.name,
                payment_id=payment.payment_id,
                at=self.clock(),
                notice_digest=hashlib.sha256(said.encode()).hexdigest()[:12],
                detail=said,
            )
        )


def _misfit(event: PaymentEvent, payment: Payment, channel: Channel, provider: Provider) -> str | None:
    if event.account is not None and event.account != provider.account(channel):
        return "wrong_account"
    return "wrong_channel" if payment.channel != channel.name else None


def _in_part(event: PaymentEvent, payment: Payment) -> bool:
    """Whether some of the payment's money has not gone back."""
    if event.refund is None:
        return False
    gone = event.refund.total or event.refund.amount
    return event.refund.state is not RefundState.DONE or (gone is not None and _less(gone, payment.amount))


def _expected(payment: Payment, received: Money) -> Money:
    """The least that a notice may name: what was asked, or what the provider's books have if that is less."""
    return received if _less(received, payment.amount) else payment.amount


def _outcome(order: Order, payment_id: str) -> Outcome:
    payment = order.payment(payment_id)
    if payment is None or payment.state not in FUNDING:
        return Outcome.IRREGULAR
    if order.status is Status.AWAITING_STOCK:
        return Outcome.AWAITS_STOCK
    return Outcome.ACCEPTED if payment.state is PaymentState.ACCEPTED else Outcome.IRREGULAR


def _less(given: Money, wanted: Money) -> bool:
    return given.currency != wanted.currency or given.minor < wanted.minor
