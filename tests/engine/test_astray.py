"""A card of a batch is in its pool or on one trade; any other is told, by its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.adapters.tables import PoolItem
from cardshop.domain.card import Card
from cardshop.domain.order import Order
from cardshop.ports import SealedCard, WrappedKey
from click.testing import CliRunner

from engine import stacks
from engine.__main__ import engine
from engine.astray import astray
from engine.stacks import Stack
from tests.adapters.cloud import items, table_name
from tests.domain.builders import BATCH, NOW, SKU, TRADE_ID, cards, placed

OTHER = "n" * 26


def imported(count: int, batch: str = BATCH) -> list[Card]:
    """Cards for sale, as an import leaves them, with the key that seals them."""
    DynamoSealedCards().add_key(WrappedKey(f"key-{batch}", SKU, batch, b"wrapped"))
    some = cards(count, batch=batch)
    DynamoSealedCards().add([SealedCard(each.card_id, each.pool, f"key-{batch}", b"sealed") for each in some])
    places = {item["card_id"]["S"]: item["place"]["S"] for item in items("StockTable")}
    return [Card(each.pool, each.card_id, places[each.card_id]) for each in some]


def order(card: Card, trade_id: str = TRADE_ID) -> Order:
    DynamoOrders().place(placed(trade_id=trade_id, held=(card,)), {})
    found = DynamoOrders().find(trade_id)
    assert found is not None
    return found


def name(card: Card) -> str:
    return f"{SKU}#{card.pool.batch}#0/{card.card_id}"


def put_back(card: Card) -> None:
    PoolItem(card.pool.key, card.place, card_id=card.card_id).save()


def test_no_card_that_is_for_sale_or_on_one_trade_is_astray(stack: Stack) -> None:
    some = imported(3)
    order(some[0])
    assert astray(stack, SKU, BATCH) == []


def test_a_card_that_is_nowhere_is_told(stack: Stack) -> None:
    some = imported(3)
    PoolItem(some[1].pool.key, some[1].place).delete()
    assert astray(stack, SKU, BATCH) == [f"{name(some[1])}: nowhere"]


def test_a_card_that_is_for_sale_and_on_a_trade_is_told_with_both(stack: Stack) -> None:
    some = imported(3)
    order(some[2])
    put_back(some[2])
    said = f"{name(some[2])}: for sale at place {some[2].place}, on trade {TRADE_ID}"
    assert astray(stack, SKU, BATCH) == [said]


def test_a_card_that_is_on_two_trades_is_told_with_both(stack: Stack) -> None:
    (card,) = imported(1)
    order(card)
    put_back(card)
    order(card, OTHER)
    (said,) = astray(stack, SKU, BATCH)
    place, trades = said.split(": ")
    assert place == name(card)
    assert sorted(trades.split(", ")) == [f"on trade {TRADE_ID}", f"on trade {OTHER}"]


def test_cards_of_another_batch_are_no_matter(stack: Stack) -> None:
    imported(2)
    (card,) = imported(1, batch="another")
    PoolItem(card.pool.key, card.place).delete()
    assert astray(stack, SKU, BATCH) == []
    assert astray(stack, SKU, "another") == [f"{name(card)}: nowhere"]


def test_a_card_that_moves_while_it_is_looked_for_is_not_astray(stack: Stack) -> None:
    """Given an order that is closed after the pools were read and before the orders are, its card was in neither."""
    (card,) = imported(1)
    held = order(card)

    class Closing(Stack):
        closed = False

        def of(self, resource: str) -> str:
            if resource == "OrdersTable" and not Closing.closed:
                Closing.closed = True
                DynamoOrders().record(held, held.closed(NOW))
            return stack.of(resource)

    assert astray(Closing("shop", stack.client), SKU, BATCH) == []
    assert Closing.closed


def test_a_table_of_many_pages_is_read_to_its_end(stack: Stack) -> None:
    """Given more than a megabyte of orders, what is on the last of them is found."""
    (card,) = imported(1)
    order(card)
    for number in range(4):
        filler = {"trade_id": {"S": f"filler-{number}"}, "cards": {"L": []}, "email": {"S": "x" * 350_000}}
        client("dynamodb").put_item(TableName=table_name("OrdersTable"), Item=filler)
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=table_name("OrdersTable"))
    assert len(list(pages)) > 1
    assert astray(stack, SKU, BATCH) == []


def test_a_batch_that_begins_with_a_dash_is_taken_as_it_is(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened(home: object, name: str) -> Iterator[Stack]:
        assert name == "shop"
        yield stack

    monkeypatch.setattr(stacks, "opened", opened)
    (card,) = imported(1, batch="-stack")
    PoolItem(card.pool.key, card.place).delete()
    done = CliRunner().invoke(engine, ["astray", SKU, "-stack", "--stack", "shop"])
    assert (done.exit_code, done.output) == (0, f"{name(card)}: nowhere\n")
