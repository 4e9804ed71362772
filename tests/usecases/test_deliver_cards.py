"""Delivery: once, only of what was paid, and only of cards that are the order's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import OrderAwaitsStock
from cardshop.usecases.deliver_cards import DeliverCards, OrderNotPaid

from tests.domain.builders import AFTER_SALE_MS, BUYER, NOW, PRICE, SKU, TRADE_ID, delivered, in_status, paid, placed
from tests.usecases.fakes import Shop


@pytest.fixture
def deliver(shop: Shop) -> DeliverCards:
    return DeliverCards(shop.orders, shop.catalogue, AFTER_SALE_MS, shop.clock)


def test_a_paid_order_is_delivered_with_the_cards_it_named(shop: Shop, deliver: DeliverCards) -> None:
    order = shop.orders.put(paid(placed(2)))
    given = deliver(TRADE_ID)
    assert (given.status, given.version, given.cards) == (Status.DELIVERED, 3, order.cards)
    assert given.due_at == NOW + AFTER_SALE_MS
    assert shop.orders.by_id[TRADE_ID] == given


@pytest.mark.parametrize("order", [delivered(), delivered().completed(NOW)])
def test_delivering_again_changes_nothing(shop: Shop, deliver: DeliverCards, order: Order) -> None:
    stored = shop.orders.put(order)
    assert deliver(TRADE_ID) == shop.orders.by_id[TRADE_ID] == stored


@pytest.mark.parametrize(
    "status", sorted(set(Status) - {Status.PAID, Status.AWAITING_STOCK, Status.DELIVERED, Status.COMPLETED})
)
def test_what_is_not_paid_is_not_delivered(shop: Shop, deliver: DeliverCards, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    with pytest.raises(OrderNotPaid):
        deliver(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_order_that_awaits_stock_goes_on_waiting(shop: Shop, deliver: DeliverCards) -> None:
    stored = shop.orders.put(in_status(Status.AWAITING_STOCK))
    with pytest.raises(OrderAwaitsStock):
        deliver(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_a_paid_order_whose_cards_are_not_there_awaits_stock(shop: Shop, deliver: DeliverCards) -> None:
    shop.orders.put(replace(paid(placed(2)), cards=()))
    with pytest.raises(OrderAwaitsStock):
        deliver(TRADE_ID)
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.lacking, order.funded) == (Status.AWAITING_STOCK, SKU, True)


def test_a_paid_order_whose_card_was_withdrawn_from_sale_awaits_another(shop: Shop, deliver: DeliverCards) -> None:
    (card,) = shop.sells(SKU, 1, PRICE)
    shop.stock.take(card)
    shop.orders.put(paid(placed(held=(card,))))
    assert shop.catalogue.withdraw(shop.catalogue.imported[SKU, card.pool.batch])
    with pytest.raises(OrderAwaitsStock):
        deliver(TRADE_ID)
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.lacking, order.cards) == (Status.AWAITING_STOCK, SKU, ())
    assert shop.stock.card_ids == [card.card_id]  # back in its pool, which is not listed any more


def test_an_order_revealed_or_otherwise_changed_meanwhile_is_delivered_all_the_same(
    shop: Shop, deliver: DeliverCards
) -> None:
    order = shop.orders.put(paid(placed()))
    shop.orders.once(lambda _: shop.orders.record(order, order.reopened("epay", BUYER, NOW)))
    assert (deliver(TRADE_ID).status, len(shop.orders.by_id[TRADE_ID].payments)) == (Status.DELIVERED, 2)


def test_an_unknown_trade_is_not_found(deliver: DeliverCards) -> None:
    with pytest.raises(NotFound):
        deliver(TRADE_ID)
