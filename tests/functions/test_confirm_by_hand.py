"""POST /admin/orders/{trade_id}/confirm-payment."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items
from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, placed
from tests.functions.deployed import Answer, Deployed, Logs
from tests.functions.samples import Event, sample, with_header, with_json, with_trade

CONFIRM = sample("confirm_by_hand/seen_there")
SECOND = f"{TRADE_ID}02"
CNY = {"minor": 990, "currency": "CNY"}


def confirm(shop: Deployed, event: Event = CONFIRM, **fields: Any) -> Answer:
    return shop.call("confirm_by_hand", shop.as_operator(with_json(event, **fields)))


def test_money_that_an_operator_has_seen_pays_for_the_order(shop: Deployed, waiting: Waiting, logs: Logs) -> None:
    shop.order(placed())
    shop.wait_with("token")
    waiting.add("token")
    answer = confirm(shop)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (answer.json["status"], answer.json["payments"][0]["paid"]) == ("paid", CNY)
    order = shop.stored()
    assert (order.status, order.version, order.last_change.actor.by) == (Status.PAID, 2, "operator")
    assert (order.payments[0].paid, order.payments[0].provider_ref) == (PRICE, "T1")
    assert waiting == set(), "its machine goes on"
    (noted,) = DynamoTimeline().incidents(TRADE_ID)
    assert (noted.kind, noted.payment_id, noted.channel) == ("confirmed_by_hand", PAYMENT_ID, "epay")
    assert noted.detail.startswith("alice, 990 CNY, number T1, 后台可见")
    assert any(line["message"] == "confirmed by hand" and line["operator"] == "alice" for line in logs.lines)


def test_the_same_request_again_changes_nothing(shop: Deployed) -> None:
    shop.order(placed())
    first, again = confirm(shop), confirm(shop)
    assert (again.status, again.json) == (200, first.json)
    assert (shop.stored().version, executions(shop.machine)) == (2, [TRADE_ID])


def test_a_closed_order_gets_a_card_of_those_for_sale(shop: Deployed) -> None:
    shop.stock("CODE-1")
    shop.order(placed(), lambda order: order.closed(NOW))
    assert confirm(shop).json["status"] == "paid"
    assert len(shop.stored().cards) == 1


def test_a_payment_and_an_amount_may_be_named(shop: Deployed) -> None:
    shop.order(placed(), lambda order: order.reopened("epay", BUYER, NOW))
    answer = confirm(shop, payment_id=PAYMENT_ID, amount={"minor": 500, "currency": "CNY"})
    assert (answer.json["status"], answer.json["due"]) == ("pending_payment", {"minor": 490, "currency": "CNY"})
    assert [each.state for each in shop.stored().payments] == [PaymentState.SHORT, PaymentState.OPEN]


@pytest.mark.parametrize("trade_id", ["a" * 26, "1", "x" * 3000, TRADE_ID.upper()])
def test_a_trade_that_is_not_there_is_not_found(shop: Deployed, trade_id: str) -> None:
    order = shop.order(placed())
    assert confirm(shop, with_trade(CONFIRM, trade_id)).is_problem(404, "not_found")
    assert confirm(shop, payment_id=SECOND).is_problem(404, "not_found")
    assert shop.stored() == order
    assert DynamoTimeline().incidents(TRADE_ID) == []


WRONG: list[dict[str, Any]] = [
    *[{"note": note} for note in (None, "", "x" * 501, 5)],
    *[{"provider_ref": ref} for ref in (None, "", "x" * 129, "a b", "号", 5)],
    *[{"amount": amount} for amount in (990, {**CNY, "minor": 0}, {**CNY, "minor": "990"}, {})],
    *[{"payment_id": payment} for payment in ("", "x" * 65, 5)],
    {"status": "paid"},
]


def test_a_request_of_another_shape_is_refused_and_nothing_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(placed())
    before = items("OrdersTable"), items("TimelineTable")
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = confirm(shop, **wrong)
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert (items("OrdersTable"), items("TimelineTable")) == before


def test_a_confirmation_is_the_operators_alone(shop: Deployed) -> None:
    order = shop.order(placed())
    for call in (CONFIRM, with_header(CONFIRM, "Authorization", None), shop.as_holder(CONFIRM)):
        assert shop.call("confirm_by_hand", call).is_problem(401, "unauthorized")
    assert shop.stored() == order
