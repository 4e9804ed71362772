"""Which cards an order gets: some of those for sale, at random. Who takes them is a transaction's business."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from cardshop.domain.card import Card, Pool
from cardshop.ports import CardPool, Catalogue

#: A claim looks at this many more cards than it wants and takes some at random: fewer meet on one card. Thirty-two
#: are still one read unit. Where there are not so many left, everybody wants the same few: look twice, apart in time.
SPREAD = 24

#: The pools to pick from, by SKU, each with how many cards it is believed to hold.
Pools = Mapping[str, Sequence[tuple[Pool, int]]]


class TooFew(Exception):
    """There are fewer cards of this SKU than are wanted."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku}: too few left")
        self.sku = sku


def on_sale(catalogue: Catalogue, skus: Iterable[str]) -> Pools:
    """Where these products' cards are for sale now; a product that is hidden still gives what is owed."""
    found = {sku: catalogue.find(sku, consistent=True) for sku in skus}
    return {sku: product.pools() if product else [] for sku, product in found.items()}


def pick(pool: CardPool, wanted: Mapping[str, int], pools: Pools, *, consistent: bool) -> tuple[list[Card], bool]:
    """Random cards, and whether there is plenty. TooFew, if a consistent look finds too few."""
    picked: list[Card] = []
    plenty = True
    for sku, quantity in wanted.items():
        seen = _look(pool, pools[sku], quantity + SPREAD, consistent=consistent)
        if consistent and len(seen) < quantity:
            raise TooFew(sku)
        plenty = plenty and len(seen) >= quantity + SPREAD
        picked += random.sample(seen, min(quantity, len(seen)))
    return picked, plenty


def _look(pool: CardPool, pools: Sequence[tuple[Pool, int]], wanted: int, *, consistent: bool) -> list[Card]:
    """Up to `wanted` cards; a pool is tried first in the proportion of what it is believed to hold."""
    seen: list[Card] = []
    for each, _ in sorted(pools, key=lambda pool: random.random() ** (1 / pool[1]), reverse=True):
        seen += pool.look(each, wanted - len(seen), consistent=consistent)
        if len(seen) >= wanted:
            break
    return seen
