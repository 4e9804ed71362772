"""Keep a product's list of batches true: how many cards of each pool are for sale.

It counts anew rather than adding up, so any stream record may come twice, late or out of order; the product's
`stock_version` lets only the newest count be written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cardshop.domain.card import Pool
from cardshop.domain.errors import Changed
from cardshop.domain.product import Batch, BatchStatus, Listed
from cardshop.ports import CardPool, Catalogue

_ATTEMPTS = 50  # each lost one means that another count was written


@dataclass(frozen=True, slots=True)
class CountStock:
    catalogue: Catalogue
    pool: CardPool

    def __call__(self, pool: Pool) -> None:
        """Count this pool and list it, if its batch is on sale."""
        for _ in range(_ATTEMPTS):
            product = self.catalogue.find(pool.sku, consistent=True)
            if product is None:
                return
            listed = next((each for each in product.batches if each.batch == pool.batch), None)
            if listed is None and (listed := self._unlisted(pool)) is None:
                return
            counts = list(listed.counts)
            counts[pool.shard] = self.pool.count(pool)
            try:  # written even if it says what is listed: it must overtake an older count that is still on its way
                self.catalogue.counted(product, replace(listed, counts=tuple(counts)))
            except Changed:
                continue
            return
        raise Changed("the stock kept changing")

    def whole(self, batch: Batch) -> None:
        """List every pool of a batch on sale that holds another number of cards than its product says."""
        product = self.catalogue.find(batch.sku, consistent=True)
        found = product.batches if product else ()
        listed = next((each.counts for each in found if each.batch == batch.batch), (0,) * batch.shards)
        for pool in batch.pools():
            if self.pool.count(pool) != listed[pool.shard]:
                self(pool)

    def _unlisted(self, pool: Pool) -> Listed | None:
        """A batch that was sold out, to be listed again; None while it is not on sale."""
        found = self.catalogue.batch(pool.sku, pool.batch)
        if found is None or found.status is not BatchStatus.ON_SALE:
            return None
        return Listed(pool.batch, (0,) * found.shards)
