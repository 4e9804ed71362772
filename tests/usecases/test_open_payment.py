"""Opening a payment: asked for what is due, with the shop's own addresses, through the channel that was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import ChannelCannotTake, Unavailable, UnknownChannel
from cardshop.domain.money import Money
from cardshop.domain.order import Line
from cardshop.domain.payment import Refunds, Terms
from cardshop.usecases.open_payment import OpenPayment, Payer

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, placed
from tests.usecases.fakes import SHOP_URL, URLS, Shop

PC = Payer("pc")


def test_the_provider_is_told_all_it_needs_of_this_payment(open_payment: OpenPayment) -> None:
    order = replace(placed(), lines=(Line("a", "甲", 1, PRICE), Line("b", "乙", 1, PRICE)))
    session = open_payment(order, replace(order.payments[0], amount=Money(1, "CNY")), Payer("mobile"))
    assert session.redirect_url == (
        f"https://bank.example/{PAYMENT_ID}?pay=0.01 CNY&for=甲, 乙"
        f"&notify={SHOP_URL}/webhooks/epay&back={URLS.pages}/orders/{TRADE_ID}&on=mobile"
    )


def test_the_same_payment_again_is_paid_in_the_same_way(open_payment: OpenPayment) -> None:
    order = placed()
    assert open_payment(order, order.payments[0], PC) == open_payment(order, order.payments[0], PC)


def test_a_payment_of_a_channel_that_is_gone_cannot_be_opened(open_payment: OpenPayment) -> None:
    order = placed().reopened("gone", BUYER, NOW)
    with pytest.raises(UnknownChannel, match="gone"):
        open_payment(order, order.payments[1], PC)


def test_a_provider_that_does_not_answer_may_be_asked_again(shop: Shop, open_payment: OpenPayment) -> None:
    order = placed()
    shop.bank.down = True
    with pytest.raises(Unavailable):
        open_payment(order, order.payments[0], PC)
    shop.bank.down = False
    assert open_payment(order, order.payments[0], PC).redirect_url


def test_the_providers_number_of_it_is_on_the_order_before_the_buyer_can_pay(
    shop: Shop, open_payment: OpenPayment
) -> None:
    shop.bank.sessions = True
    order = shop.orders.put(placed())
    session = open_payment(order, order.payments[0], PC)
    noted = shop.orders.by_id[TRADE_ID]
    assert noted.payments[0].session_ref == session.session_ref == f"session-of-{PAYMENT_ID}"
    assert replace(noted, payments=order.payments) == order, "and nothing else has changed"


def test_a_number_that_is_known_is_not_written_again(shop: Shop, open_payment: OpenPayment) -> None:
    shop.bank.sessions = True
    order = placed()  # not stored: writing to it would fail
    known = replace(order.payments[0], session_ref=f"session-of-{PAYMENT_ID}")
    assert open_payment(order, known, PC).session_ref == known.session_ref


@pytest.mark.parametrize(
    ("amount", "payer", "says"),
    [
        (Money(1, "USD"), PC, "does not take USD"),
        (Money(4, "CNY"), PC, "takes 5 to 100 minor units of CNY"),
        (Money(101, "CNY"), PC, "takes 5 to 100 minor units of CNY"),
        (Money(5, "CNY"), Payer("api"), "not on terminal api"),
        (Money(5, "CNY"), Payer("miniapp"), "wants payer.openid"),
    ],
)
def test_what_a_channel_cannot_take_is_refused_by_name(
    shop: Shop, open_payment: OpenPayment, amount: Money, payer: Payer, says: str
) -> None:
    shop.bank.takes = Terms(
        amounts={"CNY": (5, 100)},
        refunds=Refunds.NONE,
        terminals=frozenset({"pc", "miniapp"}),
        payer_on=frozenset({"miniapp"}),
    )
    with pytest.raises(ChannelCannotTake, match=f"epay: .*{says}"):
        open_payment.check(open_payment.channel("epay"), amount, payer)


def test_what_a_channel_takes_is_let_through(open_payment: OpenPayment) -> None:
    for minor in (1, 1_000_000):
        open_payment.check(open_payment.channel("epay"), Money(minor, "CNY"), PC)


def test_a_channel_that_is_not_offered_takes_no_new_payment_and_goes_on_with_those_there_are(
    shop: Shop, open_payment: OpenPayment
) -> None:
    shop.channels["epay"] = replace(shop.channels["epay"], offered=False)
    channel = open_payment.channel("epay")
    with pytest.raises(ChannelCannotTake, match="not offered"):
        open_payment.check(channel, PRICE, PC)
    open_payment.check(channel, PRICE, PC, anew=False)
    order = placed()
    assert open_payment(order, order.payments[0], PC).redirect_url
