"""PUT /admin/products/{sku}/batches/{batch}: a batch off sale, and back."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.domain.product import Batch, BatchStatus
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items
from tests.domain.builders import BATCH, NOW, SKU, placed
from tests.functions.deployed import Answer, Deployed, Logs
from tests.functions.samples import sample, with_json

WITHDRAW = sample("manage_batches/withdraw")
ONE_CARD = sample("place_order/one_card")


def move(shop: Deployed, status: str, batch: str, sku: str = SKU) -> Answer:
    there = {"path": f"/admin/products/{sku}/batches/{batch}", "pathParameters": {"sku": sku, "batch": batch}}
    return shop.call("manage_batches", shop.as_operator({**with_json(WITHDRAW, status=status), **there}))


def quantity() -> int:
    product = DynamoCatalogue().find(SKU, consistent=True)
    assert product is not None
    return product.quantity


@pytest.fixture
def batch(shop: Deployed) -> str:
    """Two cards on sale."""
    shop.stock("CODE-1", "CODE-2")
    (name,) = {item["pool"]["S"].split("#")[1] for item in items("StockTable")}
    return str(name)


def test_a_withdrawn_batch_sells_nothing_until_it_is_put_back(shop: Deployed, batch: str, logs: Logs) -> None:
    answer = move(shop, "withdrawn", batch)
    assert answer.status == 200
    assert {**answer.json, "created_at": ""} == {"batch": batch, "status": "withdrawn", "imported": 2, "created_at": ""}
    assert quantity() == 0
    assert shop.call("place_order", ONE_CARD).is_problem(409, "out_of_stock")
    assert len(items("StockTable")) == 2, "they lie where they lay"
    assert move(shop, "on_sale", batch).json["status"] == "on_sale"
    assert quantity() == 2
    assert shop.call("place_order", ONE_CARD).status == 201
    assert {line["operator"] for line in logs.lines if line["message"] == "batch"} == {"alice"}


@pytest.mark.parametrize("status", ["withdrawn", "on_sale"])
def test_asking_again_is_no_error_and_changes_nothing(shop: Deployed, batch: str, status: str) -> None:
    first = move(shop, status, batch)
    before = items("CatalogueTable")
    again = move(shop, status, batch)
    assert (again.status, again.json) == (200, first.json)
    assert items("CatalogueTable") == before


def test_who_awaits_stock_is_served_before_a_batch_is_on_sale_again(
    shop: Deployed, batch: str, waiting: Waiting
) -> None:
    move(shop, "withdrawn", batch)
    late = placed().payments[0]
    shop.order(
        placed(),
        lambda order: order.closed(NOW),
        lambda order: order.settled(late.payment_id, late.amount, None, NOW, lacking=SKU),
    )
    shop.wait_with("token")
    waiting.add("token")
    assert move(shop, "on_sale", batch).status == 200
    assert (shop.stored().status, shop.stored().cards[0].pool.batch) == (Status.DELIVERED, batch)
    assert quantity() == 1
    assert waiting == set()
    assert executions(shop.machine) == []


def test_a_batch_whose_import_has_not_ended_is_not_moved(shop: Deployed, subtests: pytest.Subtests) -> None:
    DynamoCatalogue().begin_batch(Batch(SKU, BATCH, BatchStatus.IMPORTING, 1, 0, NOW))
    before = items("CatalogueTable")
    for status in ("on_sale", "withdrawn"):
        with subtests.test(status=status):
            assert move(shop, status, BATCH).is_problem(409, "still_importing")
    assert items("CatalogueTable") == before


@pytest.mark.parametrize(("sku", "name"), [(SKU, "unknown"), ("unknown", BATCH), (SKU, "x" * 500)])
def test_a_batch_that_is_not_there_is_not_found(shop: Deployed, batch: str, sku: str, name: str) -> None:
    assert move(shop, "withdrawn", name, sku).is_problem(404, "not_found")


WRONG: list[dict[str, Any]] = [
    *[{"status": status} for status in ("importing", "sold", "", None, True)],
    {"cards": 5},
]


def test_a_request_of_another_shape_is_refused_and_nothing_written(
    shop: Deployed, batch: str, subtests: pytest.Subtests
) -> None:
    before = items("CatalogueTable")
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = shop.call("manage_batches", shop.as_operator(with_json(WITHDRAW, **wrong)))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert items("CatalogueTable") == before
