"""Looking an order up: for whoever knows its password, and without a hint for anybody else."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from cardshop.domain import passwords
from cardshop.domain.errors import TooManyAttempts, WrongCredentials
from cardshop.ports import Attempts
from cardshop.usecases.lookup_order import LookupOrder
from cardshop.usecases.view_order import ViewOrder

from tests.domain.builders import TRADE_ID, placed
from tests.usecases.fakes import SECRET, AttemptBook, Shop

PASSWORD = "correct horse"
RECORD = passwords.record(PASSWORD)
UNKNOWN = "z" * 26
WITHOUT_PASSWORD = "b" * 26
#: Every way not to get in: (trade id, password).
WRONG = [
    (TRADE_ID, "wrong"),
    (TRADE_ID, ""),
    (TRADE_ID, "-"),
    (TRADE_ID, "correct hors"),
    (TRADE_ID, PASSWORD + " "),
    (TRADE_ID, "x" * 5000),
    (UNKNOWN, PASSWORD),
    (UNKNOWN, "x" * 5000),
    (WITHOUT_PASSWORD, PASSWORD),
    (WITHOUT_PASSWORD, ""),
    (WITHOUT_PASSWORD, "-"),
    ("not a trade id", PASSWORD),
    ("é" * 3000, PASSWORD),
    ("", ""),
]


@pytest.fixture
def book() -> AttemptBook:
    return AttemptBook()


@pytest.fixture
def lookup(shop: Shop, book: AttemptBook) -> LookupOrder:
    shop.orders.put(replace(placed(), password=RECORD))
    shop.orders.put(placed(trade_id=WITHOUT_PASSWORD))
    return LookupOrder(shop.orders, book, SECRET, shop.clock)


def refused(lookup: LookupOrder, trade_id: str, password: str = "wrong") -> int:
    """Tries, is not let in, and tells the seconds to wait; 0 if the try was made."""
    with pytest.raises((WrongCredentials, TooManyAttempts)) as refusal:
        lookup(trade_id, password)
    return refusal.value.retry_after or 0


def test_the_password_opens_its_order_and_leaves_it_as_it_is(shop: Shop, lookup: LookupOrder) -> None:
    before = shop.orders.by_id[TRADE_ID]
    assert lookup(TRADE_ID, PASSWORD) == before == shop.orders.by_id[TRADE_ID]


@pytest.mark.parametrize(("trade_id", "password"), WRONG)
def test_nobody_is_told_what_was_wrong(lookup: LookupOrder, trade_id: str, password: str) -> None:
    """The same answer at the cost of the same scrypt, whether there is such an order or a password on it or not."""
    started = time.process_time()
    with pytest.raises(WrongCredentials) as refusal:
        lookup(trade_id, password)
    assert time.process_time() - started > 0.005
    assert refusal.value.detail == "no order with this number and password"
    assert refusal.value.retry_after is None


@pytest.mark.parametrize("trade_id", [TRADE_ID, UNKNOWN, WITHOUT_PASSWORD, "not a trade id"])
def test_two_tries_are_free_and_then_each_wait_is_twice_the_one_before(
    shop: Shop, lookup: LookupOrder, book: AttemptBook, trade_id: str
) -> None:
    waits = []
    for _ in range(6):
        assert refused(lookup, trade_id) == 0
        (made,) = book.tries.values()
        waits.append((made.not_before - shop.clock.now) // 1000)
        assert waits[-1] == 0 or refused(lookup, trade_id) == waits[-1]
        assert list(book.tries.values()) == [made]  # a try that is not made does not prolong the wait
        shop.clock.now = made.not_before
    assert waits == [0, 0, 1, 2, 4, 8]


@pytest.mark.parametrize(("before", "seconds"), [(11, 512), (12, 900), (10_000, 900)])
def test_no_wait_is_longer_than_a_quarter_of_an_hour(
    shop: Shop, lookup: LookupOrder, book: AttemptBook, before: int, seconds: int
) -> None:
    refused(lookup, TRADE_ID)
    (subject,) = book.tries
    book.tries[subject] = Attempts(before, 0)
    refused(lookup, TRADE_ID)
    assert book.of(subject).not_before == shop.clock.now + seconds * 1000


def test_during_a_wait_the_right_password_is_not_let_in_either_and_after_it_is(shop: Shop, lookup: LookupOrder) -> None:
    for _ in range(4):
        shop.clock.now += 1000
        refused(lookup, TRADE_ID)
    assert refused(lookup, TRADE_ID, PASSWORD) == 2
    shop.clock.now += 1999
    assert refused(lookup, TRADE_ID, PASSWORD) == 1
    shop.clock.now += 1
    assert lookup(TRADE_ID, PASSWORD).trade_id == TRADE_ID


def test_a_success_clears_the_tries(lookup: LookupOrder, book: AttemptBook) -> None:
    for _ in range(2):
        for _ in range(2):
            assert refused(lookup, TRADE_ID) == 0
        lookup(TRADE_ID, PASSWORD)
        assert book.tries == {}


def test_tries_at_one_order_keep_nobody_from_another_nor_its_holder_from_their_own(
    shop: Shop, lookup: LookupOrder
) -> None:
    stored = shop.orders.by_id[TRADE_ID]
    for _ in range(3):
        refused(lookup, UNKNOWN)
    assert refused(lookup, UNKNOWN) == 1
    assert lookup(TRADE_ID, PASSWORD) == stored
    for _ in range(3):
        refused(lookup, TRADE_ID)
    assert refused(lookup, TRADE_ID, PASSWORD) == 1
    assert ViewOrder(shop.orders, shop.timeline).order(TRADE_ID) == stored == shop.orders.by_id[TRADE_ID]


def test_of_two_tries_at_once_one_is_made(lookup: LookupOrder, book: AttemptBook) -> None:
    """Else a thousand at once would be a thousand tries for one."""
    outcomes: list[int] = []
    book.meanwhile = lambda: outcomes.append(refused(lookup, TRADE_ID))
    assert refused(lookup, TRADE_ID, PASSWORD) == 1
    assert outcomes == [0]
    assert [attempts.count for attempts in book.tries.values()] == [1]


def test_the_book_of_tries_names_no_order(lookup: LookupOrder, book: AttemptBook) -> None:
    refused(lookup, TRADE_ID)
    assert TRADE_ID not in str(book.tries)
