"""What the providers say of an order's payments that nobody has settled yet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cardshop.domain.errors import Confirming, Unavailable
from cardshop.domain.order import Order
from cardshop.domain.payment import EventKind, Payment, PaymentEvent
from cardshop.ports import Channels, Provider


@dataclass(frozen=True, slots=True)
class Answers:
    paid: list[PaymentEvent]  # each with the amount received
    silent: frozenset[str]  # channels whose provider did not answer: what they say is not known
    confirming: bool = False  # whether money is on its way that cannot be stopped any more
    ended: tuple[PaymentEvent, ...] = ()  # that failed for good, or whose money came and has gone back


@dataclass(frozen=True, slots=True)
class AskProvider:
    channels: Channels
    provider: Callable[[str], Provider]

    def __call__(self, order: Order, *, close: bool = False, without: Collection[str] = ()) -> Answers:
        """Every payment is asked for, whatever becomes of the others; channels in `without` are taken to be silent.

        `close`: none of them is wanted any more; they are closed where the protocol can, and nothing more is taken.
        """
        paid, ended = list[PaymentEvent](), list[PaymentEvent]()
        silent, confirming = set(without) & {payment.channel for payment in order.unsettled}, False
        for payment in order.unsettled:
            if payment.channel in silent:
                continue
            try:
                said = self._ask(payment, close=close)
            except Confirming:
                confirming = True
                continue
            except Unavailable:
                silent.add(payment.channel)
                continue
            if said is not None and said.paid:
                paid.append(said)
            elif said is not None and said.kind in {EventKind.FAILED, EventKind.REFUNDED}:
                ended.append(said)
        return Answers(paid, frozenset(silent), confirming, tuple(ended))

    def _ask(self, payment: Payment, *, close: bool) -> PaymentEvent | None:
        channel = self.channels.find(payment.channel)
        if channel is None:  # an account that is gone takes no money
            return None
        provider = self.provider(channel.provider)
        ask = provider.close_payment if close else provider.query_payment
        said = ask(channel, payment)
        if said.paid and said.amount is None:
            raise Unavailable("the provider says paid, and not how much")
        return said
