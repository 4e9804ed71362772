"""How a product and its batches are shown."""

from __future__ import annotations

from typing import Any

from cardshop.api.http import money, rfc3339
from cardshop.domain.product import Batch, Product
from cardshop.usecases.inspect_stock import BatchStock


def public(product: Product, description: str | None) -> dict[str, Any]:
    """To everybody."""
    return {
        "sku": product.sku,
        "name": product.name,
        **({"category": product.category} if product.category else {}),
        **({"description": description} if description else {}),
        "price": money(product.price),
        "stock": {"level": product.level, "quantity": product.quantity},
    }


def whole(product: Product, description: str | None) -> dict[str, Any]:
    """To operators."""
    return {**public(product, description), "status": "on_sale" if product.on_sale else "hidden"}


def batch(shown: Batch) -> dict[str, Any]:
    return {
        "batch": shown.batch,
        "status": shown.status.value,
        "imported": shown.cards,
        "created_at": rfc3339(shown.created_at),
    }


def stock(shown: BatchStock) -> dict[str, Any]:
    return {**batch(shown.batch), "on_sale": shown.on_sale, "held": shown.held, "sold": shown.sold}
