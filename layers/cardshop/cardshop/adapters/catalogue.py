"""Products, their batches on sale, and channels: one small table.

A batch goes on sale by one transaction: its own item, and its entry in the product's list of batches. That list is
what an order picks from and what buyers see as stock; `count_stock` keeps its counts true.
"""

from __future__ import annotations

import uuid
from typing import Any

from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from cardshop.adapters.tables import CONDITION_FAILED, CatalogueItem, connection, overtaken, reasons, refused, store
from cardshop.domain.card import SKU
from cardshop.domain.errors import Changed, NotFound
from cardshop.domain.money import Money
from cardshop.domain.payment import CHANNEL_NAME, Channel
from cardshop.domain.product import Batch, Product
from cardshop.ports import ImportedBatch

_PRODUCT, _CHANNEL = "PRODUCT", "CHANNEL"


class DynamoCatalogue:
    """`ports.Catalogue`."""

    def find(self, sku: str, *, consistent: bool = False) -> Product | None:
        if not SKU.fullmatch(sku):  # no product has such a name, and DynamoDB takes no key of any length
            return None
        with store():
            try:
                return _product(CatalogueItem.get(_PRODUCT, sku, consistent_read=consistent))
            except CatalogueItem.DoesNotExist:
                return None

    def on_sale(self) -> list[Product]:
        with store():
            products = [_product(item) for item in CatalogueItem.query(_PRODUCT)]
        return [product for product in products if product.on_sale]

    def save(self, product: Product) -> None:
        with store():
            CatalogueItem(_PRODUCT, product.sku).update(
                [
                    CatalogueItem.title.set(product.name),
                    CatalogueItem.minor.set(product.price.minor),
                    CatalogueItem.currency.set(product.price.currency),
                    CatalogueItem.on_sale.set(product.on_sale),
                    CatalogueItem.batches.set(CatalogueItem.batches | {}),
                    CatalogueItem.stock_version.set(CatalogueItem.stock_version | 0),
                ]
            )

    def batch(self, sku: str, batch: str) -> ImportedBatch | None:
        with store():
            try:
                item = CatalogueItem.get(f"BATCH#{sku}", batch, consistent_read=True)
            except CatalogueItem.DoesNotExist:
                return None
        return ImportedBatch(
            sku, batch, int(item.shards or 1), int(item.cards or 0), bool(item.on_sale), int(item.created_at or 0)
        )

    def begin_batch(self, batch: ImportedBatch) -> None:
        item = CatalogueItem(
            f"BATCH#{batch.sku}",
            batch.batch,
            shards=batch.shards,
            cards=0,
            on_sale=False,
            created_at=batch.created_at,
        )
        with store():
            try:
                item.save(condition=CatalogueItem.kind.does_not_exist())
            except PutError as error:
                if not refused(error):  # noted by an earlier attempt: go on from there
                    raise

    def put_on_sale(self, batch: ImportedBatch, counts: tuple[int, ...]) -> None:
        with store():
            try:
                with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                    write.update(
                        CatalogueItem(f"BATCH#{batch.sku}", batch.batch),
                        [CatalogueItem.on_sale.set(True), CatalogueItem.cards.set(batch.cards)],
                        condition=CatalogueItem.on_sale == False,  # noqa: E712  a condition expression
                    )
                    write.update(
                        CatalogueItem(_PRODUCT, batch.sku),
                        [CatalogueItem.batches[batch.batch].set(list(counts)), CatalogueItem.stock_version.add(1)],
                        condition=CatalogueItem.minor.exists(),
                    )
            except TransactWriteError as error:
                why = reasons(error)
                if not why:
                    raise
                if why[0] == CONDITION_FAILED:
                    return  # on sale already
                if why[1] == CONDITION_FAILED:
                    raise NotFound("no such product") from error
                raise Changed from error

    def counted(self, product: Product, batch: Batch) -> None:
        entry = CatalogueItem.batches[batch.batch]
        listed = entry.set(list(batch.counts)) if any(batch.counts) else entry.remove()
        actions: list[Action] = [CatalogueItem.stock_version.set(product.stock_version + 1), listed]
        with store():
            try:
                CatalogueItem(_PRODUCT, product.sku).update(
                    actions, condition=CatalogueItem.stock_version == product.stock_version
                )
            except UpdateError as error:
                if overtaken(error):
                    raise Changed from error
                raise


class DynamoChannelSettings:
    """A channel's public settings. Its secrets live in the parameter store (`settings.py`)."""

    def find(self, name: str) -> Channel | None:
        if not CHANNEL_NAME.fullmatch(name):
            return None
        with store():
            try:
                item = CatalogueItem.get(_CHANNEL, name)
            except CatalogueItem.DoesNotExist:
                return None
        return Channel(name, item.provider or "", _plain(item.settings), {})

    def save(self, channel: Channel) -> None:
        with store():
            CatalogueItem(_CHANNEL, channel.name, provider=channel.provider, settings=channel.settings).save()


def _product(item: CatalogueItem) -> Product:
    batches = tuple(Batch(name, tuple(int(count) for count in counts)) for name, counts in _plain(item.batches).items())
    return Product(
        item.name,
        item.title or "",
        Money(int(item.minor or 0), item.currency or ""),
        bool(item.on_sale),
        batches,
        int(item.stock_version or 0),
    )


def _plain(attribute: Any) -> dict[str, Any]:
    return dict(attribute.as_dict()) if attribute is not None else {}
