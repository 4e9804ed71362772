"""The buyer's confirmation: of what was delivered, once, and the machine need not wait any more."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound, NotRevealable
from cardshop.domain.trade import Status
from cardshop.usecases.complete_trade import CompleteTrade
from cardshop.usecases.confirm_receipt import ConfirmReceipt

from tests.domain.builders import BUYER, NOW, TRADE_ID, delivered, in_status
from tests.usecases.fakes import Shop

TOKEN = "token-2"


@pytest.fixture
def confirm(shop: Shop) -> ConfirmReceipt:
    return ConfirmReceipt(shop.orders, shop.machine, shop.clock)


@pytest.fixture
def waiting(shop: Shop) -> Shop:
    """A shop with one delivered order, whose machine waits for the after-sale window to end."""
    shop.orders.put(delivered())
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)
    return shop


def test_a_delivered_order_is_completed_by_the_buyer_and_the_machine_goes_on(
    waiting: Shop, confirm: ConfirmReceipt
) -> None:
    order = confirm(TRADE_ID, BUYER)
    assert order == waiting.orders.by_id[TRADE_ID]
    assert (order.status, order.version, order.due_at) == (Status.COMPLETED, 4, None)
    assert order.last_change.actor == BUYER
    assert waiting.machine.woken == [TOKEN]


def test_confirming_again_changes_nothing_but_wakes_the_machine_again(waiting: Shop, confirm: ConfirmReceipt) -> None:
    first = confirm(TRADE_ID, BUYER)
    waiting.machine.waiting.add(TOKEN)
    assert confirm(TRADE_ID, BUYER) == first == waiting.orders.by_id[TRADE_ID]
    assert waiting.machine.woken == [TOKEN, TOKEN]


def test_an_order_whose_machine_does_not_wait_yet_is_completed_and_left_to_it(
    shop: Shop, confirm: ConfirmReceipt
) -> None:
    """The machine comes to wait, finds the trade complete and ends: no other execution is wanted."""
    shop.orders.put(delivered())
    assert confirm(TRADE_ID, BUYER).status is Status.COMPLETED
    assert (shop.machine.woken, shop.machine.executions) == ([], {})


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DELIVERED, Status.COMPLETED}))
def test_nothing_is_confirmed_before_it_is_delivered(shop: Shop, confirm: ConfirmReceipt, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    with pytest.raises(NotRevealable):
        confirm(TRADE_ID, BUYER)
    assert shop.orders.by_id[TRADE_ID] == stored


def test_a_window_that_ends_at_the_very_moment_leaves_one_completion(waiting: Shop, confirm: ConfirmReceipt) -> None:
    waiting.orders.once(lambda _: CompleteTrade(waiting.orders, waiting.clock)(TRADE_ID))
    order = confirm(TRADE_ID, BUYER)
    assert (order.status, order.version, order.last_change.actor.by) == (Status.COMPLETED, 4, "shop")


def test_a_reveal_at_the_very_moment_is_kept(waiting: Shop, confirm: ConfirmReceipt) -> None:
    before = waiting.orders.by_id[TRADE_ID]
    waiting.orders.once(lambda _: waiting.orders.record(before, before.revealed(NOW, BUYER)))
    assert (confirm(TRADE_ID, BUYER).status, waiting.orders.by_id[TRADE_ID].version) == (Status.COMPLETED, 5)


def test_an_unknown_trade_is_not_found(confirm: ConfirmReceipt) -> None:
    with pytest.raises(NotFound):
        confirm(TRADE_ID, BUYER)
