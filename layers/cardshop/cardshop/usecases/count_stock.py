"""Keep a product's list of batches true: how many cards of each pool are for sale.

It counts anew rather than adding up, so any stream record may come twice, late or out of order; the product's
`stock_version` lets only the newest count be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cardshop.domain.card import Pool
from cardshop.domain.errors import Changed
from cardshop.domain.product import Batch, BatchStatus, Listed, Product
from cardshop.ports import CardPool, Catalogue

_ATTEMPTS = 50  # each lost one means that another count was written


@dataclass(frozen=True, slots=True)
class CountStock:
    catalogue: Catalogue
    pool: CardPool

    def __call__(self, *pools: Pool) -> None:
        """Count these pools of one product and list those whose batch is on sale, in one write."""
        for _ in range(_ATTEMPTS):
            product = self.catalogue.find(pools[0].sku, consistent=True)
            if product is None or not (counted := self._counted(product, pools)):
                return
            try:  # written even if it says what is listed: it must overtake an older count that is still on its way
                self.catalogue.counted(product, *counted)
            except Changed:
                continue
            return
        raise Changed("the stock kept changing")

    def whole(self, batch: Batch) -> None:
        """List every pool of a batch on sale that holds another number of cards than its product says."""
        product = self.catalogue.find(batch.sku, consistent=True)
        found = product.batches if product else ()
        listed = next((each.counts for each in found if each.batch == batch.batch), (0,) * batch.shards)
        if wrong := [pool for pool in batch.pools() if self.pool.count(pool) != listed[pool.shard]]:
            self(*wrong)

    def _counted(self, product: Product, pools: Sequence[Pool]) -> list[Listed]:
        """Their batches on sale, as they are now; the other pools of those as they are listed."""
        listed = {each.batch: each.counts for each in product.batches}
        found = []
        for batch in dict.fromkeys(pool.batch for pool in pools):
            if counts := list(listed.get(batch) or self._unlisted(product.sku, batch)):
                for pool in pools:
                    if pool.batch == batch:
                        counts[pool.shard] = self.pool.count(pool)
                found.append(Listed(batch, tuple(counts)))
        return found

    def _unlisted(self, sku: str, batch: str) -> tuple[int, ...]:
        """A batch that was sold out, to be listed again; empty while it is not on sale."""
        found = self.catalogue.batch(sku, batch)
        return (0,) * found.shards if found and found.status is BatchStatus.ON_SALE else ()
