"""An operator's view: of each batch how many cards were imported, are for sale, are held and are sold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.product import Batch, BatchStatus
from cardshop.usecases.inspect_stock import BatchStock, InspectStock

from tests.domain.builders import NOW, PRICE, SKU
from tests.usecases.fakes import Shop

NAME = f"batch-of-{SKU}"
HELD, SOLD, RELEASED = HoldingState


@pytest.fixture
def inspect(shop: Shop) -> InspectStock:
    return InspectStock(shop.catalogue, shop.holdings)


def holds(shop: Shop, *words: tuple[int, HoldingState], batch: str = NAME, sku: str = SKU) -> None:
    """What as many trades have of a batch."""
    for number, (cards, state) in enumerate(words):
        shop.holdings.note([Holding(sku, batch, f"trade-{number}", 1, cards, state)])


def test_the_cards_of_a_batch_are_told_by_where_they_are(shop: Shop, inspect: InspectStock) -> None:
    shop.sells(SKU, 5, PRICE, shards=2)
    shop.sells("another", 9, PRICE)
    holds(shop, (2, HELD), (1, HELD), (4, SOLD), (3, SOLD), (0, RELEASED))
    holds(shop, (50, SOLD), batch="another")
    holds(shop, (50, SOLD), sku="another")
    product, batches = inspect(SKU)
    assert product == shop.catalogue.products[SKU]
    assert batches == [BatchStock(shop.catalogue.imported[SKU, NAME], on_sale=5, held=3, sold=7)]


def test_a_batch_that_is_sold_out_or_withdrawn_has_nothing_on_sale(shop: Shop, inspect: InspectStock) -> None:
    shop.sells(SKU, 5, PRICE)
    shop.catalogue.withdraw(shop.catalogue.imported[SKU, NAME])
    sold_out = Batch(SKU, "sold-out", BatchStatus.ON_SALE, 1, 2, NOW + 1)
    shop.catalogue.imported[SKU, "sold-out"] = sold_out
    holds(shop, (2, SOLD), batch="sold-out")
    _, (withdrawn, other) = inspect(SKU)
    assert withdrawn == BatchStock(Batch(SKU, NAME, BatchStatus.WITHDRAWN, 1, 5, NOW), on_sale=0, held=0, sold=0)
    assert other == BatchStock(sold_out, on_sale=0, held=0, sold=2)


def test_batches_come_by_age_with_imports_that_have_not_ended(shop: Shop, inspect: InspectStock) -> None:
    shop.sells(SKU, 1, PRICE)
    for name, at in (("newer", NOW + 1), ("older", NOW - 1)):
        shop.catalogue.begin_batch(Batch(SKU, name, BatchStatus.IMPORTING, 1, 0, at))
    shop.catalogue.advance_batch(Batch(SKU, "newer", BatchStatus.IMPORTING, 1, 1000, NOW + 1))
    _, batches = inspect(SKU)
    assert [(each.batch.batch, each.batch.cards, each.on_sale) for each in batches] == [
        ("older", 0, 0),
        (NAME, 1, 1),
        ("newer", 1000, 0),
    ]


def test_a_hidden_product_is_inspected_as_it_is_now(shop: Shop, inspect: InspectStock) -> None:
    shop.sells(SKU, 2, PRICE, on_sale=False)
    product = shop.catalogue.products[SKU]
    shop.catalogue.behind[SKU] = replace(product, batches=())
    assert inspect(SKU) == (product, [BatchStock(shop.catalogue.imported[SKU, NAME], 2, 0, 0)])


def test_a_product_that_is_not_there_is_not_found(inspect: InspectStock) -> None:
    with pytest.raises(NotFound):
        inspect("unknown")
