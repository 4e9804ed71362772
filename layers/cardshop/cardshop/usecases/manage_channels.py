"""Configure an account at a payment provider. Secrets go in and never come back out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.domain.errors import InvalidRequest, Unprocessable
from cardshop.domain.payment import Channel
from cardshop.ports import ChannelStore, Provider


@dataclass(frozen=True, slots=True)
class ManageChannels:
    store: ChannelStore
    provider: Callable[[str], Provider]
    plain_http: bool  # whether a provider may be reached without TLS: only one simulated on this machine

    def __call__(self, name: str, provider: str, settings: dict[str, str]) -> Channel:
        """Save the channel whole. Unprocessable names the first bad setting; nothing is written then."""
        try:
            public, secrets = self.provider(provider).check_settings(settings)
        except InvalidRequest as error:
            raise Unprocessable(error.detail) from error
        for field, value in public.items():
            if value.startswith("http://") and not self.plain_http:
                raise Unprocessable(f"{field}: https only")
        channel = Channel(name, provider, public, secrets)
        self.store.save(channel)
        return channel
