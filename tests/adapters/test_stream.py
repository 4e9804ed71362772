"""A stream's records become work; what fails is put aside, and the rest is done all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.aws import client
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stream import (
    StreamConsumer,
    Work,
    change_of,
    changed_order,
    holdings_of,
    moved_card,
    new_trade,
    of_a_product,
)
from cardshop.adapters.tables import NOTE, PoolItem
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.errors import Unavailable
from cardshop.domain.holding import Holding, HoldingState

from tests.adapters.cloud import items, messages, queue, table_name
from tests.domain.builders import NOW, TRADE_ID, paid, placed
from tests.functions.samples import Event, records

POOL = "steam-50#Qm9p2sVtX7yLr4kEw0dZ3A#0"


def record(name: str, number: int = 0) -> DynamoDBRecord:
    return DynamoDBRecord(records(name)[number])


# ---- reading ----


def test_the_first_entry_of_a_timeline_is_a_trade_to_start() -> None:
    assert new_trade(record("start_trade/placed")) == {"trade_id": TRADE_ID}


@pytest.mark.parametrize("entry", ["EVENT#000002", "INCIDENT#denied#q3VbX0nT6mE9sWk2LrYd7A"])
def test_another_entry_begins_no_trade(entry: str) -> None:
    (later,) = records("start_trade/placed")
    later["dynamodb"]["NewImage"]["entry"] = {"S": entry}
    assert new_trade(DynamoDBRecord(later)) is None


def test_a_first_entry_that_is_written_over_begins_no_trade() -> None:
    (again,) = records("start_trade/placed")
    assert new_trade(DynamoDBRecord({**again, "eventName": "MODIFY"})) is None


def test_every_version_of_an_order_is_an_entry_of_its_story() -> None:
    """Read from the images, the changes are the very changes that the order had; each survives a queue."""
    works = [changed_order(record("record_events/placed_and_paid", number)) for number in (0, 2)]
    expected = [placed().last_change, paid(placed()).last_change]
    assert [change_of(json.loads(json.dumps(work))) for work in works] == expected
    assert [work["trade_id"] for work in works if work] == [TRADE_ID, TRADE_ID]


def holdings(name: str, number: int) -> list[Holding]:
    """What a record says of whose the cards are, once it has been through a queue."""
    work = changed_order(record(name, number))
    assert work is not None
    return holdings_of(json.loads(json.dumps(work)))


def changed(before: Event, **new: Any) -> Event:
    """The record of one more change of an order whose last image this is."""
    image = {**before["dynamodb"]["NewImage"], **new}
    image["version"] = {"N": str(int(image["version"]["N"]) + 1)}
    return {**before, "dynamodb": {**before["dynamodb"], "OldImage": before["dynamodb"]["NewImage"], "NewImage": image}}


HELD = Holding("steam-50", "Qm9p2sVtX7yLr4kEw0dZ3A", TRADE_ID, 1, 1, HoldingState.HELD)
SOLD = replace(HELD, version=2, state=HoldingState.SOLD)
PLACED, _, PAID = records("record_events/placed_and_paid")
DELIVERED = changed(PAID, status={"S": "delivered"})


def test_an_order_that_is_placed_holds_its_cards_and_one_that_is_paid_has_bought_them() -> None:
    assert holdings("record_events/placed_and_paid", 0) == [HELD]
    assert holdings("record_events/placed_and_paid", 2) == [SOLD]


@pytest.mark.parametrize(
    ("before", "status", "cards", "expected"),
    [
        (PLACED, "pending_payment", None, []),
        (PLACED, "payment_failed", None, []),
        (PLACED, "closed", [], [replace(HELD, version=2, cards=0, state=HoldingState.RELEASED)]),
        (PAID, "paid", None, []),
        (PAID, "delivered", None, []),
        (DELIVERED, "delivered", None, []),
        (DELIVERED, "completed", None, []),
        (PAID, "awaiting_stock", [], [replace(HELD, version=3, cards=0, state=HoldingState.RELEASED)]),
    ],
    ids=["pay again", "cancelled", "closed", "paid twice", "delivered", "revealed", "completed", "without cards"],
)
def test_a_change_tells_of_the_cards_that_it_moves_and_of_no_others(
    before: Event, status: str, cards: list[str] | None, expected: list[Holding]
) -> None:
    new: dict[str, Any] = {"status": {"S": status}}
    if cards is not None:
        new["cards"] = {"L": [{"S": card} for card in cards]}
    work = changed_order(DynamoDBRecord(changed(before, **new)))
    assert work is not None
    assert holdings_of(json.loads(json.dumps(work))) == expected


def test_cards_of_other_batches_than_before_are_told_of_batch_by_batch() -> None:
    """Late money: one card of the batch before is among the new ones, two are of another."""
    closed = changed(PLACED, status={"S": "closed"}, cards={"L": []})
    names = [f"steam-50#{batch}#0/{card}" for batch, card in (("b", "1"), ("b", "2"), ("Qm9p2sVtX7yLr4kEw0dZ3A", "3"))]
    late = changed(closed, status={"S": "paid"}, cards={"L": [{"S": name} for name in names]})
    work = changed_order(DynamoDBRecord(late))
    assert work is not None
    assert holdings_of(work) == [replace(SOLD, version=3), replace(SOLD, version=3, batch="b", cards=2)]


def test_a_task_token_written_on_an_order_is_no_change() -> None:
    assert changed_order(record("record_events/placed_and_paid", 1)) is None


def test_an_order_that_was_deleted_is_no_change() -> None:
    removed = records("record_events/placed_and_paid")[0]
    removed["eventName"] = "REMOVE"
    removed["dynamodb"]["OldImage"] = removed["dynamodb"].pop("NewImage")
    assert changed_order(DynamoDBRecord(removed)) is None


@pytest.mark.parametrize("case", ["sold", "returned"])
def test_a_card_that_left_or_came_back_names_its_pool(case: str) -> None:
    assert moved_card(record(f"count_stock/{case}")) == {"pool": POOL}


def test_the_pools_of_a_product_are_one_piece_of_work() -> None:
    works = [{"pool": pool} for pool in ("a#1#0", "b#1#0", "a#2#5", "no pool")]
    assert of_a_product(works) == [{"pools": ["a#1#0", "a#2#5"]}, {"pools": ["b#1#0"]}, {"pools": ["no pool"]}]


def test_the_sample_images_are_what_the_store_writes(cloud: None) -> None:
    """Given the order of the samples, placed and paid, its item is the image that the stream shows."""
    order = placed()
    for card in order.cards:
        PoolItem(card.pool.key, card.place, card_id=card.card_id).save()
    assert items("StockTable") == [records("count_stock/sold")[0]["dynamodb"]["OldImage"]]
    DynamoOrders().place(order, {"address": "J2mX0r3vQ5n8yT1bK7pW4A"})
    inserted, waiting, paid_for = (each["dynamodb"]["NewImage"] for each in records("record_events/placed_and_paid"))
    assert items("OrdersTable") == [inserted]
    DynamoTimeline().append(TRADE_ID, [order.last_change])
    assert items("TimelineTable") == [records("start_trade/placed")[0]["dynamodb"]["NewImage"]]
    client("dynamodb").update_item(
        TableName=table_name("OrdersTable"),
        Key={"trade_id": {"S": TRADE_ID}},
        UpdateExpression="SET task_token = :token, last_write = :note",
        ExpressionAttributeValues={":token": waiting["task_token"], ":note": {"S": NOTE}},
    )
    assert items("OrdersTable") == [waiting]
    DynamoOrders().record(order, paid(order))
    assert items("OrdersTable") == [paid_for]


# ---- doing ----


class Desk:
    """Does works, but for those it is told to fail at."""

    def __init__(self, fails: Callable[[Work], bool] = lambda _: False) -> None:
        self.fails = fails
        self.done: list[Work] = []

    def __call__(self, work: Work) -> None:
        if self.fails(work):
            raise RuntimeError("not now")
        self.done.append(work)


@pytest.fixture
def aside(cloud: None, monkeypatch: pytest.MonkeyPatch) -> str:
    url = queue("retries")
    monkeypatch.setenv("RETRY_QUEUE_URL", url)
    return url


def consume(some: list[Event], desk: Desk) -> Any:
    return StreamConsumer(changed_order, desk)({"Records": some}, LambdaContext())


def version(work: Work) -> int:
    return int(work["version"])


def test_every_change_is_done_in_sequence_and_nothing_put_aside(aside: str) -> None:
    desk = Desk()
    assert consume(records("record_events/placed_and_paid"), desk) == {}
    assert [version(work) for work in desk.done] == [1, 2]
    assert messages(aside) == []


def test_a_record_delivered_twice_in_one_batch_is_done_once(aside: str) -> None:
    desk = Desk()
    consume(records("record_events/placed_and_paid") * 2, desk)
    assert [version(work) for work in desk.done] == [1, 2]


def test_what_fails_is_put_aside_and_the_rest_is_done(aside: str) -> None:
    """The shard goes on: its other trades do not wait behind one that fails."""
    desk = Desk(fails=lambda work: version(work) == 1)
    assert consume(records("record_events/placed_and_paid"), desk) == {}
    assert [version(work) for work in desk.done] == [2]
    (message,) = messages(aside)
    first = changed_order(record("record_events/placed_and_paid"))
    assert json.loads(message["Body"]) == first
    assert first is not None
    assert first["change"]["at"] == str(NOW)


def test_what_can_neither_be_done_nor_put_aside_stays_in_the_stream(
    aside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRY_QUEUE_URL", f"{aside}-not")
    with pytest.raises(Unavailable):
        consume(records("record_events/placed_and_paid"), Desk(fails=lambda _: True))


def test_what_was_put_aside_is_done_from_the_queue_and_only_failures_stay_there() -> None:
    (message,) = records("record_events/again")
    bodies = [{**json.loads(message["body"]), "version": number} for number in (1, 2, 3)]
    again = [{**message, "messageId": f"message-{body['version']}", "body": json.dumps(body)} for body in bodies]
    desk = Desk(fails=lambda work: version(work) == 2)
    assert consume(again, desk) == {"batchItemFailures": [{"itemIdentifier": "message-2"}]}
    assert desk.done == [bodies[0], bodies[2]]


def test_a_batch_from_the_queue_that_fails_whole_is_reported_not_raised() -> None:
    (message,) = records("record_events/again")
    answer = consume([message], Desk(fails=lambda _: True))
    assert answer == {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
