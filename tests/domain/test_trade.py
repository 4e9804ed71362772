"""The table of a trade's states is this one, and every other way between two states is forbidden."""

from __future__ import annotations

import itertools

import pytest
from cardshop.domain import trade
from cardshop.domain.trade import ForbiddenTransition, Status

#: from → to, as the shop's rules have it.
ALLOWED: dict[str | None, set[str]] = {
    None: {"pending_payment"},
    "pending_payment": {"paid", "payment_failed", "closed", "on_hold"},
    "payment_failed": {"closed"},
    "paid": {"delivered", "awaiting_stock", "on_hold", "refunding"},
    "closed": {"paid", "awaiting_stock", "refunding"},
    "awaiting_stock": {"delivered", "refunding"},
    "delivered": {"completed", "refunding"},
    "completed": {"refunding"},
    "on_hold": {"pending_payment", "paid", "refunding"},
    "refunding": {"refunded", "paid", "awaiting_stock", "delivered", "completed", "on_hold", "closed"},
    "refunded": set(),
}
PAIRS = list(itertools.product([None, *Status], Status))


def test_the_table_knows_every_state() -> None:
    assert {None, *Status} == set(ALLOWED) == set(trade.TRANSITIONS)


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] in ALLOWED[pair[0]]])
def test_a_transition_of_the_table_is_allowed(before: Status | None, after: Status) -> None:
    trade.check(before, after)


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] not in ALLOWED[pair[0]]])
def test_any_other_transition_is_refused(before: Status | None, after: Status) -> None:
    with pytest.raises(ForbiddenTransition):
        trade.check(before, after)


def test_an_accepted_payment_can_always_go_on_to_delivery_or_back_to_the_buyer() -> None:
    """From every state that money may be in, `delivered` or `refunded` can be reached."""
    for status in trade.SETTLED_OR_MOVING:
        reached, frontier = {status}, {status}
        while frontier:
            frontier = {after for each in frontier for after in trade.TRANSITIONS[each]} - reached
            reached |= frontier
        assert reached & {Status.DELIVERED, Status.REFUNDED}
