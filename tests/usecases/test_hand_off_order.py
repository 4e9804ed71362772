"""Handing an order over: once, for two minutes, to whoever brings the code."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound, TooManyAttempts
from cardshop.usecases.hand_off_order import HandOffOrder

from tests.domain.builders import TRADE_ID
from tests.usecases.fakes import SECRET, AttemptBook, Handoffs, Shop

HERE, THERE = "203.0.113.7", "203.0.113.8"
UNTIL = 1_800_000_000  # seconds


@pytest.fixture
def book() -> AttemptBook:
    return AttemptBook()


@pytest.fixture
def handoffs() -> Handoffs:
    return Handoffs()


@pytest.fixture
def hand_off(shop: Shop, book: AttemptBook, handoffs: Handoffs) -> HandOffOrder:
    return HandOffOrder(handoffs, book, SECRET, shop.clock)


def wrong(hand_off: HandOffOrder, code: str = "wrong", address: str | None = HERE) -> int:
    """Is not let in; the seconds to wait, 0 if the try was made."""
    with pytest.raises((NotFound, TooManyAttempts)) as refusal:
        hand_off.take(code, address)
    return refusal.value.retry_after or 0


def test_whoever_brings_the_code_gets_the_order_with_what_is_left_of_its_givers_session(
    shop: Shop, hand_off: HandOffOrder
) -> None:
    code, over = hand_off.offer(TRADE_ID, UNTIL)
    assert over == shop.clock.now + 120_000
    taken = hand_off.take(code, THERE)
    assert (taken.trade_id, taken.session_until) == (TRADE_ID, UNTIL)


def test_a_code_is_good_once(hand_off: HandOffOrder) -> None:
    code, _ = hand_off.offer(TRADE_ID, UNTIL)
    hand_off.take(code, HERE)
    assert wrong(hand_off, code) == 0


@pytest.mark.parametrize(("later", "good"), [(119_999, True), (120_000, False)])
def test_a_code_is_good_for_two_minutes(shop: Shop, hand_off: HandOffOrder, later: int, good: bool) -> None:
    code, _ = hand_off.offer(TRADE_ID, UNTIL)
    shop.clock.now += later
    if good:
        assert hand_off.take(code, HERE).trade_id == TRADE_ID
    else:
        wrong(hand_off, code)


def test_the_store_of_codes_holds_none(hand_off: HandOffOrder, handoffs: Handoffs) -> None:
    code, _ = hand_off.offer(TRADE_ID, UNTIL)
    assert len(handoffs) == 1
    assert code not in str(handoffs)


def test_guesses_from_one_address_wait_ever_longer_and_those_from_another_do_not(
    shop: Shop, hand_off: HandOffOrder
) -> None:
    assert [wrong(hand_off) for _ in range(4)] == [0, 0, 0, 1]
    assert wrong(hand_off, address=THERE) == 0
    shop.clock.now += 1000
    assert [wrong(hand_off), wrong(hand_off)] == [0, 2]


def test_a_right_code_is_let_in_whatever_others_guessed_from_the_same_address(hand_off: HandOffOrder) -> None:
    """A carrier's one address is many buyers."""
    code, _ = hand_off.offer(TRADE_ID, UNTIL)
    for _ in range(4):
        wrong(hand_off)
    assert hand_off.take(code, HERE).trade_id == TRADE_ID


def test_the_book_of_guesses_names_no_address(hand_off: HandOffOrder, book: AttemptBook) -> None:
    wrong(hand_off)
    assert len(book.tries) == 1
    assert HERE not in str(book.tries)


def test_guesses_from_nowhere_are_counted_too(hand_off: HandOffOrder) -> None:
    assert [wrong(hand_off, address=None) for _ in range(4)] == [0, 0, 0, 1]
