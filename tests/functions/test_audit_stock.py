"""Every day: what was imported adds up, or somebody is told."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.tables import PoolItem
from cardshop.domain.product import Batch, BatchStatus

from tests.adapters.cloud import items, table_name
from tests.domain.builders import BATCH, NOW, SKU, TRADE_ID, cards
from tests.functions.deployed import Deployed, Logs, metrics
from tests.functions.samples import records, sample, with_order

EVERY_DAY = sample("audit_stock/every_day")


def audit(shop: Deployed) -> dict[str, int]:
    return dict(shop.invoke("audit_stock", EVERY_DAY))


def quantity() -> int:
    product = DynamoCatalogue().find(SKU, consistent=True)
    assert product is not None
    return product.quantity


def take(card: dict[str, Any]) -> str:
    """Take this item out of its pool; the card's name."""
    key = {name: card[name] for name in ("pool", "place")}
    client("dynamodb").delete_item(TableName=table_name("StockTable"), Key=key)
    return f"{card['pool']['S']}/{card['card_id']['S']}"


def test_a_shop_whose_cards_are_all_there_is_sound(shop: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    """For sale, sold, hidden or not."""
    shop.stock("CODE-1", "CODE-2")
    shop.stock("CODE-3")
    shop.product(SKU, on_sale=False)
    sold = take(items("StockTable")[0])
    shop.invoke("record_events", with_order(sample("record_events/placed_and_paid"), TRADE_ID, sold))
    assert audit(shop) == {"batches": 2, "missing": 0}
    assert metrics(capsys) == {"CardsMissing": [0.0]}


def test_a_count_that_a_lost_stream_record_left_wrong_is_put_right(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    sold = take(items("StockTable")[0])
    shop.invoke("record_events", with_order(sample("record_events/placed_and_paid"), TRADE_ID, sold))
    assert quantity() == 2, "nobody was told"
    assert audit(shop) == {"batches": 1, "missing": 0}
    assert quantity() == 1


def test_a_card_that_is_nowhere_is_counted_for_an_alarm_and_its_batch_is_named(
    shop: Deployed, logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.stock("CODE-1", "CODE-2")
    shop.stock("CODE-3")
    batch = take(items("StockTable")[0]).split("#")[1]
    assert audit(shop) == {"batches": 2, "missing": 1}
    assert metrics(capsys) == {"CardsMissing": [1.0]}
    (line,) = [line for line in logs.lines if line["message"] == "cards missing"]
    assert (line["level"], line["sku"], line["batch"], line["missing"]) == ("ERROR", SKU, batch, 1)


def test_a_card_in_two_places_is_counted_too(shop: Deployed) -> None:
    """And does not make up for one that is missing."""
    shop.stock("CODE-1", "CODE-2")
    shop.stock("CODE-3")
    first, *_ = items("StockTable")
    client("dynamodb").put_item(TableName=table_name("StockTable"), Item={**first, "place": {"S": "0" * 16}})
    take(next(item for item in items("StockTable") if item["pool"] != first["pool"]))
    assert audit(shop) == {"batches": 2, "missing": 2}


def test_a_ledger_that_a_lost_stream_record_left_wrong_is_put_right(shop: Deployed) -> None:
    """Given an order whose closing the ledger never heard of."""
    shop.stock("CODE-1", "CODE-2")
    order = shop.stored(shop.call("place_order", sample("place_order/one_card")).json["trade_id"])
    (card,) = order.cards
    first = {"Records": records("record_events/placed_and_paid")[:1]}
    placed = with_order(first, order.trade_id, f"{card.pool.key}/{card.card_id}")
    shop.invoke("record_events", placed)
    DynamoOrders().record(order, order.closed(NOW))
    assert audit(shop) == {"batches": 1, "missing": 0}
    assert [item["state"]["S"] for item in items("HoldingsTable")] == ["released"]


def test_an_import_that_has_not_ended_is_left_out(shop: Deployed) -> None:
    DynamoCatalogue().begin_batch(Batch(SKU, BATCH, BatchStatus.IMPORTING, 1, 0, NOW))
    (card,) = cards(1)
    PoolItem(card.pool.key, card.place, card_id=card.card_id).save()
    assert audit(shop) == {"batches": 0, "missing": 0}
    assert quantity() == 0


def test_an_empty_shop_is_sound(shop: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(shop) == {"batches": 0, "missing": 0}
    assert metrics(capsys) == {"CardsMissing": [0.0]}
