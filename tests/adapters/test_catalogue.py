"""The catalogue in DynamoDB: products, their batches on sale, and channels' settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue, DynamoChannelSettings
from cardshop.domain.errors import Changed, NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, Offer
from cardshop.domain.product import Batch, BatchStatus, Listed, Product
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.cloud import table_name
from tests.domain.builders import NOW, PRICE, SKU, url_safe

pytestmark = pytest.mark.usefixtures("cloud")

NOTED = Batch(SKU, "batch-1", BatchStatus.IMPORTING, shards=2, cards=0, created_at=NOW)
IMPORTED = replace(NOTED, cards=5)  # as its import knows it at its end
ON_SALE = replace(IMPORTED, status=BatchStatus.ON_SALE)
WITHDRAWN = replace(IMPORTED, status=BatchStatus.WITHDRAWN)
OFFER = Offer("epay", "epay", ("mobile", "pc"), ("precreate",), ("CNY",))


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


def put_on_sale(catalogue: DynamoCatalogue, batch: Batch = IMPORTED, counts: tuple[int, ...] = (3, 2)) -> Product:
    catalogue.begin_batch(batch)
    assert catalogue.put_on_sale(batch, counts)
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


def test_a_products_category_and_description_come_and_go_with_each_saving(catalogue: DynamoCatalogue) -> None:
    assert (found(catalogue).category, catalogue.description(SKU)) == (None, None)
    catalogue.save(replace(found(catalogue), category="游戏 Games"), "到账快。\nFast.")
    catalogue.save(Product("plain", "plain", PRICE, True))
    assert (found(catalogue).category, catalogue.description(SKU)) == ("游戏 Games", "到账快。\nFast.")
    assert catalogue.descriptions() == {SKU: "到账快。\nFast."}
    catalogue.save(replace(found(catalogue), category=None))
    assert (found(catalogue).category, catalogue.description(SKU), catalogue.descriptions()) == (None, None, {})


def test_a_long_description_makes_no_count_of_the_stock_dearer(catalogue: DynamoCatalogue) -> None:
    """A sale writes its product's counts, by the size of that item: the description is another."""
    catalogue.save(found(catalogue), "长" * 2000)
    key = {"kind": {"S": "PRODUCT"}, "name": {"S": SKU}}
    item = client("dynamodb").get_item(TableName=table_name("CatalogueTable"), Key=key)["Item"]
    assert len(str(item)) < 500


def test_the_products_on_sale_come_by_sku_without_hidden_ones_batches_or_channels(catalogue: DynamoCatalogue) -> None:
    put_on_sale(catalogue)
    saved(Channel("epay", "epay", {"pid": "1001"}, {}))
    for sku, on_sale in (("zelda", True), ("hidden", False), ("Alpha", True)):
        catalogue.save(Product(sku, sku, PRICE, on_sale))
    assert [product.sku for product in catalogue.on_sale()] == ["Alpha", SKU, "zelda"]
    assert [product.sku for product in catalogue.everything()] == ["Alpha", "hidden", SKU, "zelda"]


# ---- batches ----


def test_a_batch_is_noted_once(catalogue: DynamoCatalogue) -> None:
    catalogue.begin_batch(NOTED)
    assert catalogue.batch(SKU, "batch-1") == NOTED
    catalogue.begin_batch(replace(NOTED, shards=9, created_at=NOW + 1))
    assert catalogue.batch(SKU, "batch-1") == NOTED
    assert catalogue.batch(SKU, "unknown") is None
    assert found(catalogue).batches == ()


def test_an_import_is_followed_until_it_ends(catalogue: DynamoCatalogue) -> None:
    """A slow twin's note does not put the count back that the batch went on sale with."""
    catalogue.begin_batch(NOTED)
    catalogue.advance_batch(replace(NOTED, cards=3))
    assert catalogue.batch(SKU, "batch-1") == replace(NOTED, cards=3)
    put_on_sale(catalogue)
    catalogue.advance_batch(replace(NOTED, cards=3))
    assert catalogue.batch(SKU, "batch-1") == ON_SALE


def test_an_import_that_added_nothing_is_forgotten_and_no_other_batch_is(catalogue: DynamoCatalogue) -> None:
    catalogue.begin_batch(NOTED)
    catalogue.drop_batch(NOTED)
    catalogue.drop_batch(NOTED)
    assert catalogue.batch(SKU, "batch-1") is None
    put_on_sale(catalogue)
    catalogue.drop_batch(NOTED)
    assert catalogue.batch(SKU, "batch-1") == ON_SALE


def test_noting_how_far_a_dropped_import_is_does_not_bring_it_back(catalogue: DynamoCatalogue) -> None:
    catalogue.advance_batch(replace(NOTED, cards=3))
    assert catalogue.batch(SKU, "batch-1") is None


def test_a_products_batches_come_by_age(catalogue: DynamoCatalogue) -> None:
    for batch, created_at in (("c", NOW), ("a", NOW + 1), ("b", NOW - 1), ("d", NOW)):
        catalogue.begin_batch(replace(NOTED, batch=batch, created_at=created_at))
    catalogue.begin_batch(replace(NOTED, sku="another"))
    assert [batch.batch for batch in catalogue.batches(SKU)] == ["b", "c", "d", "a"]
    assert catalogue.batches("unknown") == []


def test_a_batch_goes_on_sale_once(catalogue: DynamoCatalogue) -> None:
    """Given a batch on sale some of whose cards are sold, putting it on sale again does not count them back in."""
    put_on_sale(catalogue)
    assert catalogue.batch(SKU, "batch-1") == ON_SALE
    catalogue.counted(found(catalogue), Listed("batch-1", (0, 1)))
    assert catalogue.put_on_sale(IMPORTED, (3, 2)) is False
    assert found(catalogue).batches == (Listed("batch-1", (0, 1)),)
    catalogue.begin_batch(NOTED)
    assert catalogue.batch(SKU, "batch-1") == ON_SALE


def test_a_withdrawn_batch_is_listed_no_more_and_comes_back_as_it_is_counted_then(catalogue: DynamoCatalogue) -> None:
    before = put_on_sale(catalogue)
    assert catalogue.withdraw(ON_SALE) is True
    assert catalogue.batch(SKU, "batch-1") == WITHDRAWN
    assert (found(catalogue).batches, found(catalogue).quantity) == ((), 0)
    assert found(catalogue).stock_version > before.stock_version, "a count that is on its way comes too late"
    assert catalogue.withdraw(ON_SALE) is False
    assert catalogue.put_on_sale(WITHDRAWN, (1, 2)) is True
    assert catalogue.batch(SKU, "batch-1") == ON_SALE
    assert found(catalogue).batches == (Listed("batch-1", (1, 2)),)


def test_a_batch_that_somebody_moved_meanwhile_is_not_moved(catalogue: DynamoCatalogue) -> None:
    """An import that ends late does not put back on sale what an operator has withdrawn."""
    put_on_sale(catalogue)
    catalogue.withdraw(ON_SALE)
    before = found(catalogue)
    assert catalogue.put_on_sale(IMPORTED, (3, 2)) is False
    assert (catalogue.batch(SKU, "batch-1"), found(catalogue)) == (WITHDRAWN, before)


def test_a_batch_of_a_product_that_is_not_there_does_not_go_on_sale(catalogue: DynamoCatalogue) -> None:
    lost = replace(NOTED, sku="unknown")
    catalogue.begin_batch(lost)
    with pytest.raises(NotFound):
        catalogue.put_on_sale(lost, (3, 2))
    assert catalogue.batch("unknown", "batch-1") == lost
    assert catalogue.find("unknown") is None


@given(st.lists(url_safe, min_size=1, max_size=3, unique=True))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_may_have_any_id_an_import_can_make(catalogue: DynamoCatalogue, names: list[str]) -> None:
    before = {batch.batch for batch in found(catalogue).batches}
    for name in names:
        put_on_sale(catalogue, replace(IMPORTED, batch=name))
    assert {batch.batch for batch in found(catalogue).batches} == before | set(names)


# ---- counts ----


def test_a_count_is_listed_and_a_batch_at_zero_is_dropped(catalogue: DynamoCatalogue) -> None:
    first = put_on_sale(catalogue)
    catalogue.counted(first, Listed("batch-1", (3, 1)))
    second = found(catalogue)
    assert (second.batches, second.quantity) == ((Listed("batch-1", (3, 1)),), 4)
    assert second.stock_version == first.stock_version + 1
    catalogue.counted(second, Listed("batch-1", (0, 0)))
    assert found(catalogue).batches == ()
    catalogue.counted(found(catalogue), Listed("batch-1", (0, 1)))
    assert found(catalogue).batches == (Listed("batch-1", (0, 1)),)


def test_counts_of_several_batches_are_one_write(catalogue: DynamoCatalogue) -> None:
    put_on_sale(catalogue)
    first = put_on_sale(catalogue, replace(IMPORTED, batch="batch-2"))
    catalogue.counted(first, Listed("batch-1", (1, 0)), Listed("batch-2", (0, 0)))
    assert found(catalogue).batches == (Listed("batch-1", (1, 0)),)
    assert found(catalogue).stock_version == first.stock_version + 1


def test_a_count_of_an_older_list_is_refused(catalogue: DynamoCatalogue) -> None:
    """Given two who read the same list, when both count, then the second is told and nothing of it is written."""
    read = put_on_sale(catalogue)
    catalogue.counted(read, Listed("batch-1", (2, 2)))
    with pytest.raises(Changed):
        catalogue.counted(read, Listed("batch-1", (3, 1)))
    assert found(catalogue).batches == (Listed("batch-1", (2, 2)),)


def test_a_batch_that_goes_on_sale_makes_counts_before_it_stale(catalogue: DynamoCatalogue) -> None:
    read = put_on_sale(catalogue)
    put_on_sale(catalogue, replace(IMPORTED, batch="batch-2"))
    with pytest.raises(Changed):
        catalogue.counted(read, Listed("batch-1", (0, 0)))


# ---- channels ----


def saved(channel: Channel) -> DynamoChannelSettings:
    store = DynamoChannelSettings()
    store.save(channel, replace(OFFER, channel=channel.name, provider=channel.provider))
    return store


def test_a_channels_settings_are_found_again_without_its_secrets(cloud: None) -> None:
    store = saved(Channel("epay", "epay", {"pid": "1001", "url": "https://pay.example"}, {"key": "merchant-key"}))
    assert store.find("epay") == Channel("epay", "epay", {"pid": "1001", "url": "https://pay.example"}, {})
    saved(Channel("epay", "other", {}, {}))
    assert store.find("epay") == Channel("epay", "other", {}, {})  # saved whole: no setting of before
    assert store.find("unknown") is None


def test_a_channel_is_offered_until_it_is_not_and_under_its_title(cloud: None) -> None:
    store = saved(Channel("epay", "epay", {"pid": "1001"}, {}))
    saved(Channel("stripe", "stripe", {}, {}))
    assert store.offer("epay", offered=True, title="支付宝")
    assert store.offers() == [replace(OFFER, title="支付宝"), replace(OFFER, channel="stripe", provider="stripe")]
    assert store.offer("epay", offered=False, title=None)
    assert [each.channel for each in store.offers()] == ["stripe"]
    assert store.find("epay") == Channel("epay", "epay", {"pid": "1001"}, {}, offered=False)


def test_saving_a_channel_again_leaves_its_title_and_whether_it_is_offered(cloud: None) -> None:
    store = saved(Channel("epay", "epay", {}, {}))
    store.offer("epay", offered=False, title="支付宝")
    saved(Channel("epay", "other", {}, {}))
    assert store.offers() == []
    store.offer("epay", offered=True, title="支付宝")
    assert store.offers() == [replace(OFFER, provider="other", title="支付宝")]


def test_a_channel_that_is_not_there_cannot_be_offered(cloud: None) -> None:
    store = DynamoChannelSettings()
    assert not store.offer("epay", offered=True, title=None)
    assert (store.offers(), store.find("epay")) == ([], None)


def test_what_buyers_see_of_a_channel_holds_no_setting(cloud: None) -> None:
    saved(Channel("epay", "epay", {"pid": "account-1001"}, {"key": "merchant-key"}))
    key = {"kind": {"S": "OFFER"}, "name": {"S": "epay"}}
    item = client("dynamodb").get_item(TableName=table_name("CatalogueTable"), Key=key)["Item"]
    assert "account-1001" not in str(item)
    assert "settings" not in item


def test_a_store_that_fails_is_unavailable_whatever_is_asked(catalogue: DynamoCatalogue) -> None:
    read = found(catalogue)
    client("dynamodb").delete_table(TableName=table_name("CatalogueTable"))
    for ask in (
        lambda: catalogue.find(SKU),
        catalogue.on_sale,
        lambda: catalogue.save(read),
        catalogue.everything,
        lambda: catalogue.batch(SKU, "batch-1"),
        lambda: catalogue.batches(SKU),
        lambda: catalogue.begin_batch(NOTED),
        lambda: catalogue.advance_batch(NOTED),
        lambda: catalogue.drop_batch(NOTED),
        lambda: catalogue.put_on_sale(IMPORTED, (1, 1)),
        lambda: catalogue.withdraw(ON_SALE),
        lambda: catalogue.counted(read, Listed("batch-1", (1, 1))),
        catalogue.descriptions,
        lambda: catalogue.description(SKU),
        lambda: DynamoChannelSettings().find("epay"),
        lambda: saved(Channel("epay", "epay", {}, {})),
        lambda: DynamoChannelSettings().offer("epay", offered=True, title=None),
        DynamoChannelSettings().offers,
    ):
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize("name", ["", "x" * 2000, "no such/name", "a#b"])
def test_a_name_that_nothing_can_have_finds_nothing(cloud: None, name: str) -> None:
    """DynamoDB refuses an empty or over-long key: that is the caller's mistake, not a store that is down."""
    assert DynamoCatalogue().find(name) is None
    assert DynamoChannelSettings().find(name) is None


@pytest.mark.parametrize(("sku", "batch"), [("x" * 3000, "batch-1"), (SKU, "x" * 3000), (SKU, ""), (SKU, "a#b")])
def test_what_no_batch_can_be_called_is_not_there(catalogue: DynamoCatalogue, sku: str, batch: str) -> None:
    """Rather than a key that DynamoDB does not take."""
    assert catalogue.batch(sku, batch) is None
