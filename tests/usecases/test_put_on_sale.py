"""Going on sale: whoever waits comes first, and the rest is for sale all at once."""

from __future__ import annotations

import pytest
from cardshop.domain.card import Card
from cardshop.domain.errors import Busy, NotFound
from cardshop.domain.product import Batch, BatchStatus, Listed
from cardshop.domain.trade import Status
from cardshop.usecases.put_on_sale import PutOnSale

from tests.domain.builders import NOW, PRICE, SKU
from tests.usecases.fakes import Shop
from tests.usecases.test_fill_orders import awaiting

OLD, NEW = "z" * 26, "a" * 26  # not in the sequence of their names
READY = Batch(SKU, "a-new-batch", BatchStatus.IMPORTING, 2, 5, NOW)


@pytest.fixture(autouse=True)
def product(shop: Shop) -> None:
    shop.sells(SKU, 0, PRICE)


def ready(shop: Shop, cards: int = READY.cards) -> Batch:
    """A batch that is not on sale, with so many cards left in its two pools."""
    shop.catalogue.begin_batch(READY)
    for number in range(cards):
        shop.stock.put(Card(READY.pools()[number % 2], f"card-{number}", f"{number:016x}"))
    return READY


def listed(shop: Shop) -> tuple[Listed, ...]:
    return shop.catalogue.products[SKU].batches


def statuses(shop: Shop) -> dict[str, Status]:
    return {trade_id: order.status for trade_id, order in shop.orders.by_id.items()}


def status(shop: Shop) -> BatchStatus:
    return shop.catalogue.imported[SKU, READY.batch].status


@pytest.mark.parametrize(("cards", "counts"), [(5, (3, 2)), (3, (2, 1)), (1, (1, 0))])
def test_what_is_in_its_pools_is_for_sale(
    shop: Shop, put_on_sale: PutOnSale, cards: int, counts: tuple[int, ...]
) -> None:
    """As it is counted, not as it was imported."""
    assert put_on_sale(ready(shop, cards)) is True
    assert (status(shop), listed(shop)) == (BatchStatus.ON_SALE, (Listed(READY.batch, counts),))
    assert shop.catalogue.imported[SKU, READY.batch].cards == READY.cards


def test_who_waits_is_served_before_anything_is_for_sale(shop: Shop, put_on_sale: PutOnSale) -> None:
    awaiting(shop, NEW, since=NOW + 1)
    awaiting(shop, OLD, since=NOW)
    then: list[object] = []
    shop.catalogue.meanwhile = lambda: then.append((statuses(shop), listed(shop)))
    put_on_sale(ready(shop))
    assert then == [({OLD: Status.DELIVERED, NEW: Status.DELIVERED}, ())]
    assert shop.catalogue.products[SKU].quantity == len(shop.stock.card_ids) == 3


def test_the_oldest_is_served_if_there_is_not_enough_for_all(shop: Shop, put_on_sale: PutOnSale) -> None:
    """And nothing is left for sale."""
    awaiting(shop, NEW, since=NOW + 1)
    awaiting(shop, OLD, since=NOW)
    assert put_on_sale(ready(shop, 1)) is True
    assert statuses(shop) == {OLD: Status.DELIVERED, NEW: Status.AWAITING_STOCK}
    assert (status(shop), shop.catalogue.products[SKU].quantity) == (BatchStatus.ON_SALE, 0)


def test_cards_for_sale_already_are_given_with_those_that_come(shop: Shop, put_on_sale: PutOnSale) -> None:
    shop.sells(SKU, 2, PRICE)
    awaiting(shop, OLD, wanted={SKU: 3})
    put_on_sale(ready(shop, 1))
    assert statuses(shop) == {OLD: Status.DELIVERED}
    assert shop.stock.card_ids == []


def test_one_that_began_to_wait_after_the_first_look_is_served_too(shop: Shop, put_on_sale: PutOnSale) -> None:
    """Given nobody waits at first, one does at the moment that the batch goes on sale."""
    shop.catalogue.meanwhile = lambda: awaiting(shop, OLD)
    put_on_sale(ready(shop))
    assert statuses(shop) == {OLD: Status.DELIVERED}
    assert shop.orders.by_id[OLD].cards[0].pool.batch == READY.batch
    assert len(shop.stock.card_ids) == 4


def test_a_stock_that_is_being_counted_is_tried_again(shop: Shop, put_on_sale: PutOnSale) -> None:
    shop.catalogue.overtaken = 5
    assert put_on_sale(ready(shop)) is True
    assert listed(shop) == (Listed(READY.batch, (3, 2)),)


def test_a_stock_that_is_always_being_counted_is_told_to_try_again(shop: Shop, put_on_sale: PutOnSale) -> None:
    shop.catalogue.overtaken = 1000
    with pytest.raises(Busy):
        put_on_sale(ready(shop))
    assert (status(shop), listed(shop)) == (BatchStatus.IMPORTING, ())


@pytest.mark.parametrize("overtaken", [0, 1], ids=["at once", "at the second attempt"])
def test_a_card_that_is_taken_after_it_was_counted_is_not_listed(
    shop: Shop, put_on_sale: PutOnSale, overtaken: int
) -> None:
    """Another import of the same file gives it to an order that has just begun to wait."""
    batch = ready(shop)
    shop.catalogue.overtaken = overtaken
    shop.catalogue.meanwhile = lambda: shop.stock.take(*shop.stock.look(batch.pools()[0], 1, consistent=True))
    put_on_sale(batch)
    assert listed(shop) == (Listed(READY.batch, (2, 2)),)


def test_a_batch_that_somebody_else_moved_is_left_as_it_is(shop: Shop, put_on_sale: PutOnSale) -> None:
    batch = ready(shop)
    assert put_on_sale(batch)
    shop.catalogue.withdraw(shop.catalogue.imported[SKU, READY.batch])
    assert put_on_sale(batch) is False
    assert (status(shop), listed(shop)) == (BatchStatus.WITHDRAWN, ())


def test_a_batch_of_a_product_that_is_not_there_does_not_go_on_sale(shop: Shop, put_on_sale: PutOnSale) -> None:
    batch = ready(shop)
    shop.catalogue.products.clear()
    with pytest.raises(NotFound):
        put_on_sale(batch)
    assert status(shop) is BatchStatus.IMPORTING
