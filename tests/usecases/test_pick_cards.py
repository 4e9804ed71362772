"""Picking: some of the cards for sale, at random, none twice, and never fewer than wanted without saying so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.card import Pool
from cardshop.usecases.pick_cards import SPREAD, TooFew, on_sale, pick
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import PRICE, SKU
from tests.usecases.fakes import Shop


@given(st.lists(st.integers(1, 40), max_size=5), st.integers(1, 50))
def test_what_is_picked_lies_in_the_pools_and_is_picked_once(held: list[int], wanted: int) -> None:
    shop = Shop()
    dealt = _dealt(shop, held)
    pools = {SKU: list(zip(_pools(held), held, strict=True))}
    if sum(held) < wanted:
        with pytest.raises(TooFew) as refused:
            pick(shop.stock, {SKU: wanted}, pools, consistent=True)
        assert refused.value.sku == SKU
    picked, plenty = pick(shop.stock, {SKU: wanted}, pools, consistent=False)
    assert len({card.card_id for card in picked}) == len(picked) == min(wanted, sum(held))
    assert all(dealt[card.card_id] == card.pool and shop.stock.has(card) for card in picked)
    assert plenty == (sum(held) >= wanted + SPREAD)
    assert len(shop.stock.card_ids) == sum(held)  # nothing is taken


def _pools(held: list[int]) -> list[Pool]:
    return [Pool(SKU, "batch", shard) for shard in range(len(held))]


def _dealt(shop: Shop, held: list[int]) -> dict[str, Pool]:
    """So many cards in each pool."""
    dealt = {}
    for pool, count in zip(_pools(held), held, strict=True):
        for number in range(count):
            shop.stock.pools.setdefault(pool.key, {})[f"{number:016x}"] = identity = f"{pool.shard}-{number}"
            dealt[identity] = pool
    return dealt


def test_cards_of_every_product_wanted_are_picked_or_the_one_that_is_short_is_named(shop: Shop) -> None:
    shop.sells(SKU, 3, PRICE)
    shop.sells("other", 1, PRICE)
    wanted = {SKU: 2, "other": 1}
    picked, plenty = pick(shop.stock, wanted, on_sale(shop.catalogue, wanted), consistent=True)
    assert sorted(card.pool.sku for card in picked) == ["other", SKU, SKU]
    assert not plenty
    more = {SKU: 2, "other": 2}
    with pytest.raises(TooFew) as refused:
        pick(shop.stock, more, on_sale(shop.catalogue, more), consistent=True)
    assert refused.value.sku == "other"


def test_buyers_at_once_are_offered_different_cards(shop: Shop) -> None:
    shop.sells(SKU, 1 + SPREAD, PRICE)
    pools = on_sale(shop.catalogue, [SKU])
    offered = {pick(shop.stock, {SKU: 1}, pools, consistent=False)[0][0].card_id for _ in range(100)}
    assert len(offered) > 5


def test_pools_that_hold_more_are_tried_first_more_often(shop: Shop) -> None:
    _dealt(shop, [100, 100])
    fuller, emptier = _pools([100, 100])
    pools = {SKU: [(emptier, 1), (fuller, 99)]}
    first = [pick(shop.stock, {SKU: 1}, pools, consistent=False)[0][0].pool for _ in range(200)]
    assert first.count(fuller) > 150


def test_a_hidden_product_still_gives_what_is_owed_and_one_that_is_gone_gives_nothing(shop: Shop) -> None:
    shop.sells(SKU, 2, PRICE, on_sale=False)
    pools = on_sale(shop.catalogue, [SKU, "gone"])
    assert [count for _, count in pools[SKU]] == [2]
    assert pools["gone"] == []


def test_where_cards_are_for_sale_is_read_as_it_is_now(shop: Shop) -> None:
    shop.sells(SKU, 2, PRICE)
    shop.catalogue.behind[SKU] = replace(shop.catalogue.products[SKU], batches=())
    assert [count for _, count in on_sale(shop.catalogue, [SKU])[SKU]] == [2]
