"""Imports beside imports, and counts beside claims: every card is there once, and the product says how many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.stock import DynamoPool, DynamoSealedCards
from cardshop.domain.card import Pool
from cardshop.domain.errors import Changed, NothingToImport, OutOfStock
from cardshop.domain.product import BatchStatus
from cardshop.ports import SealedCard
from cardshop.usecases.count_stock import CountStock
from cardshop.usecases.import_cards import Imported
from cardshop.usecases.place_order import Placed

from tests.contention.trading import (
    at_once,
    close_trade,
    codes,
    in_pool,
    listed,
    load,
    manage_batches,
    place_order,
    placed,
    product,
    sealed,
    stocked,
    true_counts,
    wish,
)


def _listed_counts(sku: str) -> dict[Pool, int]:
    return dict(listed(sku).pools())


def _imports(sku: str, *files: list[str]) -> list[Imported]:
    """All of them at once; those that brought nothing new are refused."""
    told = at_once(len(files), lambda n: load(sku, files[n]), NothingToImport)
    return [each for each in told if isinstance(each, Imported)]


def test_the_same_file_twice_at_once_is_one_import(tables: str) -> None:
    sku, file = product(), codes(150)

    one, other = _imports(sku, file, file)

    assert one.batch.batch == other.batch.batch
    assert (one.batch.cards, other.batch.cards) == (150, 150)
    assert (one.duplicates, other.duplicates) == ([], []), "a twin's cards are no duplicates"
    assert len(in_pool(sku)) == 150
    assert set(in_pool(sku).values()) == {1}
    assert sealed(sku).keys() == in_pool(sku).keys()
    assert listed(sku).quantity == 150
    assert _listed_counts(sku) == true_counts(sku)


def test_overlapping_files_at_once_add_every_card_once(tables: str) -> None:
    sku, lines = product(), codes(200)
    first, second = lines[:120], lines[80:]

    one, other = _imports(sku, first, second)

    assert one.batch.cards + other.batch.cards == 200, "the batches' counts add up"
    repeated = [first[number - 1] for number in one.duplicates] + [second[number - 1] for number in other.duplicates]
    assert sorted(repeated) == sorted(lines[80:120]), "each shared line is a duplicate in exactly one of the files"
    assert len(in_pool(sku)) == 200
    assert set(in_pool(sku).values()) == {1}
    assert sealed(sku).keys() == in_pool(sku).keys()
    assert listed(sku).quantity == 200
    assert _listed_counts(sku) == true_counts(sku)


def test_three_files_and_a_twin_at_once(tables: str) -> None:
    sku, lines = product(), codes(120)
    imported = _imports(sku, lines[:60], lines[:60], lines[30:90], lines[60:])
    by_batch = {each.batch.batch: each.batch.cards for each in imported}
    assert sum(by_batch.values()) == 120
    assert len(imported) == len(by_batch) + 1, "the twins are one batch, and each was told so"
    assert len(by_batch) in (2, 3), "all cards of the one in the middle may be in the others"
    assert {batch.batch: batch.cards for batch in DynamoCatalogue().batches(sku)} == by_batch
    assert in_pool(sku).keys() == sealed(sku).keys()
    assert len(in_pool(sku)) == 120
    assert set(in_pool(sku).values()) == {1}
    assert _listed_counts(sku) == true_counts(sku)


class _Delayed(DynamoSealedCards):
    """The real table; something happens once the cards are added."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def add(self, cards: Sequence[SealedCard]) -> list[str]:
        duplicates = super().add(cards)
        self._happens()
        return duplicates


def test_a_twin_that_comes_late_does_not_list_what_was_sold_meanwhile(tables: str) -> None:
    sku, file = product(), codes(5)

    def imported_and_sold() -> None:
        load(sku, file)
        CountStock(DynamoCatalogue(), DynamoPool())(placed(sku, 2).cards[0].pool)

    late = load(sku, file, _Delayed(imported_and_sold))

    assert late.batch.cards == 5
    assert listed(sku).quantity == 3
    assert _listed_counts(sku) == true_counts(sku)


def test_counts_beside_claims_end_at_the_truth(tables: str) -> None:
    """Every claim is followed by a count of its pool, as by its stream record; one that gives up is put aside, and made
    again. The last one to finish is right."""
    sku = stocked(150)
    pools = [pool for pool, _ in listed(sku).pools()]
    assert len(pools) > 1
    place, count = place_order(), CountStock(DynamoCatalogue(), DynamoPool())

    def buy_and_count(number: int) -> int:
        order = place(wish((sku, 1 + number % 3))).order
        for card in order.cards:
            while True:
                try:
                    count(card.pool)
                except Changed:
                    continue
                break
        return len(order.cards)

    sold = [each for each in at_once(16, buy_and_count) if isinstance(each, int)]

    assert len(sold) == 16
    assert listed(sku).quantity == 150 - sum(sold)
    assert _listed_counts(sku) == true_counts(sku)


def test_the_last_cards_leave_the_list_and_come_back_to_it(tables: str) -> None:
    """Sold out by a crowd, then closed by one: the batch is unlisted at zero, and listed again."""
    sku = stocked(4)
    place, count = place_order(), CountStock(DynamoCatalogue(), DynamoPool())

    def buy_and_count(_: int) -> Placed:
        bought = place(wish((sku, 1)))
        count(bought.order.cards[0].pool)
        return bought

    outcomes = at_once(8, buy_and_count, OutOfStock)
    bought = [each for each in outcomes if isinstance(each, Placed)]
    assert len(bought) == 4
    assert listed(sku).batches == ()

    closed = [each.order for each in bought[:3]]

    def close_and_count(number: int) -> None:
        close_trade()(closed[number].trade_id)
        count(closed[number].cards[0].pool)

    at_once(3, close_and_count)
    assert listed(sku).quantity == 3
    assert _listed_counts(sku) == true_counts(sku)


class _Overtaken(DynamoPool):
    """The real pool; something happens once, after a count and before it is listed."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens: Callable[[], object] | None = happens

    def count(self, pool: Pool) -> int:
        counted = super().count(pool)
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return counted


def test_a_count_that_is_overtaken_is_made_anew(tables: str) -> None:
    """A card is claimed, and counted, between another count and its listing."""
    sku = stocked(3)
    first = placed(sku)

    def claim_and_count() -> None:
        count(placed(sku).cards[0].pool)

    count = CountStock(DynamoCatalogue(), DynamoPool())
    CountStock(DynamoCatalogue(), _Overtaken(claim_and_count))(first.cards[0].pool)
    assert listed(sku).quantity == 1
    assert _listed_counts(sku) == true_counts(sku)


def test_a_count_that_found_nothing_to_change_still_overtakes_an_older_one(tables: str) -> None:
    """Listed 3; a card comes back (4, counted) and leaves again (3, counted: as listed) before the 4 is written."""
    sku = stocked(4)
    count = CountStock(DynamoCatalogue(), DynamoPool())
    order = placed(sku)
    pool = order.cards[0].pool
    count(pool)
    assert listed(sku).quantity == 3

    def claim_and_count() -> None:
        count(placed(sku).cards[0].pool)

    close_trade()(order.trade_id)
    CountStock(DynamoCatalogue(), _Overtaken(claim_and_count))(pool)

    assert true_counts(sku) == {pool: 3}
    assert _listed_counts(sku) == true_counts(sku)


def test_a_count_does_not_put_a_withdrawn_batch_back_on_the_list(tables: str) -> None:
    """It is withdrawn between a count of one of its pools and the listing."""
    sku = stocked(3)
    (batch,) = DynamoCatalogue().batches(sku)
    pool = placed(sku).cards[0].pool

    def withdraw() -> None:
        manage_batches()(sku, batch.batch, BatchStatus.WITHDRAWN)

    CountStock(DynamoCatalogue(), _Overtaken(withdraw))(pool)
    assert listed(sku).batches == ()
    CountStock(DynamoCatalogue(), DynamoPool())(pool)
    assert listed(sku).batches == ()
