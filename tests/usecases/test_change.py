"""The one way an order changes: nobody's change is lost, and nothing is written for nothing."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import Changed, NotFound
from cardshop.domain.order import Order
from cardshop.usecases.change import change

from tests.domain.builders import BUYER, NOW, TRADE_ID, placed
from tests.usecases.fakes import Shop


def reveal(order: Order) -> Order:
    return order.revealed(NOW, BUYER)


def test_a_decision_is_written(shop: Shop) -> None:
    shop.orders.put(placed())
    assert change(shop.orders, TRADE_ID, reveal) == shop.orders.by_id[TRADE_ID]
    assert shop.orders.by_id[TRADE_ID].version == 2


def test_an_order_that_is_not_there_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        change(shop.orders, TRADE_ID, reveal)


def test_no_change_is_no_write(shop: Shop) -> None:
    stored = shop.orders.put(placed())

    def fail(order: Order) -> None:
        raise AssertionError("written")

    shop.orders.meanwhile = fail
    assert change(shop.orders, TRADE_ID, lambda order: order) is stored


def test_a_decision_is_taken_anew_when_somebody_was_faster(shop: Shop) -> None:
    """Given a change between the read and the write, both are in the order, the other one first."""
    shop.orders.put(placed())
    seen: list[int] = []

    def decide(order: Order) -> Order:
        seen.append(order.version)
        return reveal(order)

    shop.orders.once(lambda _: shop.orders.record(shop.orders.by_id[TRADE_ID], reveal(shop.orders.by_id[TRADE_ID])))
    assert change(shop.orders, TRADE_ID, decide).version == 3
    assert seen == [1, 2]


def test_an_order_that_never_stops_changing_is_given_up(shop: Shop) -> None:
    shop.orders.put(placed())
    shop.orders.meanwhile = lambda _: shop.orders.by_id.update({TRADE_ID: reveal(shop.orders.by_id[TRADE_ID])})
    with pytest.raises(Changed):
        change(shop.orders, TRADE_ID, lambda order: order.closed(NOW))
    assert shop.orders.by_id[TRADE_ID].last_change.what == "cards_revealed"
