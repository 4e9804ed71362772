"""A batch goes on sale: after the orders that were paid and had to wait, and all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.card import Pool
from cardshop.domain.errors import Busy, Changed
from cardshop.domain.product import Batch
from cardshop.ports import CardPool, Catalogue
from cardshop.usecases.count_stock import CountStock
from cardshop.usecases.fill_orders import FillOrders

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class PutOnSale:
    catalogue: Catalogue
    pool: CardPool
    fill: FillOrders

    def __call__(self, batch: Batch) -> bool:
        """False if the batch is not in the state any more in which it was read: somebody else moved it."""
        counts = self._counts(batch)
        if self.fill(batch.sku, [(pool, count) for pool, count in counts if count]):
            counts = self._counts(batch)
        for _ in range(_ATTEMPTS):
            try:
                moved = self.catalogue.put_on_sale(batch, tuple(count for _, count in counts))
            except Changed:  # the product's stock is being counted at this moment
                continue
            break
        else:
            raise Busy("the product kept changing; send it again")
        self.fill(batch.sku)  # one that began to wait after the first look is still before those who come now
        CountStock(self.catalogue, self.pool).whole(batch)  # some may have been taken in between
        return moved

    def _counts(self, batch: Batch) -> list[tuple[Pool, int]]:
        return [(pool, self.pool.count(pool)) for pool in batch.pools()]
