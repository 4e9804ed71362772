"""GET /products, /products/{sku} and /channels: the catalogue and how to pay, for everyone and every cache."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue, DynamoChannelSettings
from cardshop.api import channels
from cardshop.api import products as present
from cardshop.api.http import Door, Response, cacheable
from cardshop.domain.errors import NotFound

door = Door()

_CACHE = "public, max-age=2, stale-while-revalidate=10"


@cache
def _catalogue() -> DynamoCatalogue:
    return DynamoCatalogue()


@door.route("GET", "/products")
def browse() -> Response[str]:
    described = _catalogue().descriptions()
    products = [present.public(each, described.get(each.sku)) for each in _catalogue().on_sale()]
    return cacheable({"products": products}, door.header("If-None-Match"), cache=_CACHE)


@door.route("GET", "/products/<sku>")
def show(sku: str) -> Response[str]:
    product = _catalogue().find(sku)
    if product is None or not product.on_sale:
        raise NotFound("no such product")
    shown = present.public(product, _catalogue().description(sku))
    return cacheable(shown, door.header("If-None-Match"), cache=_CACHE)


@door.route("GET", "/channels")
def ways_to_pay() -> Response[str]:
    offered = [channels.offer(each) for each in DynamoChannelSettings().offers()]
    return cacheable({"channels": offered}, door.header("If-None-Match"), cache=_CACHE)


handler = door.handler
