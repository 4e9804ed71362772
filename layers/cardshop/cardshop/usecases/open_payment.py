"""How the buyer pays one payment: what the provider's protocol makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cardshop.domain.errors import ChannelCannotTake, UnknownChannel
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import Channel, Payment, PaymentRequest, PaymentSession
from cardshop.ports import Channels, Orders, Provider, PublicUrls


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is about to pay, and where."""

    terminal: str
    address: str | None = None
    openid: str | None = None  # at the provider, where the terminal knows it


@dataclass(frozen=True, slots=True)
class OpenPayment:
    orders: Orders
    channels: Channels
    provider: Callable[[str], Provider]
    public_urls: Callable[[], PublicUrls]

    def __call__(self, order: Order, payment: Payment, payer: Payer) -> PaymentSession:
        """Asking again for the same payment opens it once. Unavailable: the provider did not answer, ask again.

        The provider's number of it is on the order before anybody is told how to pay: it can be asked for ever after.
        """
        channel = self.channel(payment.channel)
        urls = self.public_urls()
        session = self.provider(channel.provider).create_payment(
            channel,
            PaymentRequest(
                payment_id=payment.payment_id,
                amount=payment.amount,
                name=", ".join(line.name for line in order.lines),
                notify_url=f"{urls.api}/webhooks/{channel.name}",
                return_url=f"{urls.pages}/orders/{order.trade_id}",
                terminal=payer.terminal,
                expires_at=order.expires_at,
                session_ref=payment.session_ref,
                payer=payer.openid,
                address=payer.address,
            ),
        )
        if session.session_ref not in {None, payment.session_ref}:
            self.orders.note_session(order, replace(payment, session_ref=session.session_ref))
        return session

    def channel(self, name: str) -> Channel:
        channel = self.channels.find(name)
        if channel is None:
            raise UnknownChannel(f"{name}: no such channel")
        return channel

    def way(self, channel: Channel, payer: Payer) -> str | None:
        """How this payer would pay, where that binds a payment: opened in one way, it cannot be paid in another."""
        return self.provider(channel.provider).terms(channel).ways.get(payer.terminal)

    def check(self, channel: Channel, amount: Money, payer: Payer, *, anew: bool = True) -> None:
        """ChannelCannotTake says which of currency, amount and terminal it is.

        `anew`: for one payment more, which wants a channel that is offered still.
        """
        if anew and not channel.offered:
            raise ChannelCannotTake(f"{channel.name}: not offered any more")
        terms = self.provider(channel.provider).terms(channel)
        if payer.terminal not in terms.terminals:
            raise ChannelCannotTake(f"{channel.name}: not on terminal {payer.terminal}")
        if payer.terminal in terms.payer_on and payer.openid is None:
            raise ChannelCannotTake(f"{channel.name}: on terminal {payer.terminal} it wants payer.openid")
        if amount.currency not in terms.amounts:
            raise ChannelCannotTake(f"{channel.name}: does not take {amount.currency}")
        least, most = terms.amounts[amount.currency]
        if not least <= amount.minor <= most:
            raise ChannelCannotTake(f"{channel.name}: takes {least} to {most} minor units of {amount.currency}")
