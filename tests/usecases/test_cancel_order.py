"""Cancelling: as long as no money is in, and the machine closes the trade."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotCancellable, NotFound
from cardshop.domain.trade import Status
from cardshop.usecases.cancel_order import PAYMENT_FAILED, CancelOrder

from tests.domain.builders import BUYER, NOW, TRADE_ID, in_status, paid, placed
from tests.usecases.fakes import Shop

TOKEN = "token-1"
CANCELLED = {Status.PAYMENT_FAILED, Status.CLOSED}


@pytest.fixture
def cancel(shop: Shop) -> CancelOrder:
    return CancelOrder(shop.orders, shop.machine, shop.clock)


@pytest.fixture
def waiting(shop: Shop) -> Shop:
    """A shop with one unpaid order, whose machine waits."""
    shop.orders.put(placed(2))
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)
    return shop


def test_a_cancelled_order_has_failed_and_keeps_its_cards_until_the_machine_closes_it(
    waiting: Shop, cancel: CancelOrder
) -> None:
    held = waiting.orders.by_id[TRADE_ID].cards
    order = cancel(TRADE_ID, BUYER)
    assert order == waiting.orders.by_id[TRADE_ID]
    assert (order.status, order.version, order.cards) == (Status.PAYMENT_FAILED, 2, held)
    assert order.last_change.actor == BUYER
    assert waiting.machine.failed == [(TOKEN, PAYMENT_FAILED)]
    assert waiting.machine.executions == {TRADE_ID: True}


def test_cancelling_again_changes_nothing_but_wakes_the_machine_again(waiting: Shop, cancel: CancelOrder) -> None:
    """Given a cancellation by somebody who died before the machine was woken, the same request again does it."""
    first = cancel(TRADE_ID, BUYER)
    waiting.machine.waiting.add(TOKEN)
    assert cancel(TRADE_ID, BUYER) == first == waiting.orders.by_id[TRADE_ID]
    assert waiting.machine.failed == [(TOKEN, PAYMENT_FAILED)] * 2


def test_a_closed_order_is_cancelled_already(shop: Shop, cancel: CancelOrder) -> None:
    stored = shop.orders.put(placed().closed(NOW))
    assert cancel(TRADE_ID, BUYER) == stored == shop.orders.by_id[TRADE_ID]
    assert shop.machine.executions == {}


@pytest.mark.parametrize("status", sorted(set(Status) - CANCELLED - {Status.PENDING_PAYMENT}))
def test_an_order_that_money_is_in_for_is_not_cancelled(shop: Shop, cancel: CancelOrder, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    with pytest.raises(NotCancellable):
        cancel(TRADE_ID, BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored
    assert shop.machine.executions == {}


def test_an_order_whose_machine_has_not_begun_gets_an_execution(shop: Shop, cancel: CancelOrder) -> None:
    shop.orders.put(placed())
    cancel(TRADE_ID, BUYER)
    cancel(TRADE_ID, BUYER)
    assert shop.machine.executions == {TRADE_ID: True}


def test_a_machine_that_begins_to_wait_at_the_very_moment_of_cancelling_is_not_missed(
    shop: Shop, cancel: CancelOrder
) -> None:
    shop.orders.put(placed())
    shop.machine.waiting.add(TOKEN)
    shop.orders.once(lambda _: shop.orders.write_token(TRADE_ID, TOKEN))
    cancel(TRADE_ID, BUYER)
    assert shop.machine.failed == [(TOKEN, PAYMENT_FAILED)]


def test_a_trade_whose_execution_was_stopped_is_taken_over_by_another(waiting: Shop, cancel: CancelOrder) -> None:
    waiting.machine.waiting.clear()
    waiting.machine.stop(TRADE_ID, NOW)
    cancel(TRADE_ID, BUYER)
    cancel(TRADE_ID, BUYER)
    assert list(waiting.machine.executions.values()) == [False, True]


def test_a_payment_at_the_very_moment_of_cancelling_wins(waiting: Shop, cancel: CancelOrder) -> None:
    before = waiting.orders.by_id[TRADE_ID]
    waiting.orders.once(lambda _: waiting.orders.record(before, paid(before)))
    with pytest.raises(NotCancellable):
        cancel(TRADE_ID, BUYER)
    order = waiting.orders.by_id[TRADE_ID]
    assert (order.status, order.version, order.cards) == (Status.PAID, 2, before.cards)
    assert waiting.machine.failed == []


def test_an_unknown_trade_is_not_found(cancel: CancelOrder) -> None:
    with pytest.raises(NotFound):
        cancel(TRADE_ID, BUYER)
