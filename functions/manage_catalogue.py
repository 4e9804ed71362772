"""PUT /admin/products/{sku}: create or change a product."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.log import logger
from cardshop.api import products as present
from cardshop.api import schemas
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator
from cardshop.domain.card import SKU
from cardshop.domain.errors import Unprocessable
from cardshop.domain.money import Money
from cardshop.domain.product import Product

door = Door()


@cache
def _catalogue() -> DynamoCatalogue:
    return DynamoCatalogue()


@door.route("PUT", "/admin/products/<sku>")
def save(sku: str) -> Response[str]:
    who = operator(door)
    if not SKU.fullmatch(sku):
        raise Unprocessable("sku: letters, digits, dot, dash and underscore, at most 64")
    body = schemas.read(schemas.ProductRequest, door.body)
    price = Money(body.price.minor, body.price.currency)
    product = Product(sku, body.name, price, body.status == "on_sale", category=body.category)
    _catalogue().save(product, body.description)
    logger.info("product saved", extra={"sku": sku, "operator": who, "product_status": body.status})
    shown = present.whole(product, body.description)
    del shown["stock"]  # saving leaves it alone, and nobody has read it
    return answer(200, shown)


handler = door.handler
