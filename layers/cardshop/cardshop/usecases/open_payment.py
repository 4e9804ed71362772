"""How the buyer pays one payment: what the provider's protocol makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.domain.errors import UnknownChannel, Unprocessable
from cardshop.domain.order import Order
from cardshop.domain.payment import Channel, Payment, PaymentRequest, PaymentSession
from cardshop.ports import Channels, Provider


@dataclass(frozen=True, slots=True)
class OpenPayment:
    channels: Channels
    provider: Callable[[str], Provider]
    public_url: Callable[[], str]

    def __call__(self, order: Order, payment: Payment, terminal: str) -> PaymentSession:
        """Asking again for the same payment opens it once. Unavailable: the provider did not answer, ask again."""
        channel = self.channel(payment.channel)
        url = self.public_url()
        return self.provider(channel.provider).create_payment(
            channel,
            PaymentRequest(
                payment_id=payment.payment_id,
                amount=payment.amount,
                name=", ".join(line.name for line in order.lines),
                notify_url=f"{url}/webhooks/{channel.name}",
                return_url=f"{url}/orders/{order.trade_id}/return",
                terminal=terminal,
            ),
        )

    def channel(self, name: str) -> Channel:
        channel = self.channels.find(name)
        if channel is None:
            raise UnknownChannel(f"{name}: no such channel")
        return channel

    def check_currency(self, channel: Channel, currency: str) -> None:
        if currency not in self.provider(channel.provider).currencies:
            raise Unprocessable(f"{channel.name}: does not take {currency}")
