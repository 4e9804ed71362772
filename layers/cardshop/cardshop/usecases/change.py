"""The one way an order changes: load, decide, write if nobody came in between; else load and decide anew."""

from __future__ import annotations

from collections.abc import Callable

from cardshop.domain.errors import Changed, NotFound
from cardshop.domain.order import Order
from cardshop.ports import Orders

_ATTEMPTS = 20  # each lost one means that another change was written


def change(orders: Orders, trade_id: str, decide: Callable[[Order], Order]) -> Order:
    """The order after `decide`, as it was stored; `decide` answers the order it was given to leave it as it is."""
    for _ in range(_ATTEMPTS):
        before = orders.find(trade_id)
        if before is None:
            raise NotFound("no such order")
        after = decide(before)
        if after is before:
            return before
        try:
            return orders.record(before, after)
        except Changed:
            continue
    raise Changed("the order kept changing")
