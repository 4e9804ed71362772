"""The ledger in DynamoDB: the newest word of each trade about a batch, whatever came when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from cardshop.adapters.aws import client
from cardshop.adapters.clock import clock
from cardshop.adapters.holdings import DynamoHoldings
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.stream import changed_order, holdings_of
from cardshop.adapters.tables import PoolItem
from cardshop.domain.card import Card
from cardshop.domain.errors import Unavailable
from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.order import Order
from cardshop.domain.product import Batch, BatchStatus

from tests.adapters.cloud import TABLES, items, table_name
from tests.domain.builders import AFTER_SALE_MS, BATCH, BUYER, NOW, SKU, TRADE_ID, cards, placed
from tests.functions.samples import Event

pytestmark = pytest.mark.usefixtures("cloud")

HELD = Holding(SKU, BATCH, TRADE_ID, version=1, cards=2, state=HoldingState.HELD)
SOLD = replace(HELD, version=2, state=HoldingState.SOLD)
RELEASED = replace(HELD, version=2, cards=0, state=HoldingState.RELEASED)


def of(batch: str = BATCH, sku: str = SKU) -> list[Holding]:
    return list(DynamoHoldings().of(Batch(sku, batch, BatchStatus.ON_SALE, 1, 9, NOW)))


def test_whose_a_batchs_cards_are_is_told_of_every_trade_and_of_no_other_batch() -> None:
    """Wherever they lie: the trades of a batch are spread, so that no partition runs hot."""
    every = [replace(HELD, trade_id=TRADE_ID[:-1] + last) for last in "abcdefghijklmnopqrstuvwxyz234567"]
    DynamoHoldings().note([*every, replace(HELD, batch="batch-2"), replace(HELD, sku="another")])
    assert sorted(of(), key=lambda each: each.trade_id) == sorted(every, key=lambda each: each.trade_id)
    assert of("batch-2") == [replace(HELD, batch="batch-2")]
    assert of("unknown") == []
    assert len({item["lane"]["S"] for item in items("HoldingsTable")}) > 3


@pytest.mark.parametrize("later", [SOLD, RELEASED], ids=["sold", "released"])
def test_the_newest_word_counts_in_whatever_order_they_come(later: Holding) -> None:
    for sequence in ([HELD, later], [later, HELD], [HELD, later, HELD], [later, later]):
        DynamoHoldings().note(sequence)
        assert of() == [later]


def test_another_word_of_the_same_version_changes_nothing() -> None:
    DynamoHoldings().note([HELD, replace(HELD, cards=5)])
    assert of() == [HELD]


def test_what_was_given_back_is_forgotten_when_no_older_word_can_come_any_more() -> None:
    before = clock() // 1000
    DynamoHoldings().note([RELEASED])
    (item,) = items("HoldingsTable")
    attribute = TABLES["HoldingsTable"]["TimeToLiveSpecification"]["AttributeName"]
    assert before + 86_400 <= int(item[attribute]["N"]) <= clock() // 1000 + 86_400


def test_what_is_held_again_is_not_forgotten() -> None:
    """A late payment may buy a card of the batch that it gave back, an hour before."""
    DynamoHoldings().note([RELEASED])
    DynamoHoldings().note([replace(SOLD, version=3)])
    (item,) = items("HoldingsTable")
    assert "forgotten_at" not in item


def lying(wanted: Iterable[Card]) -> tuple[Card, ...]:
    """These cards as they lie in their pools now."""
    names = {card.card_id: card.pool for card in wanted}
    found = [each for pool in set(names.values()) for each in DynamoPool().look(pool, 9, consistent=True)]
    return tuple(each for each in found if each.card_id in names)


def story() -> list[Event]:
    """The stream records of an order for cards of two batches, as the store writes it.

    Closed, paid late with one of those and two of a third batch, withdrawn, filled with those of before, revealed,
    completed.
    """
    images: list[dict[str, Any]] = [{}]

    def becomes(change: Callable[[Order], Order]) -> None:
        before = DynamoOrders().find(TRADE_ID)
        assert before is not None
        DynamoOrders().record(before, change(before))
        images.extend(items("OrdersTable"))

    held = (*cards(2), *cards(1, batch="batch-2"))
    late = (*cards(1), *cards(2, batch="batch-3"))
    for card in {*held, *late}:
        PoolItem(card.pool.key, card.place, card_id=card.card_id).save()
    DynamoOrders().place(placed(3, held=held), {})
    images.extend(items("OrdersTable"))
    (money,) = placed(3).payments
    becomes(lambda order: order.closed(NOW))
    becomes(lambda order: order.settled(money.payment_id, money.amount, None, NOW, cards=lying(late)))
    becomes(lambda order: order.short_of_cards(NOW, SKU))
    becomes(lambda order: order.delivered(NOW, AFTER_SALE_MS, cards=lying(held)))
    becomes(lambda order: order.revealed(NOW, BUYER))
    becomes(lambda order: order.completed(NOW))
    return [
        {"eventName": "MODIFY" if old else "INSERT", "dynamodb": {"OldImage": old, "NewImage": new}}
        for old, new in pairwise(images)
    ]


def test_a_trades_records_make_the_same_ledger_in_whatever_order_they_come_each_twice(
    subtests: pytest.Subtests,
) -> None:
    records = [changed_order(DynamoDBRecord(each)) for each in story()]
    words = [holdings_of(work) for work in records if work is not None]
    assert [len(each) for each in words] == [2, 2, 2, 2, 2, 0, 0]
    for number, sequence in enumerate([words, words[::-1], words[1::2] + words[::2], words[3:] + words[:3]]):
        with subtests.test(number=number):
            for item in items("HoldingsTable"):
                client("dynamodb").delete_item(
                    TableName=table_name("HoldingsTable"), Key={name: item[name] for name in ("lane", "trade_id")}
                )
            for each in sequence + sequence:
                DynamoHoldings().note(each)
            assert of() == [Holding(SKU, BATCH, TRADE_ID, 5, 2, HoldingState.SOLD)]
            assert of("batch-2") == [Holding(SKU, "batch-2", TRADE_ID, 5, 1, HoldingState.SOLD)]
            assert of("batch-3") == [Holding(SKU, "batch-3", TRADE_ID, 4, 0, HoldingState.RELEASED)]


def test_a_store_that_fails_is_unavailable_whatever_is_asked() -> None:
    client("dynamodb").delete_table(TableName=table_name("HoldingsTable"))
    for ask in (lambda: DynamoHoldings().note([HELD]), of):
        with pytest.raises(Unavailable):
            ask()
