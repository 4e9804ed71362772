"""Paying again: one more payment of what is due, or the one that is open already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import (
    ChannelCannotTake,
    NotFound,
    NotPayable,
    PaymentSpent,
    TooManyPayments,
    Unavailable,
    UnknownChannel,
    Unprocessable,
)
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import Channel, Payment, PaymentRequest, PaymentSession, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.pay_order import PayOrder

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, WINDOW_MS, in_status, paid, placed
from tests.usecases.fakes import Shop

SECOND_ID = payment_id(TRADE_ID, 2)


@pytest.fixture
def pay(shop: Shop, open_payment: OpenPayment) -> PayOrder:
    shop.channels["other"] = Channel("other", "bank", {"pid": "1001"}, {})
    return PayOrder(shop.orders, open_payment, shop.clock)


def short(order: Order, minor: int) -> Order:
    return order.settled(PAYMENT_ID, Money(minor, "CNY"), "ref", NOW)


def test_another_channel_is_another_payment_of_the_same_order(shop: Shop, pay: PayOrder) -> None:
    shop.orders.put(placed())
    order, payment, session = pay(TRADE_ID, "other", BUYER)
    assert payment == Payment(SECOND_ID, "other", PRICE, PaymentState.OPEN)
    assert order == shop.orders.by_id[TRADE_ID]
    assert (order.status, order.version, order.payments[1]) == (Status.PENDING_PAYMENT, 2, payment)
    assert (order.last_change.what, order.last_change.actor) == ("payment_opened", BUYER)
    assert session.redirect_url is not None
    assert SECOND_ID in session.redirect_url
    assert "/webhooks/other" in session.redirect_url


def test_the_payment_that_is_open_already_is_paid_in_the_same_way_again(shop: Shop, pay: PayOrder) -> None:
    stored = shop.orders.put(placed())
    assert pay(TRADE_ID, "epay", BUYER)[1].payment_id == PAYMENT_ID
    assert shop.orders.by_id[TRADE_ID] == stored
    assert pay(TRADE_ID, "other", BUYER) == pay(TRADE_ID, "other", BUYER)
    assert len(shop.orders.by_id[TRADE_ID].payments) == 2


def test_a_payment_that_nobody_can_be_told_how_to_pay_gives_way_to_another(shop: Shop, pay: PayOrder) -> None:
    """Given a provider whose answer got lost, should money come of the first all the same, it is taken."""
    shop.orders.put(placed())
    shop.bank.spent.add(PAYMENT_ID)
    order, payment, session = pay(TRADE_ID, "epay", BUYER)
    assert (payment.payment_id, order.status) == (SECOND_ID, Status.PENDING_PAYMENT)
    assert [each.state for each in order.payments] == [PaymentState.FAILED, PaymentState.OPEN]
    assert SECOND_ID in (session.redirect_url or "")
    assert pay(TRADE_ID, "epay", BUYER)[1].payment_id == SECOND_ID
    assert order.settled(PAYMENT_ID, PRICE, "ref", NOW).status is Status.PAID


def test_a_payment_that_somebody_else_has_opened_meanwhile_does_not_give_way(
    shop: Shop, pay: PayOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given two who ask at once, whom the provider answers first, the other is told the same page."""
    order = shop.orders.put(placed())
    opens = shop.bank.create_payment

    def faster(channel: Channel, request: PaymentRequest) -> PaymentSession:
        if not shop.bank.spent:
            shop.bank.spent.add(PAYMENT_ID)
            shop.orders.note_session(order, replace(order.payments[0], session_ref="theirs"))
        return opens(channel, request)

    monkeypatch.setattr(shop.bank, "create_payment", faster)
    assert pay(TRADE_ID, "epay", BUYER)[1].payment_id == PAYMENT_ID
    assert len(shop.orders.by_id[TRADE_ID].payments) == 1


def test_a_provider_that_has_every_number_already_is_asked_twice_at_a_time(shop: Shop, pay: PayOrder) -> None:
    shop.orders.put(placed())
    shop.bank.spent |= {PAYMENT_ID, SECOND_ID}
    with pytest.raises(PaymentSpent):
        pay(TRADE_ID, "epay", BUYER)
    assert len(shop.orders.by_id[TRADE_ID].payments) == 2


def test_a_channel_that_is_not_offered_any_more_opens_again_only_what_is_open(shop: Shop, pay: PayOrder) -> None:
    stored = shop.orders.put(placed())
    for name in ("epay", "other"):
        shop.channels[name] = replace(shop.channels[name], offered=False)
    assert pay(TRADE_ID, "epay", BUYER)[2].redirect_url
    with pytest.raises(ChannelCannotTake, match="not offered"):
        pay(TRADE_ID, "other", BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_after_a_short_payment_the_rest_is_asked_for(shop: Shop, pay: PayOrder) -> None:
    shop.orders.put(short(placed(), 900))
    _, payment, session = pay(TRADE_ID, "epay", BUYER)
    assert (payment.payment_id, payment.amount) == (SECOND_ID, Money(90, "CNY"))
    assert session.redirect_url is not None
    assert "pay=0.90 CNY" in session.redirect_url


def test_a_payment_opened_before_the_short_one_asks_for_too_much(shop: Shop, pay: PayOrder) -> None:
    """Given two open payments of the whole amount, when one comes short, the other is not offered any more."""
    shop.orders.put(short(placed().reopened("other", BUYER, NOW), 900))
    _, payment, _ = pay(TRADE_ID, "other", BUYER)
    assert (payment.payment_id, payment.amount) == (payment_id(TRADE_ID, 3), Money(90, "CNY"))


def test_a_payment_that_failed_is_followed_by_another(shop: Shop, pay: PayOrder) -> None:
    order = placed()
    shop.orders.put(replace(order, payments=(replace(order.payments[0], state=PaymentState.FAILED),)))
    assert pay(TRADE_ID, "epay", BUYER)[1].payment_id == SECOND_ID


@pytest.mark.parametrize(("terminal", "shown"), [("mobile", "on=mobile"), (None, "on=pc")])
def test_the_way_to_pay_is_that_of_the_terminal_in_hand(
    shop: Shop, pay: PayOrder, terminal: str | None, shown: str
) -> None:
    shop.orders.put(placed())  # on a PC
    _, _, session = pay(TRADE_ID, "epay", Actor("buyer", terminal))
    assert session.redirect_url is not None
    assert session.redirect_url.endswith(shown)


# ---- refused: nothing written ----


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PENDING_PAYMENT}))
def test_an_order_that_is_not_unpaid_is_not_paid_again(shop: Shop, pay: PayOrder, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    with pytest.raises(NotPayable):
        pay(TRADE_ID, "other", BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_order_can_be_paid_up_to_the_end_of_its_window(shop: Shop, pay: PayOrder) -> None:
    stored = shop.orders.put(placed())
    shop.clock.now = NOW + WINDOW_MS
    with pytest.raises(NotPayable):
        pay(TRADE_ID, "epay", BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored
    shop.clock.now -= 1
    assert pay(TRADE_ID, "epay", BUYER)[1].payment_id == PAYMENT_ID


def test_an_unknown_channel_is_refused(shop: Shop, pay: PayOrder) -> None:
    stored = shop.orders.put(placed())
    with pytest.raises(UnknownChannel):
        pay(TRADE_ID, "nowhere", BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_a_channel_that_does_not_take_the_orders_currency_is_refused(shop: Shop, pay: PayOrder) -> None:
    stored = shop.orders.put(replace(placed(), amount=Money(990, "USD")))
    with pytest.raises(Unprocessable):
        pay(TRADE_ID, "other", BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_order_has_ten_payments_at_most_and_the_tenth_can_still_be_paid(shop: Shop, pay: PayOrder) -> None:
    order = placed()
    for _ in range(9):
        order = order.reopened("other", BUYER, NOW)
    stored = shop.orders.put(
        replace(order, payments=(replace(order.payments[0], channel="other"), *order.payments[1:]))
    )
    with pytest.raises(TooManyPayments):
        pay(TRADE_ID, "epay", BUYER)
    assert pay(TRADE_ID, "other", BUYER)[1].state is PaymentState.OPEN
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_unknown_trade_is_not_found(pay: PayOrder) -> None:
    with pytest.raises(NotFound):
        pay(TRADE_ID, "epay", BUYER)


# ---- a provider that does not answer, and others who act meanwhile ----


def test_a_payment_the_provider_did_not_answer_for_is_noted_and_opened_by_asking_again(
    shop: Shop, pay: PayOrder
) -> None:
    shop.orders.put(placed())
    shop.bank.down = True
    with pytest.raises(Unavailable):
        pay(TRADE_ID, "other", BUYER)
    assert [each.state for each in shop.orders.by_id[TRADE_ID].payments] == [PaymentState.OPEN] * 2
    shop.bank.down = False
    assert pay(TRADE_ID, "other", BUYER)[1].payment_id == SECOND_ID
    assert len(shop.orders.by_id[TRADE_ID].payments) == 2


def test_an_order_that_is_paid_at_the_very_moment_gets_no_other_payment(shop: Shop, pay: PayOrder) -> None:
    order = shop.orders.put(placed())
    shop.orders.once(lambda _: shop.orders.record(order, paid(order)))
    with pytest.raises(NotPayable):
        pay(TRADE_ID, "other", BUYER)
    assert len(shop.orders.by_id[TRADE_ID].payments) == 1


def test_two_equal_requests_at_once_are_one_payment(shop: Shop, pay: PayOrder) -> None:
    shop.orders.put(placed())
    twin: list[Payment] = []
    shop.orders.once(lambda _: twin.append(pay(TRADE_ID, "other", BUYER)[1]))
    assert pay(TRADE_ID, "other", BUYER)[1] == twin[0]
    assert len(shop.orders.by_id[TRADE_ID].payments) == 2


def test_a_payment_bound_to_its_way_is_opened_anew_on_another_kind_of_terminal(shop: Shop, pay: PayOrder) -> None:
    """Ordered on a phone and paid on a PC: what was opened as a phone's page cannot become a PC's code."""
    shop.bank.takes = replace(shop.bank.takes, ways={"mobile": "h5", "pc": "native", "api": "native"})
    shop.orders.put(replace(placed(), payments=(replace(placed().payments[0], way="h5"),)))
    phone, pc, api = (replace(BUYER, terminal=terminal) for terminal in ("mobile", "pc", "api"))
    assert pay(TRADE_ID, "epay", phone)[1].payment_id == PAYMENT_ID
    _, payment, session = pay(TRADE_ID, "epay", pc)
    assert (payment.payment_id, payment.way) == (SECOND_ID, "native")
    assert session.redirect_url is not None
    assert "on=pc" in session.redirect_url
    assert pay(TRADE_ID, "epay", api)[1].payment_id == SECOND_ID
    assert pay(TRADE_ID, "epay", phone)[1].payment_id == PAYMENT_ID
