"""Products, their batches on sale, channels and what buyers may know of them: one small table.

A batch goes on sale by one transaction: its own item, and its entry in the product's list of batches. That list is
what an order picks from and what buyers see as stock; `count_stock` keeps its counts true.
"""

from __future__ import annotations

import uuid
from typing import Any

from pynamodb.exceptions import DeleteError, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from cardshop.adapters.tables import CONDITION_FAILED, CatalogueItem, connection, overtaken, reasons, refused, store
from cardshop.domain.card import SKU
from cardshop.domain.errors import Changed, NotFound
from cardshop.domain.money import Money
from cardshop.domain.payment import CHANNEL_NAME, Channel, Offer
from cardshop.domain.product import BATCH_ID, Batch, BatchStatus, Listed, Product

_PRODUCT, _DESCRIPTION, _CHANNEL, _OFFER = "PRODUCT", "DESCRIPTION", "CHANNEL", "OFFER"
_IMPORTING = CatalogueItem.status == BatchStatus.IMPORTING.value


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
        return [product for product in self.everything() if product.on_sale]

    def everything(self) -> list[Product]:
        with store():
            return [_product(item) for item in CatalogueItem.query(_PRODUCT)]

    def descriptions(self) -> dict[str, str]:
        with store():
            return {item.name: item.description for item in CatalogueItem.query(_DESCRIPTION) if item.description}

    def description(self, sku: str) -> str | None:
        with store():
            try:
                return CatalogueItem.get(_DESCRIPTION, sku).description
            except CatalogueItem.DoesNotExist:
                return None

    def save(self, product: Product, description: str | None = None) -> None:
        category = CatalogueItem.category
        with store():
            CatalogueItem(_DESCRIPTION, product.sku, description=description).save()
            CatalogueItem(_PRODUCT, product.sku).update(
                [
                    CatalogueItem.title.set(product.name),
                    CatalogueItem.minor.set(product.price.minor),
                    CatalogueItem.currency.set(product.price.currency),
                    CatalogueItem.on_sale.set(product.on_sale),
                    category.set(product.category) if product.category else category.remove(),
                    CatalogueItem.batches.set(CatalogueItem.batches | {}),
                    CatalogueItem.stock_version.set(CatalogueItem.stock_version | 0),
                ]
            )

    def batch(self, sku: str, batch: str) -> Batch | None:
        if not SKU.fullmatch(sku) or not BATCH_ID.fullmatch(batch):
            return None
        with store():
            try:
                return _batch(CatalogueItem.get(f"BATCH#{sku}", batch, consistent_read=True))
            except CatalogueItem.DoesNotExist:
                return None

    def batches(self, sku: str) -> list[Batch]:
        with store():
            found = [_batch(item) for item in CatalogueItem.query(f"BATCH#{sku}")]
        return sorted(found, key=lambda batch: (batch.created_at, batch.batch))

    def begin_batch(self, batch: Batch) -> None:
        item = _key(batch)
        item.status = BatchStatus.IMPORTING.value
        item.shards, item.cards, item.created_at = batch.shards, 0, batch.created_at
        with store():
            try:
                item.save(condition=CatalogueItem.kind.does_not_exist())
            except PutError as error:
                if not refused(error):  # noted by an earlier attempt: go on from there
                    raise

    def advance_batch(self, batch: Batch) -> None:
        with store():
            try:
                _key(batch).update([CatalogueItem.cards.set(batch.cards)], condition=_IMPORTING)
            except UpdateError as error:
                if not overtaken(error):  # a twin of this import has ended it
                    raise

    def drop_batch(self, batch: Batch) -> None:
        with store():
            try:
                _key(batch).delete(condition=_IMPORTING)
            except DeleteError as error:
                if not overtaken(error):
                    raise

    def put_on_sale(self, batch: Batch, counts: tuple[int, ...]) -> bool:
        listed = [CatalogueItem.batches[batch.batch].set(list(counts)), CatalogueItem.stock_version.add(1)]
        return self._move(batch, BatchStatus.ON_SALE, listed)

    def withdraw(self, batch: Batch) -> bool:
        unlisted = [CatalogueItem.batches[batch.batch].remove(), CatalogueItem.stock_version.add(1)]
        return self._move(batch, BatchStatus.WITHDRAWN, unlisted)

    @staticmethod
    def _move(batch: Batch, status: BatchStatus, listing: list[Action]) -> bool:
        """The batch in its new state and the product's list with it; False if the batch was in another than read."""
        with store():
            try:
                with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                    write.update(
                        _key(batch),
                        [CatalogueItem.status.set(status.value), CatalogueItem.cards.set(batch.cards)],
                        condition=CatalogueItem.status == batch.status.value,
                    )
                    write.update(CatalogueItem(_PRODUCT, batch.sku), listing, condition=CatalogueItem.minor.exists())
            except TransactWriteError as error:
                why = reasons(error)
                if not why:
                    raise
                if why[0] == CONDITION_FAILED:
                    return False
                if why[1] == CONDITION_FAILED:
                    raise NotFound("no such product") from error
                raise Changed from error
        return True

    def counted(self, product: Product, *listed: Listed) -> None:
        actions: list[Action] = [CatalogueItem.stock_version.set(product.stock_version + 1)]
        for each in listed:
            entry = CatalogueItem.batches[each.batch]
            actions.append(entry.set(list(each.counts)) if any(each.counts) else entry.remove())
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
        return Channel(name, item.provider or "", _plain(item.settings), {}, item.offered is not False)

    def offers(self) -> list[Offer]:
        """Of every channel that buyers may choose, by name."""
        with store():
            return [_offer(item) for item in CatalogueItem.query(_OFFER) if item.offered]

    def save(self, channel: Channel, offer: Offer) -> None:
        """Settings and offer, both or neither. Its title, and whether it is offered, stay: a new one is."""
        provider, offered = CatalogueItem.provider.set(channel.provider), CatalogueItem.offered
        told = [
            CatalogueItem.terminals.set(list(offer.terminals)),
            CatalogueItem.ways.set(list(offer.ways)),
            CatalogueItem.currencies.set(list(offer.currencies)),
        ]
        with store(), TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
            write.update(
                CatalogueItem(_CHANNEL, channel.name),
                [provider, offered.set(offered | True), CatalogueItem.settings.set(channel.settings)],
            )
            write.update(CatalogueItem(_OFFER, channel.name), [provider, offered.set(offered | True), *told])

    def offer(self, name: str, *, offered: bool, title: str | None) -> bool:
        """Whether buyers may choose it, and as what. False if there is no such channel."""
        there, chosen = CatalogueItem.provider.exists(), CatalogueItem.offered.set(offered)
        called = CatalogueItem.title.set(title) if title else CatalogueItem.title.remove()
        with store():
            try:
                with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                    write.update(CatalogueItem(_CHANNEL, name), [chosen], condition=there)
                    write.update(CatalogueItem(_OFFER, name), [chosen, called], condition=there)
            except TransactWriteError as error:
                if CONDITION_FAILED in reasons(error):
                    return False
                raise
        return True


def _product(item: CatalogueItem) -> Product:
    batches = tuple(
        Listed(name, tuple(int(count) for count in counts)) for name, counts in _plain(item.batches).items()
    )
    return Product(
        item.name,
        item.title or "",
        Money(int(item.minor or 0), item.currency or ""),
        bool(item.on_sale),
        batches,
        int(item.stock_version or 0),
        item.category,
    )


def _offer(item: CatalogueItem) -> Offer:
    return Offer(
        item.name,
        item.provider or "",
        tuple(item.terminals or ()),
        tuple(item.ways or ()),
        tuple(item.currencies or ()),
        item.title,
    )


def _key(batch: Batch) -> CatalogueItem:
    return CatalogueItem(f"BATCH#{batch.sku}", batch.batch)


def _batch(item: CatalogueItem) -> Batch:
    return Batch(
        item.kind.removeprefix("BATCH#"),
        item.name,
        BatchStatus(item.status),
        int(item.shards or 1),
        int(item.cards or 0),
        int(item.created_at or 0),
    )


def _plain(attribute: Any) -> dict[str, Any]:
    return dict(attribute.as_dict()) if attribute is not None else {}
