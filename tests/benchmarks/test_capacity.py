"""Sizes and units as DynamoDB's documentation has them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.capacity import Used, item_size, read_units, used, write_units


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"id": {"S": "abc"}}, 2 + 3),
        ({"名": {"S": "卡密"}}, 3 + 6),
        ({"n": {"N": "7"}}, 1 + 2),
        ({"n": {"N": "1763800000123"}}, 1 + 8),
        ({"n": {"N": "1200"}}, 1 + 2),
        ({"n": {"N": "-9.90"}}, 1 + 3),
        ({"n": {"N": "0"}}, 1 + 2),
        ({"b": {"B": "AAEC"}}, 1 + 3),
        ({"b": {"B": b"\x00\x01"}}, 1 + 2),
        ({"t": {"BOOL": True}}, 1 + 1),
        ({"t": {"NULL": True}}, 1 + 1),
        ({"l": {"L": []}}, 1 + 3),
        ({"l": {"L": [{"S": "ab"}, {"N": "1"}]}}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"m": {"M": {"k": {"S": "ab"}}}}, 1 + 3 + (1 + 1 + 2)),
    ],
)
def test_an_item_has_the_size_of_its_names_and_values(item: dict[str, Any], size: int) -> None:
    assert item_size(item) == size


def test_a_kind_of_value_nobody_uses_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="SS"):
        item_size({"s": {"SS": ["a"]}})


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (3000, 3)])
def test_a_write_unit_is_a_started_kilobyte(size: int, units: int) -> None:
    assert write_units(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4096, 1), (4097, 2)])
def test_a_read_unit_is_four_started_kilobytes_and_half_of_it_unless_consistent(size: int, units: int) -> None:
    assert read_units(size, consistent=True) == units
    assert read_units(size, consistent=False) == units / 2


def test_a_query_is_charged_for_all_it_read_together() -> None:
    items = [{"id": {"S": "x" * 2998}}] * 2
    answer = {"Items": items}
    assert used("Query", {"TableName": "stock"}, answer) == [Used("stock", reads=1.0)]
    assert used("Query", {"TableName": "orders", "IndexName": "due"}, {"Items": []}) == [
        Used("orders", "due", reads=0.5)
    ]


def test_a_batch_is_charged_item_by_item_and_for_those_that_are_not_there() -> None:
    keys = [{"id": {"S": name}} for name in "abc"]
    answer = {"Responses": {"sealed": [{"id": {"S": "a" * 5000}}, {"id": {"S": "b"}}]}}
    request = {"RequestItems": {"sealed": {"Keys": keys}}}
    assert used("BatchGetItem", request, answer) == [Used("sealed", reads=1.0 + 0.5 + 0.5)]


def test_a_transaction_is_charged_table_by_table() -> None:
    consumed = [
        {"TableName": "stock", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        {"TableName": "orders", "CapacityUnits": 3.0, "GlobalSecondaryIndexes": {"due": {"CapacityUnits": 1.0}}},
    ]
    assert used("TransactWriteItems", {}, {"ConsumedCapacity": consumed}) == [
        Used("stock", writes=2.0),
        Used("orders", "due", writes=1.0),
        Used("orders", writes=2.0),
    ]


def test_what_neither_reads_nor_writes_items_is_charged_nothing() -> None:
    assert used("DescribeTable", {"TableName": "orders"}, {}) == []
