"""A queued notice meets its order: ask the provider, then accept the payment by one conditional write.

Any message may come twice, late or beside its own twin: the payment's state decides, and a message that finds its
work done only wakes the machine again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cardshop.domain.errors import NotFound
from cardshop.domain.order import Order
from cardshop.domain.payment import UNSETTLED, Channel, Payment, PaymentEvent, PaymentState, trade_id_of
from cardshop.domain.trade import Status
from cardshop.ports import Channels, Clock, Incident, Orders, Provider, QueuedNotice, Timeline, Workflow
from cardshop.usecases.change import change


class Outcome(StrEnum):
    """What a notice came to. Everything but `DENIED` is final."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    IRREGULAR = "irregular"  # recorded on the order: short, late, duplicate
    MISMATCH = "mismatch"  # recorded beside it: wrong account, channel or amount; the order is as it was
    DENIED = "denied"  # the provider does not (yet) confirm it


class UnknownPayment(NotFound):
    """No order of ours has this payment. The order may be a moment younger than its notice: worth another try."""


@dataclass(frozen=True, slots=True)
class ConfirmPayment:
    orders: Orders
    timeline: Timeline
    channels: Channels
    provider: Callable[[str], Provider]
    workflow: Workflow
    clock: Clock

    def __call__(self, queued: QueuedNotice) -> list[Outcome]:
        channel = self.channels.find(queued.channel)
        if channel is None:
            raise NotFound("the channel is gone")
        provider = self.provider(channel.provider)
        events = provider.read_notice(channel, queued.notice)
        return [self._confirm(channel, provider, event) for event in events if event.paid]

    def _confirm(self, channel: Channel, provider: Provider, event: PaymentEvent) -> Outcome:
        order, payment = self._load(event.payment_id)
        if event.account is not None and event.account != channel.settings.get(provider.account):
            return self._mismatch("wrong_account", order, payment, channel, event)
        if payment.channel != channel.name:
            return self._mismatch("wrong_channel", order, payment, channel, event)
        if payment.state not in UNSETTLED:
            self._wake(order, payment)
            return Outcome.REPEATED
        said = provider.query_payment(channel, payment.payment_id, payment.amount.currency)
        if not said.paid or said.amount is None:
            self._note("denied", order, payment, channel, event)
            return Outcome.DENIED
        if event.amount is not None and event.amount.minor < min(payment.amount.minor, said.amount.minor):
            return self._mismatch("wrong_amount", order, payment, channel, event)
        return self.settle(payment.payment_id, said)

    def settle(self, payment_id: str, said: PaymentEvent) -> Outcome:
        """Record what the provider confirmed, whatever happens to the order meanwhile."""
        received = said.amount
        assert received is not None
        order, _ = self._load(payment_id)
        repeated = True

        def decide(order: Order) -> Order:
            nonlocal repeated
            settled = order.settled(payment_id, received, said.provider_ref, self.clock())
            repeated = settled is order
            return settled

        settled = change(self.orders, order.trade_id, decide)
        payment = settled.payment(payment_id)
        assert payment is not None
        self._wake(settled, payment)
        if repeated:
            return Outcome.REPEATED
        return Outcome.ACCEPTED if payment.state is PaymentState.ACCEPTED else Outcome.IRREGULAR

    def _load(self, payment_id: str) -> tuple[Order, Payment]:
        trade_id = trade_id_of(payment_id)
        order = self.orders.find(trade_id) if trade_id else None
        payment = order.payment(payment_id) if order else None
        if order is None or payment is None:
            raise UnknownPayment("no order of ours has this payment")
        return order, payment

    def _wake(self, order: Order, payment: Payment) -> None:
        """Let the machine go on, if nobody has yet.

        Without a token its first state has not begun, and will find the order paid. If nothing waits with the token
        any more, it is on its way. Either way it is enough that an execution runs.
        """
        if order.status is not Status.PAID or payment.state is not PaymentState.ACCEPTED:
            return
        if order.task_token is None or not self.workflow.succeed(order.task_token):
            self.workflow.take_over(order.trade_id)

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
