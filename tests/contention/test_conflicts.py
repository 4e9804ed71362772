"""What the local engine never says: TransactionConflict. And what any network says at times: nothing."""

from __future__ import annotations

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.tables import OrderItem
from cardshop.domain.errors import Busy
from cardshop.domain.trade import Status
from cardshop.usecases.count_stock import CountStock

from tests.contention.trading import (
    Machine,
    all_orders,
    assert_sound,
    close_trade,
    codes,
    fill_orders,
    in_pool,
    listed,
    load,
    on_orders,
    place_order,
    placed,
    product,
    said,
    sealed,
    settle_payment,
    stocked,
    stored,
    waiting_for_stock,
    wish,
)
from tests.contention.wire import conflicts, lost_answers

_ATTEMPTS = 25


def _at_once(_: float) -> None:
    """Whoever looks again does so without a pause."""


@pytest.mark.parametrize("on", [0, -1], ids=["on the card", "on the order"])
def test_an_order_whose_claims_conflict_is_placed_once(tables: str, on: int) -> None:
    sku = stocked(10)
    with conflicts("TransactWriteItems", 3, on=on) as wire:
        bought = place_order(pause=_at_once)(wish((sku, 2)))
    assert (bought.claims, wire.calls, len(wire.sent)) == (4, 4, 1)
    (order,) = all_orders()
    assert (order.trade_id, order.version) == (bought.order.trade_id, 1)
    assert len(on_orders(sku)) == 2
    assert len(in_pool(sku)) == 8
    assert not in_pool(sku).keys() & on_orders(sku).keys()


def test_each_claim_is_a_transaction_of_its_own(tables: str) -> None:
    """A token that was used again would make the store repeat an answer, or refuse other content under it."""
    sku = stocked(10)
    tokens: set[str] = set()
    for _ in range(5):
        with conflicts("TransactWriteItems", 0) as wire:
            place_order()(wish((sku, 1)))
        tokens.update(call["ClientRequestToken"] for call in wire.sent)
    assert len(tokens) == 5


def test_an_order_whose_claims_conflict_for_ever_is_refused_whole(tables: str) -> None:
    sku = stocked(10)
    with conflicts("TransactWriteItems", 1_000_000) as wire, pytest.raises(Busy) as refusal:
        place_order(pause=_at_once)(wish((sku, 2)))
    assert refusal.value.retry_after
    assert wire.calls == _ATTEMPTS - 1, "the first look saw how few there are, and sent nothing"
    assert not all_orders()
    assert len(in_pool(sku)) == 10


@pytest.mark.parametrize("on", [0, -1], ids=["on the card", "on the order"])
def test_an_order_whose_closing_conflicts_is_closed_once(tables: str, on: int) -> None:
    sku = stocked(1)
    order = placed(sku)
    with conflicts("TransactWriteItems", 2, on=on) as wire:
        assert close_trade()(order.trade_id).status is Status.CLOSED
    assert wire.calls == 3
    assert stored(order.trade_id).version == 2
    assert in_pool(sku) == {order.cards[0].card_id: 1}


def test_a_payment_whose_write_meets_a_transaction_is_settled_once(tables: str) -> None:
    """A close is under way on the order: the plain write is told so by an exception of its own."""
    order = placed(stocked(1))
    with conflicts("UpdateItem", 2) as wire:
        _, new = settle_payment()(said(order))
    assert new
    assert wire.calls == 3
    assert (stored(order.trade_id).status, stored(order.trade_id).version) == (Status.PAID, 2)


def test_an_import_whose_transactions_conflict_adds_each_card_once(tables: str) -> None:
    sku, lines = product(), codes(8)
    with conflicts("TransactWriteItems", 2) as wire:
        imported = load(sku, lines)
    assert wire.calls > len(wire.sent)
    assert (imported.batch.cards, imported.duplicates) == (8, [])
    assert listed(sku).quantity == 8
    assert in_pool(sku) == sealed(sku)
    assert set(in_pool(sku).values()) == {1}


def test_a_count_whose_listing_conflicts_is_listed(tables: str) -> None:
    sku = stocked(3)
    order = placed(sku)
    with conflicts("UpdateItem", 1) as wire:
        CountStock(DynamoCatalogue(), DynamoPool())(order.cards[0].pool)
    assert wire.calls == 2
    assert listed(sku).quantity == 2


def test_a_claim_whose_answer_is_lost_is_one_order(tables: str) -> None:
    sku = stocked(10)
    with lost_answers("TransactWriteItems", 1) as wire:
        bought = place_order()(wish((sku, 1)))
    assert len(wire.sent) == 2, "sent again"
    assert wire.sent[0] == wire.sent[1], "as it was, under the same token"
    assert bought.claims == 1
    assert len(all_orders()) == 1
    assert len(in_pool(sku)) == 9


def test_a_closing_whose_answer_is_lost_gives_the_card_back_once(tables: str) -> None:
    sku = stocked(1)
    order = placed(sku)
    with lost_answers("TransactWriteItems", 1) as wire:
        assert close_trade()(order.trade_id).status is Status.CLOSED
    assert len(wire.sent) == 2
    assert stored(order.trade_id).version == 2
    assert in_pool(sku) == {order.cards[0].card_id: 1}


def test_a_settled_payment_whose_answer_is_lost_is_one_change_and_wakes_the_machine(tables: str) -> None:
    order = placed(stocked(1))
    OrderItem(order.trade_id).update([OrderItem.task_token.set("token")])
    machine = Machine()
    with lost_answers("UpdateItem", 1) as wire:
        _, new = settle_payment(machine)(said(order))
    assert len(wire.sent) == 2, "sent again, and refused: it was done already"
    assert not new
    assert (stored(order.trade_id).status, stored(order.trade_id).version) == (Status.PAID, 2)
    assert machine.woken == ["token"]


@pytest.mark.parametrize("on", [0, -1], ids=["on the card", "on the order"])
def test_a_late_payment_whose_claims_conflict_buys_one_card(tables: str, on: int) -> None:
    sku = stocked(3)
    order = placed(sku)
    close_trade()(order.trade_id)
    with conflicts("TransactWriteItems", 3, on=on) as wire:
        after, new = settle_payment()(said(order))
    assert (after.status, after.version, new) == (Status.PAID, 3, True)
    assert (wire.calls, len(wire.sent)) == (4, 1)
    assert_sound(sku)


def test_a_late_payment_whose_answer_is_lost_buys_one_card(tables: str) -> None:
    sku = stocked(3)
    order = placed(sku)
    close_trade()(order.trade_id)
    with lost_answers("TransactWriteItems", 1) as wire:
        after, new = settle_payment()(said(order))
    assert wire.sent[0] == wire.sent[1], "sent again as it was"
    assert (after.status, after.version, new) == (Status.PAID, 3, True)
    assert len(in_pool(sku)) == 2
    assert_sound(sku)


@pytest.mark.parametrize("on", [0, -1], ids=["on the card", "on the order"])
def test_a_fill_whose_claims_conflict_gives_one_card(tables: str, on: int) -> None:
    sku, (order,), (holder,) = waiting_for_stock()
    close_trade()(holder.trade_id)
    with conflicts("TransactWriteItems", 2, on=on) as wire:
        assert fill_orders().one(order.trade_id)
    assert (wire.calls, len(wire.sent)) == (3, 1)
    assert stored(order.trade_id).status is Status.DELIVERED
    assert not in_pool(sku)
    assert_sound(sku)


def test_an_import_whose_answer_is_lost_adds_each_card_once(tables: str) -> None:
    sku, lines = product(), codes(4)
    with lost_answers("TransactWriteItems", 2) as wire:
        imported = load(sku, lines)
    assert len(wire.sent) > len({call["ClientRequestToken"] for call in wire.sent})
    assert (imported.batch.cards, imported.duplicates) == (4, [])
    assert in_pool(sku) == sealed(sku)
    assert len(in_pool(sku)) == 4
    assert listed(sku).quantity == 4


def test_an_import_that_conflicts_when_it_goes_on_sale_goes_on_sale(tables: str) -> None:
    """count_stock, or another import, is writing to the product at that moment."""
    sku, lines = product(), codes(4)
    with conflicts("TransactWriteItems", 1, after=1, on=1) as wire:
        assert load(sku, lines).batch.cards == 4
    assert wire.calls == 3
    assert listed(sku).quantity == 4
