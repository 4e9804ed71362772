"""What AWS charges for a task token of a thousand bytes, where the engine's has thirty-six."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.meter import token_surcharge

SHORT = {"task_token": {"S": "t" * 36}}
CARDS = {"cards": {"L": [{"S": "steam-50#batch#0/card"}]}}


def order(size: int, **more: Any) -> dict[str, Any]:
    return {"trade_id": {"S": "x" * size}, "version": {"N": "1"}, **CARDS, **more}


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        (order(600), order(600), 0),
        (order(600, **SHORT), order(600, **SHORT), 1),
        (order(600, **SHORT), order(600), 1),
        (order(600), order(600, **SHORT), 1),
        (order(1000, **SHORT), order(1000, **SHORT), 1),
        (order(1100, **SHORT), order(1100, **SHORT), 1),
        (None, order(600), 0),
        (order(600, **SHORT), {**order(600), "cards": {"L": []}}, 2),
    ],
    ids=["none", "kept", "removed", "written", "a full kilobyte", "more than one", "placed", "closed: a transaction"],
)
def test_a_write_is_charged_for_the_token_it_bears(old: Any, new: Any, units: int) -> None:
    assert token_surcharge(old, new) == units
