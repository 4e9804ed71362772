"""What buyers, providers and networks do besides paying once and in time, on the deployed stack."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.e2e.notices import incidents
from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound


@pytest.fixture(autouse=True)
def sound_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"house", "hasty"} & set(request.fixturenames):
        assert_sound(request.getfixturevalue(name))


def _what(order: dict[str, Any]) -> list[str]:
    """What happened to it; that somebody read the cards is another story."""
    return [each["what"] for each in order["timeline"] if each["what"] != "cards_revealed"]


def _story(house: House, placed: dict[str, Any], *expected: str) -> None:
    """The timeline, as soon as it is written."""
    wait_until(lambda: _what(house.view(placed)) == list(expected), lambda: str(_what(house.view(placed))))


def _payments(order: dict[str, Any]) -> list[str]:
    return [payment["state"] for payment in order["payments"]]


def _stock(house: House, sku: str) -> int:
    return int(ok(house.api.get(f"/products/{sku}"))["stock"]["quantity"])


def _executions(house: House, placed: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, status) of the trade's executions, the first first."""
    pages = house.aws("stepfunctions").get_paginator("list_executions")
    found = [
        (each["startDate"], each["name"], each["status"])
        for page in pages.paginate(stateMachineArn=house.outputs["StateMachineArn"])
        for each in page["executions"]
        if each["name"].startswith(placed["trade_id"])
    ]
    return [(name, status) for _, name, status in sorted(found)]


def _load(house: House, sku: str, cards: int) -> list[str]:
    codes = [f"CODE-{uuid.uuid4().hex}" for _ in range(cards)]
    answer = house.api.post(f"/admin/products/{sku}/cards", headers=house.operator, content="\n".join(codes))
    assert answer.status_code == 201, answer.text
    return codes


# ---- the buyer's own doing ----


def test_a_cancelled_order_is_closed_and_its_card_is_sold_again(house: House) -> None:
    sku, codes = house.product(1)
    placed = house.placed(sku)
    assert ok(house.act(placed, "cancel", {"terminal": "mobile"}))["status"] == "payment_failed"
    order = house.until(placed, "closed")
    assert ok(house.act(placed, "cancel"))["status"] == "closed", "asking again is no error"
    _story(house, placed, "pending_payment", "payment_failed", "closed")
    failed = house.view(placed)["timeline"][1]
    assert (failed["by"], failed["terminal"]) == ("buyer", "mobile")
    assert order["version"] == 3
    wait_until(lambda: _stock(house, sku) == 1, lambda: f"{_stock(house, sku)} for sale")
    again = house.placed(sku)
    house.pay(again)
    house.until(again, "delivered")
    assert house.cards(again) == codes


def test_a_paid_order_is_not_cancelled(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed)
    house.until(placed, "delivered")
    refused = house.act(placed, "cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")


def test_a_buyer_who_confirms_completes_the_trade(house: House) -> None:
    sku, codes = house.product(1)
    placed = house.placed(sku)
    early = house.act(placed, "confirm")
    assert (early.status_code, early.json()["code"]) == (409, "not_delivered")
    house.pay(placed)
    house.until(placed, "delivered")
    assert ok(house.act(placed, "confirm"))["status"] == "completed"
    assert ok(house.act(placed, "confirm"))["status"] == "completed"
    _story(house, placed, "pending_payment", "paid", "delivered", "completed")
    assert house.view(placed)["timeline"][-1]["by"] == "buyer"
    wait_until(
        lambda: _executions(house, placed) == [(placed["trade_id"], "SUCCEEDED")],
        lambda: str(_executions(house, placed)),
    )
    assert house.cards(placed) == codes, "a completed trade's cards stay readable"


def test_an_order_is_looked_up_by_its_password(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku, query_password="correct horse")
    trade_id = placed["trade_id"]

    def lookup(password: str, trade: str = trade_id) -> tuple[int, dict[str, Any]]:
        answer = house.api.post("/orders/lookup", json={"trade_id": trade, "query_password": password})
        return answer.status_code, answer.json()

    wrong, unknown = lookup("x" * 5000), lookup("correct horse", "a" * 26)
    assert (wrong[0], wrong[1]["code"]) == (401, "wrong_credentials")
    assert unknown == wrong
    status, found = lookup("correct horse")
    assert (status, found["trade_id"]) == (200, trade_id)
    assert house.view({**placed, "token": found["token"]})["trade_id"] == trade_id
    tried = [lookup("wrong")[0] for _ in range(4)]
    assert tried == [401, 401, 401, 429], "three tries, then a wait"
    status, waiting = lookup("correct horse")
    assert (status, waiting["code"]) == (429, "too_many_attempts")
    assert house.view(placed)["status"] == "pending_payment", "the token's holder is not locked out"
    ok(house.act(placed, "cancel"))
    house.until(placed, "closed")


# ---- paying in other ways ----


def test_pay_again_and_through_another_channel(house: House) -> None:
    """Both payments succeed: one delivery, and the second is on record as what it is."""
    sku, _ = house.product(2)
    house.channel("epay-wx", type="wxpay")
    placed = house.placed(sku)
    again = ok(house.act(placed, "payments", {"channel": "epay"}))
    assert again["payment"] == placed["payment"], "it is the payment that is open already"
    other = ok(house.act(placed, "payments", {"channel": "epay-wx"}))
    assert other["payment"]["payment_id"] == f"{placed['trade_id']}02"
    assert ok(house.act(placed, "payments", {"channel": "epay-wx"})) == other
    house.pay(other)
    house.until(placed, "delivered")
    house.pay(placed)
    wait_until(lambda: "duplicate" in _payments(house.view(placed)), lambda: str(house.view(placed)))
    assert _payments(house.view(placed)) == ["duplicate", "accepted"]
    _story(house, placed, "pending_payment", "payment_opened", "paid", "delivered", "payment_duplicate")
    assert len(house.cards(placed)) == 1
    refused = house.act(placed, "payments", {"channel": "epay"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_payable")


def test_a_short_payment_is_topped_up(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    house.says(placed, status=1, money="4.00")
    wait_until(lambda: _payments(house.view(placed)) == ["short"], lambda: str(house.view(placed)))
    order = house.view(placed)
    assert (order["status"], order["payments"][0]["paid"]["minor"]) == ("pending_payment", 400)
    rest = ok(house.act(placed, "payments", {"channel": "epay"}))
    assert rest["amount"] == {"minor": 590, "currency": "CNY"}
    house.pay(rest)
    assert _payments(house.until(placed, "delivered")) == ["short", "accepted"]


def test_who_pays_too_much_gets_the_card_and_the_surplus_is_seen(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    house.says(placed, status=1, money="19.90")
    order = house.until(placed, "delivered")
    assert (_payments(order), order["payments"][0]["paid"]["minor"]) == (["surplus"], 1990)


# ---- money that is late ----


def test_money_after_the_closing_buys_a_card_that_is_left(hasty: House) -> None:
    sku, codes = hasty.product(1)
    placed = hasty.placed(sku)
    hasty.until(placed, "closed")
    hasty.pay(placed)
    hasty.until(placed, "delivered", "completed")
    assert hasty.cards(placed) == codes
    _story(hasty, placed, "pending_payment", "closed", "paid", "delivered", "completed")
    names = [name for name, _ in _executions(hasty, placed)]
    assert names == [placed["trade_id"], f"{placed['trade_id']}-1"]


def test_late_money_without_stock_waits_and_is_served_first_the_oldest_first(hasty: House) -> None:
    sku, _ = hasty.product(1)
    late = []
    for _ in range(2):  # the one card goes from one to the other, and then to somebody else
        late.append(hasty.placed(sku))
        hasty.until(late[-1], "closed")
        wait_until(lambda: _stock(hasty, sku) == 1, lambda: f"{_stock(hasty, sku)} for sale")
    buyer = hasty.placed(sku)
    hasty.pay(buyer)
    hasty.until(buyer, "delivered", "completed")
    for placed in reversed(late):
        hasty.pay(placed)
        hasty.until(placed, "awaiting_stock")
    (first,) = _load(hasty, sku, 1)
    hasty.until(late[0], "delivered", "completed")
    assert hasty.cards(late[0]) == [first], "the oldest order, though it paid last"
    assert hasty.view(late[1])["status"] == "awaiting_stock"
    assert _stock(hasty, sku) == 0, "it was never for sale"
    second = _load(hasty, sku, 2)
    hasty.until(late[1], "delivered", "completed")
    assert set(hasty.cards(late[1])) < set(second)
    wait_until(lambda: _stock(hasty, sku) == 1, lambda: f"{_stock(hasty, sku)} for sale")
    for placed in late:
        _story(hasty, placed, "pending_payment", "closed", "awaiting_stock", "delivered", "completed")


# ---- a provider that is silent, or down ----


def test_a_payment_whose_notice_never_came_is_found_when_the_window_ends(hasty: House) -> None:
    """The provider is asked before the cards go back."""
    sku, codes = hasty.product(1)
    placed = hasty.placed(sku)
    hasty.pay(placed, notify=False)
    hasty.until(placed, "delivered", "completed")
    assert hasty.cards(placed) == codes


def test_a_lost_notice_is_made_good_within_two_runs_of_reconcile(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    house.make_due(placed["trade_id"])
    runs = [house.reconcile() for _ in range(2)]
    assert sum(run.get("settled", 0) for run in runs) >= 1
    house.until(placed, "delivered")
    assert not incidents(house, placed)
    house.says(placed)  # the notice comes after all
    wait_until(lambda: house.messages(house.outputs["NoticesQueue"]) == 0, lambda: "the queue is not empty")
    assert house.view(placed)["version"] == 3, "and changes nothing"


def test_a_provider_that_is_down_closes_nothing_and_loses_nothing(hasty: House) -> None:
    sku, _ = hasty.product(2)
    paid, unpaid = hasty.placed(sku), hasty.placed(sku)
    hasty.pay(paid, notify=False)
    with hasty.outage(query=True):
        wait_until(lambda: hasty.view(unpaid)["expires_at"] < _now(), lambda: "the window is long")
        hasty.make_due(paid["trade_id"])
        assert hasty.reconcile()["unanswered"] >= 1
        assert {hasty.view(each)["status"] for each in (paid, unpaid)} == {"pending_payment"}
    for each in (paid, unpaid):
        hasty.make_due(each["trade_id"])
    hasty.reconcile()
    hasty.until(paid, "delivered", "completed")
    hasty.until(unpaid, "closed")


def test_an_order_placed_while_the_provider_is_down_is_payable_later(house: House) -> None:
    sku, _ = house.product(1)
    with house.outage(submit=True):
        placed = house.placed(sku)
        with pytest.raises(Exception, match="no form"):
            house.pay(placed)
    again = ok(house.act(placed, "payments", {"channel": "epay"}))
    house.pay(again)
    house.until(placed, "delivered")


# ---- executions that somebody stopped ----


def test_a_stopped_execution_is_replaced_and_the_trade_ends(hasty: House) -> None:
    sku, _ = hasty.product(2)
    unpaid, paid = hasty.placed(sku), hasty.placed(sku)
    states = hasty.aws("stepfunctions")
    for placed in (unpaid, paid):
        arn = f"{hasty.outputs['StateMachineArn'].replace(':stateMachine:', ':execution:')}:{placed['trade_id']}"
        wait_until(partial(_executions, hasty, placed), lambda: "not started")
        states.stop_execution(executionArn=arn)
    hasty.pay(paid)
    hasty.until(paid, "delivered", "completed")
    hasty.reconcile()
    assert _executions(hasty, unpaid)[-1][0] in {f"{unpaid['trade_id']}-1", unpaid["trade_id"]}
    wait_until(lambda: _closed_by_somebody(hasty, unpaid), lambda: str(hasty.view(unpaid)))
    hasty.until(paid, "completed")


def test_reconcile_twice_changes_nothing(house: House) -> None:
    sku, _ = house.product(3)
    unpaid, paid = house.placed(sku), house.placed(sku)
    house.pay(paid)
    house.until(paid, "delivered")
    house.make_due(unpaid["trade_id"])
    house.reconcile()
    before = {item["trade_id"]["S"]: item for item in house.items("Orders")}
    house.reconcile()
    after = {item["trade_id"]["S"]: item for item in house.items("Orders")}
    for placed in (unpaid, paid):
        assert after[placed["trade_id"]] == before[placed["trade_id"]]
    ok(house.act(unpaid, "cancel"))
    house.until(unpaid, "closed")


# ---- the operator sees ----


def test_an_operator_sees_what_is_under_way_and_one_trades_story(house: House) -> None:
    sku, _ = house.product(3)
    placed = [house.placed(sku) for _ in range(3)]
    seen: dict[str, dict[str, Any]] = {}
    after: str | None = ""
    while after is not None:
        query = {"limit": "2", "status": "pending_payment", **({"after": after} if after else {})}
        page = ok(house.api.get("/admin/orders", headers=house.operator, params=query))
        seen |= {order["trade_id"]: order for order in page["orders"]}
        after = page.get("next")
    assert {each["trade_id"] for each in placed} <= seen.keys()
    assert {order["status"] for order in seen.values()} == {"pending_payment"}
    story = ok(house.api.get(f"/admin/orders/{placed[0]['trade_id']}", headers=house.operator))
    assert (story["status"], story["incidents"]) == ("pending_payment", [])
    assert house.api.get("/admin/orders").status_code == 401
    for each in placed:
        ok(house.act(each, "cancel"))
        house.until(each, "closed")


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _closed_by_somebody(house: House, placed: dict[str, Any]) -> bool:
    house.make_due(placed["trade_id"])
    house.reconcile()
    return bool(house.view(placed)["status"] == "closed")
