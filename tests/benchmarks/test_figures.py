"""The comparison with the accepted run fails when it should, and the table can be read."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, accepted, missed, percentile, table, worse


def calls(value: float, tolerance: float | None = 0.0) -> Figure:
    return Figure("cost.calls", value, "AWS calls", tolerance=tolerance)


@pytest.mark.parametrize(
    ("value", "tolerance", "is_worse"),
    [
        (10, 0.0, False),
        (9, 0.0, False),
        (10.5, 0.0, True),
        (10.4, 0.05, False),
        (10.6, 0.05, True),
        (99, None, False),
    ],
)
def test_more_than_is_tolerated_is_worse(value: float, tolerance: float | None, is_worse: bool) -> None:
    found = worse([calls(value, tolerance)], {"cost.calls": 10})
    assert bool(found) == is_worse
    assert all(each.startswith("cost.calls: ") for each in found), "it is named"


def test_a_figure_nobody_accepted_yet_is_not_worse() -> None:
    assert worse([calls(10)], {}) == []


def test_a_figure_that_is_gone_is_worse() -> None:
    assert worse([calls(10)], {"cost.calls": 10, "cost.kms": 1}) == ["cost.kms: no longer measured"]


def test_parts_that_did_not_run_are_not_missed() -> None:
    assert worse([calls(10)], {"cost.calls": 10, "chain.ratio": 1.4}) == []


def test_what_is_required_fails_even_if_it_was_accepted() -> None:
    wrong = Figure("throughput.wrong", 1, "sold twice", most=0, tolerance=0.0, required=True)
    assert worse([wrong], {"throughput.wrong": 1}) == ["throughput.wrong: 1, must be 0 at most"]
    assert worse([wrong], {}) == ["throughput.wrong: 1, must be 0 at most"]


def test_an_aim_that_is_missed_is_told_and_fails_nothing() -> None:
    ratio = Figure("chain.ratio", 2.0, "ratio", most=1.5, tolerance=0.25)
    assert missed([ratio]) == ["chain.ratio: 2, the aim is 1.50"]
    assert worse([ratio], {"chain.ratio": 2.0}) == []


def test_accepting_a_part_keeps_the_others_and_only_what_is_compared() -> None:
    run = [calls(11), Figure("cost.seconds", 3.5, "took", "s")]
    baseline = {"cost.calls": 10.0, "cost.gone": 1.0, "chain.ratio": 1.4}
    assert accepted(run, baseline) == {"chain.ratio": 1.4, "cost.calls": 11}


def test_the_table_is_readable_at_120_columns() -> None:
    long = Figure("cost.paid", 1234.5, "w" * 90, "bytes", beside="b" * 50, tolerance=0.0, note="n " * 200)
    shown = table([long, Figure("chain.ratio", 1.4, "ratio", "×", most=1.5)], {"cost.paid": 1200.0})
    assert max(map(len, shown.splitlines())) == 120
    assert "1,234.5 bytes" in shown
    assert "≤ 1.50 ✓" in shown
    assert "1,200" in shown


def test_percentiles_lie_between_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([float(each) for each in range(101)], 95) == 95.0
