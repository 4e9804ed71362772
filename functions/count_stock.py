"""Stock stream → how many cards of a pool are for sale, listed on the product."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.stream import StreamConsumer, Work, moved_card
from cardshop.domain.card import Pool
from cardshop.usecases.count_stock import CountStock


@cache
def _count() -> CountStock:
    return CountStock(DynamoCatalogue(), DynamoPool())


def count(work: Work) -> None:
    _count()(Pool.parse(work["pool"]))


handler = StreamConsumer(moved_card, count)
