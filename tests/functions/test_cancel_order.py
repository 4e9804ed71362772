"""POST /orders/{trade_id}/cancel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cardshop.adapters.aws import client
from cardshop.domain.order import Order
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items
from tests.domain.builders import BUYER, NOW, SKU, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import sample, with_body

CANCEL = sample("cancel_order/by_holder")


def test_a_cancelled_order_is_on_its_way_to_be_closed(shop: Deployed, waiting: Waiting, logs: Logs) -> None:
    order = shop.order(placed())
    shop.wait_with("token")
    waiting.add("token")
    answer = shop.call("cancel_order", shop.as_holder(CANCEL))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json == {"trade_id": TRADE_ID, "status": "payment_failed"}
    after = shop.stored()
    assert (after.status, after.version, after.cards) == (Status.PAYMENT_FAILED, 2, order.cards)
    actor = after.last_change.actor
    assert (actor.by, actor.terminal, actor.device, actor.address) == ("buyer", "mobile", "device-2", "203.0.113.7")
    assert waiting.failed == [("token", "PaymentFailed")], "the machine goes on, and closes it"
    assert executions(shop.machine) == []
    assert any(line.get("trade_id") == TRADE_ID for line in logs.lines)


def test_a_request_that_tells_nothing_is_one_from_the_tokens_terminal(shop: Deployed) -> None:
    shop.order(placed())
    assert shop.call("cancel_order", shop.as_holder(with_body(CANCEL, b""))).status == 200
    assert shop.stored().last_change.actor.terminal == "pc"


@pytest.mark.parametrize("token", [None, "gone"], ids=["the machine has not begun", "nothing waits any more"])
def test_an_order_that_nothing_waits_for_is_driven_by_a_new_execution(
    shop: Deployed, waiting: Waiting, token: str | None
) -> None:
    shop.order(placed())
    if token:
        shop.wait_with(token)
    assert shop.call("cancel_order", shop.as_holder(CANCEL)).status == 200
    assert executions(shop.machine) == [TRADE_ID]


def test_cancelling_again_is_no_error_and_changes_nothing(shop: Deployed) -> None:
    shop.order(placed())
    first, again = (shop.call("cancel_order", shop.as_holder(CANCEL)) for _ in range(2))
    assert (again.status, again.json) == (200, first.json)
    assert shop.stored().version == 2
    assert executions(shop.machine) == [TRADE_ID]


def test_an_order_that_is_closed_already_is_answered_as_closed(shop: Deployed) -> None:
    order = shop.order(placed(), lambda order: order.closed(NOW))
    answer = shop.call("cancel_order", shop.as_holder(CANCEL))
    assert (answer.status, answer.json["status"]) == (200, "closed")
    assert shop.stored() == order
    assert executions(shop.machine) == []


PAST_CANCELLING: dict[str, list[Callable[[Order], Order]]] = {
    "paid": [paid],
    "awaiting stock": [paid, lambda order: order.short_of_cards(NOW, SKU)],
    "delivered": [paid, delivered],
    "completed": [paid, delivered, lambda order: order.completed(NOW, BUYER)],
}


@pytest.mark.parametrize("status", list(PAST_CANCELLING))
def test_what_is_paid_is_not_cancelled(shop: Deployed, status: str) -> None:
    order = shop.order(placed(), *PAST_CANCELLING[status])
    answer = shop.call("cancel_order", shop.as_holder(CANCEL))
    assert answer.is_problem(409, "not_cancellable")
    assert shop.stored() == order
    assert executions(shop.machine) == []


def test_a_request_of_another_shape_is_refused_and_nothing_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(placed())
    before = items("OrdersTable")
    for wrong in (b'{"terminal": "fridge"}', b'{"device_id": ""}', b'{"reason": "late"}', b'{"terminal": 1}'):
        with subtests.test(wrong=wrong):
            answer = shop.call("cancel_order", shop.as_holder(with_body(CANCEL, wrong)))
            assert answer.is_problem(422, "unprocessable")
    assert items("OrdersTable") == before


def test_a_machine_that_cannot_be_reached_is_told_at_the_next_try(shop: Deployed, waiting: Waiting) -> None:
    """The cancellation is written, and the same request again does the rest."""
    shop.order(placed())
    shop.wait_with("token")
    waiting.refusal = "ThrottlingException"
    assert shop.call("cancel_order", shop.as_holder(CANCEL)).is_problem(503, "unavailable")
    assert shop.stored().status is Status.PAYMENT_FAILED
    waiting.add("token")
    assert shop.call("cancel_order", shop.as_holder(CANCEL)).status == 200
    assert waiting.failed == [("token", "PaymentFailed")]
    assert shop.stored().version == 2


def test_a_machine_that_is_gone_is_no_reason_to_lose_the_cancellation(shop: Deployed) -> None:
    client("stepfunctions").delete_state_machine(stateMachineArn=shop.machine)
    shop.order(placed())
    assert shop.call("cancel_order", shop.as_holder(CANCEL)).is_problem(503, "unavailable")
    assert shop.stored().status is Status.PAYMENT_FAILED
