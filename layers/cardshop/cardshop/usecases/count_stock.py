"""Keep a product's list of batches true: how many cards of each are for sale, up to a limit.

It counts anew rather than adding up, so any stream record may come twice, late or out of order; the product's
`stock_version` lets only the newest count be written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cardshop.domain.card import Pool
from cardshop.domain.errors import Changed
from cardshop.domain.product import COUNT_LIMIT, Batch
from cardshop.ports import CardPool, Catalogue

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class CountStock:
    catalogue: Catalogue
    pool: CardPool

    def __call__(self, sku: str, batches: Iterable[str]) -> None:
        names = sorted(set(batches))
        for _ in range(_ATTEMPTS):
            product = self.catalogue.find(sku, consistent=True)
            if product is None:
                return
            counts = [batch for name in names if (batch := self._count(sku, name)) is not None]
            listed = {batch.batch: batch.count for batch in product.batches}
            changed = [batch for batch in counts if listed.get(batch.batch, 0) != batch.count]
            if not changed:
                return
            try:
                self.catalogue.counted(product, changed)
            except Changed:
                continue
            return
        raise Changed("the stock kept changing")

    def _count(self, sku: str, name: str) -> Batch | None:
        """The batch as it is now; None while it is not on sale."""
        batch = self.catalogue.batch(sku, name)
        if batch is None or not batch.on_sale:
            return None
        each = -(-COUNT_LIMIT // batch.shards)
        count = sum(self.pool.count(Pool(sku, name, shard), each) for shard in range(batch.shards))
        return Batch(name, batch.shards, count)
