"""GET /admin/products and /admin/products/{sku}."""

from __future__ import annotations

import pytest

from tests.adapters.cloud import items
from tests.domain.builders import SKU
from tests.functions.deployed import Deployed
from tests.functions.samples import records, sample, with_order

EVERYTHING, ONE = sample("inspect_stock/everything"), sample("inspect_stock/one_product")
PRICE = {"minor": 990, "currency": "CNY"}


def test_an_operator_sees_every_product_hidden_ones_too(shop: Deployed) -> None:
    shop.product("hidden", on_sale=False)
    shop.stock("CODE-1")
    answer = shop.call("inspect_stock", shop.as_operator(EVERYTHING))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    name = {"name": "Steam 50 元", "price": PRICE}
    assert answer.json == {
        "products": [
            {"sku": "hidden", **name, "stock": {"level": "out_of_stock", "quantity": 0}, "status": "hidden"},
            {"sku": SKU, **name, "stock": {"level": "low", "quantity": 1}, "status": "on_sale"},
        ]
    }


def test_an_operator_sees_where_the_cards_of_each_batch_are(shop: Deployed) -> None:
    """The cards for sale as the product lists them, the others as the ledger has them."""
    shop.stock("CODE-1", "CODE-2", "CODE-3")
    first = items("StockTable")[0]["pool"]["S"]
    shop.stock("CODE-4")
    placed, paid = ({"Records": records("record_events/placed_and_paid")[:number]} for number in (1, 3))
    shop.invoke("record_events", with_order(placed, "a" * 26, f"{first}/1"))
    shop.invoke("record_events", with_order(paid, "b" * 26, f"{first}/2", f"{first}/3"))
    body = shop.call("inspect_stock", shop.as_operator(ONE)).json
    assert (body["sku"], body["status"], body["stock"]) == (SKU, "on_sale", {"level": "low", "quantity": 4})
    told = {batch["batch"]: batch for batch in body["batches"]}
    assert len(told) == 2
    one = told.pop(first.split("#")[1])
    (other,) = told.values()
    names = ("status", "imported", "on_sale", "held", "sold")
    assert [one[name] for name in names] == ["on_sale", 3, 3, 1, 2]
    assert [other[name] for name in names] == ["on_sale", 1, 1, 0, 0]
    assert one["created_at"].endswith("Z")


@pytest.mark.parametrize("sku", ["unknown", "x" * 3000, "a b"])
def test_a_product_that_is_not_there_is_not_found(shop: Deployed, sku: str) -> None:
    lost = {**ONE, "path": f"/admin/products/{sku}", "pathParameters": {"sku": sku}}
    assert shop.call("inspect_stock", shop.as_operator(lost)).is_problem(404, "not_found")


def test_the_list_is_the_operators_alone(shop: Deployed) -> None:
    for event in (EVERYTHING, shop.as_holder(EVERYTHING)):
        assert shop.call("inspect_stock", event).is_problem(401, "unauthorized")
