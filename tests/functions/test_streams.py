"""What follows from a change: an execution, a line of the story, a count."""

from __future__ import annotations

import json

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.holdings import DynamoHoldings
from cardshop.adapters.tables import PoolItem
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.card import Pool
from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.product import Batch, BatchStatus, Listed, Product

from tests.adapters.cloud import executions, messages, table_name
from tests.domain.builders import BATCH, NOW, SKU, TRADE_ID, cards, paid, placed
from tests.functions.deployed import Deployed
from tests.functions.samples import records, sample

POOL = Pool(SKU, BATCH, 0)


# ---- start_trade ----


@pytest.mark.parametrize("case", ["placed", "again"])
def test_a_placed_order_starts_its_execution_once(shop: Deployed, case: str) -> None:
    """From the stream, or from the queue of what was put aside."""
    for _ in range(2):
        answer = shop.invoke("start_trade", sample(f"start_trade/{case}"))
        assert not answer.get("batchItemFailures")
    assert executions(shop.machine) == [TRADE_ID]


def test_an_execution_that_cannot_be_started_is_put_aside(shop: Deployed) -> None:
    client("stepfunctions").delete_state_machine(stateMachineArn=shop.machine)
    shop.invoke("start_trade", sample("start_trade/placed"))
    (message,) = messages(shop.retries)
    assert json.loads(message["Body"]) == {"trade_id": TRADE_ID}
    again = sample("start_trade/again")
    failures = shop.invoke("start_trade", again)["batchItemFailures"]
    assert failures == [{"itemIdentifier": again["Records"][0]["messageId"]}]


# ---- record_events ----


def test_every_change_is_in_the_story_once(shop: Deployed) -> None:
    order = placed()
    for name in ("placed_and_paid", "again", "placed_and_paid"):
        shop.invoke("record_events", sample(f"record_events/{name}"))
    assert DynamoTimeline().of(TRADE_ID) == [order.last_change, paid(order).last_change]


def test_the_ledger_says_whose_the_cards_of_a_batch_are(shop: Deployed) -> None:
    batch = Batch(SKU, BATCH, BatchStatus.ON_SALE, 1, 1, NOW)
    for name in ("placed_and_paid", "again", "placed_and_paid"):
        shop.invoke("record_events", sample(f"record_events/{name}"))
    assert list(DynamoHoldings().of(batch)) == [Holding(SKU, BATCH, TRADE_ID, 2, 1, HoldingState.SOLD)]


def test_what_cannot_be_recorded_is_put_aside_and_recorded_from_there(shop: Deployed) -> None:
    definition = client("dynamodb").describe_table(TableName=table_name("TimelineTable"))["Table"]
    client("dynamodb").delete_table(TableName=table_name("TimelineTable"))
    shop.invoke("record_events", sample("record_events/placed_and_paid"))
    aside = messages(shop.retries)
    assert [json.loads(message["Body"])["version"] for message in aside] == [1, 2]

    kept = ("TableName", "KeySchema", "AttributeDefinitions")
    client("dynamodb").create_table(**{name: definition[name] for name in kept}, BillingMode="PAY_PER_REQUEST")
    (record,) = sample("record_events/again")["Records"]
    again = [{**record, "messageId": each["MessageId"], "body": each["Body"]} for each in aside]
    assert shop.invoke("record_events", {"Records": again}) == {"batchItemFailures": []}
    assert [change.version for change in DynamoTimeline().of(TRADE_ID)] == [1, 2]


# ---- count_stock ----


def listed(shop: Deployed, count: int) -> None:
    batch = Batch(SKU, BATCH, BatchStatus.IMPORTING, 1, count, NOW)
    DynamoCatalogue().begin_batch(batch)
    DynamoCatalogue().put_on_sale(batch, (count,))


def product() -> Product:
    found = DynamoCatalogue().find(SKU, consistent=True)
    assert found is not None
    return found


def quantity() -> int:
    return product().quantity


@pytest.mark.parametrize("case", ["sold", "returned", "again"])
def test_a_pool_is_counted_as_it_is(shop: Deployed, case: str) -> None:
    """Whatever the record says happened, and however often it comes."""
    listed(shop, 9)
    for card in cards(2):
        PoolItem(card.pool.key, card.place, card_id=card.card_id).save()
    for _ in range(2):
        shop.invoke("count_stock", sample(f"count_stock/{case}"))
        assert quantity() == 2
    assert messages(shop.retries) == []


def test_the_pools_of_a_batch_of_records_are_listed_by_one_write(shop: Deployed) -> None:
    batch = Batch(SKU, BATCH, BatchStatus.IMPORTING, 3, 9, NOW)
    DynamoCatalogue().begin_batch(batch)
    DynamoCatalogue().put_on_sale(batch, (3, 3, 3))
    before = product().stock_version
    PoolItem(f"{SKU}#{BATCH}#1", "0" * 16, card_id="card").save()
    moved = [*records("count_stock/sold"), *records("count_stock/sold"), *records("count_stock/sold")]
    for number, record in enumerate(moved):
        record["dynamodb"]["OldImage"]["pool"] = {"S": f"{SKU}#{BATCH}#{number}"}
    shop.invoke("count_stock", {"Records": [*moved, *moved]})
    assert product().batches == (Listed(BATCH, (0, 1, 0)),)
    assert product().stock_version == before + 1


def test_a_count_that_fails_is_put_aside(shop: Deployed) -> None:
    listed(shop, 9)
    client("dynamodb").delete_table(TableName=table_name("StockTable"))
    shop.invoke("count_stock", sample("count_stock/sold"))
    (message,) = messages(shop.retries)
    assert json.loads(message["Body"]) == {"pools": [POOL.key]}
    assert quantity() == 9
