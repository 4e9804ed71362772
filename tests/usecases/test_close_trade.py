"""Closing: the cards go back on sale with the closing write, unless the money came first."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import CloseTrade, OrderPaid

from tests.domain.builders import TRADE_ID, in_status, paid, placed
from tests.usecases.fakes import Shop

CLOSABLE = {Status.PENDING_PAYMENT, Status.PAYMENT_FAILED}


@pytest.fixture
def close(shop: Shop) -> CloseTrade:
    return CloseTrade(shop.orders, shop.clock)


@pytest.mark.parametrize("status", sorted(CLOSABLE))
def test_an_unpaid_order_is_closed_and_its_cards_are_for_sale_again(
    shop: Shop, close: CloseTrade, status: Status
) -> None:
    order = shop.orders.put(in_status(status))
    closed = close(TRADE_ID)
    assert (closed.status, closed.version, closed.cards) == (Status.CLOSED, order.version + 1, ())
    assert shop.stock.card_ids == [card.card_id for card in order.cards]
    assert list(shop.stock.pools) == [order.cards[0].pool.key]


def test_closing_again_changes_nothing_and_returns_no_card_twice(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed(2))
    closed = close(TRADE_ID)
    assert close(TRADE_ID) == closed == shop.orders.by_id[TRADE_ID]
    assert len(shop.stock.card_ids) == 2


def test_a_paid_order_is_to_be_delivered_instead(shop: Shop, close: CloseTrade) -> None:
    stored = shop.orders.put(paid(placed()))
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored
    assert shop.stock.card_ids == []


def test_a_payment_at_the_very_moment_of_closing_wins(shop: Shop, close: CloseTrade) -> None:
    """Given a payment between the machine's read and its write, then the order is paid and keeps its cards."""
    order = shop.orders.put(placed())

    def pay(_: Order) -> None:
        shop.orders.record(order, paid(order))

    shop.orders.once(pay)
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID].status is Status.PAID
    assert shop.orders.by_id[TRADE_ID].cards == order.cards
    assert shop.stock.card_ids == []


@pytest.mark.parametrize("status", sorted(set(Status) - CLOSABLE - {Status.PAID}))
def test_an_order_past_closing_is_left_as_it_is(shop: Shop, close: CloseTrade, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    assert close(TRADE_ID) == shop.orders.by_id[TRADE_ID] == stored
    assert shop.stock.card_ids == []


def test_an_unknown_trade_is_not_found(close: CloseTrade) -> None:
    with pytest.raises(NotFound):
        close(TRADE_ID)
