"""An operator's view of a product: where the cards of each batch are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cardshop.domain.errors import NotFound
from cardshop.domain.holding import HoldingState
from cardshop.domain.product import Batch, Product
from cardshop.ports import Catalogue, Holdings


@dataclass(frozen=True, slots=True)
class BatchStock:
    """Cards of one batch. `on_sale` as the product lists them, the others as the ledger has them: a moment behind."""

    batch: Batch
    on_sale: int
    held: int
    sold: int


@dataclass(frozen=True, slots=True)
class InspectStock:
    catalogue: Catalogue
    holdings: Holdings

    def __call__(self, sku: str) -> tuple[Product, list[BatchStock]]:
        product = self.catalogue.find(sku, consistent=True)
        if product is None:
            raise NotFound("no such product")
        return product, [self.batch(product, batch) for batch in self.catalogue.batches(sku)]

    def batch(self, product: Product, batch: Batch) -> BatchStock:
        listed = next((sum(each.counts) for each in product.batches if each.batch == batch.batch), 0)
        found: Counter[HoldingState] = Counter()
        for holding in self.holdings.of(batch):
            found[holding.state] += holding.cards
        return BatchStock(batch, listed, found[HoldingState.HELD], found[HoldingState.SOLD])
