"""Asking: of every payment whose money may still come, and an answer is all or nothing."""

from __future__ import annotations

from dataclasses import replace

from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, EventKind, PaymentEvent, PaymentState, payment_id
from cardshop.usecases.ask_provider import AskProvider

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, paid, placed
from tests.usecases.fakes import Shop

SECOND_ID = payment_id(TRADE_ID, 2)


def test_nobody_has_paid(ask: AskProvider) -> None:
    assert ask(placed()).paid == []


def test_every_payment_that_is_paid_is_told_with_what_was_received(shop: Shop, ask: AskProvider) -> None:
    order = placed().reopened("epay", BUYER, NOW)
    shop.bank.receives(PAYMENT_ID, Money(1, "CNY"))
    shop.bank.receives(SECOND_ID, PRICE)
    assert ask(order).paid == [
        PaymentEvent(PAYMENT_ID, EventKind.PAID, Money(1, "CNY"), "bank-1"),
        PaymentEvent(SECOND_ID, EventKind.PAID, PRICE, "bank-1"),
    ]


def test_a_settled_payment_is_not_asked_about(shop: Shop, ask: AskProvider) -> None:
    order = paid(placed().reopened("epay", BUYER, NOW))
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert ask(order).paid == []
    assert shop.bank.asked == [SECOND_ID]


def test_a_payment_that_failed_may_have_been_paid_after_all(shop: Shop, ask: AskProvider) -> None:
    order = placed()
    failed = replace(order, payments=(replace(order.payments[0], state=PaymentState.FAILED),))
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert [said.payment_id for said in ask(failed).paid] == [PAYMENT_ID]


def test_an_answer_without_a_payment_is_no_money(shop: Shop, ask: AskProvider) -> None:
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.OPEN, PRICE, "")
    assert ask(placed()).paid == []


def test_what_failed_and_what_went_back_is_told(shop: Shop, ask: AskProvider) -> None:
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.FAILED)
    shop.bank.books[SECOND_ID] = PaymentEvent(SECOND_ID, EventKind.REFUNDED)
    answers = ask(placed().reopened("epay", BUYER, NOW))
    assert [said.kind for said in answers.ended] == [EventKind.FAILED, EventKind.REFUNDED]
    assert answers.paid == []


def test_paid_without_an_amount_is_no_answer(shop: Shop, ask: AskProvider) -> None:
    """Nobody closes an order of which it may be that it is paid."""
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.PAID, None, None)
    answers = ask(placed())
    assert answers.paid == []
    assert answers.silent == {"epay"}


def test_an_account_that_is_gone_takes_no_money_and_keeps_no_other_from_being_asked(
    shop: Shop, ask: AskProvider
) -> None:
    shop.channels["other"] = Channel("other", "bank", {}, {})
    order = placed().reopened("other", BUYER, NOW)
    del shop.channels["epay"]
    shop.bank.receives(SECOND_ID, PRICE)
    assert [said.payment_id for said in ask(order).paid] == [SECOND_ID]


def test_a_payment_that_nobody_answers_for_keeps_no_other_from_being_asked(shop: Shop, ask: AskProvider) -> None:
    shop.channels["other"] = Channel("other", "bank", {}, {})
    order = placed().reopened("other", BUYER, NOW)
    shop.bank.silent.add(PAYMENT_ID)
    shop.bank.receives(SECOND_ID, PRICE)
    answers = ask(order)
    assert [said.payment_id for said in answers.paid] == [SECOND_ID]
    assert answers.silent == {"epay"}


def test_a_channel_that_is_left_out_is_not_asked_and_counts_as_silent(shop: Shop, ask: AskProvider) -> None:
    shop.bank.receives(PAYMENT_ID, PRICE)
    answers = ask(placed(), without={"epay", "another"})
    assert answers.silent == {"epay"}
    assert not answers.paid
    assert not shop.bank.asked


def test_asking_closes_nothing_unless_it_is_to(shop: Shop, ask: AskProvider) -> None:
    order = placed().reopened("epay", BUYER, NOW)
    shop.bank.receives(SECOND_ID, PRICE)
    assert len(ask(order).paid) == 1
    assert shop.bank.closed == set()
    assert [said.payment_id for said in ask(order, close=True).paid] == [SECOND_ID]
    assert shop.bank.closed == {PAYMENT_ID, SECOND_ID}


def test_a_payment_that_is_being_confirmed_is_no_silence(shop: Shop, ask: AskProvider) -> None:
    shop.bank.confirming = {PAYMENT_ID}
    answers = ask(placed(), close=True)
    assert (answers.paid, answers.silent, answers.confirming) == ([], frozenset(), True)
