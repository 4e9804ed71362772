"""Closing: the cards go back on sale with the closing write, unless the money came first, or may have come."""

from __future__ import annotations

import pytest
from cardshop.domain import looks
from cardshop.domain.errors import Busy, NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import EventKind, PaymentEvent, PaymentState
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import CloseTrade, OrderAwaitsStock, OrderPaid, PaymentConfirming
from cardshop.usecases.settle_payment import RecordPayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, SKU, TRADE_ID, delivered, in_status, paid, placed
from tests.usecases.fakes import Shop

CLOSABLE = {Status.PENDING_PAYMENT, Status.PAYMENT_FAILED}
PAID = {Status.PAID, Status.AWAITING_STOCK, Status.DELIVERED}


@pytest.mark.parametrize("status", sorted(CLOSABLE))
def test_an_unpaid_order_is_closed_and_its_cards_are_for_sale_again(
    shop: Shop, close: CloseTrade, status: Status
) -> None:
    order = shop.orders.put(in_status(status))
    closed = close(TRADE_ID)
    assert (closed.status, closed.version, closed.cards) == (Status.CLOSED, order.version + 1, ())
    assert shop.stock.card_ids == [card.card_id for card in order.cards]
    assert list(shop.stock.pools) == [order.cards[0].pool.key]
    assert closed.due_at == looks.after_closing(NOW)  # for money that comes late
    assert shop.bank.closed == {PAYMENT_ID}


def test_closing_again_changes_nothing_and_returns_no_card_twice(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed(2))
    closed = close(TRADE_ID)
    assert close(TRADE_ID) == closed == shop.orders.by_id[TRADE_ID]
    assert len(shop.stock.card_ids) == 2


@pytest.mark.parametrize("order", [paid(placed()), delivered()], ids=lambda order: order.status)
def test_a_paid_order_goes_on_where_it_is_delivered(shop: Shop, close: CloseTrade, order: Order) -> None:
    stored = shop.orders.put(order)
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored
    assert shop.stock.card_ids == []


def test_an_order_that_awaits_stock_is_to_wait_instead(shop: Shop, close: CloseTrade) -> None:
    stored = shop.orders.put(in_status(Status.AWAITING_STOCK))
    with pytest.raises(OrderAwaitsStock):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored


# ---- the provider is asked first ----


def test_a_payment_whose_notice_never_came_is_found(shop: Shop, close: CloseTrade) -> None:
    order = shop.orders.put(placed())
    shop.bank.receives(PAYMENT_ID, PRICE)
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    now = shop.orders.by_id[TRADE_ID]
    assert (now.status, now.cards, now.payments[0].state) == (Status.PAID, order.cards, PaymentState.ACCEPTED)
    assert shop.stock.card_ids == []


def test_a_cancelled_order_that_was_paid_is_closed_first_and_then_late(shop: Shop, close: CloseTrade) -> None:
    (card,) = shop.sells(SKU, 1, PRICE)
    shop.stock.take(card)
    shop.orders.put(placed(held=(card,)).failed(NOW, BUYER))
    shop.bank.receives(PAYMENT_ID, PRICE)
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    now = shop.orders.by_id[TRADE_ID]
    assert (now.status, now.version) == (Status.PAID, 4)  # failed, closed, paid
    assert [each.card_id for each in now.cards] == [card.card_id]


def test_a_cancelled_order_that_was_paid_awaits_stock_if_its_cards_are_not_for_sale(
    shop: Shop, close: CloseTrade
) -> None:
    """Given a product that is gone, the card that goes back to its pool is nobody's to sell."""
    shop.orders.put(placed().failed(NOW, BUYER))
    shop.bank.receives(PAYMENT_ID, PRICE)
    with pytest.raises(OrderAwaitsStock):
        close(TRADE_ID)
    now = shop.orders.by_id[TRADE_ID]
    assert (now.status, now.lacking, now.payments[0].state) == (Status.AWAITING_STOCK, SKU, PaymentState.ACCEPTED)


def test_too_little_is_on_record_and_the_order_is_closed_all_the_same(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed())
    shop.bank.receives(PAYMENT_ID, Money(989, "CNY"))
    closed = close(TRADE_ID)
    assert (closed.status, closed.payments[0].state) == (Status.CLOSED, PaymentState.SHORT)
    assert closed.due_at == NOW, "what came is to go back"
    assert len(shop.stock.card_ids) == 1


def test_short_payments_that_are_enough_together_pay_for_the_order(shop: Shop, close: CloseTrade) -> None:
    order = shop.orders.put(placed().reopened("epay", BUYER, NOW))
    for payment, minor in zip(order.payments, (400, 590), strict=True):
        shop.bank.receives(payment.payment_id, Money(minor, "CNY"))
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    assert [payment.state for payment in shop.orders.by_id[TRADE_ID].payments] == ["short", "accepted"]


@pytest.mark.parametrize("status", sorted(CLOSABLE))
def test_an_order_that_may_have_been_paid_is_not_closed(shop: Shop, close: CloseTrade, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    shop.bank.down = True
    with pytest.raises(Unavailable):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID] == stored
    assert shop.stock.card_ids == []
    shop.bank.down = False
    assert close(TRADE_ID).status is Status.CLOSED


def test_an_order_of_a_channel_that_is_gone_is_closed(shop: Shop, close: CloseTrade) -> None:
    del shop.channels["epay"]
    shop.orders.put(placed())
    assert close(TRADE_ID).status is Status.CLOSED


# ---- exactly one of closing and paying ----


def test_a_payment_at_the_very_moment_of_closing_wins(shop: Shop, close: CloseTrade, record: RecordPayment) -> None:
    """Given a payment between the machine's read and its write, then the order is paid and keeps its cards."""
    order = shop.orders.put(placed())
    shop.orders.once(lambda _: record(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1")))
    with pytest.raises(OrderPaid):
        close(TRADE_ID)
    assert (shop.orders.by_id[TRADE_ID].status, shop.orders.by_id[TRADE_ID].version) == (Status.PAID, 2)
    assert shop.orders.by_id[TRADE_ID].cards == order.cards
    assert shop.stock.card_ids == []


def test_a_closing_at_the_very_moment_of_payment_wins_and_the_money_is_late(
    shop: Shop, close: CloseTrade, record: RecordPayment
) -> None:
    """Given the closing between the payment's read and its write, then the payment claims cards anew."""
    dealt = shop.sells(SKU, 1, PRICE)
    shop.stock.take(dealt[0])
    shop.orders.put(placed(held=(dealt[0],)))
    shop.orders.once(lambda _: close(TRADE_ID))
    recorded = record(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1"))
    assert (recorded.order.status, recorded.order.version, recorded.late) == (Status.PAID, 3, True)
    assert [card.card_id for card in recorded.order.cards] == [dealt[0].card_id]
    assert shop.stock.card_ids == []


def test_a_buyer_who_cancels_at_the_very_moment_of_closing_changes_nothing_of_it(shop: Shop, close: CloseTrade) -> None:
    order = shop.orders.put(placed())
    shop.orders.once(lambda _: shop.orders.record(order, order.failed(NOW, BUYER)))
    closed = close(TRADE_ID)
    assert (closed.status, closed.version) == (Status.CLOSED, 3)
    assert len(shop.stock.card_ids) == 1


def test_an_order_that_never_stops_changing_is_closed_another_time(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed())

    def always_faster(_: Order) -> None:
        shop.orders.put(shop.orders.by_id[TRADE_ID].revealed(NOW, BUYER))

    shop.orders.meanwhile = always_faster
    with pytest.raises(Busy):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID].status is Status.PENDING_PAYMENT
    assert shop.stock.card_ids == []


# ---- past closing ----


@pytest.mark.parametrize("status", sorted(set(Status) - CLOSABLE - PAID))
def test_an_order_past_closing_is_left_as_it_is(shop: Shop, close: CloseTrade, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    assert close(TRADE_ID) == shop.orders.by_id[TRADE_ID] == stored
    assert shop.stock.card_ids == []


def test_an_unknown_trade_is_not_found(close: CloseTrade) -> None:
    with pytest.raises(NotFound):
        close(TRADE_ID)


def test_a_payment_that_is_being_confirmed_is_waited_for(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed())
    shop.bank.confirming = {PAYMENT_ID}
    with pytest.raises(PaymentConfirming):
        close(TRADE_ID)
    assert shop.orders.by_id[TRADE_ID].status is Status.PENDING_PAYMENT
    shop.bank.confirming.clear()
    assert close(TRADE_ID).status is Status.CLOSED


def test_a_buyer_who_cancelled_is_not_waited_for(shop: Shop, close: CloseTrade) -> None:
    shop.orders.put(placed().failed(NOW, BUYER))
    shop.bank.confirming = {PAYMENT_ID}
    closed = close(TRADE_ID)
    assert closed.status is Status.CLOSED
    assert closed.due_at is not None, "the money that comes is looked for"
