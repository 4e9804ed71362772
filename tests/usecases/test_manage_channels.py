"""Configuring a channel: checked first, saved whole, refused without a trace."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import InvalidRequest, Unprocessable
from cardshop.domain.payment import Channel
from cardshop.usecases.manage_channels import ManageChannels

from tests.usecases.fakes import Channels, Shop

SETTINGS = {"url": "https://pay.example", "pid": "1001", "key": "merchant-key"}


def manage(shop: Shop, settings: dict[str, str], *, provider: str = "bank", plain_http: bool = False) -> Channel:
    return ManageChannels(shop.channels, shop.provider, plain_http)("new", provider, settings)


def test_a_channel_is_saved_with_its_secrets_apart(shop: Shop) -> None:
    expected = Channel("new", "bank", {"url": "https://pay.example", "pid": "1001"}, {"key": "merchant-key"})
    assert manage(shop, SETTINGS) == shop.channels["new"] == expected


@pytest.mark.parametrize(
    ("settings", "provider", "why"),
    [
        ({**SETTINGS, "key": ""}, "bank", "key"),
        (SETTINGS, "unknown", "provider"),
        ({**SETTINGS, "url": "http://pay.example"}, "bank", "url: https only"),
    ],
)
def test_bad_settings_are_named_and_nothing_is_saved(
    shop: Shop, settings: dict[str, str], provider: str, why: str
) -> None:
    before = Channels(shop.channels)
    with pytest.raises(Unprocessable, match=why) as refused:
        manage(shop, settings, provider=provider)
    assert "merchant-key" not in str(refused.value)
    assert not isinstance(refused.value, InvalidRequest)
    assert shop.channels == before


def test_a_provider_simulated_on_this_machine_may_be_reached_without_tls(shop: Shop) -> None:
    manage(shop, {**SETTINGS, "url": "http://127.0.0.1:8088"}, plain_http=True)
    assert shop.channels["new"].settings["url"] == "http://127.0.0.1:8088"
