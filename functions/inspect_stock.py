"""GET /admin/products and /admin/products/{sku}: what there is, and where the cards of each batch are."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.holdings import DynamoHoldings
from cardshop.api import products as present
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator
from cardshop.usecases.inspect_stock import InspectStock

door = Door()


@cache
def _inspect() -> InspectStock:
    return InspectStock(DynamoCatalogue(), DynamoHoldings())


@door.route("GET", "/admin/products")
def products() -> Response[str]:
    operator(door)
    catalogue = _inspect().catalogue
    described = catalogue.descriptions()
    return answer(200, {"products": [present.whole(each, described.get(each.sku)) for each in catalogue.everything()]})


@door.route("GET", "/admin/products/<sku>")
def product(sku: str) -> Response[str]:
    operator(door)
    found, batches = _inspect()(sku)
    shown = present.whole(found, _inspect().catalogue.description(sku))
    return answer(200, {**shown, "batches": [present.stock(batch) for batch in batches]})


handler = door.handler
