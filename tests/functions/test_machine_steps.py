"""What the trade's machine calls: each step may be called again, and refuses by a name that the machine catches."""

from __future__ import annotations

import json

import pytest
from cardshop.adapters.aws import client
from cardshop.domain.errors import NotFound, Unavailable
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import OrderPaid
from cardshop.usecases.deliver_cards import OrderNotPaid

from tests.adapters.cloud import PROJECT, items, table_name
from tests.domain.builders import NOW, TRADE_ID, paid, placed
from tests.functions.deployed import REQUEST_ID, Deployed, Logs
from tests.functions.samples import sample

STEPS = ["deliver_cards", "close_trade", "complete_trade"]


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("deliver_cards", paid(placed()), Status.DELIVERED),
        ("close_trade", placed(), Status.CLOSED),
        ("complete_trade", paid(placed()).delivered(NOW), Status.COMPLETED),
    ],
    ids=STEPS,
)
def test_a_step_is_done_once_however_often_it_is_called(
    shop: Deployed, logs: Logs, step: str, before: object, after: Status
) -> None:
    order = shop.order(before)  # type: ignore[arg-type]
    for _ in range(2):
        assert shop.invoke(step, sample(f"{step}/trade")) == {"status": after.value}
    assert (shop.stored().status, shop.stored().version) == (after, order.version + 1)
    assert len(items("StockTable")) == (1 if after is Status.CLOSED else 0)
    assert {line["trade_id"] for line in logs.lines} == {TRADE_ID}
    assert {line["function_request_id"] for line in logs.lines} == {REQUEST_ID}


def test_what_is_not_paid_is_not_delivered(shop: Deployed) -> None:
    order = shop.order(placed())
    with pytest.raises(OrderNotPaid):
        shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    assert shop.stored() == order


def test_what_is_paid_is_not_closed(shop: Deployed) -> None:
    order = shop.order(paid(placed()))
    with pytest.raises(OrderPaid):
        shop.invoke("close_trade", sample("close_trade/trade"))
    assert shop.stored() == order


def test_what_is_not_delivered_is_not_completed(shop: Deployed) -> None:
    order = shop.order(paid(placed()))
    assert shop.invoke("complete_trade", sample("complete_trade/trade")) == {"status": "paid"}
    assert shop.stored() == order


def test_the_machine_catches_the_refusals_by_their_names(shop: Deployed) -> None:
    """Lambda names an error after its class, and the machine goes by that name."""
    text = (PROJECT / "statemachines" / "trade.asl.json").read_text(encoding="utf-8")
    for window in ("${PaymentWindowSeconds}", "${AfterSaleSeconds}"):
        text = text.replace(window, "1")
    states = json.loads(text)["States"]
    for state, refusal in (("DeliverCards", OrderNotPaid), ("CloseTrade", OrderPaid)):
        caught = [error for each in states[state]["Catch"] for error in each["ErrorEquals"]]
        assert refusal.__name__ in caught
    for state in ("DeliverCards", "CloseTrade", "CompleteTrade"):
        retried = [error for each in states[state]["Retry"] for error in each["ErrorEquals"]]
        assert {"Unavailable", "Changed"} <= set(retried)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_an_unknown_trade_fails(shop: Deployed, step: str) -> None:
    with pytest.raises(NotFound):
        shop.invoke(step, sample(f"{step}/trade"))


@pytest.mark.parametrize("step", STEPS)
def test_a_step_whose_store_fails_can_be_tried_again(shop: Deployed, step: str) -> None:
    client("dynamodb").delete_table(TableName=table_name("OrdersTable"))
    with pytest.raises(Unavailable):
        shop.invoke(step, sample(f"{step}/trade"))
