"""Configuring a channel: checked first, saved whole, refused without a trace."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import InvalidRequest, NotFound, Unprocessable
from cardshop.domain.payment import Channel, Offer, Refunds, Terms
from cardshop.usecases.manage_channels import ManageChannels

from tests.usecases.fakes import Channels, Shop

SETTINGS = {"url": "https://pay.example", "pid": "1001", "key": "merchant-key"}


def manage(shop: Shop, settings: dict[str, str], *, provider: str = "bank", plain_http: bool = False) -> Channel:
    return ManageChannels(shop.channels, shop.provider, plain_http)("new", provider, settings)


def test_a_channel_is_saved_with_its_secrets_apart(shop: Shop) -> None:
    expected = Channel("new", "bank", {"url": "https://pay.example", "pid": "1001"}, {"key": "merchant-key"})
    assert manage(shop, SETTINGS) == shop.channels["new"] == expected


def test_a_new_channel_is_offered_as_its_provider_can_take_it(shop: Shop) -> None:
    """But not on a terminal that would have to know the payer's openid, and is no mini program."""
    shop.bank.takes = Terms(
        amounts={"USD": (1, 9), "CNY": (1, 9)},
        refunds=Refunds.NONE,
        terminals=frozenset({"pc", "mobile", "miniapp"}),
        payer_on=frozenset({"miniapp", "mobile"}),
        ways={"pc": "native", "mobile": "h5", "miniapp": "jsapi", "api": "native"},
    )
    manage(shop, SETTINGS)
    assert shop.channels.offers["new"] == Offer("new", "bank", ("miniapp", "pc"), ("jsapi", "native"), ("CNY", "USD"))


def test_a_channel_is_offered_no_more_and_again_and_saving_it_does_not_change_that(shop: Shop) -> None:
    manage(shop, SETTINGS)
    channels = ManageChannels(shop.channels, shop.provider, plain_http=False)
    channels.offer("new", offered=False, title="银行卡")
    manage(shop, SETTINGS)
    assert not shop.channels["new"].offered
    channels.offer("new", offered=True, title="银行卡")
    assert shop.channels["new"].offered
    assert shop.channels.offers["new"].title == "银行卡"


def test_a_channel_that_is_not_there_cannot_be_offered(shop: Shop) -> None:
    with pytest.raises(NotFound):
        ManageChannels(shop.channels, shop.provider, plain_http=False).offer("new", offered=True, title=None)


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
