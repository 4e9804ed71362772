"""The catalogue in DynamoDB: products, their batches on sale, and channels' settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue, DynamoChannelSettings
from cardshop.domain.errors import Changed, NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel
from cardshop.domain.product import Batch, Product
from cardshop.ports import ImportedBatch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.cloud import table_name
from tests.domain.builders import NOW, PRICE, SKU, url_safe

pytestmark = pytest.mark.usefixtures("cloud")

BATCH = ImportedBatch(SKU, "batch-1", shards=2, cards=5, on_sale=True, created_at=NOW)
NOTED = replace(BATCH, cards=0, on_sale=False)


@pytest.fixture
def catalogue(cloud: None) -> DynamoCatalogue:
    """A catalogue with one product that has no stock."""
    catalogue = DynamoCatalogue()
    catalogue.save(Product(SKU, "Steam 50 元", PRICE, True))
    return catalogue


def found(catalogue: DynamoCatalogue) -> Product:
    product = catalogue.find(SKU, consistent=True)
    assert product is not None
    return product


def put_on_sale(catalogue: DynamoCatalogue, batch: ImportedBatch = BATCH, counts: tuple[int, ...] = (3, 2)) -> Product:
    catalogue.begin_batch(batch)
    catalogue.put_on_sale(batch, counts)
    return found(catalogue)


# ---- products ----


def test_a_new_product_is_found_without_stock(catalogue: DynamoCatalogue) -> None:
    assert catalogue.find(SKU) == found(catalogue) == Product(SKU, "Steam 50 元", PRICE, True, (), 0)
    assert catalogue.find("unknown") is None


def test_saving_a_product_again_keeps_its_stock(catalogue: DynamoCatalogue) -> None:
    listed = put_on_sale(catalogue)
    catalogue.save(Product(SKU, "Steam 五十元", Money(1, "USD"), False))
    assert found(catalogue) == replace(listed, name="Steam 五十元", price=Money(1, "USD"), on_sale=False)
    assert found(catalogue).quantity == 5


def test_the_products_on_sale_come_by_sku_without_hidden_ones_batches_or_channels(catalogue: DynamoCatalogue) -> None:
    put_on_sale(catalogue)
    DynamoChannelSettings().save(Channel("epay", "epay", {"pid": "1001"}, {}))
    for sku, on_sale in (("zelda", True), ("hidden", False), ("Alpha", True)):
        catalogue.save(Product(sku, sku, PRICE, on_sale))
    assert [product.sku for product in catalogue.on_sale()] == ["Alpha", SKU, "zelda"]


# ---- batches ----


def test_a_batch_is_noted_once(catalogue: DynamoCatalogue) -> None:
    catalogue.begin_batch(BATCH)
    assert catalogue.batch(SKU, "batch-1") == NOTED
    catalogue.begin_batch(replace(BATCH, shards=9, created_at=NOW + 1))
    assert catalogue.batch(SKU, "batch-1") == NOTED
    assert catalogue.batch(SKU, "unknown") is None
    assert found(catalogue).batches == ()


def test_a_batch_goes_on_sale_once(catalogue: DynamoCatalogue) -> None:
    """Given a batch on sale some of whose cards are sold, putting it on sale again does not count them back in."""
    put_on_sale(catalogue)
    assert catalogue.batch(SKU, "batch-1") == BATCH
    catalogue.counted(found(catalogue), Batch("batch-1", (0, 1)))
    catalogue.put_on_sale(BATCH, (3, 2))
    assert found(catalogue).batches == (Batch("batch-1", (0, 1)),)
    catalogue.begin_batch(BATCH)
    assert catalogue.batch(SKU, "batch-1") == BATCH


def test_a_batch_of_a_product_that_is_not_there_does_not_go_on_sale(catalogue: DynamoCatalogue) -> None:
    lost = replace(BATCH, sku="unknown")
    catalogue.begin_batch(lost)
    with pytest.raises(NotFound):
        catalogue.put_on_sale(lost, (3, 2))
    assert catalogue.batch("unknown", "batch-1") == replace(NOTED, sku="unknown")
    assert catalogue.find("unknown") is None


@given(st.lists(url_safe, min_size=1, max_size=3, unique=True))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_may_have_any_id_an_import_can_make(catalogue: DynamoCatalogue, names: list[str]) -> None:
    before = {batch.batch for batch in found(catalogue).batches}
    for name in names:
        put_on_sale(catalogue, replace(BATCH, batch=name))
    assert {batch.batch for batch in found(catalogue).batches} == before | set(names)


# ---- counts ----


def test_a_count_is_listed_and_a_batch_at_zero_is_dropped(catalogue: DynamoCatalogue) -> None:
    first = put_on_sale(catalogue)
    catalogue.counted(first, Batch("batch-1", (3, 1)))
    second = found(catalogue)
    assert (second.batches, second.quantity) == ((Batch("batch-1", (3, 1)),), 4)
    assert second.stock_version == first.stock_version + 1
    catalogue.counted(second, Batch("batch-1", (0, 0)))
    assert found(catalogue).batches == ()
    catalogue.counted(found(catalogue), Batch("batch-1", (0, 1)))
    assert found(catalogue).batches == (Batch("batch-1", (0, 1)),)


def test_a_count_of_an_older_list_is_refused(catalogue: DynamoCatalogue) -> None:
    """Given two who read the same list, when both count, then the second is told and nothing of it is written."""
    read = put_on_sale(catalogue)
    catalogue.counted(read, Batch("batch-1", (2, 2)))
    with pytest.raises(Changed):
        catalogue.counted(read, Batch("batch-1", (3, 1)))
    assert found(catalogue).batches == (Batch("batch-1", (2, 2)),)


def test_a_batch_that_goes_on_sale_makes_counts_before_it_stale(catalogue: DynamoCatalogue) -> None:
    read = put_on_sale(catalogue)
    put_on_sale(catalogue, replace(BATCH, batch="batch-2"))
    with pytest.raises(Changed):
        catalogue.counted(read, Batch("batch-1", (0, 0)))


# ---- channels ----


def test_a_channels_settings_are_found_again_without_its_secrets(cloud: None) -> None:
    store = DynamoChannelSettings()
    store.save(Channel("epay", "epay", {"pid": "1001", "url": "https://pay.example"}, {"key": "merchant-key"}))
    assert store.find("epay") == Channel("epay", "epay", {"pid": "1001", "url": "https://pay.example"}, {})
    store.save(Channel("epay", "other", {}, {}))
    assert store.find("epay") == Channel("epay", "other", {}, {})  # saved whole: no setting of before
    assert store.find("unknown") is None


def test_a_store_that_fails_is_unavailable_whatever_is_asked(catalogue: DynamoCatalogue) -> None:
    read = found(catalogue)
    client("dynamodb").delete_table(TableName=table_name("CatalogueTable"))
    for ask in (
        lambda: catalogue.find(SKU),
        catalogue.on_sale,
        lambda: catalogue.save(read),
        lambda: catalogue.batch(SKU, "batch-1"),
        lambda: catalogue.begin_batch(BATCH),
        lambda: catalogue.put_on_sale(BATCH, (1, 1)),
        lambda: catalogue.counted(read, Batch("batch-1", (1, 1))),
        lambda: DynamoChannelSettings().find("epay"),
    ):
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize("name", ["", "x" * 2000, "no such/name", "a#b"])
def test_a_name_that_nothing_can_have_finds_nothing(cloud: None, name: str) -> None:
    """DynamoDB refuses an empty or over-long key: that is the caller's mistake, not a store that is down."""
    assert DynamoCatalogue().find(name) is None
    assert DynamoChannelSettings().find(name) is None
