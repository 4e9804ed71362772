"""The shop's own repositories, pointed at tables made from the template's own definitions."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from cardshop.adapters import tables
from cardshop.adapters.tables import (
    AttemptItem,
    CatalogueItem,
    ConnectionItem,
    HoldingItem,
    OrderItem,
    PoolItem,
    SealedItem,
    TimelineItem,
)
from pynamodb.connection import Connection
from pynamodb.models import Model

from engine.processes import REGION
from tests.template.cloudformation import of_type

#: The template's tables, and the models that read and write them.
MODELS: dict[str, type[Model]] = {
    "OrdersTable": OrderItem,
    "TimelineTable": TimelineItem,
    "StockTable": PoolItem,
    "SealedTable": SealedItem,
    "CatalogueTable": CatalogueItem,
    "AttemptsTable": AttemptItem,
    "HoldingsTable": HoldingItem,
    "ConnectionsTable": ConnectionItem,
}
_IN_CREATE_TABLE = {"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"}


@contextmanager
def fresh_tables(endpoint: str) -> Iterator[None]:
    """Empty tables there, and every repository of this process pointed at them."""
    client = _client(endpoint)
    names = {logical: f"{logical}-{secrets.token_hex(4)}" for logical in MODELS}
    for logical, definition in of_type("AWS::DynamoDB::Table").items():
        given = {name: value for name, value in definition.items() if name in _IN_CREATE_TABLE}
        if view := definition.get("StreamSpecification", {}).get("StreamViewType"):
            given["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        client.create_table(TableName=names[logical], **given)
    try:
        with pointed(endpoint, names):
            yield
    finally:
        for name in names.values():
            client.delete_table(TableName=name)


@contextmanager
def pointed(endpoint: str, names: Mapping[str, str]) -> Iterator[None]:
    """Every repository of this process at these tables (by logical id), ready for many threads.

    A botocore client may be used by many threads but not made by them, and a model finds its connection at its first
    use: so both are there before the first thread starts. Time-outs are long: what is tested is who wins, not when.
    """
    kept_names = {model: model.Meta.table_name for model in MODELS.values()}
    kept_connection = tables._Shared._shared
    tables._Shared._shared = Connection(
        region=REGION,
        host=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        connect_timeout_seconds=10,
        read_timeout_seconds=30,
        max_retry_attempts=2,
        max_pool_connections=64,
    )
    assert tables.connection().client is not None
    try:
        for logical, model in MODELS.items():
            _name(model, names[logical])
            model._get_connection()
        yield
    finally:
        tables._Shared._shared = kept_connection
        for model, name in kept_names.items():
            _name(model, name)


def _name(model: type[Model], table: str) -> None:
    model.Meta.table_name = table
    model._connection = None


def _client(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
