"""A product and the batches of its cards that are on sale."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardshop.domain.card import Pool
from cardshop.domain.money import Money

COUNT_LIMIT = 1000  # stock is counted up to here: what a buyer is told must not cost more the more there is
LOW_STOCK = 10


@dataclass(frozen=True, slots=True)
class Batch:
    """One import's cards, cut into `shards` pools; `count` of them were for sale when last counted."""

    batch: str
    shards: int
    count: int


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    name: str
    price: Money
    on_sale: bool
    batches: tuple[Batch, ...] = field(default=())
    stock_version: int = 0

    @property
    def quantity(self) -> int:
        return sum(batch.count for batch in self.batches)

    @property
    def level(self) -> str:
        if self.quantity == 0:
            return "out_of_stock"
        return "low" if self.quantity <= LOW_STOCK else "in_stock"

    def pools(self) -> list[tuple[Pool, float]]:
        """Every pool that may hold a card, with the share of the stock it is believed to hold."""
        return [
            (Pool(self.sku, batch.batch, shard), batch.count / batch.shards)
            for batch in self.batches
            for shard in range(batch.shards)
        ]


def shards_for(cards: int) -> int:
    """A pool partition takes some 500 claims a second; a small batch is not cut, so it is read in one query."""
    return max(1, min(8, cards // 500))
