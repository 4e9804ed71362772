"""What the providers say of an order's payments that nobody has settled yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.domain.errors import Unavailable
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentEvent
from cardshop.ports import Channels, Provider


@dataclass(frozen=True, slots=True)
class AskProvider:
    channels: Channels
    provider: Callable[[str], Provider]

    def __call__(self, order: Order, *, close: bool = False) -> list[PaymentEvent]:
        """The payments that are paid, each with the amount received. Unavailable: a provider did not answer.

        `close`: none of them is wanted any more; they are closed where the protocol can.
        """
        paid = []
        for payment in order.unsettled:
            channel = self.channels.find(payment.channel)
            if channel is None:  # an account that is gone takes no money
                continue
            provider = self.provider(channel.provider)
            ask = provider.close_payment if close else provider.query_payment
            said = ask(channel, payment.payment_id, payment.amount.currency)
            if said.paid and said.amount is None:
                raise Unavailable("the provider says paid, and not how much")
            if said.paid:
                paid.append(said)
        return paid
