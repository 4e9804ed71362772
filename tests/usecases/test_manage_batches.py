"""A batch off sale and back: one move each, whoever asks how often, and none of its cards sold in between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.card import Card
from cardshop.domain.errors import Busy, NotFound, StillImporting
from cardshop.domain.product import Batch, BatchStatus, Listed, Product
from cardshop.domain.trade import Status
from cardshop.usecases.count_stock import CountStock
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.manage_batches import ManageBatches
from cardshop.usecases.put_on_sale import PutOnSale

from tests.domain.builders import NOW, PRICE, SKU, TRADE_ID
from tests.usecases.fakes import Shop
from tests.usecases.test_fill_orders import awaiting

NAME = f"batch-of-{SKU}"
IMPORTING, ON_SALE, WITHDRAWN = BatchStatus
MOVES = pytest.mark.parametrize("wanted", [ON_SALE, WITHDRAWN])


@pytest.fixture
def manage(shop: Shop, put_on_sale: PutOnSale) -> ManageBatches:
    return ManageBatches(shop.catalogue, put_on_sale)


@pytest.fixture(autouse=True)
def dealt(shop: Shop) -> list[Card]:
    """A batch of five cards on sale, in two pools."""
    return shop.sells(SKU, 5, PRICE, shards=2)


def listed(shop: Shop) -> tuple[Listed, ...]:
    return shop.catalogue.products[SKU].batches


def batch(shop: Shop) -> Batch:
    return shop.catalogue.imported[SKU, NAME]


def lies(shop: Shop, status: BatchStatus) -> None:
    """The batch is in this state."""
    if status is WITHDRAWN:
        shop.catalogue.withdraw(batch(shop))
    elif status is IMPORTING:
        shop.catalogue.imported[SKU, NAME] = replace(batch(shop), status=IMPORTING)
        shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], batches=())


def test_a_withdrawn_batch_is_not_listed_and_its_cards_stay_where_they_are(shop: Shop, manage: ManageBatches) -> None:
    before = shop.stock.card_ids
    assert manage(SKU, NAME, WITHDRAWN) == batch(shop) == Batch(SKU, NAME, WITHDRAWN, 2, 5, NOW)
    assert listed(shop) == ()
    assert shop.stock.card_ids == before


def test_no_other_batch_is_withdrawn_with_it(shop: Shop, manage: ManageBatches) -> None:
    other = Listed("another", (1,))
    shop.catalogue.counted(shop.catalogue.products[SKU], other)
    manage(SKU, NAME, WITHDRAWN)
    assert listed(shop) == (other,)


def test_a_batch_is_put_back_with_the_cards_that_it_has_then(
    shop: Shop, manage: ManageBatches, dealt: list[Card]
) -> None:
    """A card that an unpaid order held has come back meanwhile, another was sold before."""
    shop.stock.take(dealt[0])
    shop.stock.take(dealt[1])
    manage(SKU, NAME, WITHDRAWN)
    shop.stock.put(dealt[1].returned())
    assert manage(SKU, NAME, ON_SALE) == batch(shop) == Batch(SKU, NAME, ON_SALE, 2, 5, NOW)
    assert listed(shop) == (Listed(NAME, (2, 2)),)


@MOVES
def test_asking_again_changes_nothing(shop: Shop, manage: ManageBatches, wanted: BatchStatus) -> None:
    first = manage(SKU, NAME, wanted)
    before = shop.catalogue.products[SKU]
    assert manage(SKU, NAME, wanted) == first == batch(shop)
    assert shop.catalogue.products[SKU] == before


@MOVES
def test_a_batch_whose_import_has_not_ended_is_not_moved(
    shop: Shop, manage: ManageBatches, wanted: BatchStatus
) -> None:
    lies(shop, IMPORTING)
    before = batch(shop), shop.catalogue.products[SKU]
    with pytest.raises(StillImporting):
        manage(SKU, NAME, wanted)
    assert (batch(shop), shop.catalogue.products[SKU]) == before


@MOVES
@pytest.mark.parametrize(("sku", "name"), [(SKU, "unknown"), ("unknown", NAME)])
def test_a_batch_that_is_not_there_is_not_found(
    manage: ManageBatches, sku: str, name: str, wanted: BatchStatus
) -> None:
    with pytest.raises(NotFound):
        manage(sku, name, wanted)


# ---- orders that wait ----


def test_who_waits_gets_no_card_of_a_withdrawn_batch_and_is_served_before_it_is_on_sale_again(
    shop: Shop, manage: ManageBatches, fill: FillOrders
) -> None:
    manage(SKU, NAME, WITHDRAWN)
    awaiting(shop)
    assert fill(SKU) == []
    seen: list[object] = []
    shop.catalogue.meanwhile = lambda: seen.append((shop.orders.by_id[TRADE_ID].status, listed(shop)))
    manage(SKU, NAME, ON_SALE)
    assert seen == [(Status.DELIVERED, ())]
    assert shop.catalogue.products[SKU].quantity == len(shop.stock.card_ids) == 4


# ---- somebody else acts meanwhile ----


@MOVES
def test_a_stock_that_is_being_counted_is_tried_again(shop: Shop, manage: ManageBatches, wanted: BatchStatus) -> None:
    lies(shop, WITHDRAWN if wanted is ON_SALE else ON_SALE)
    shop.catalogue.overtaken = 5
    assert manage(SKU, NAME, wanted).status is batch(shop).status is wanted
    assert shop.catalogue.products[SKU].quantity == (5 if wanted is ON_SALE else 0)


@MOVES
def test_a_stock_that_is_always_being_counted_is_told_to_try_again(
    shop: Shop, manage: ManageBatches, wanted: BatchStatus
) -> None:
    before = WITHDRAWN if wanted is ON_SALE else ON_SALE
    lies(shop, before)
    shop.catalogue.overtaken = 10_000
    with pytest.raises(Busy):
        manage(SKU, NAME, wanted)
    assert batch(shop).status is before


@MOVES
def test_two_who_ask_the_same_at_once_move_it_once(shop: Shop, manage: ManageBatches, wanted: BatchStatus) -> None:
    lies(shop, WITHDRAWN if wanted is ON_SALE else ON_SALE)
    moved: list[Product] = []

    def other() -> None:
        manage(SKU, NAME, wanted)
        moved.append(shop.catalogue.products[SKU])

    shop.catalogue.meanwhile = other
    assert manage(SKU, NAME, wanted) == batch(shop)
    assert batch(shop).status is wanted
    assert moved == [shop.catalogue.products[SKU]]


@MOVES
def test_of_two_who_ask_for_opposite_things_the_last_one_is_heard(
    shop: Shop, manage: ManageBatches, wanted: BatchStatus
) -> None:
    opposite = WITHDRAWN if wanted is ON_SALE else ON_SALE
    lies(shop, opposite)

    def there_and_back() -> None:
        manage(SKU, NAME, wanted)
        manage(SKU, NAME, opposite)

    shop.catalogue.meanwhile = there_and_back
    assert manage(SKU, NAME, wanted).status is batch(shop).status is wanted
    assert shop.catalogue.products[SKU].quantity == (5 if wanted is ON_SALE else 0)


def test_a_count_that_was_on_its_way_does_not_list_a_withdrawn_batch_again(
    shop: Shop, manage: ManageBatches, dealt: list[Card]
) -> None:
    shop.catalogue.meanwhile = lambda: manage(SKU, NAME, WITHDRAWN)
    CountStock(shop.catalogue, shop.stock)(dealt[0].pool)
    assert (batch(shop).status, listed(shop)) == (WITHDRAWN, ())


def test_a_card_that_comes_back_to_a_withdrawn_batch_is_not_for_sale(
    shop: Shop, manage: ManageBatches, dealt: list[Card]
) -> None:
    shop.stock.take(dealt[0])
    manage(SKU, NAME, WITHDRAWN)
    shop.stock.put(dealt[0].returned())
    CountStock(shop.catalogue, shop.stock)(dealt[0].pool)
    assert listed(shop) == ()
