"""Counting: whatever record comes, twice, late or out of order, the list ends up as the pools are."""

from __future__ import annotations

import pytest
from cardshop.domain.card import Card, Pool
from cardshop.domain.errors import Changed
from cardshop.domain.product import Batch, BatchStatus, Listed
from cardshop.usecases.count_stock import CountStock

from tests.domain.builders import NOW, PRICE, SKU
from tests.usecases.fakes import Shop


@pytest.fixture
def count(shop: Shop) -> CountStock:
    return CountStock(shop.catalogue, shop.stock)


def counts(shop: Shop) -> list[tuple[int, ...]]:
    return [batch.counts for batch in shop.catalogue.products[SKU].batches]


def sold(shop: Shop, cards: list[Card]) -> None:
    for card in cards:
        shop.stock.take(card)


def test_a_sold_card_is_counted_out_of_its_pool(shop: Shop, count: CountStock) -> None:
    dealt = shop.sells(SKU, 5, PRICE, shards=2)
    sold(shop, dealt[:1])
    count(dealt[0].pool)
    assert counts(shop) == [(2, 2)]


def test_pools_of_several_batches_are_listed_by_one_write(shop: Shop, count: CountStock) -> None:
    """Those of a batch that is not on sale are left out, and pools that are not named stay as they are listed."""
    one = shop.sells(SKU, 5, PRICE, shards=2)
    other = Card(Pool(SKU, "sold-out", 1), "card", "0")
    shop.catalogue.imported[SKU, "sold-out"] = Batch(SKU, "sold-out", BatchStatus.ON_SALE, 2, 1, NOW)
    shop.stock.put(other)
    sold(shop, one[:2])
    before = shop.catalogue.products[SKU].stock_version
    count(one[0].pool, other.pool, Pool(SKU, "unfinished", 0))
    assert counts(shop) == [(2, 2), (0, 1)]
    assert shop.catalogue.products[SKU].stock_version == before + 1


def test_a_record_that_comes_twice_changes_no_count(shop: Shop, count: CountStock) -> None:
    dealt = shop.sells(SKU, 5, PRICE, shards=2)
    sold(shop, dealt[:1])
    for _ in range(3):
        count(dealt[0].pool)
        assert counts(shop) == [(2, 2)]


def test_an_older_count_still_on_its_way_is_overtaken_by_one_that_finds_nothing_new(
    shop: Shop, count: CountStock
) -> None:
    """Given a count taken before a card came back and not written yet, it must not be written after this one."""
    dealt = shop.sells(SKU, 3, PRICE)
    read = shop.catalogue.products[SKU]
    count(dealt[0].pool)
    with pytest.raises(Changed):
        shop.catalogue.counted(read, Listed(read.batches[0].batch, (2,)))
    assert counts(shop) == [(3,)]


def test_a_batch_that_is_sold_out_is_not_listed_any_more_and_comes_back_with_a_card(
    shop: Shop, count: CountStock
) -> None:
    dealt = shop.sells(SKU, 3, PRICE, shards=3)
    sold(shop, dealt)
    for card in dealt:
        count(card.pool)
    assert counts(shop) == []
    shop.stock.put(dealt[1].returned())
    count(dealt[1].pool)
    assert counts(shop) == [(0, 1, 0)]


def test_a_batch_that_is_not_on_sale_is_not_listed(shop: Shop, count: CountStock) -> None:
    """Given an import that has not finished, its cards are in the pool and nobody's yet."""
    shop.sells(SKU, 0, PRICE)
    shop.catalogue.begin_batch(Batch(SKU, "unfinished", BatchStatus.IMPORTING, 1, 0, NOW))
    pool = Pool(SKU, "unfinished", 0)
    shop.stock.put(Card(pool, "card", "0"))
    count(pool)
    assert counts(shop) == []


def test_a_product_that_is_gone_has_nothing_to_count(shop: Shop, count: CountStock) -> None:
    count(Pool("gone", "batch", 0))
    assert shop.catalogue.products == {}


def test_a_count_that_comes_in_between_is_not_written_over(shop: Shop, count: CountStock) -> None:
    """Given another pool counted between this one's read and its write, the list holds both."""
    one, other, *_ = shop.sells(SKU, 5, PRICE, shards=2)
    sold(shop, [one, other])
    shop.catalogue.meanwhile = lambda: count(other.pool)
    count(one.pool)
    assert counts(shop) == [(2, 1)]


def test_a_stock_that_never_stops_changing_is_tried_again_later(shop: Shop, count: CountStock) -> None:
    dealt = shop.sells(SKU, 3, PRICE)
    sold(shop, dealt[:1])

    def always_faster() -> None:
        product = shop.catalogue.products[SKU]
        shop.catalogue.counted(product, Listed("another", (product.stock_version,)))
        shop.catalogue.meanwhile = always_faster

    shop.catalogue.meanwhile = always_faster
    with pytest.raises(Changed):
        count(dealt[0].pool)
