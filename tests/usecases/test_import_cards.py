"""An import adds each code once, goes on sale whole, and is completed by sending the file again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
from cardshop.domain.card import card_id
from cardshop.domain.card_file import read
from cardshop.domain.errors import Busy, NotFound, NothingToImport, Unavailable
from cardshop.domain.product import BatchStatus, Product
from cardshop.domain.trade import Status
from cardshop.usecases import import_cards
from cardshop.usecases.count_stock import CountStock
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.import_cards import ImportCards, Imported
from cardshop.usecases.put_on_sale import PutOnSale
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import AFTER_SALE_MS, PRICE, SKU, TRADE_ID
from tests.usecases.fakes import SECRET, Interruption, Shop, at_every_call, unavailable
from tests.usecases.test_fill_orders import awaiting

NEVER = Interruption(-1, unavailable)


def load(shop: Shop, text: str | bytes, sku: str = SKU, meanwhile: Interruption = NEVER) -> Imported:
    """Import this file, while `meanwhile` watches every port."""
    catalogue, pool, orders = meanwhile.watch(shop.catalogue), meanwhile.watch(shop.stock), meanwhile.watch(shop.orders)
    fill = FillOrders(orders, pool, catalogue, meanwhile.watch(shop.machine), AFTER_SALE_MS, shop.clock)
    sealed, sealer = meanwhile.watch(shop.sealed), meanwhile.watch(shop.sealer)
    use = ImportCards(catalogue, sealed, sealer, PutOnSale(catalogue, pool, fill), SECRET, shop.clock)
    return use(sku, read(text if isinstance(text, bytes) else text.encode()).codes)


def listed(shop: Shop, sku: str = SKU) -> int:
    return shop.catalogue.products[sku].quantity


def ids(*codes: str) -> list[str]:
    return sorted(card_id(SECRET, code) for code in codes)


def everything(shop: Shop) -> object:
    """All that an import could leave behind."""
    kept = (shop.sealed.cards, shop.sealed.wrapped, shop.catalogue.imported, shop.catalogue.products)
    return [dict(each) for each in kept], shop.stock.card_ids


@pytest.fixture
def shop() -> Shop:
    return empty()


def empty(*skus: str) -> Shop:
    """A shop that sells these products, and has no card of any."""
    shop = Shop()
    for sku in (SKU, *skus):
        shop.catalogue.save(Product(sku, sku, PRICE, on_sale=True))
    return shop


# ---- one file ----


def test_a_file_goes_on_sale_as_one_batch(shop: Shop) -> None:
    imported = load(shop, "A\nB\nC\n")
    assert (imported.batch.cards, imported.duplicates, imported.already) == (3, [], False)
    assert imported.batch.status is BatchStatus.ON_SALE
    assert shop.catalogue.batches(SKU) == [imported.batch]
    assert listed(shop) == 3
    assert shop.stock.card_ids == ids(*"ABC")


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


def test_a_code_that_is_or_was_in_stock_is_named_by_its_line() -> None:
    """Given codes of another file, of another product, sold or not, they are not added again."""
    shop = empty("other")
    load(shop, "A\nB\n")
    shop.stock.pools.clear()  # sold
    load(shop, "X\n", "other")
    imported = load(shop, "C\nA\nX\nD\n")
    assert (imported.batch.cards, imported.duplicates) == (2, [2, 3])
    assert shop.stock.card_ids == ids(*"CDX")


def test_duplicates_of_both_kinds_are_named_in_the_sequence_of_their_lines(shop: Shop) -> None:
    load(shop, "A\n")
    assert load(shop, "B\nB\nA\nB\n").duplicates == [2, 3, 4]


def test_cards_of_an_unknown_product_are_refused(shop: Shop) -> None:
    before = everything(shop)
    with pytest.raises(NotFound):
        load(shop, "A\n", "unknown")
    assert everything(shop) == before


# ---- nothing new ----


def test_a_file_of_nothing_but_duplicates_is_refused_by_its_lines_and_leaves_nothing_behind(shop: Shop) -> None:
    load(shop, "A\nB\n")
    before = everything(shop)
    with pytest.raises(NothingToImport, match=r"lines 1, 3, 4$"):
        load(shop, "B\n\nA\nB\n")
    assert everything(shop) == before


def test_the_same_codes_for_another_product_are_nothing_new() -> None:
    shop = empty("other")
    load(shop, "A\n")
    before = everything(shop)
    with pytest.raises(NothingToImport, match=r"lines 1$"):
        load(shop, "A\n", "other")
    assert everything(shop) == before


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_same_file_again_is_there_already_however_it_is_saved(shop: Shop, codec: str) -> None:
    first = load(shop, "卡号甲\n卡号乙\n卡号甲\n")
    shop.stock.pools.clear()  # sold: it must not come back
    before = everything(shop)
    again = load(shop, "卡号甲\r\n卡号乙\r\n卡号甲\r\n".encode(codec))
    assert (again.already, again.batch, again.duplicates) == (True, first.batch, [3])
    assert everything(shop) == before


def test_the_file_of_a_withdrawn_batch_does_not_put_it_back_on_sale(shop: Shop) -> None:
    batch = load(shop, "A\nB\n").batch
    shop.catalogue.withdraw(batch)
    before = everything(shop)
    again = load(shop, "A\nB\n")
    assert (again.already, again.batch.status) == (True, BatchStatus.WITHDRAWN)
    assert everything(shop) == before


# ---- orders that wait ----


def test_who_waits_is_served_before_the_rest_goes_on_sale(shop: Shop) -> None:
    awaiting(shop)
    imported = load(shop, "A\nB\nC\n")
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.has_its_cards) == (Status.DELIVERED, True)
    assert (imported.batch.cards, listed(shop), len(shop.stock.card_ids)) == (3, 2, 2)


# ---- an import that breaks off ----

OLD, NOTHING_NEW = "X\nY\n", "Y\nX\nY\n"
FILE, NEW = "A\nB\nC\nX\nD\nE\nA\nF\nG\n", "ABCDEFG"
CALLS = 50  # some more than an import of that file makes


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few cards is imported in several steps."""
    monkeypatch.setattr(import_cards, "_STEP", 3)


def supplied() -> Shop:
    """A shop that has sold one of the file's codes, and owes somebody a card."""
    shop = empty()
    load(shop, OLD)
    ((pool, _),) = shop.catalogue.products[SKU].pools()
    for card in shop.stock.look(pool, 2, consistent=True):
        shop.stock.take(card)
    CountStock(shop.catalogue, shop.stock)(pool)
    shop.clock.now += 1
    awaiting(shop)
    return shop


def is_whole(shop: Shop, imported: Imported) -> bool:
    """Every card of the file is in the shop once, opens, and is for sale, but the one that was owed."""
    assert (imported.batch.cards, imported.duplicates) == (len(NEW), [7] if imported.already else [4, 7])
    assert imported.batch in shop.catalogue.batches(SKU)
    assert imported.batch.status is BatchStatus.ON_SALE
    (given,) = shop.orders.by_id[TRADE_ID].cards
    assert shop.orders.by_id[TRADE_ID].status is Status.DELIVERED
    assert sorted([*shop.stock.card_ids, given.card_id]) == ids(*NEW)
    product = shop.catalogue.products[SKU]
    assert {pool.key: count for pool, count in product.pools()} == {
        key: len(cards) for key, cards in shop.stock.pools.items() if cards
    }
    for identity in ids(*NEW):  # whichever attempt sealed it
        sealed = shop.sealed.cards[identity]
        key = shop.sealer.unwrap(shop.sealed.wrapped[sealed.key_id])
        assert card_id(SECRET, shop.sealer.open(key, SKU, identity, sealed.sealed)) == identity
    return True


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("answer_lost", [False, True], ids=["not done", "done, but the answer was lost"])
def test_an_import_that_breaks_off_anywhere_is_completed_by_sending_the_file_again(answer_lost: bool) -> None:
    """Given any call of any port that fails, all of the file is for sale or nothing; sent again, all of it is."""
    progress: list[int] = []
    for shop, broken in at_every_call(supplied, unavailable, after=answer_lost):
        try:
            imported = load(shop, FILE, meanwhile=broken)
        except Unavailable:
            for batch in shop.catalogue.batches(SKU)[1:]:
                progress.append(batch.cards)
                assert listed(shop) == (len(NEW) - 1 if batch.status is BatchStatus.ON_SALE else 0)
            imported = load(shop, FILE)
        assert is_whole(shop, imported)
    assert sorted(progress) == progress
    assert set(progress) == {0, 3, 5, 7}, "and an operator sees how far it came"


@given(st.lists(st.tuples(st.integers(0, CALLS), st.booleans()), max_size=5))
def test_an_import_that_breaks_off_again_and_again_adds_each_card_once(breaks: list[tuple[int, bool]]) -> None:
    shop = supplied()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_cards, "_STEP", 3)
        for number, answer_lost in breaks:
            try:
                load(shop, FILE, meanwhile=Interruption(number, unavailable, after=answer_lost))
            except Unavailable:
                continue
        assert is_whole(shop, load(shop, FILE))


@pytest.mark.parametrize("broken_after", [0, 1, 150, 299])
def test_an_import_that_broke_off_within_one_write_of_many_cards_is_completed(shop: Shop, broken_after: int) -> None:
    codes = [f"CODE-{number}" for number in range(300)]
    shop.sealed.breaks_after = broken_after
    with pytest.raises(Unavailable):
        load(shop, "\n".join(codes))
    assert listed(shop) == 0
    imported = load(shop, "\n".join(codes))
    assert (imported.batch.cards, imported.duplicates, imported.already) == (300, [], False)
    assert listed(shop) == 300
    assert shop.stock.card_ids == ids(*codes)
    assert {pool.key: count for pool, count in shop.catalogue.products[SKU].pools()} == {
        key: len(cards) for key, cards in shop.stock.pools.items()
    }
    for sealed in shop.sealed.cards.values():
        key = shop.sealer.unwrap(shop.sealed.wrapped[sealed.key_id])
        assert shop.sealer.open(key, SKU, sealed.card_id, sealed.sealed).startswith("CODE-")


@pytest.mark.parametrize("answer_lost", [False, True], ids=["not done", "done, but the answer was lost"])
def test_a_file_of_nothing_new_that_breaks_off_is_refused_when_it_is_sent_again(answer_lost: bool) -> None:
    for shop, broken in at_every_call(supplied, unavailable, after=answer_lost):
        before = everything(shop)
        with pytest.raises((Unavailable, NothingToImport)):
            load(shop, NOTHING_NEW, meanwhile=broken)
        with pytest.raises(NothingToImport, match=r"lines 1, 2, 3$"):
            load(shop, NOTHING_NEW)
        used = {card.key_id for card in shop.sealed.cards.values()}
        for key in shop.sealed.wrapped.keys() - used:  # of the attempt that broke off: it opens nothing
            del shop.sealed.wrapped[key]
        assert everything(shop) == before


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


# ---- two imports at once ----


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("after", [False, True])
def test_a_twin_beside_an_import_adds_no_card_twice_wherever_it_comes_in_between(after: bool) -> None:
    twins: list[Imported] = []
    for shop, twin in at_every_call(supplied, lambda shop: twins.append(load(shop, FILE)), after=after):
        assert is_whole(shop, load(shop, FILE, meanwhile=twin))
        assert all(is_whole(shop, each) for each in twins)
        twins.clear()


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_twin_that_breaks_off_beside_an_import_does_it_no_harm(answer_lost: bool) -> None:
    """Wherever it comes in between, and wherever it breaks off."""

    def twin(breaks: int, shop: Shop) -> None:
        with suppress(Unavailable):
            load(shop, FILE, meanwhile=Interruption(breaks, unavailable, after=answer_lost))

    for breaks in range(CALLS):
        for shop, beside in at_every_call(supplied, partial(twin, breaks), after=False):
            assert is_whole(shop, load(shop, FILE, meanwhile=beside))


def test_twins_of_nothing_new_are_both_refused_and_leave_nothing_behind() -> None:
    def refused(shop: Shop) -> None:
        with pytest.raises(NothingToImport):
            load(shop, NOTHING_NEW)

    for shop, twin in at_every_call(supplied, refused, after=False):
        before = everything(shop)
        with pytest.raises(NothingToImport):
            load(shop, NOTHING_NEW, meanwhile=twin)
        assert everything(shop) == before


def end_and_withdraw(shop: Shop) -> None:
    shop.catalogue.withdraw(load(shop, FILE).batch)


def test_a_batch_that_was_withdrawn_before_a_twin_ended_stays_withdrawn() -> None:
    for shop, twin in at_every_call(supplied, end_and_withdraw, after=True):
        load(shop, FILE, meanwhile=twin)
        assert listed(shop) == (0 if twin.came else len(NEW) - 1)
        assert len(shop.stock.card_ids) == len(NEW) - 1


def test_a_batch_that_a_twin_put_on_sale_and_an_operator_withdrew_is_told_as_it_is() -> None:
    shop = supplied()
    imported = load(shop, FILE, meanwhile=Interruption(2, lambda: end_and_withdraw(shop)))
    assert imported.batch == shop.catalogue.batch(SKU, imported.batch.batch)


# ---- whatever comes ----


@given(st.lists(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=8), max_size=5))
def test_whatever_files_come_every_code_is_for_sale_once(files: list[list[str]]) -> None:
    shop = empty()
    added = 0
    known: set[str] = set()
    for file in files:
        try:
            imported = load(shop, "\n".join(file))
        except NothingToImport:
            assert known.issuperset(file)
            continue
        assert imported.batch.cards + len(imported.duplicates) == len(file) or imported.already
        assert imported.already or not known.issuperset(file)
        added += 0 if imported.already else imported.batch.cards
        known.update(file)
    assert shop.stock.card_ids == ids(*known)
    assert added == listed(shop) == len(known)
