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
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import FUNDING, UNSETTLED, Channel, Payment, PaymentEvent, PaymentState, trade_id_of
from cardshop.domain.trade import Status
from cardshop.ports import Channels, Clock, Incident, Orders, Provider, QueuedNotice, Timeline
from cardshop.usecases.settle_payment import SettlePayment, UnknownPayment


class Outcome(StrEnum):
    """What a notice came to. Everything but `DENIED` is final."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    AWAITS_STOCK = "awaits_stock"  # accepted, and there are no cards for it
    IRREGULAR = "irregular"  # recorded on the order: short, surplus, duplicate, late
    MISMATCH = "mismatch"  # recorded beside it: wrong account, channel or amount; the order is as it was
    DENIED = "denied"  # the provider does not (yet) confirm it


@dataclass(frozen=True, slots=True)
class ConfirmPayment:
    orders: Orders
    timeline: Timeline
    channels: Channels
    provider: Callable[[str], Provider]
    settle: SettlePayment
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
        if misfit := _misfit(event, payment, channel, provider):
            return self._mismatch(misfit, order, payment, channel, event)
        if payment.state not in UNSETTLED:
            self.settle.wake(order)
            return Outcome.REPEATED
        said = provider.query_payment(channel, payment.payment_id, payment.amount.currency)
        if not said.paid or said.amount is None:
            self._note("denied", order, payment, channel, event)
            return Outcome.DENIED
        if event.amount is not None and _less(event.amount, _expected(payment, said.amount)):
            return self._mismatch("wrong_amount", order, payment, channel, event)
        order, new = self.settle(said, order)
        return _outcome(order, payment.payment_id) if new else Outcome.REPEATED

    def _load(self, payment_id: str) -> tuple[Order, Payment]:
        trade_id = trade_id_of(payment_id)
        order = self.orders.find(trade_id) if trade_id else None
        payment = order.payment(payment_id) if order else None
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
    if event.account is not None and event.account != channel.settings.get(provider.account):
        return "wrong_account"
    return "wrong_channel" if payment.channel != channel.name else None


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
