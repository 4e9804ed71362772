"""Arithmetic with list prices."""

from __future__ import annotations

import pytest

from benchmarks.prices import PRICES, Use


def test_a_million_orders_of_four_states_cost_a_hundred_dollars() -> None:
    assert Use(transitions=4).dollars()["transitions"] == 100
    assert Use(transitions=4).price == 100


def test_the_price_is_that_of_everything_together() -> None:
    use = Use(transitions=2, writes=16, reads=8, requests=2, sqs=5, kms=1)
    assert use.price == pytest.approx(50 + 10 + 1 + 7 + 2 + 3)


def test_an_invocation_costs_its_request_and_its_time() -> None:
    dollars = Use(invocations=10).dollars()
    assert dollars["invocations"] == pytest.approx(2.0)
    assert dollars["gigabyte_seconds"] == pytest.approx(10 * 0.05 * 0.5 * PRICES["gigabyte_seconds"])


def test_arm_is_cheaper_by_a_fifth_of_the_time_and_of_nothing_else() -> None:
    use = Use(transitions=4, writes=10, invocations=20)
    saved = use.dollars()["gigabyte_seconds"] * 0.2
    assert use.price_on_arm == pytest.approx(use.price - saved, abs=0.001)


def test_a_gigabyte_of_logs_costs_half_a_dollar() -> None:
    assert Use(log_bytes=1024**3 / 1_000_000).price == pytest.approx(0.5)


def test_uses_add_up_and_are_shared_out() -> None:
    both = Use(transitions=4, writes=10) + Use(transitions=2, reads=1)
    assert both == Use(transitions=6, writes=10, reads=1)
    assert both - Use(writes=10) == Use(transitions=6, reads=1)
    assert both.by(2) == Use(transitions=3, writes=5, reads=0.5)
