"""Asking: of every payment whose money may still come, and an answer is all or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, PaymentEvent, PaymentState, payment_id
from cardshop.usecases.ask_provider import AskProvider

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, paid, placed
from tests.usecases.fakes import Shop

SECOND_ID = payment_id(TRADE_ID, 2)


def test_nobody_has_paid(ask: AskProvider) -> None:
    assert ask(placed()) == []


def test_every_payment_that_is_paid_is_told_with_what_was_received(shop: Shop, ask: AskProvider) -> None:
    order = placed().reopened("epay", BUYER, NOW)
    shop.bank.receives(PAYMENT_ID, Money(1, "CNY"))
    shop.bank.receives(SECOND_ID, PRICE)
    assert ask(order) == [
        PaymentEvent(PAYMENT_ID, True, Money(1, "CNY"), "bank-1"),
        PaymentEvent(SECOND_ID, True, PRICE, "bank-1"),
    ]


def test_a_settled_payment_is_not_asked_about(shop: Shop, ask: AskProvider) -> None:
    order = paid(placed().reopened("epay", BUYER, NOW))
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert ask(order) == []
    assert shop.bank.asked == [SECOND_ID]


def test_a_payment_that_failed_may_have_been_paid_after_all(shop: Shop, ask: AskProvider) -> None:
    order = placed()
    failed = replace(order, payments=(replace(order.payments[0], state=PaymentState.FAILED),))
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert [said.payment_id for said in ask(failed)] == [PAYMENT_ID]


def test_an_answer_without_a_payment_is_no_money(shop: Shop, ask: AskProvider) -> None:
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, False, PRICE, "")
    assert ask(placed()) == []


def test_paid_without_an_amount_is_no_answer(shop: Shop, ask: AskProvider) -> None:
    """Nobody closes an order of which it may be that it is paid."""
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, True, None, None)
    with pytest.raises(Unavailable):
        ask(placed())


def test_an_account_that_is_gone_takes_no_money_and_keeps_no_other_from_being_asked(
    shop: Shop, ask: AskProvider
) -> None:
    shop.channels["other"] = Channel("other", "bank", {}, {})
    order = placed().reopened("other", BUYER, NOW)
    del shop.channels["epay"]
    shop.bank.receives(SECOND_ID, PRICE)
    assert [said.payment_id for said in ask(order)] == [SECOND_ID]


def test_one_payment_that_nobody_answers_for_is_no_answer_at_all(shop: Shop, ask: AskProvider) -> None:
    order = placed().reopened("epay", BUYER, NOW)
    shop.bank.receives(PAYMENT_ID, PRICE)
    shop.bank.silent.add(SECOND_ID)
    with pytest.raises(Unavailable):
        ask(order)


def test_asking_closes_nothing_unless_it_is_to(shop: Shop, ask: AskProvider) -> None:
    order = placed().reopened("epay", BUYER, NOW)
    shop.bank.receives(SECOND_ID, PRICE)
    assert len(ask(order)) == 1
    assert shop.bank.closed == set()
    assert [said.payment_id for said in ask(order, close=True)] == [SECOND_ID]
    assert shop.bank.closed == {PAYMENT_ID, SECOND_ID}
