"""Opening a payment: asked for what is due, with the shop's own addresses, through the channel that was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import Unavailable, UnknownChannel, Unprocessable
from cardshop.domain.money import Money
from cardshop.domain.order import Line
from cardshop.usecases.open_payment import OpenPayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, placed
from tests.usecases.fakes import SHOP_URL, Shop


def test_the_provider_is_told_all_it_needs_of_this_payment(open_payment: OpenPayment) -> None:
    order = replace(placed(), lines=(Line("a", "甲", 1, PRICE), Line("b", "乙", 1, PRICE)))
    session = open_payment(order, replace(order.payments[0], amount=Money(1, "CNY")), "mobile")
    assert session.redirect_url == (
        f"https://bank.example/{PAYMENT_ID}?pay=0.01 CNY&for=甲, 乙"
        f"&notify={SHOP_URL}/webhooks/epay&back={SHOP_URL}/orders/{TRADE_ID}/return&on=mobile"
    )


def test_the_same_payment_again_is_paid_in_the_same_way(open_payment: OpenPayment) -> None:
    order = placed()
    assert open_payment(order, order.payments[0], "pc") == open_payment(order, order.payments[0], "pc")


def test_a_payment_of_a_channel_that_is_gone_cannot_be_opened(open_payment: OpenPayment) -> None:
    order = placed().reopened("gone", BUYER, NOW)
    with pytest.raises(UnknownChannel, match="gone"):
        open_payment(order, order.payments[1], "pc")


def test_a_provider_that_does_not_answer_may_be_asked_again(shop: Shop, open_payment: OpenPayment) -> None:
    order = placed()
    shop.bank.down = True
    with pytest.raises(Unavailable):
        open_payment(order, order.payments[0], "pc")
    shop.bank.down = False
    assert open_payment(order, order.payments[0], "pc").redirect_url


def test_a_currency_that_the_provider_does_not_take_is_refused(open_payment: OpenPayment) -> None:
    channel = open_payment.channel("epay")
    open_payment.check_currency(channel, "CNY")
    with pytest.raises(Unprocessable, match="epay: does not take USD"):
        open_payment.check_currency(channel, "USD")
