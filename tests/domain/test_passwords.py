"""A query password opens its record, and the record does not show it."""

from __future__ import annotations

import time

import pytest
from cardshop.domain import passwords
from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.text(min_size=1, max_size=256), st.text(min_size=1, max_size=256))
@settings(max_examples=5)
def test_only_the_password_itself_opens_its_record(password: str, other: str) -> None:
    record = passwords.record(password)
    assert passwords.matches(password, record)
    assert passwords.matches(other, record) == (other == password)


def test_the_same_password_has_another_record_each_time() -> None:
    first, second = passwords.record("correct horse"), passwords.record("correct horse")
    assert first != second
    assert "correct horse" not in first


@pytest.mark.parametrize("other", ["", "correct horse ", "Correct horse", "correct hors"])
def test_a_password_almost_right_is_wrong(other: str) -> None:
    assert not passwords.matches(other, passwords.record("correct horse"))


def test_a_try_costs_a_guesser_some_work() -> None:
    """scrypt, not a plain hash: a million guesses must not be a second's work."""
    record = passwords.record("correct horse")
    started = time.process_time()
    passwords.matches("wrong", record)
    assert time.process_time() - started > 0.005


@pytest.mark.parametrize("password", ["", "-", "correct horse", "x" * 5000])
def test_an_impossible_record_is_opened_by_no_password(password: str) -> None:
    assert not passwords.matches(password, passwords.impossible())


def test_a_try_costs_the_same_whatever_it_is_compared_with_and_however_long_it_is() -> None:
    """Else the time would tell whether there is a password, or how long it is."""
    tries = [
        ("wrong", passwords.impossible()),
        ("wrong", passwords.record("correct horse")),
        ("x" * 5000, passwords.record("correct horse")),
        ("correct horse", passwords.record("correct horse")),
    ]
    costs = [min(_cost(password, record) for _ in range(3)) for password, record in tries]
    assert max(costs) < 3 * min(costs)


def _cost(password: str, record: str) -> float:
    started = time.process_time()
    passwords.matches(password, record)
    return time.process_time() - started
