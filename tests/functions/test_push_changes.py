"""Orders stream → terminals: what they are told, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from cardshop.adapters.clock import clock
from cardshop.adapters.connections import DynamoConnections
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.tables import OrderItem, PaymentMap, RefundMap
from cardshop.api.http import rfc3339
from cardshop.domain.connection import SHOP_FEED, Connection, Ticket
from cardshop.domain.order import Order
from cardshop.domain.payment import RefundState
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.attributes import Attribute, ListAttribute, NumberAttribute, UnicodeAttribute

from functions import push_changes
from tests.adapters.cloud import items, messages
from tests.adapters.gateway import Gateway, running
from tests.domain.builders import BUYER, NOW, SKU, TRADE_ID, delivered, paid, placed, refund_told, refunding
from tests.e2e.terminal import Terminal
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import Event, sample

PAID, AGAIN = sample("push_changes/paid"), sample("push_changes/again")


@pytest.fixture
def gateway(shop: Deployed) -> Iterator[Gateway]:
    with running() as gateway:
        shop.variables["PUSH_URL"] = gateway.url
        yield gateway


def listen(name: str, feed: str = TRADE_ID, *, minutes_ago: int = 1) -> None:
    at = clock() - minutes_ago * 60_000
    DynamoConnections().save(Connection.kept(Ticket.new(feed), None, at).opened(name, at))


def record(image: dict[str, Any], old: dict[str, Any] | None = None) -> Event:
    (like,) = PAID["Records"]
    images = {"NewImage": image} if old is None else {"NewImage": image, "OldImage": old}
    kept = {name: value for name, value in like["dynamodb"].items() if not name.endswith("Image")}
    return {**like, "eventName": "INSERT" if old is None else "MODIFY", "dynamodb": {**kept, **images}}


# ---- what is told ----

HISTORIES: dict[str, list[Callable[[Order], Order]]] = {
    "placed": [],
    "paid": [paid],
    "delivered": [paid, delivered],
    "read": [paid, delivered, lambda order: order.revealed(NOW + 3000, BUYER)],
    "another payment": [lambda order: order.reopened("epay-wx", BUYER, NOW + 500)],
    "awaiting stock": [paid, lambda order: order.short_of_cards(NOW + 2000, SKU)],
    "refunded": [paid, delivered, refunding, lambda order: refund_told(order, RefundState.DONE)],
    "closed": [lambda order: order.closed(NOW + 2000)],
}


@pytest.mark.parametrize("history", list(HISTORIES))
def test_a_terminal_is_told_what_the_holder_would_read(shop: Deployed, gateway: Gateway, history: str) -> None:
    listen("pc")
    shop.order(placed(), *HISTORIES[history])
    (image,) = items("OrdersTable")
    shop.invoke("push_changes", {"Records": [record(image)]})
    read = shop.call("view_order", shop.as_holder(sample("view_order/order"))).json
    timeline = read.pop("timeline")
    assert gateway.sent["pc"] == [
        {
            "trade_id": TRADE_ID,
            "version": read["version"],
            "status": read["status"],
            "change": timeline[-1],
            "order": read,
        }
    ]


#: What GET /orders/{trade_id} shows; every other attribute, of today's or to come, is nobody's business.
_SHOWN = {
    OrderItem: {
        "trade_id",
        "status",
        "version",
        "lines",
        "currency",
        "minor",
        "payments",
        "terminal",
        "created_at",
        "expires_at",
        "change",
    },
    PaymentMap: {"payment_id", "channel", "minor", "state", "paid_minor", "paid_currency", "refunds"},
    RefundMap: {"refund_id", "minor", "currency", "state", "by"},
}
_MARKS = st.text("0123456789abcdef", min_size=16, max_size=16)


def _secret(attribute: Attribute[Any], mark: str) -> tuple[dict[str, Any], str]:
    """A value of this kind that nothing else has, as it is stored and as it would show."""
    if isinstance(attribute, NumberAttribute):
        number = 1_900_000_000_000 + int(mark[:9], 16)
        return {"N": str(number)}, str(number)
    if isinstance(attribute, ListAttribute):
        return {"L": [{"S": f"steam-50#{mark}#0/{mark}"}]}, mark
    if isinstance(attribute, UnicodeAttribute):
        return {"S": mark}, mark
    return {"BOOL": True}, mark


#: Of these the store takes only its own words.
_WORDS = {"was": "accepted", "refunding_from": "delivered", "state": "done"}


@given(st.data())
def test_nothing_else_of_an_order_is_ever_told(data: st.DataObject) -> None:
    """Given a secret in every attribute that the holder does not see, those included that nobody knows yet."""
    (like,) = PAID["Records"]
    image = json.loads(json.dumps(like["dynamodb"]["NewImage"]))
    refund = {
        "id": {"S": "r01"},
        "minor": {"N": "1"},
        "currency": {"S": "CNY"},
        "state": {"S": "done"},
        "by": {"S": "shop"},
    }
    payment = image["payments"]["L"][0]["M"]
    payment["refunds"] = {"L": [{"M": refund}]}
    hidden = []
    for model, stored in ((OrderItem, image), (PaymentMap, payment), (RefundMap, refund)):
        for name, attribute in model.get_attributes().items():
            if name in _SHOWN[model]:
                continue
            value, shows = _secret(attribute, data.draw(_MARKS))
            stored[attribute.attr_name] = {"S": _WORDS[name]} if name in _WORDS else value
            hidden += [] if name in _WORDS else [shows]
            if "N" in value:
                hidden.append(rfc3339(int(shows)))
        mark = data.draw(_MARKS)
        stored[f"new_{data.draw(st.text('abc', min_size=1))}"] = {"S": mark}
        hidden.append(mark)
    message = push_changes.read(DynamoDBRecord(record(image)))
    told = json.dumps(message)
    assert [each for each in hidden if each in told] == []
    assert message is not None
    assert message["order"]["payments"][0]["refunds"][0]["refund_id"] == "r01"


def test_writing_the_task_token_is_no_change(shop: Deployed, gateway: Gateway) -> None:
    listen("pc")
    shop.invoke("push_changes", {"Records": sample("record_events/placed_and_paid")["Records"]})
    assert [(each["version"], each["status"]) for each in gateway.sent["pc"]] == [(1, "pending_payment"), (2, "paid")]


# ---- to whom ----


def test_the_trades_terminals_and_the_operators_hear_of_it(shop: Deployed, gateway: Gateway, logs: Logs) -> None:
    listen("pc")
    listen("phone")
    listen("board", SHOP_FEED)
    listen("stranger", "a" * 26)
    shop.invoke("push_changes", PAID)
    assert gateway.sent.keys() == {"pc", "phone", "board"}
    assert gateway.sent["pc"] == gateway.sent["board"]
    (line,) = [each for each in logs.lines if each["message"] == "pushed"]
    assert (line["trade_ids"], line["told"]) == ([TRADE_ID], 3)


def test_who_is_gone_is_forgotten_and_who_breaks_is_closed(shop: Deployed, gateway: Gateway) -> None:
    for name in ("gone", "broken", "silent", "phone"):
        listen(name)
    gateway.gone.add("gone")
    gateway.broken["broken"] = (500, "InternalServerError")
    gateway.silent.add("silent")
    shop.invoke("push_changes", PAID)
    assert gateway.sent.keys() == {"phone"}
    assert sorted(gateway.closed) == ["broken", "silent"]
    assert [each.connection_id for each in DynamoConnections().of(TRADE_ID, clock())] == ["phone"]
    assert messages(shop.retries) == []


def test_what_could_be_neither_told_nor_closed_is_put_aside_and_told_from_there(
    shop: Deployed, gateway: Gateway
) -> None:
    listen("pc")
    there = shop.variables["PUSH_URL"]
    shop.variables["PUSH_URL"] = "http://127.0.0.1:9/ws"
    shop.invoke("push_changes", PAID)
    (aside,) = messages(shop.retries)
    assert len(DynamoConnections().of(TRADE_ID, clock())) == 1, "its terminal does not know that it is deaf"

    push_changes._push.cache_clear()
    shop.variables["PUSH_URL"] = there
    (like,) = AGAIN["Records"]
    assert json.loads(aside["Body"]) == json.loads(like["body"])
    again = {"Records": [{**like, "messageId": aside["MessageId"], "body": aside["Body"]}]}
    assert shop.invoke("push_changes", again) == {"batchItemFailures": []}
    assert [each["version"] for each in gateway.sent["pc"]] == [2]


def test_what_was_put_aside_is_told_as_often_as_it_comes(shop: Deployed, gateway: Gateway) -> None:
    listen("pc")
    for _ in range(2):
        assert shop.invoke("push_changes", AGAIN) == {"batchItemFailures": []}
    shop.invoke("push_changes", PAID)
    first, *others = gateway.sent["pc"]
    assert others == [first, first], "a terminal keeps the greatest version"


@pytest.mark.parametrize("seed", range(5))
def test_records_that_come_twice_and_in_any_order_show_a_terminal_the_same(
    shop: Deployed, gateway: Gateway, seed: int
) -> None:
    """It asks for nothing: whatever comes late, it takes each change once and keeps the latest state."""
    listen("pc")
    order = shop.order(placed())
    images = items("OrdersTable")
    for change in (paid, delivered, lambda order: order.revealed(NOW + 3000, BUYER)):
        before, order = order, change(order)
        DynamoOrders().record(before, order)
        images += items("OrdersTable")
    story = [record(image, old) for image, old in zip(images, [None, *images], strict=False)]
    records = random.Random(seed).sample(story * 2, 2 * len(story))
    terminal = Terminal()
    for batch in zip(records[::2], records[1::2], strict=True):
        shop.invoke("record_events", {"Records": list(batch)})
        shop.invoke("push_changes", {"Records": list(batch)})
    for message in gateway.sent["pc"]:
        terminal.pushed(message)
    seen = shop.call("view_order", shop.as_holder(sample("view_order/order"))).json
    assert [terminal.changes[version] for version in sorted(terminal.changes)] == seen.pop("timeline")
    assert terminal.order == seen
    assert terminal.versions == sorted(set(terminal.versions))
    assert len(gateway.sent["pc"]) > len(story), "some came twice"
