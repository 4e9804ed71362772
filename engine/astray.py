"""Cards of a batch that are nowhere, or in two places at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from engine.stacks import Stack


def astray(stack: Stack, sku: str, batch: str) -> list[str]:
    """`pool/card: where it is`, for each that is not in one place. It reads whole tables.

    They are read one after another, so a card that is just moving can look astray; it does not so twice.
    """
    found = _astray(stack, sku, batch)
    return sorted(found & _astray(stack, sku, batch)) if found else []


def _astray(stack: Stack, sku: str, batch: str) -> set[str]:
    pools = {card: f"{sku}#{batch}#{shard}" for card, shard in _sealed(stack, sku, batch)}
    places: defaultdict[str, list[str]] = defaultdict(list)
    for pool in set(pools.values()):
        for card, place in _for_sale(stack, pool):
            places[card].append(f"for sale at place {place}")
    for card, trade_id in _on_trades(stack):
        places[card].append(f"on trade {trade_id}")
    return {
        f"{pool}/{card}: {', '.join(places[card]) or 'nowhere'}"
        for card, pool in pools.items()
        if len(places[card]) != 1
    }


def _sealed(stack: Stack, sku: str, batch: str) -> Iterator[tuple[str, str]]:
    """Every card that was imported, and its shard; the keys that seal them have none."""
    for item in _items(
        stack,
        "SealedTable",
        "scan",
        FilterExpression="#sku = :sku AND #batch = :batch AND attribute_exists(#shard)",
        ProjectionExpression="#id, #shard",
        ExpressionAttributeNames={"#sku": "sku", "#batch": "batch", "#shard": "shard", "#id": "id"},
        ExpressionAttributeValues={":sku": {"S": sku}, ":batch": {"S": batch}},
    ):
        yield item["id"]["S"], item["shard"]["N"]


def _for_sale(stack: Stack, pool: str) -> Iterator[tuple[str, str]]:
    for item in _items(
        stack,
        "StockTable",
        "query",
        KeyConditionExpression="#pool = :pool",
        ExpressionAttributeNames={"#pool": "pool"},
        ExpressionAttributeValues={":pool": {"S": pool}},
    ):
        yield item["card_id"]["S"], item["place"]["S"]


def _on_trades(stack: Stack) -> Iterator[tuple[str, str]]:
    for item in _items(stack, "OrdersTable", "scan", ProjectionExpression="trade_id, cards"):
        for card in item["cards"]["L"]:
            yield card["S"].rpartition("/")[2], item["trade_id"]["S"]


def _items(stack: Stack, table: str, operation: str, **asked: Any) -> Iterator[dict[str, Any]]:
    pages = stack.client("dynamodb").get_paginator(operation)
    for page in pages.paginate(TableName=stack.of(table), ConsistentRead=True, **asked):
        yield from page["Items"]
