"""A payment id tells its trade; a channel tells nobody its secrets."""

from __future__ import annotations

import re

import pytest
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Payment,
    PaymentEvent,
    PaymentState,
    Refund,
    RefundState,
    RefundWord,
    payment_id,
    trade_id_of,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import PAYMENT_ID, PRICE, TRADE_ID, trade_ids


@given(trade_ids, st.integers(1, 99))
def test_a_payment_id_leads_back_to_its_trade(trade_id: str, number: int) -> None:
    payment = payment_id(trade_id, number)
    assert trade_id_of(payment) == trade_id
    assert re.fullmatch(r"[a-z0-9]{28}", payment)  # WeChat allows 32 of these


@given(trade_ids, st.integers(1, 99), st.integers(1, 99))
def test_payments_of_one_trade_have_different_ids(trade_id: str, one: int, other: int) -> None:
    assert (payment_id(trade_id, one) == payment_id(trade_id, other)) == (one == other)


@pytest.mark.parametrize(
    "junk",
    ["", TRADE_ID, f"{TRADE_ID}1", f"{TRADE_ID}001", f"{TRADE_ID}-1", f"{TRADE_ID} 1", "é" * 28, "１" * 28, "a\n" * 14],
)
def test_what_has_not_the_shape_of_a_payment_id_belongs_to_no_trade(junk: str) -> None:
    assert trade_id_of(junk) is None


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9]{28}", fullmatch=True))
def test_a_trade_is_only_found_in_what_a_trade_can_have_made(text: str) -> None:
    if trade_id_of(text) is not None:
        assert re.fullmatch(r"[a-z2-7]{26}[0-9]{2}", text)


def test_a_channel_shows_no_secret_when_it_is_printed() -> None:
    channel = Channel("epay", "epay", {"pid": "1001"}, {"key": "merchant-key"})
    assert "merchant-key" not in f"{channel} {channel!r}"


# ---- refunds ----


@pytest.mark.parametrize(
    ("state", "ref", "word", "expected"),
    [
        ("done", "re_1", ("refused", "re_1"), True),
        ("done", None, ("refused", "re_1"), True),
        ("done", "wallet-1", ("refused", "re_1"), False),
        ("done", "re_1", ("done", "re_1"), False),
        ("done", "re_1", ("pending", "re_1"), False),
        ("by_hand", "re_1", ("done", "re_1"), True),
        ("refused", "re_1", ("done", "re_1"), True),
        ("by_hand", None, ("done", "re_1"), False),
        ("by_hand", "re_1", ("refused", "re_1"), False),
        ("pending", "re_1", ("done", "re_1"), False),
        ("requested", None, ("refused", "re_1"), False),
    ],
)
def test_a_word_belies_a_refund_that_the_provider_had_ended_otherwise(
    state: str, ref: str | None, word: tuple[str, str], expected: bool
) -> None:
    """Given one that nobody there had taken yet, or that somebody has sent by hand since, it does not."""
    refund = Refund(f"{PAYMENT_ID}r01", PRICE, RefundState(state), "operator", ref)
    assert refund.is_belied_by(RefundWord(RefundState(word[0]), refund.refund_id, word[1])) is expected


REQUESTED, PENDING, DONE, REFUSED, BY_HAND = RefundState


def received(*refunds: tuple[int, RefundState], state: PaymentState = PaymentState.ACCEPTED) -> Payment:
    """990 came, and these refunds are on record in this sequence."""
    payment = Payment(PAYMENT_ID, "epay", PRICE, state, PRICE)
    for minor, refund in refunds:
        payment = payment.with_refunds((*payment.refunds, payment.next_refund(Money(minor, "CNY"), refund, "shop")))
    return payment


def states(payment: Payment) -> list[RefundState]:
    return [refund.state for refund in payment.refunds]


@pytest.mark.parametrize(
    ("refunds", "state", "left"),
    [
        ([], PaymentState.ACCEPTED, 990),
        ([(990, REQUESTED)], PaymentState.REFUNDING, 0),
        ([(990, PENDING)], PaymentState.REFUNDING, 0),
        ([(990, DONE)], PaymentState.REFUNDED, 0),
        ([(990, REFUSED)], PaymentState.ACCEPTED, 990),
        ([(990, BY_HAND)], PaymentState.ACCEPTED, 990),
        ([(400, PENDING)], PaymentState.REFUNDING, 590),
        ([(400, DONE)], PaymentState.ACCEPTED, 590),
        ([(400, DONE), (590, REQUESTED)], PaymentState.REFUNDING, 0),
        ([(400, DONE), (590, DONE)], PaymentState.REFUNDED, 0),
        ([(400, DONE), (590, REFUSED)], PaymentState.ACCEPTED, 590),
    ],
)
def test_a_payments_state_tells_what_became_of_its_money(
    refunds: list[tuple[int, RefundState]], state: PaymentState, left: int
) -> None:
    for judged in (PaymentState.ACCEPTED, PaymentState.DUPLICATE, PaymentState.SHORT):
        payment = received(*refunds, state=judged)
        assert (payment.state, payment.left) == (judged if state is PaymentState.ACCEPTED else state, left)
        assert payment.judged is judged, "what it was to the order is not forgotten"
        assert (payment.was is None) is (payment.state is judged)


def test_what_waits_for_hands_or_was_refused_can_still_go_another_way() -> None:
    payment = received((400, REFUSED), (500, BY_HAND), (90, DONE))
    assert (payment.left, payment.not_gone, [each.amount.minor for each in payment.by_hand]) == (900, 900, [500])


def test_money_that_the_payer_took_back_is_not_there_to_be_sent() -> None:
    payment = received((400, DONE), state=PaymentState.CHARGED_BACK)
    assert (payment.state, payment.left) == (PaymentState.CHARGED_BACK, 0)


def test_of_what_was_never_received_nothing_is_left() -> None:
    assert Payment(PAYMENT_ID, "epay", PRICE, PaymentState.OPEN).left == 0


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [
        ([(990, REQUESTED), (990, DONE)], [REFUSED, DONE]),
        ([(990, BY_HAND), (990, REQUESTED)], [REFUSED, REQUESTED]),
        ([(990, REQUESTED), (990, PENDING)], [REFUSED, PENDING]),  # the provider sends that one
        ([(500, REQUESTED), (490, BY_HAND)], [REQUESTED, BY_HAND]),
        ([(500, REQUESTED), (491, BY_HAND)], [REQUESTED, REFUSED]),
        ([(500, BY_HAND), (500, BY_HAND)], [BY_HAND, REFUSED]),
        ([(500, PENDING), (300, REQUESTED), (200, DONE)], [PENDING, REFUSED, DONE]),
    ],
)
def test_what_there_is_no_money_left_for_is_not_to_be_sent(
    refunds: list[tuple[int, RefundState]], expected: list[RefundState]
) -> None:
    assert states(received(*refunds)) == expected


@given(st.lists(st.tuples(st.integers(1, 990), st.sampled_from([REQUESTED, PENDING, REFUSED, BY_HAND])), max_size=8))
def test_never_more_is_to_go_than_came(refunds: list[tuple[int, RefundState]]) -> None:
    payment = received(*refunds)
    going = [each.amount.minor for each in payment.refunds if each.state is not REFUSED]
    assert sum(going) <= 990
    assert payment.with_refunds(payment.refunds) == payment


def test_a_refunds_number_is_the_payments_and_no_other_has_it() -> None:
    payment = received(*[(9, DONE)] * 20)
    numbers = [refund.refund_id for refund in payment.refunds]
    assert numbers[0] == f"{PAYMENT_ID}r01"
    assert len(set(numbers)) == 20
    assert all(re.fullmatch(r"[a-z0-9]{31}", number) for number in numbers)


def test_a_refund_remembers_whose_it_is() -> None:
    refund = received().next_refund(Money(1, "CNY"), DONE, "operator", provider_ref="P1", key="a-key")
    assert refund == Refund(f"{PAYMENT_ID}r01", Money(1, "CNY"), DONE, "operator", "P1", "a-key")


@pytest.mark.parametrize("kind", list(EventKind))
def test_only_money_that_is_in_is_paid(kind: EventKind) -> None:
    assert PaymentEvent(PAYMENT_ID, kind).paid is (kind == "paid")
