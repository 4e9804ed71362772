"""GET /admin/orders and /admin/orders/{trade_id}."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import RefundState
from cardshop.ports import Incident

from tests.adapters.cloud import items
from tests.domain.builders import (
    BUYER,
    NOW,
    PAYMENT_ID,
    SKU,
    TRADE_ID,
    cards,
    delivered,
    paid,
    placed,
    refund_told,
    refunding,
)
from tests.functions.deployed import Answer, Deployed
from tests.functions.samples import Event, sample, with_trade

UNDER_WAY, STORY = sample("inspect_trades/under_way"), sample("inspect_trades/one_story")
SECRET = {"password", "fingerprint", "email", "task_token", "due_at"}


def asking(**query: str) -> Event:
    """The sample with this query instead of its own."""
    multi = {name: [value] for name, value in query.items()}
    return {**UNDER_WAY, "queryStringParameters": query or None, "multiValueQueryStringParameters": multi or None}


def ask(shop: Deployed, **query: str) -> Answer:
    return shop.call("inspect_trades", shop.as_operator(asking(**query)))


def another(letter: str) -> Order:
    trade_id = letter * 26
    return placed(trade_id=trade_id, held=cards(1, batch=f"batch-{letter}"))


def told(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [order["trade_id"] for order in answer.json["orders"]]


# ---- under way ----


def test_an_operator_sees_the_trades_that_are_not_over(shop: Deployed) -> None:
    shop.order(placed())
    shop.order(another("a"), paid)
    shop.order(another("b"), paid, delivered)
    shop.order(another("c"), paid, delivered, lambda order: order.completed(NOW))
    answer = ask(shop)
    assert sorted(told(answer)) == ["a" * 26, "b" * 26, TRADE_ID]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "next" not in answer.json
    (order,) = [order for order in answer.json["orders"] if order["trade_id"] == TRADE_ID]
    price = {"minor": 990, "currency": "CNY"}
    assert (order["status"], order["version"], order["amount"], order["terminal"]) == (
        "pending_payment",
        1,
        price,
        "pc",
    )
    assert order["payments"] == [{"payment_id": PAYMENT_ID, "channel": "epay", "state": "open", "amount": price}]
    assert (order["created_at"], order["expires_at"]) == ("2025-11-22T08:26:40.000Z", "2025-11-22T08:56:40.000Z")
    assert not (SECRET | {"cards"}) & order.keys()
    assert order["tasks"] == []


def test_those_of_one_status_are_picked_out(shop: Deployed) -> None:
    shop.order(placed())
    shop.order(another("a"), paid)
    assert told(shop.call("inspect_trades", shop.as_operator(UNDER_WAY))) == [TRADE_ID]
    assert told(ask(shop, status="paid")) == ["a" * 26]
    assert told(ask(shop, status="refunding")) == []


@pytest.mark.parametrize("query", [{}, {"status": "paid"}])
def test_page_by_page_every_trade_is_seen_once(shop: Deployed, query: dict[str, str]) -> None:
    """A page of those that are picked out may be short, or empty, and still tell where to go on."""
    for letter in "abcde":
        shop.order(another(letter), *[paid] * (letter in "bd"))
    seen, after = list[str](), dict[str, str]()
    for _ in range(9):
        answer = ask(shop, limit="1", **query, **after)
        seen += told(answer)
        if "next" not in answer.json:
            break
        after = {"after": answer.json["next"]}
    assert seen == [letter * 26 for letter in ("bd" if query else "abcde")]


def test_no_trade_under_way_is_an_empty_list(shop: Deployed) -> None:
    answer = ask(shop)
    assert (answer.status, answer.json) == (200, {"orders": []})


WRONG: list[dict[str, str]] = [
    *[{"limit": limit} for limit in ("0", "101", "-1", "1.5", "x", "", "٣", "1e1", "9" * 5000)],
    *[{"after": after} for after in ("", "x", TRADE_ID, f"1.{TRADE_ID.upper()}", f"-1.{TRADE_ID}", f"1.{TRADE_ID}\n")],
    *[{"status": status} for status in ("", "sold", "PAID")],
    *[{"tasks": tasks} for tasks in ("", "none", "OPEN", "1")],
]


def test_a_query_of_another_shape_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = ask(shop, **wrong)
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))


def test_the_list_is_the_operators_alone(shop: Deployed) -> None:
    shop.order(placed())
    for event in (UNDER_WAY, shop.as_holder(UNDER_WAY)):
        assert shop.call("inspect_trades", event).is_problem(401, "unauthorized")


# ---- one story ----


def test_an_operator_sees_one_trades_whole_story(shop: Deployed) -> None:
    shop.invoke("record_events", sample("record_events/placed_and_paid"))
    shop.order(replace(placed(), email="buyer@example.com"), paid, delivered)
    DynamoTimeline().note(Incident(TRADE_ID, "denied", "epay", PAYMENT_ID, NOW, "0123456789ab", "epay: 990 CNY"))
    before = items("OrdersTable")
    answer = shop.call("inspect_trades", shop.as_operator(STORY))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    body: dict[str, Any] = answer.json
    assert (body["trade_id"], body["status"], body["version"]) == (TRADE_ID, "delivered", 3)
    assert [each["what"] for each in body["timeline"]] == ["pending_payment", "paid", "delivered"]
    assert body["timeline"][0]["address"] == "203.0.113.7"
    assert body["incidents"] == [
        {
            "kind": "denied",
            "channel": "epay",
            "payment_id": PAYMENT_ID,
            "at": "2025-11-22T08:26:40.000Z",
            "detail": "epay: 990 CNY",
        }
    ]
    assert not SECRET & body.keys()
    (card,) = cards(1)
    assert body["cards"] == [{"card_id": card.card_id, "sku": SKU, "state": "given"}]
    assert body["tasks"] == []
    assert items("OrdersTable") == before, "looking leaves no trace on the order"


def _revealed(order: Order) -> Order:
    return order.revealed(NOW, BUYER)


def _charged_back(order: Order) -> Order:
    return order.charged_back(PAYMENT_ID, NOW)


def _done(order: Order) -> Order:
    return refund_told(order, RefundState.DONE)


def _gone(order: Order) -> Order:
    return order.gone(NOW)


#: What happened → what an operator reads of the order's card.
CARDS: dict[str, tuple[list[Callable[[Order], Order]], list[str]]] = {
    "unpaid": ([], ["held"]),
    "cancelled": ([lambda order: order.failed(NOW, BUYER)], ["held"]),
    "closed": ([lambda order: order.closed(NOW)], []),
    "paid": ([paid], ["given"]),
    "delivered": ([paid, delivered], ["given"]),
    "read": ([paid, delivered, _revealed], ["revealed"]),
    "read, and charged back": ([paid, delivered, _revealed, _charged_back], ["forfeited"]),
    "charged back, and not read": ([paid, delivered, _charged_back], ["given"]),
    "read, charged back and reinstated": (
        [paid, delivered, _revealed, _charged_back, lambda order: order.reinstated(PAYMENT_ID, NOW)],
        ["revealed"],
    ),
    "read, and refunding": ([paid, delivered, _revealed, refunding], ["revealed"]),
    "read, and refunded": ([paid, delivered, _revealed, refunding, _done, _gone], ["forfeited"]),
    "refunded, and not read": ([paid, delivered, refunding, _done, _gone], []),
}


@pytest.mark.parametrize("what", list(CARDS))
def test_an_operator_sees_which_cards_went_out_for_money_that_is_gone(shop: Deployed, what: str) -> None:
    changes, expected = CARDS[what]
    shop.order(placed(), *changes)
    story = shop.call("inspect_trades", shop.as_operator(STORY))
    assert [each["state"] for each in story.json["cards"]] == expected


# ---- tasks ----


def _surplus(order: Order) -> Order:
    return order.settled(order.payments[0].payment_id, Money(1000, "CNY"), None, NOW)


def test_trades_with_a_task_are_picked_out_and_say_which(shop: Deployed) -> None:
    shop.order(another("a"), paid)
    shop.order(another("b"), _surplus)
    shop.order(another("c"), paid, refunding, lambda order: refund_told(order, RefundState.REFUSED))
    assert told(ask(shop)) == ["a" * 26, "b" * 26, "c" * 26]
    answer = ask(shop, tasks="open")
    assert [(order["trade_id"][0], order["tasks"]) for order in answer.json["orders"]] == [
        ("b", [{"payment_id": f"{'b' * 26}01", "task": "decide_on_surplus"}]),
        ("c", [{"payment_id": f"{'c' * 26}01", "task": "refund_by_hand"}]),
    ]
    assert told(ask(shop, tasks="any")) == told(ask(shop))
    assert told(ask(shop, tasks="open", status="paid")) == ["b" * 26, "c" * 26]


def test_a_task_of_a_trade_that_is_over_is_found_all_the_same(shop: Deployed) -> None:
    """Else its money would be nobody's."""
    shop.order(placed(), _surplus, delivered, lambda order: order.completed(NOW))
    assert told(ask(shop, tasks="open")) == [TRADE_ID]
    story = shop.call("inspect_trades", shop.as_operator(STORY)).json
    assert story["tasks"] == [{"payment_id": PAYMENT_ID, "task": "decide_on_surplus"}]


@pytest.mark.parametrize("trade_id", ["a" * 26, "1", "x" * 3000, TRADE_ID.upper()])
def test_a_trade_that_is_not_there_is_not_found(shop: Deployed, trade_id: str) -> None:
    shop.order(placed())
    answer = shop.call("inspect_trades", shop.as_operator(with_trade(STORY, trade_id)))
    assert answer.is_problem(404, "not_found")
