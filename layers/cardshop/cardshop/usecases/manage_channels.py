"""Configure an account at a payment provider, and offer it. Secrets go in and never come back out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.domain.errors import InvalidRequest, NotFound, Unprocessable
from cardshop.domain.payment import Channel, Offer
from cardshop.ports import ChannelStore, Provider


@dataclass(frozen=True, slots=True)
class ManageChannels:
    store: ChannelStore
    provider: Callable[[str], Provider]
    plain_http: bool  # whether a provider may be reached without TLS: only one simulated on this machine

    def __call__(self, name: str, provider: str, settings: dict[str, str]) -> Channel:
        """Save the channel whole. Unprocessable names the first bad setting; nothing is written then."""
        try:
            protocol = self.provider(provider)
            public, secrets = protocol.check_settings(settings)
        except InvalidRequest as error:
            raise Unprocessable(error.detail) from error
        for field, value in public.items():
            if value.startswith("http://") and not self.plain_http:
                raise Unprocessable(f"{field}: https only")
        channel = Channel(name, provider, public, secrets)
        self.store.save(channel, Offer.of(channel, protocol.terms(channel)))
        return channel

    def offer(self, name: str, *, offered: bool, title: str | None) -> None:
        """Let buyers choose the channel under this title, or no more: payments that are open go on. NotFound."""
        if not self.store.offer(name, offered=offered, title=title):
            raise NotFound("no such channel, or saved before channels were offered: save it again")
