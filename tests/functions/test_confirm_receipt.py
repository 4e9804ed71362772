"""POST /orders/{trade_id}/confirm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cardshop.domain.order import Order
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items
from tests.domain.builders import NOW, SKU, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import sample, with_body

CONFIRM = sample("confirm_receipt/by_holder")


def test_a_buyer_who_confirms_completes_the_trade(shop: Deployed, waiting: Waiting, logs: Logs) -> None:
    order = shop.order(placed(), paid, delivered)
    shop.wait_with("token")
    waiting.add("token")
    answer = shop.call("confirm_receipt", shop.as_holder(CONFIRM))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json == {"trade_id": TRADE_ID, "status": "completed"}
    after = shop.stored()
    assert (after.status, after.version, after.cards, after.due_at) == (Status.COMPLETED, 4, order.cards, None)
    actor = after.last_change.actor
    assert (actor.by, actor.terminal, actor.device, actor.address) == ("buyer", "mobile", "device-2", "203.0.113.7")
    assert waiting == set(), "the machine goes on, and ends"
    assert any(line.get("trade_id") == TRADE_ID for line in logs.lines)


@pytest.mark.parametrize("token", [None, "gone"], ids=["the machine is on its way", "nothing waits any more"])
def test_a_trade_that_is_complete_needs_nobody_to_drive_it(shop: Deployed, waiting: Waiting, token: str | None) -> None:
    shop.order(placed(), paid, delivered)
    if token:
        shop.wait_with(token)
    assert shop.call("confirm_receipt", shop.as_holder(CONFIRM)).status == 200
    assert shop.stored().status is Status.COMPLETED
    assert executions(shop.machine) == []


def test_a_request_that_tells_nothing_is_one_from_the_tokens_terminal(shop: Deployed) -> None:
    shop.order(placed(), paid, delivered)
    assert shop.call("confirm_receipt", shop.as_holder(with_body(CONFIRM, b""))).status == 200
    assert shop.stored().last_change.actor.terminal == "pc"


def test_confirming_again_is_no_error_and_changes_nothing(shop: Deployed) -> None:
    shop.order(placed(), paid, delivered)
    first, again = (shop.call("confirm_receipt", shop.as_holder(CONFIRM)) for _ in range(2))
    assert (again.status, again.json) == (200, first.json)
    assert shop.stored().version == 4


def test_a_machine_that_cannot_be_reached_is_told_at_the_next_try(shop: Deployed, waiting: Waiting) -> None:
    shop.order(placed(), paid, delivered)
    shop.wait_with("token")
    waiting.refusal = "ThrottlingException"
    assert shop.call("confirm_receipt", shop.as_holder(CONFIRM)).is_problem(503, "unavailable")
    assert shop.stored().status is Status.COMPLETED
    waiting.add("token")
    assert shop.call("confirm_receipt", shop.as_holder(CONFIRM)).status == 200
    assert waiting == set()


BEFORE_DELIVERY: dict[str, list[Callable[[Order], Order]]] = {
    "unpaid": [],
    "paid": [paid],
    "awaiting stock": [paid, lambda order: order.short_of_cards(NOW, SKU)],
    "closed": [lambda order: order.closed(NOW)],
}


@pytest.mark.parametrize("status", list(BEFORE_DELIVERY))
def test_what_is_not_delivered_is_not_confirmed(shop: Deployed, status: str) -> None:
    order = shop.order(placed(), *BEFORE_DELIVERY[status])
    answer = shop.call("confirm_receipt", shop.as_holder(CONFIRM))
    assert answer.is_problem(409, "not_delivered")
    assert shop.stored() == order


def test_a_request_of_another_shape_is_refused_and_nothing_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(placed(), paid, delivered)
    before = items("OrdersTable")
    for wrong in (b'{"terminal": "fridge"}', b'{"device_id": ""}', b'{"stars": 5}', b'{"terminal": 1}'):
        with subtests.test(wrong=wrong):
            answer = shop.call("confirm_receipt", shop.as_holder(with_body(CONFIRM, wrong)))
            assert answer.is_problem(422, "unprocessable")
    assert items("OrdersTable") == before
