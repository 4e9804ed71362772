"""The tables, as PynamoDB models. Nothing outside `adapters` sees one; repositories answer domain objects.

One botocore client serves every model (PynamoDB would make one each, ≈ 50 ms of cold start apiece). Time-outs are
short and attempts few: a function's caller waits, and every write here may be sent twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError
from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from cardshop.adapters.aws import session
from cardshop.domain.errors import Unavailable

CONDITION_FAILED = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"


class _Shared(Model):
    """A model on the process's one connection."""

    _shared: ClassVar[Connection | None] = None

    @classmethod
    def _get_connection(cls) -> TableConnection:
        before = cls._connection
        table = super()._get_connection()
        if table is not before:
            meta = table.get_meta_table()
            table.connection = connection()
            if meta.table_name not in table.connection._tables:
                table.connection.add_meta_table(meta)
        return table


def connection() -> Connection:
    if _Shared._shared is None:
        _Shared._shared = Connection(
            connect_timeout_seconds=3, read_timeout_seconds=9, max_retry_attempts=2, max_pool_connections=16
        )
        _Shared._shared._local.session = session()
    return _Shared._shared


class LineMap(MapAttribute[str, Any]):
    sku = UnicodeAttribute()
    name = UnicodeAttribute()
    quantity = NumberAttribute()
    price = NumberAttribute()


class RefundMap(MapAttribute[str, Any]):
    refund_id = UnicodeAttribute(attr_name="id")
    minor = NumberAttribute()
    currency = UnicodeAttribute()
    state = UnicodeAttribute()
    by = UnicodeAttribute()
    provider_ref = UnicodeAttribute(null=True, attr_name="ref")
    key = UnicodeAttribute(null=True)


class PaymentMap(MapAttribute[str, Any]):
    payment_id = UnicodeAttribute(attr_name="id")
    channel = UnicodeAttribute()
    minor = NumberAttribute()
    state = UnicodeAttribute()
    paid_minor = NumberAttribute(null=True)
    paid_currency = UnicodeAttribute(null=True)
    provider_ref = UnicodeAttribute(null=True, attr_name="ref")
    session_ref = UnicodeAttribute(null=True, attr_name="session")
    was = UnicodeAttribute(null=True)
    refunds: Any = ListAttribute(of=RefundMap, null=True)
    kept = BooleanAttribute(null=True)
    way = UnicodeAttribute(null=True)
    won: Any = ListAttribute(of=UnicodeAttribute, null=True)


class ChangeMap(MapAttribute[str, Any]):
    what = UnicodeAttribute()
    at = NumberAttribute()
    by = UnicodeAttribute()
    terminal = UnicodeAttribute(null=True)
    device = UnicodeAttribute(null=True)
    address = UnicodeAttribute(null=True)


class HoldsByAddress(GlobalSecondaryIndex["OrderItem"]):
    class Meta:
        index_name = "holds-by-address"
        projection = KeysOnlyProjection()

    subject = UnicodeAttribute(hash_key=True, attr_name="hold_address")
    expires_at = NumberAttribute(range_key=True)


class HoldsByDevice(GlobalSecondaryIndex["OrderItem"]):
    class Meta:
        index_name = "holds-by-device"
        projection = KeysOnlyProjection()

    subject = UnicodeAttribute(hash_key=True, attr_name="hold_device")
    expires_at = NumberAttribute(range_key=True)


class HoldsByContact(GlobalSecondaryIndex["OrderItem"]):
    class Meta:
        index_name = "holds-by-contact"
        projection = KeysOnlyProjection()

    subject = UnicodeAttribute(hash_key=True, attr_name="hold_contact")
    expires_at = NumberAttribute(range_key=True)


class Due(GlobalSecondaryIndex["OrderItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True, attr_name="due_shard")
    due_at = NumberAttribute(range_key=True)


class AwaitingStock(GlobalSecondaryIndex["OrderItem"]):
    class Meta:
        index_name = "awaiting-stock"
        projection = KeysOnlyProjection()

    lacking = UnicodeAttribute(hash_key=True)
    created_at = NumberAttribute(range_key=True)


CHANGE, NOTE = "change", "note"


class OrderItem(_Shared):
    """One trade. What the indexes are made of is there only as long as it counts, so they are sparse: `hold_*` while
    it is unpaid, `due_*` until nobody need look at it any more, `lacking` while it awaits stock.

    `last_write` is CHANGE, or NOTE for what is written beside the changes (a token, a session, when to look again):
    who reads the stream is called for changes alone.
    """

    class Meta:
        table_name = os.environ.get("ORDERS_TABLE", "orders")

    trade_id = UnicodeAttribute(hash_key=True)
    status = UnicodeAttribute()
    version = NumberAttribute()
    lines = ListAttribute(of=LineMap)
    currency = UnicodeAttribute()
    minor = NumberAttribute()
    cards = ListAttribute(of=UnicodeAttribute)
    payments = ListAttribute(of=PaymentMap)
    terminal = UnicodeAttribute()
    created_at = NumberAttribute()
    expires_at = NumberAttribute()
    fingerprint = UnicodeAttribute()
    change = ChangeMap()
    last_write = UnicodeAttribute()
    email = UnicodeAttribute(null=True)
    password = UnicodeAttribute(null=True)
    task_token = UnicodeAttribute(null=True)
    hold_address = UnicodeAttribute(null=True)
    hold_device = UnicodeAttribute(null=True)
    hold_contact = UnicodeAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = NumberAttribute(null=True)
    lacking = UnicodeAttribute(null=True)
    after_sale_until = NumberAttribute(null=True)
    revealed_at = NumberAttribute(null=True)
    refunding_from = UnicodeAttribute(null=True)

    by_address = HoldsByAddress()
    by_device = HoldsByDevice()
    by_contact = HoldsByContact()
    due = Due()
    awaiting = AwaitingStock()


class TimelineItem(_Shared):
    """`EVENT#000001`: a change, never written over. `INCIDENT#…`: what a person should see about a payment."""

    class Meta:
        table_name = os.environ.get("TIMELINE_TABLE", "timeline")

    trade_id = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    what = UnicodeAttribute()
    at = NumberAttribute()
    status = UnicodeAttribute(null=True)
    by = UnicodeAttribute(null=True)
    terminal = UnicodeAttribute(null=True)
    device = UnicodeAttribute(null=True)
    address = UnicodeAttribute(null=True)
    channel = UnicodeAttribute(null=True)
    payment_id = UnicodeAttribute(null=True)
    detail = UnicodeAttribute(null=True)


class PoolItem(_Shared):
    """One card for sale: here, or named on an order, never both."""

    class Meta:
        table_name = os.environ.get("STOCK_TABLE", "stock")

    pool = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    card_id = UnicodeAttribute()


class SealedItem(_Shared):
    """A sealed card (`id` is the card's), or the wrapped data key that seals some (`id` is `KEY#…`)."""

    class Meta:
        table_name = os.environ.get("SEALED_TABLE", "sealed")

    item_id = UnicodeAttribute(hash_key=True, attr_name="id")
    sku = UnicodeAttribute()
    batch = UnicodeAttribute()
    shard = NumberAttribute(null=True)
    key_id = UnicodeAttribute(null=True)
    sealed = BinaryAttribute(legacy_encoding=False)
    uses = NumberAttribute(null=True)


class HoldingItem(_Shared):
    """What a trade has of a batch. `lane` is `sku#batch#n`: a partition takes a thousand writes a second."""

    class Meta:
        table_name = os.environ.get("HOLDINGS_TABLE", "holdings")

    lane = UnicodeAttribute(hash_key=True)
    trade_id = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    cards = NumberAttribute()
    state = UnicodeAttribute()
    forgotten_at = NumberAttribute(null=True)  # seconds, as the table's time to live wants it


class CatalogueItem(_Shared):
    """`PRODUCT`, `DESCRIPTION` / sku, `BATCH#{sku}` / batch, `CHANNEL`, `OFFER` / name: small, rarely written.

    A description is an item of its own: an order need not read it, and a count of the stock need not write it again.
    So is what buyers see of a channel: who serves them has no right to read its account.
    """

    class Meta:
        table_name = os.environ.get("CATALOGUE_TABLE", "catalogue")

    kind = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(range_key=True)
    title = UnicodeAttribute(null=True)
    minor = NumberAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    on_sale = BooleanAttribute(null=True)
    status = UnicodeAttribute(null=True)
    batches = MapAttribute[str, Any](null=True)
    stock_version = NumberAttribute(null=True)
    shards = NumberAttribute(null=True)
    cards = NumberAttribute(null=True)
    created_at = NumberAttribute(null=True)
    provider = UnicodeAttribute(null=True)
    settings = MapAttribute[str, Any](null=True)
    category = UnicodeAttribute(null=True)
    description = UnicodeAttribute(null=True)
    offered = BooleanAttribute(null=True)
    terminals: Any = ListAttribute(of=UnicodeAttribute, null=True)
    ways: Any = ListAttribute(of=UnicodeAttribute, null=True)
    currencies: Any = ListAttribute(of=UnicodeAttribute, null=True)


class AttemptItem(_Shared):
    """Tries to look one order up by its password, or at codes from one address; forgotten a day after the last."""

    class Meta:
        table_name = os.environ.get("ATTEMPTS_TABLE", "attempts")

    subject = UnicodeAttribute(hash_key=True)
    tries = NumberAttribute()
    not_before = NumberAttribute()
    forgotten_at = NumberAttribute()  # seconds, as the table's time to live wants it


class HandoffItem(_Shared):
    """A code that hands an order over, beside the tries at such codes. The code itself is nowhere."""

    class Meta:
        table_name = os.environ.get("ATTEMPTS_TABLE", "attempts")

    subject = UnicodeAttribute(hash_key=True)
    trade_id = UnicodeAttribute()
    not_after = NumberAttribute()
    session_until = NumberAttribute()
    forgotten_at = NumberAttribute()  # seconds, as the table's time to live wants it


class PlacesByAddress(GlobalSecondaryIndex["ConnectionItem"]):
    class Meta:
        index_name = "places-by-address"
        projection = KeysOnlyProjection()

    address = UnicodeAttribute(hash_key=True)
    forgotten_at = NumberAttribute(range_key=True)


class PlacesByName(GlobalSecondaryIndex["ConnectionItem"]):
    class Meta:
        index_name = "places-by-name"
        projection = KeysOnlyProjection()

    name = UnicodeAttribute(hash_key=True)


class ConnectionItem(_Shared):
    """A place at a feed (a trade's id, or `shop`): an open connection's (`CONNECTION#…`) or a ticket's (`TICKET#…`)."""

    class Meta:
        table_name = os.environ.get("CONNECTIONS_TABLE", "connections")

    feed = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(range_key=True)
    forgotten_at = NumberAttribute()  # seconds, as the table's time to live wants it
    address = UnicodeAttribute(null=True)

    by_address = PlacesByAddress()
    by_name = PlacesByName()


@contextmanager
def store() -> Iterator[None]:
    """Any failure of the store that its caller did not expect is one error that is safe to retry."""
    try:
        yield
    except (PynamoDBException, BotoCoreError) as error:
        raise Unavailable("the store did not answer") from error


def refused(error: PynamoDBException) -> bool:
    """Whether a single write was refused by its own condition."""
    return error.cause_response_code == "ConditionalCheckFailedException"


def overtaken(error: PynamoDBException) -> bool:
    """Whether somebody else's write came first: to be decided anew."""
    return refused(error) or error.cause_response_code == "TransactionConflictException"


def reasons(error: TransactWriteError) -> list[str]:
    """Why a transaction was cancelled, item by item in the order deletes, puts, updates; empty if it was not."""
    if error.cause_response_code != "TransactionCanceledException":
        return []
    return [reason.code if reason else "" for reason in error.cancellation_reasons]
