"""An import adds each code once, goes on sale whole, and is completed by sending the file again."""

from __future__ import annotations

import pytest
from cardshop.domain.card import card_id
from cardshop.domain.card_file import codes
from cardshop.domain.errors import Busy, NotFound, Unavailable
from cardshop.usecases.import_cards import ImportCards, Imported
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import PRICE, SKU
from tests.usecases.fakes import SECRET, Shop


def load(shop: Shop, text: str, sku: str = SKU) -> Imported:
    return ImportCards(shop.catalogue, shop.sealed, shop.sealer, SECRET, shop.clock)(sku, codes(text.encode()))


def listed(shop: Shop, sku: str = SKU) -> int:
    return shop.catalogue.products[sku].quantity


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.sells(SKU, 0, PRICE)
    return shop


def test_a_file_goes_on_sale_as_one_batch(shop: Shop) -> None:
    imported = load(shop, "A\nB\nC\n")
    assert (imported.batch.cards, imported.batch.on_sale, imported.duplicates, imported.already) == (3, True, [], False)
    assert listed(shop) == 3
    assert shop.stock.card_ids == sorted(card_id(SECRET, code) for code in "ABC")


def test_codes_lie_sealed_in_the_store_under_ids_that_do_not_show_them(shop: Shop) -> None:
    load(shop, "SECRET-CODE\n")
    (sealed,) = shop.sealed.cards.values()
    (pool,) = shop.stock.pools
    assert "SECRET-CODE" not in f"{sealed.card_id} {pool}"
    key = shop.sealer.unwrap(shop.sealed.wrapped[sealed.key_id])
    assert shop.sealer.open(key, SKU, sealed.card_id, sealed.sealed) == "SECRET-CODE"


def test_a_large_file_is_dealt_over_its_pools_as_it_is_listed(shop: Shop) -> None:
    load(shop, "\n".join(f"CODE-{number}" for number in range(300)))
    offered = shop.catalogue.products[SKU].pools()
    assert [count for _, count in offered] == [100, 100, 100]
    assert [shop.stock.count(pool) for pool, _ in offered] == [100, 100, 100]


def test_a_code_twice_in_the_file_is_added_once_and_named_by_its_line(shop: Shop) -> None:
    imported = load(shop, "A\n\nB\nA\nA\n")
    assert (imported.batch.cards, imported.duplicates) == (2, [4, 5])
    assert listed(shop) == len(shop.stock.card_ids) == 2


def test_a_code_that_is_or_was_in_stock_is_named_by_its_line(shop: Shop) -> None:
    """Given codes of another file, of another product, sold or not, they are not added again."""
    shop.sells("other", 0, PRICE)
    load(shop, "A\nB\n")
    shop.stock.pools.clear()  # sold
    load(shop, "X\n", "other")
    imported = load(shop, "C\nA\nX\nD\n")
    assert (imported.batch.cards, imported.duplicates) == (2, [2, 3])
    assert shop.stock.card_ids == sorted(card_id(SECRET, code) for code in "CDX")


def test_duplicates_of_both_kinds_are_named_in_the_sequence_of_their_lines(shop: Shop) -> None:
    load(shop, "A\n")
    assert load(shop, "B\nB\nA\nB\n").duplicates == [2, 3, 4]


def test_a_file_of_nothing_but_duplicates_lists_nothing(shop: Shop) -> None:
    load(shop, "A\nB\n")
    imported = load(shop, "B\nA\n")
    assert (imported.batch.cards, imported.duplicates) == (0, [1, 2])
    assert listed(shop) == 2


def test_the_same_file_again_is_there_already(shop: Shop) -> None:
    first = load(shop, "A\nB\nA\n")
    shop.stock.pools.clear()  # sold: it must not come back
    again = load(shop, "A\nB\nA\n")
    assert (again.already, again.batch, again.duplicates) == (True, first.batch, [3])
    assert shop.stock.card_ids == []


@pytest.mark.parametrize("broken_after", [0, 1, 150, 299])
def test_an_import_that_broke_off_is_completed_by_sending_the_file_again(shop: Shop, broken_after: int) -> None:
    """Given an import that broke off, nothing of it is on sale; sent again, all of it is, each card once."""
    text = "\n".join(f"CODE-{number}" for number in range(300))
    shop.sealed.breaks_after = broken_after
    with pytest.raises(Unavailable):
        load(shop, text)
    assert listed(shop) == 0
    imported = load(shop, text)
    assert (imported.batch.cards, imported.duplicates, imported.already) == (300, [], False)
    assert listed(shop) == 300
    assert shop.stock.card_ids == sorted(card_id(SECRET, f"CODE-{number}") for number in range(300))
    assert {pool.key: count for pool, count in shop.catalogue.products[SKU].pools()} == {
        key: len(cards) for key, cards in shop.stock.pools.items()
    }
    for sealed in shop.sealed.cards.values():  # whichever attempt sealed it
        key = shop.sealer.unwrap(shop.sealed.wrapped[sealed.key_id])
        assert shop.sealer.open(key, SKU, sealed.card_id, sealed.sealed).startswith("CODE-")


def test_an_import_beside_counts_goes_on_sale_all_the_same(shop: Shop) -> None:
    shop.catalogue.overtaken = 5
    assert load(shop, "A\nB\n").batch.cards == 2
    assert listed(shop) == 2


def test_an_import_that_counts_never_let_by_is_completed_by_sending_the_file_again(shop: Shop) -> None:
    shop.catalogue.overtaken = 1000
    with pytest.raises(Busy):
        load(shop, "A\nB\n")
    assert listed(shop) == 0
    shop.catalogue.overtaken = 0
    assert load(shop, "A\nB\n").batch.cards == 2
    assert listed(shop) == len(shop.stock.card_ids) == 2


def test_the_same_codes_for_another_product_are_another_batch_of_duplicates(shop: Shop) -> None:
    shop.sells("other", 0, PRICE)
    first = load(shop, "A\n")
    other = load(shop, "A\n", "other")
    assert other.batch.batch != first.batch.batch
    assert (other.batch.cards, other.duplicates) == (0, [1])


def test_cards_of_an_unknown_product_are_refused(shop: Shop) -> None:
    with pytest.raises(NotFound):
        load(shop, "A\n", "unknown")
    assert shop.stock.card_ids == []
    assert shop.sealed.wrapped == {}


@given(st.lists(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=8), max_size=5))
def test_whatever_files_come_every_code_is_for_sale_once(files: list[list[str]]) -> None:
    shop = Shop()
    shop.sells(SKU, 0, PRICE)
    added = 0
    for file in files:
        imported = load(shop, "\n".join(file))
        assert imported.batch.cards + len(imported.duplicates) == len(file) or imported.already
        added += 0 if imported.already else imported.batch.cards
    distinct = {code for file in files for code in file}
    assert shop.stock.card_ids == sorted(card_id(SECRET, code) for code in distinct)
    assert added == listed(shop) == len(distinct)
