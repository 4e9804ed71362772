"""Stock stream → how many cards of each pool are for sale, listed on the product by one write a batch of records."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.stream import StreamConsumer, Work, moved_card, of_a_product
from cardshop.domain.card import Pool
from cardshop.usecases.count_stock import CountStock


@cache
def _count() -> CountStock:
    return CountStock(DynamoCatalogue(), DynamoPool())


def count(work: Work) -> None:
    _count()(*map(Pool.parse, work["pools"]))


handler = StreamConsumer(moved_card, count, together=of_a_product)
