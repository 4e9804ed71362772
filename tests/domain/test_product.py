"""A product's stock: how it is cut into pools, what is listed, and what buyers are told of it."""

from __future__ import annotations

import pytest
from cardshop.domain.card import Pool
from cardshop.domain.product import Listed, Product, shares
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import PRICE, SKU

counts = st.lists(st.integers(0, 200), min_size=1, max_size=8).map(tuple)


def product(*batches: Listed) -> Product:
    return Product(SKU, "Steam 50 元", PRICE, True, batches)


@given(st.integers(0, 12_000))
def test_a_batch_is_shared_out_whole_and_alike(cards: int) -> None:
    found = shares(cards)
    assert sum(found) == cards
    assert max(found) - min(found) <= 1
    assert 1 <= len(found) <= 64
    assert max(found) <= 128 or len(found) == 64


@given(st.integers(1, 10_000))
def test_dealing_cards_one_by_one_gives_each_pool_its_share(cards: int) -> None:
    """An import deals card `index` to pool `index % shards`; the counts it lists are `shares`."""
    expected = shares(cards)
    dealt = [0] * len(expected)
    for index in range(cards):
        dealt[index % len(expected)] += 1
    assert tuple(dealt) == expected


@given(st.lists(counts, max_size=4))
def test_only_pools_that_hold_something_are_offered(listed: list[tuple[int, ...]]) -> None:
    batches = tuple(Listed(f"batch-{number}", each) for number, each in enumerate(listed))
    offered = dict(product(*batches).pools())
    assert all(count > 0 for count in offered.values())
    assert sum(offered.values()) == product(*batches).quantity == sum(map(sum, listed))
    assert all(batches[int(pool.batch[6:])].counts[pool.shard] == count for pool, count in offered.items())
    assert all(isinstance(pool, Pool) and pool.sku == SKU for pool in offered)


@pytest.mark.parametrize(
    ("quantity", "level"), [(0, "out_of_stock"), (1, "low"), (10, "low"), (11, "in_stock"), (9000, "in_stock")]
)
def test_buyers_see_how_much_is_left(quantity: int, level: str) -> None:
    assert product(Listed("batch", (quantity, 0))).level == level


def test_a_product_without_a_batch_is_out_of_stock() -> None:
    assert (product().quantity, product().level, product().pools()) == (0, "out_of_stock", [])
