"""Tries at an order's password in DynamoDB: each counts once, and none is made beside another."""

from __future__ import annotations

import pytest
from cardshop.adapters.attempts import DynamoAttemptBook
from cardshop.adapters.aws import client
from cardshop.domain.errors import Unavailable
from cardshop.ports import Attempts

from tests.adapters.cloud import TABLES, items, table_name
from tests.domain.builders import NOW

pytestmark = pytest.mark.usefixtures("cloud")

SUBJECT = "Zk3vX0nT6mE9sWk2LrYd7A"
NONE, FIRST, SECOND = Attempts(0, 0), Attempts(1, NOW), Attempts(2, NOW + 1000)


def test_nobody_has_tried_yet() -> None:
    assert DynamoAttemptBook().of(SUBJECT) == NONE


def test_tries_are_counted_and_no_order_counts_for_another() -> None:
    book = DynamoAttemptBook()
    assert book.enter(SUBJECT, NONE, FIRST)
    assert book.enter(SUBJECT, FIRST, SECOND)
    assert (book.of(SUBJECT), book.of("another")) == (SECOND, NONE)


@pytest.mark.parametrize("seen", [NONE, FIRST], ids=["the first", "a later one"])
def test_of_two_tries_at_once_one_is_entered(seen: Attempts) -> None:
    """Given two who saw the same count, the second is refused: else twenty at once would count as one."""
    book = DynamoAttemptBook()
    if seen.count:
        book.enter(SUBJECT, NONE, seen)
    one, other = Attempts(seen.count + 1, NOW + 1), Attempts(seen.count + 1, NOW + 2)
    assert (book.enter(SUBJECT, seen, one), book.enter(SUBJECT, seen, other)) == (True, False)
    assert book.of(SUBJECT) == one


def test_after_a_success_the_count_begins_anew_and_what_was_seen_before_it_is_old() -> None:
    book = DynamoAttemptBook()
    book.enter(SUBJECT, NONE, FIRST)
    book.clear(SUBJECT)
    book.clear(SUBJECT)
    assert book.of(SUBJECT) == NONE
    assert not book.enter(SUBJECT, FIRST, SECOND)
    assert book.enter(SUBJECT, NONE, FIRST)


def test_tries_are_forgotten_a_day_after_the_wait_that_they_earned() -> None:
    DynamoAttemptBook().enter(SUBJECT, NONE, FIRST)
    (item,) = items("AttemptsTable")
    attribute = TABLES["AttemptsTable"]["TimeToLiveSpecification"]["AttributeName"]
    assert item[attribute] == {"N": str(NOW // 1000 + 86_400)}


def test_a_store_that_fails_is_unavailable_whatever_is_asked() -> None:
    """And lets nobody try for nothing."""
    client("dynamodb").delete_table(TableName=table_name("AttemptsTable"))
    book = DynamoAttemptBook()
    for ask in (
        lambda: book.of(SUBJECT),
        lambda: book.enter(SUBJECT, NONE, FIRST),
        lambda: book.enter(SUBJECT, FIRST, SECOND),
        lambda: book.clear(SUBJECT),
    ):
        with pytest.raises(Unavailable):
            ask()
