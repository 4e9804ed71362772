"""Cards of one batch that a trade has: set aside, sold, or given back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cardshop.domain.trade import UNPAID, Status


class HoldingState(StrEnum):
    HELD = "held"  # set aside for an order that is not paid
    SOLD = "sold"
    RELEASED = "released"  # back in their pool: kept for a while, so that an older word about them comes too late


@dataclass(frozen=True, slots=True)
class Holding:
    sku: str
    batch: str
    trade_id: str
    version: int  # of the order that says so
    cards: int
    state: HoldingState


def holdings(
    trade_id: str, version: int, status: Status, before: dict[str, int], after: dict[str, int]
) -> list[Holding]:
    """What a trade has of each batch (`sku#batch`) it names cards of now, or named before."""
    state = HoldingState.HELD if status in UNPAID else HoldingState.SOLD
    found = []
    for key in sorted(before.keys() | after.keys()):
        sku, _, batch = key.partition("#")
        cards = after.get(key, 0)
        found.append(Holding(sku, batch, trade_id, version, cards, state if cards else HoldingState.RELEASED))
    return found
