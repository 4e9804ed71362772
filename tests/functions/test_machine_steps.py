"""What the trade's machine calls: each step may be called again, and refuses by a name that the machine catches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.domain.errors import NotFound, Unavailable
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState
from cardshop.domain.product import Batch, BatchStatus
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import OrderAwaitsStock, OrderPaid
from cardshop.usecases.deliver_cards import OrderNotPaid

from tests.adapters.cloud import executions, items, table_name
from tests.adapters.payments.platform import Platform
from tests.domain.builders import AFTER_SALE_MS, BATCH, BUYER, NOW, SKU, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import MERCHANT_KEY, REQUEST_ID, Deployed, Logs
from tests.functions.samples import sample
from tests.template.cloudformation import PROJECT

STEPS = ["deliver_cards", "close_trade", "complete_trade"]


def step(shop: Deployed, name: str) -> Any:
    return shop.invoke(name, sample(f"{name}/trade"))


@pytest.fixture
def unpaid(platform: Platform) -> None:
    platform.says(code=1, status=0, money="9.90")


def cancelled(order: Order) -> Order:
    return order.failed(NOW, BUYER)


@pytest.mark.parametrize(
    ("name", "changes", "after"),
    [
        ("deliver_cards", [paid], Status.DELIVERED),
        ("close_trade", [], Status.CLOSED),
        ("close_trade", [cancelled], Status.CLOSED),
        ("complete_trade", [paid, delivered], Status.COMPLETED),
    ],
    ids=["deliver_cards", "close_trade", "close_trade after a cancellation", "complete_trade"],
)
@pytest.mark.usefixtures("unpaid")
def test_a_step_is_done_once_however_often_it_is_called(
    shop: Deployed, logs: Logs, name: str, changes: list[Callable[[Order], Order]], after: Status
) -> None:
    order = shop.order(placed(), *changes)
    for _ in range(2):
        assert step(shop, name) == {"status": after.value}
    assert (shop.stored().status, shop.stored().version) == (after, order.version + 1)
    assert len(items("StockTable")) == (1 if after is Status.CLOSED else 0)
    assert {line["trade_id"] for line in logs.lines} == {TRADE_ID}
    assert {line["function_request_id"] for line in logs.lines} == {REQUEST_ID}
    assert executions(shop.machine) == [], "a step drives nothing: the machine does"


# ---- deliver_cards ----


def test_what_is_not_paid_is_not_delivered(shop: Deployed) -> None:
    order = shop.order(placed())
    with pytest.raises(OrderNotPaid):
        step(shop, "deliver_cards")
    assert shop.stored() == order


def test_what_is_delivered_is_due_when_its_after_sale_window_is_over(shop: Deployed) -> None:
    shop.order(placed(), paid)
    step(shop, "deliver_cards")
    order = shop.stored()
    assert order.due_at == order.last_change.at + AFTER_SALE_MS


def test_what_has_no_cards_waits_for_some(shop: Deployed) -> None:
    """Paid, and its card is not on the order: the shop's own mistake, and the buyer is not to suffer for it."""
    shop.order(paid(placed(2, held=placed().cards)))
    for _ in range(2):
        with pytest.raises(OrderAwaitsStock):
            step(shop, "deliver_cards")
    order = shop.stored()
    assert (order.status, order.version, order.lacking) == (Status.AWAITING_STOCK, 3, SKU)


def test_a_card_that_was_withdrawn_while_the_order_held_it_goes_back_and_is_not_delivered(shop: Deployed) -> None:
    order = shop.order(placed(), paid)
    batch = Batch(SKU, BATCH, BatchStatus.IMPORTING, 1, 1, NOW)
    DynamoCatalogue().begin_batch(batch)
    DynamoCatalogue().put_on_sale(batch, (0,))
    DynamoCatalogue().withdraw(replace(batch, status=BatchStatus.ON_SALE))
    with pytest.raises(OrderAwaitsStock):
        step(shop, "deliver_cards")
    assert (shop.stored().status, shop.stored().lacking, shop.stored().cards) == (Status.AWAITING_STOCK, SKU, ())
    assert [item["card_id"]["S"] for item in items("StockTable")] == [order.cards[0].card_id]


# ---- close_trade ----


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [([paid], OrderPaid), ([paid, lambda order: order.short_of_cards(NOW, SKU)], OrderAwaitsStock)],
    ids=["paid", "awaiting stock"],
)
def test_what_is_paid_is_not_closed(
    shop: Deployed, changes: list[Callable[[Order], Order]], refusal: type[Exception]
) -> None:
    order = shop.order(placed(), *changes)
    with pytest.raises(refusal):
        step(shop, "close_trade")
    assert shop.stored() == order


def test_the_provider_is_asked_before_an_order_is_closed_and_who_has_paid_gets_the_cards(
    shop: Deployed, platform: Platform
) -> None:
    """The notice never came."""
    order = shop.order(placed())
    with pytest.raises(OrderPaid):
        step(shop, "close_trade")
    after = shop.stored()
    assert (after.status, after.payments[0].state) == (Status.PAID, PaymentState.ACCEPTED)
    assert after.cards == order.cards


def test_who_paid_and_cancelled_is_closed_and_then_buys_a_card_that_is_left(shop: Deployed, platform: Platform) -> None:
    shop.stock("CODE-1")
    shop.order(placed(), cancelled)
    with pytest.raises(OrderPaid):
        step(shop, "close_trade")
    after = shop.stored()
    assert (after.status, after.version, len(after.cards)) == (Status.PAID, 4, 1)
    assert len(items("StockTable")) == 1


def test_who_paid_and_cancelled_waits_for_stock_if_there_is_none(shop: Deployed, platform: Platform) -> None:
    """Its own card went back to a pool that is on sale no more."""
    shop.order(placed(), cancelled)
    with pytest.raises(OrderAwaitsStock):
        step(shop, "close_trade")
    assert (shop.stored().status, shop.stored().lacking) == (Status.AWAITING_STOCK, SKU)


def test_an_order_that_may_have_been_paid_is_not_closed(shop: Deployed, platform: Platform, logs: Logs) -> None:
    order = shop.order(placed())
    platform.answer = None
    with pytest.raises(Unavailable):
        step(shop, "close_trade")
    assert shop.stored() == order
    assert MERCHANT_KEY not in logs.text


# ---- complete_trade ----


def test_what_is_not_delivered_is_not_completed(shop: Deployed) -> None:
    order = shop.order(placed(), paid)
    assert step(shop, "complete_trade") == {"status": "paid"}
    assert shop.stored() == order


# ---- all of them ----


def test_the_machine_catches_the_refusals_by_their_names(shop: Deployed) -> None:
    """Lambda names an error after its class, and the machine goes by that name."""
    text = (PROJECT / "statemachines" / "trade.asl.json").read_text(encoding="utf-8")
    for window in ("${PaymentWindowSeconds}", "${AfterSaleSeconds}"):
        text = text.replace(window, "1")
    states = json.loads(text)["States"]
    for state, refusals in (
        ("DeliverCards", {OrderNotPaid, OrderAwaitsStock}),
        ("CloseTrade", {OrderPaid, OrderAwaitsStock}),
    ):
        caught = {error for each in states[state]["Catch"] for error in each["ErrorEquals"]}
        assert {refusal.__name__ for refusal in refusals} <= caught
    for state in ("DeliverCards", "CloseTrade", "CompleteTrade"):
        retried = [error for each in states[state]["Retry"] for error in each["ErrorEquals"]]
        assert {"Unavailable", "Busy", "Changed"} <= set(retried)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_an_unknown_trade_fails(shop: Deployed, name: str) -> None:
    with pytest.raises(NotFound):
        step(shop, name)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_whose_store_fails_can_be_tried_again(shop: Deployed, name: str) -> None:
    client("dynamodb").delete_table(TableName=table_name("OrdersTable"))
    with pytest.raises(Unavailable):
        step(shop, name)
