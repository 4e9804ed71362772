"""Delivery: once, and only of what was paid."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.usecases.deliver_cards import DeliverCards, OrderNotPaid

from tests.domain.builders import NOW, TRADE_ID, in_status, paid, placed
from tests.usecases.fakes import Shop


@pytest.fixture
def deliver(shop: Shop) -> DeliverCards:
    return DeliverCards(shop.orders, shop.clock)


def test_a_paid_order_is_delivered_with_the_cards_it_named(shop: Shop, deliver: DeliverCards) -> None:
    order = shop.orders.put(paid(placed(2)))
    delivered = deliver(TRADE_ID)
    assert (delivered.status, delivered.version, delivered.cards) == (Status.DELIVERED, 3, order.cards)
    assert shop.orders.by_id[TRADE_ID] == delivered


@pytest.mark.parametrize("order", [paid(placed()).delivered(NOW), paid(placed()).delivered(NOW).completed(NOW)])
def test_delivering_again_changes_nothing(shop: Shop, deliver: DeliverCards, order: Order) -> None:
    stored = shop.orders.put(order)
    assert deliver(TRADE_ID) == shop.orders.by_id[TRADE_ID] == stored


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PAID, Status.DELIVERED, Status.COMPLETED}))
def test_what_is_not_paid_is_not_delivered(shop: Shop, deliver: DeliverCards, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    with pytest.raises(OrderNotPaid):
        deliver(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_unknown_trade_is_not_found(deliver: DeliverCards) -> None:
    with pytest.raises(NotFound):
        deliver(TRADE_ID)
