"""GET /products and /products/{sku}."""

from __future__ import annotations

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue, DynamoChannelSettings
from cardshop.domain.product import Product

from tests.adapters.cloud import items
from tests.domain.builders import PRICE, SKU
from tests.functions.deployed import Deployed
from tests.functions.samples import Event, sample, with_header

ALL, ONE, CHANNELS = (sample(f"browse_products/{name}") for name in ("all", "one", "channels"))
SHOWN = {
    "sku": "steam-50",
    "name": "Steam 50 元",
    "price": {"minor": 990, "currency": "CNY"},
    "stock": {"level": "low", "quantity": 2},
}


def of(sku: str) -> Event:
    return {**ONE, "path": f"/products/{sku}", "pathParameters": {"sku": sku}}


def test_everyone_sees_what_is_on_sale_and_how_much_is_left(shop: Deployed) -> None:
    shop.product("hidden", on_sale=False)
    shop.stock("CODE-1", "CODE-2")
    everything, one = shop.call("browse_products", ALL), shop.call("browse_products", ONE)
    assert (everything.status, everything.json) == (200, {"products": [SHOWN]})
    assert (one.status, one.json) == (200, SHOWN)
    assert "max-age=2" in one.headers["Cache-Control"]
    assert "public" in one.headers["Cache-Control"]


def test_a_product_is_shown_with_its_category_and_description(shop: Deployed) -> None:
    told = {"category": "游戏 Games", "description": "到账快。\nFast."}
    product = Product(SKU, "Steam 50 元", PRICE, True, category=told["category"])
    DynamoCatalogue().save(product, told["description"])
    everything, one = shop.call("browse_products", ALL).json["products"], shop.call("browse_products", ONE).json
    assert everything == [one]
    assert {name: one[name] for name in told} == told


EPAY = {
    "provider": "epay",
    "terminals": ["api", "miniapp", "mobile", "pc"],
    "ways": [],
    "currencies": ["CNY"],
    "currency": "CNY",
}


def test_everyone_sees_how_to_pay_and_nothing_of_the_accounts(shop: Deployed) -> None:
    DynamoChannelSettings().offer("epay", offered=True, title="支付宝 Alipay")
    answer = shop.call("browse_products", CHANNELS)
    shown = [{"channel": "epay", "title": "支付宝 Alipay", **EPAY}, {"channel": "epay-wx", **EPAY}]
    assert (answer.status, answer.json) == (200, {"channels": shown})
    assert "public" in answer.headers["Cache-Control"]
    tag = answer.headers["ETag"]
    assert shop.call("browse_products", with_header(CHANNELS, "If-None-Match", tag)).status == 304


def test_a_channel_that_is_not_offered_any_more_is_not_shown(shop: Deployed) -> None:
    before = shop.call("browse_products", CHANNELS).headers["ETag"]
    DynamoChannelSettings().offer("epay", offered=False, title=None)
    answer = shop.call("browse_products", with_header(CHANNELS, "If-None-Match", before))
    assert [each["channel"] for each in answer.json["channels"]] == ["epay-wx"]


def test_a_product_without_stock_is_shown_as_sold_out(shop: Deployed) -> None:
    assert shop.call("browse_products", ONE).json["stock"] == {"level": "out_of_stock", "quantity": 0}


@pytest.mark.parametrize("event", [ALL, ONE], ids=["all", "one"])
def test_what_did_not_change_is_not_sent_again(shop: Deployed, event: Event) -> None:
    first = shop.call("browse_products", event)
    tag = first.headers["ETag"]
    known = shop.call("browse_products", with_header(event, "If-None-Match", f'"other", W/{tag}'))
    assert (known.status, known.text, known.headers["ETag"]) == (304, "", tag)
    shop.stock("CODE-1")
    changed = shop.call("browse_products", with_header(event, "If-None-Match", tag))
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("sku", ["unknown", "hidden", "a%20b", "PRODUCT"])
def test_what_is_not_on_sale_is_not_found(shop: Deployed, sku: str) -> None:
    shop.product("hidden", on_sale=False)
    assert shop.call("browse_products", of(sku)).is_problem(404, "not_found")


def test_looking_writes_nothing(shop: Deployed) -> None:
    before = items("CatalogueTable")
    shop.call("browse_products", ALL)
    assert items("CatalogueTable") == before
