"""GET /products and /products/{sku}: the catalogue, for everyone and every cache."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools.event_handler import Response
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.api import products as present
from cardshop.api.http import Door, cacheable
from cardshop.domain.errors import NotFound

door = Door()

_CACHE = "public, max-age=2, stale-while-revalidate=10"


@cache
def _catalogue() -> DynamoCatalogue:
    return DynamoCatalogue()


@door.route("GET", "/products")
def browse() -> Response[str]:
    products = {"products": [present.public(product) for product in _catalogue().on_sale()]}
    return cacheable(products, door.header("If-None-Match"), cache=_CACHE)


@door.route("GET", "/products/<sku>")
def show(sku: str) -> Response[str]:
    product = _catalogue().find(sku)
    if product is None or not product.on_sale:
        raise NotFound("no such product")
    return cacheable(present.public(product), door.header("If-None-Match"), cache=_CACHE)


handler = door.handler
