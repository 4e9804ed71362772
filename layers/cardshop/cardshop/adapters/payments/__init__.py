"""Payment providers by name. A provider's module is imported when a channel first uses it."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from cardshop.domain.errors import InvalidRequest
from cardshop.ports import Provider

PROVIDERS = {
    name: f"cardshop.adapters.payments.{place}"
    for name, place in {
        "alipay": "alipay:Alipay",
        "bepusdt": "bepusdt:Bepusdt",
        "btcpay": "btcpay:BtcPay",
        "epay": "epay:Epay",
        "epay-rsa": "epay_rsa:EpayRsa",
        "epusdt": "epusdt:Epusdt",
        "paypal": "paypal:PayPal",
        "stripe": "stripe:Stripe",
        "wechat": "wechat:WeChat",
    }.items()
}


def provider(name: str) -> Provider:
    """The provider of this name; InvalidRequest if there is none."""
    if name not in PROVIDERS:
        raise InvalidRequest(f"provider: one of {', '.join(sorted(PROVIDERS))}")
    module, _, kind = PROVIDERS[name].partition(":")
    return cast(Provider, getattr(import_module(module), kind)())
