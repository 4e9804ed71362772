"""GET /orders/{trade_id}."""

from __future__ import annotations

import pytest
from cardshop.adapters.orders import DynamoOrders

from tests.domain.builders import PAYMENT_ID, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import Deployed
from tests.functions.samples import sample, with_header

ORDER = sample("view_order/order")


def test_the_holder_sees_the_order_and_its_story(shop: Deployed) -> None:
    shop.invoke("record_events", sample("record_events/placed_and_paid"))
    shop.order(delivered())
    answer = shop.call("view_order", shop.as_holder(ORDER))
    assert (answer.status, answer.headers["ETag"]) == (200, '"3"')
    assert answer.headers["Cache-Control"] == "private, no-cache"
    body = answer.json
    price = {"minor": 990, "currency": "CNY"}
    assert (body["trade_id"], body["status"], body["version"], body["amount"]) == (TRADE_ID, "delivered", 3, price)
    assert body["items"] == [{"sku": "steam-50", "name": "Steam 50 元", "quantity": 1, "price": price}]
    assert body["payments"] == [
        {"payment_id": PAYMENT_ID, "channel": "epay", "state": "accepted", "amount": price, "paid": price}
    ]
    assert (body["created_at"], body["expires_at"]) == ("2025-11-22T08:26:40.000Z", "2025-11-22T08:56:40.000Z")
    assert [(each["version"], each["what"], each["by"]) for each in body["timeline"]] == [
        (1, "pending_payment", "buyer"),
        (2, "paid", "provider"),
        (3, "delivered", "shop"),
    ]
    assert body["timeline"][0]["address"] == "203.0.113.7"
    assert not {"cards", "password", "fingerprint", "email"} & body.keys()


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_an_order_that_did_not_change_is_not_sent_again(shop: Deployed, known: str) -> None:
    shop.order(placed())
    answer = shop.call("view_order", with_header(shop.as_holder(ORDER), "If-None-Match", known))
    assert (answer.status, answer.text, answer.headers["ETag"]) == (304, "", '"1"')


@pytest.mark.parametrize("known", ['"0"', "1", "junk", ""])
def test_an_order_that_changed_is_sent(shop: Deployed, known: str) -> None:
    shop.order(placed())
    assert shop.call("view_order", with_header(shop.as_holder(ORDER), "If-None-Match", known)).status == 200


def test_a_change_makes_a_new_tag(shop: Deployed) -> None:
    shop.invoke("record_events", sample("record_events/placed_and_paid"))
    order = shop.order(placed())
    DynamoOrders().record(order, paid(order))
    answer = shop.call("view_order", with_header(shop.as_holder(ORDER), "If-None-Match", '"1"'))
    assert (answer.status, answer.headers["ETag"], answer.json["status"]) == (200, '"2"', "paid")


def test_an_answer_that_lacks_a_change_is_replaced_once_the_timeline_has_it(shop: Deployed) -> None:
    """A browser asks with the tag of what it keeps: a timeline is written a moment after its order."""
    order = shop.order(placed())
    DynamoOrders().record(order, paid(order))
    early = shop.call("view_order", shop.as_holder(ORDER))
    assert [each["version"] for each in early.json["timeline"]] == [2]
    again = with_header(shop.as_holder(ORDER), "If-None-Match", early.headers["ETag"])
    assert shop.call("view_order", again).status == 304
    shop.invoke("record_events", sample("record_events/placed_and_paid"))
    whole = shop.call("view_order", again)
    assert (whole.status, whole.headers["ETag"], len(whole.json["timeline"])) == (200, '"2"', 2)
