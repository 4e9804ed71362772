"""A product, and the batches in which its cards came."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from cardshop.domain.card import Pool
from cardshop.domain.money import Money

BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOW_STOCK = 10
_CARDS_PER_SHARD = 128  # few enough to be counted in one read
_MAX_SHARDS = 64


class BatchStatus(StrEnum):
    IMPORTING = "importing"  # invisible: its import has not ended, or broke off
    ON_SALE = "on_sale"
    WITHDRAWN = "withdrawn"  # none of its cards is sold, nor given for a payment that comes now


@dataclass(frozen=True, slots=True)
class Batch:
    """One file's cards, cut into pools."""

    sku: str
    batch: str
    status: BatchStatus
    shards: int
    cards: int  # that it added to the stock (so far, while it is importing)
    created_at: int  # milliseconds

    def pools(self) -> list[Pool]:
        return [Pool(self.sku, self.batch, shard) for shard in range(self.shards)]


@dataclass(frozen=True, slots=True)
class Listed:
    """A batch on sale, as its product lists it: how many cards each pool held when last counted."""

    batch: str
    counts: tuple[int, ...]  # by shard


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    name: str
    price: Money
    on_sale: bool
    batches: tuple[Listed, ...] = field(default=())
    stock_version: int = 0
    category: str | None = None

    @property
    def quantity(self) -> int:
        return sum(sum(batch.counts) for batch in self.batches)

    @property
    def level(self) -> str:
        if self.quantity == 0:
            return "out_of_stock"
        return "low" if self.quantity <= LOW_STOCK else "in_stock"

    def pools(self) -> list[tuple[Pool, int]]:
        """Every pool on sale that held a card when last counted, with that count."""
        return [
            (Pool(self.sku, batch.batch, shard), count)
            for batch in self.batches
            for shard, count in enumerate(batch.counts)
            if count
        ]


def shares(cards: int) -> tuple[int, ...]:
    """How many of a batch's cards go to each of its pools: alike, so that a random pool is a random card.

    A pool is one partition, and takes some 500 claims a second.
    """
    shards = max(1, min(_MAX_SHARDS, -(-cards // _CARDS_PER_SHARD)))
    return tuple(len(range(shard, cards, shards)) for shard in range(shards))
