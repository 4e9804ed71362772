"""An order's story, complete at any moment."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound
from cardshop.usecases.view_order import ViewOrder

from tests.domain.builders import TRADE_ID, delivered, paid, placed
from tests.usecases.fakes import Shop


@pytest.fixture
def view(shop: Shop) -> ViewOrder:
    return ViewOrder(shop.orders, shop.timeline)


def test_the_order_as_it_is_now(shop: Shop, view: ViewOrder) -> None:
    stored = shop.orders.put(placed())
    assert view.order(TRADE_ID) is stored
    with pytest.raises(NotFound):
        view.order("z" * 26)


def test_the_story_is_complete_when_the_timeline_is_a_moment_behind(shop: Shop, view: ViewOrder) -> None:
    first = placed()
    second = paid(first)
    third = delivered(second)
    shop.timeline.append(TRADE_ID, [first.last_change, second.last_change])
    assert view.changes(third) == [first.last_change, second.last_change, third.last_change]


def test_the_story_ends_with_the_order_that_was_read(shop: Shop, view: ViewOrder) -> None:
    """Given a timeline that is already ahead of the order that was read, its later entries are not shown."""
    first = placed()
    second = paid(first)
    shop.timeline.append(TRADE_ID, [first.last_change, second.last_change])
    assert view.changes(first) == [first.last_change]
