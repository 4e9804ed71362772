"""Filling: whoever paid first gets the cards that come first, before they are for sale."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain import looks
from cardshop.domain.card import Card, Pool
from cardshop.domain.errors import Busy
from cardshop.domain.order import Line, Order
from cardshop.domain.trade import Status
from cardshop.usecases.fill_orders import FillOrders

from tests.domain.builders import NOW, PRICE, SKU, TRADE_ID, in_status, paid, placed
from tests.usecases.fakes import Shop

TOKEN = "token-1"
OLD, NEW = "z" * 26, "a" * 26  # not in the sequence of their names
IMPORTED = Pool(SKU, "a-new-batch", 0)


def awaiting(shop: Shop, trade_id: str = TRADE_ID, *, since: int = NOW, wanted: dict[str, int] | None = None) -> Order:
    """A paid order of that time for so many cards of each product (one of `SKU` if none is named)."""
    skus = wanted or {SKU: 1}
    lines = tuple(Line(sku, sku, quantity, PRICE) for sku, quantity in skus.items())
    order = paid(replace(placed(trade_id=trade_id, held=()), lines=lines, created_at=since))
    return shop.orders.put(order.short_of_cards(NOW, next(iter(skus))))


def imported(shop: Shop, cards: int, pool: Pool = IMPORTED) -> list[tuple[Pool, int]]:
    """So many cards of an import that is not on sale yet."""
    for number in range(cards):
        shop.stock.put(Card(pool, f"{pool.key} {number}", f"{number:016x}"))
    return [(pool, cards)]


def statuses(shop: Shop) -> dict[str, Status]:
    return {trade_id: order.status for trade_id, order in shop.orders.by_id.items()}


@pytest.fixture(autouse=True)
def product(shop: Shop) -> None:
    shop.sells(SKU, 0, PRICE)


def test_an_order_is_delivered_with_the_cards_that_came(shop: Shop, fill: FillOrders) -> None:
    before = awaiting(shop)
    assert fill(SKU, imported(shop, 2)) == [TRADE_ID]
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.version, order.lacking) == (Status.DELIVERED, before.version + 1, None)
    assert (order.has_its_cards, order.due_at) == (True, NOW + looks.SOON)
    assert len(shop.stock.card_ids) == 1


def test_the_oldest_order_gets_the_first_card(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop, NEW, since=NOW + 1)
    awaiting(shop, OLD, since=NOW)
    assert fill(SKU, imported(shop, 1)) == [OLD]
    assert statuses(shop) == {OLD: Status.DELIVERED, NEW: Status.AWAITING_STOCK}
    assert fill(SKU, imported(shop, 1)) == [NEW]


def test_an_order_that_wants_more_than_there_is_does_not_hold_up_those_behind_it(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop, OLD, since=NOW, wanted={SKU: 3})
    awaiting(shop, NEW, since=NOW + 1)
    assert fill(SKU, imported(shop, 2)) == [NEW]
    assert len(shop.stock.card_ids) == 1


def test_cards_for_sale_are_given_as_well_as_those_not_for_sale_yet(shop: Shop, fill: FillOrders) -> None:
    shop.sells(SKU, 2, PRICE, on_sale=False)  # hidden: what is owed is given all the same
    awaiting(shop, wanted={SKU: 3})
    assert fill(SKU, imported(shop, 1)) == [TRADE_ID]
    assert shop.stock.card_ids == []


def test_nobody_waits(shop: Shop, fill: FillOrders) -> None:
    assert fill(SKU, imported(shop, 1)) == []
    assert len(shop.stock.card_ids) == 1


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.AWAITING_STOCK}))
def test_an_order_that_does_not_wait_is_left_as_it_is(shop: Shop, fill: FillOrders, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    assert not fill.one(TRADE_ID, imported(shop, 1))
    assert shop.orders.by_id[TRADE_ID] == stored
    assert len(shop.stock.card_ids) == 1


def test_an_unknown_trade_is_not_filled(fill: FillOrders) -> None:
    assert not fill.one(TRADE_ID)


def test_filling_again_gives_nothing_again(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop)
    unlisted = imported(shop, 3)
    assert fill.one(TRADE_ID, unlisted)
    before = shop.orders.by_id[TRADE_ID]
    assert not fill.one(TRADE_ID, unlisted)
    assert shop.orders.by_id[TRADE_ID] == before
    assert len(shop.stock.card_ids) == 2


# ---- orders for several products ----


def test_an_order_for_several_products_waits_for_all_of_them_and_is_found_by_what_it_lacks(
    shop: Shop, fill: FillOrders
) -> None:
    """Given an order that lacks both, when one comes it waits for the other, and no card is set aside meanwhile."""
    shop.sells("other", 0, PRICE)
    awaiting(shop, wanted={SKU: 1, "other": 1})
    before = shop.orders.by_id[TRADE_ID]
    assert fill(SKU, imported(shop, 1)) == []
    assert (list(shop.orders.awaiting(SKU)), list(shop.orders.awaiting("other"))) == ([], [TRADE_ID])
    assert shop.orders.by_id[TRADE_ID] == replace(before, lacking="other")  # which is no change of the order
    assert len(shop.stock.card_ids) == 1

    shop.sells(SKU, 1, PRICE)
    assert fill("other", imported(shop, 1, Pool("other", "batch", 0))) == [TRADE_ID]
    assert shop.orders.by_id[TRADE_ID].has_its_cards


# ---- the machine ----


def test_the_machine_that_waits_for_stock_goes_on(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop)
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)
    fill(SKU, imported(shop, 1))
    assert shop.machine.woken == [TOKEN]
    assert shop.machine.executions == {TRADE_ID: True}
    assert shop.orders.by_id[TRADE_ID].task_token == TOKEN  # should this have been in vain, the buyer's word wakes it


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_trade_that_no_execution_drives_is_taken_over(shop: Shop, fill: FillOrders, token: str | None) -> None:
    awaiting(shop)
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW)
    if token:
        shop.orders.write_token(TRADE_ID, token)
    fill(SKU, imported(shop, 1))
    assert list(shop.machine.executions.values()) == [False, True]


# ---- somebody else acts meanwhile ----


def test_a_card_lost_to_another_is_replaced_by_the_next(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop)
    unlisted = imported(shop, 2)
    shop.orders.once(lambda after: shop.stock.take(after.cards[0]))
    assert fill(SKU, unlisted) == [TRADE_ID]
    assert shop.stock.card_ids == []


def test_the_last_card_lost_to_another_leaves_the_order_waiting(shop: Shop, fill: FillOrders) -> None:
    stored = awaiting(shop)
    unlisted = imported(shop, 1)
    shop.orders.once(lambda after: shop.stock.take(after.cards[0]))
    assert fill(SKU, unlisted) == []
    assert shop.orders.by_id[TRADE_ID] == stored


def test_two_imports_at_once_fill_an_order_once(shop: Shop, fill: FillOrders) -> None:
    awaiting(shop)
    unlisted = imported(shop, 3)
    twin: list[bool] = []
    shop.orders.once(lambda _: twin.append(fill.one(TRADE_ID, unlisted)))
    assert (fill(SKU, unlisted), twin) == ([], [True])
    assert len(shop.stock.card_ids) == 2


def test_a_storm_is_told_to_try_again(shop: Shop, fill: FillOrders) -> None:
    stored = awaiting(shop)
    unlisted = imported(shop, 1)

    def always_faster(after: Order) -> None:
        shop.stock.take(after.cards[0])
        shop.stock.put(after.cards[0].returned())

    shop.orders.meanwhile = always_faster
    with pytest.raises(Busy):
        fill(SKU, unlisted)
    assert shop.orders.by_id[TRADE_ID] == stored
