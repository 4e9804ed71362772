"""What a trade says of the batches whose cards it has: its newest word about each is what its order names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cardshop.domain.holding import Holding, HoldingState, holdings
from cardshop.domain.trade import Status
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import BATCH, SKU, TRADE_ID

KEY, OTHER = f"{SKU}#{BATCH}", f"{SKU}#another"
UNPAID = {Status.PENDING_PAYMENT, Status.PAYMENT_FAILED}
NOTHING: dict[str, int] = {}


def word(cards: int, state: HoldingState, batch: str = BATCH, sku: str = SKU) -> Holding:
    return Holding(sku, batch, TRADE_ID, 2, cards, state)


@pytest.mark.parametrize("status", Status)
def test_cards_are_held_until_they_are_paid_for(status: Status) -> None:
    expected = HoldingState.HELD if status in UNPAID else HoldingState.SOLD
    assert holdings(TRADE_ID, 2, status, NOTHING, {KEY: 2}) == [word(2, expected)]


@pytest.mark.parametrize("status", Status)
def test_cards_that_are_not_named_any_more_are_released_in_whatever_state(status: Status) -> None:
    assert holdings(TRADE_ID, 2, status, {KEY: 2}, NOTHING) == [word(0, HoldingState.RELEASED)]


def test_each_batch_that_is_or_was_named_is_told_of_once() -> None:
    before, after = {KEY: 2, OTHER: 1}, {OTHER: 3, f"another-50#{BATCH}": 1}
    assert holdings(TRADE_ID, 2, Status.PAID, before, after) == [
        word(1, HoldingState.SOLD, sku="another-50"),
        word(0, HoldingState.RELEASED),
        word(3, HoldingState.SOLD, "another"),
    ]


def test_an_order_without_cards_says_nothing() -> None:
    assert holdings(TRADE_ID, 2, Status.AWAITING_STOCK, NOTHING, NOTHING) == []


@dataclass(frozen=True)
class Version:
    status: Status
    cards: dict[str, int]


lives = st.lists(
    st.builds(
        Version,
        st.sampled_from(Status),
        st.dictionaries(st.sampled_from([KEY, OTHER, f"another-50#{BATCH}"]), st.integers(1, 50)),
    ),
    min_size=1,
    max_size=6,
)


@given(lives)
def test_the_newest_word_about_each_batch_is_what_the_order_names(life: list[Version]) -> None:
    """However often an order lost its cards and got others."""
    newest: dict[str, Holding] = {}
    before = NOTHING
    for number, version in enumerate(life, start=1):
        words = holdings(TRADE_ID, number, version.status, before, version.cards)
        newest |= {f"{each.sku}#{each.batch}": each for each in words}
        before = version.cards
    assert {key: each.cards for key, each in newest.items() if each.cards} == life[-1].cards
    assert all((each.cards == 0) is (each.state is HoldingState.RELEASED) for each in newest.values())
