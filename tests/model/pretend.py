"""A shop that is only another model, moved as the deployed one is: to plant bugs in."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.model.shop_model import Answer, Order, Shop
from tests.model.trading import PRICES


class Pretend:
    def __init__(self, kind: type[Shop]) -> None:
        self._shop = kind(PRICES)

    def __getattr__(self, action: str) -> Any:
        def act(*args: Any) -> Answer:
            answer, self._shop = next(self._shop.outcomes(action, *args))
            for order in self._shop.orders:
                if order.has_cards and order.held is None:
                    self._give(order)
            return answer

        return act

    def _give(self, order: Order) -> None:
        """Any cards on sale, and such as nobody has."""
        taken = {code for each in self._shop.orders if each.has_cards and each.held for code in each.codes}
        there = [
            (name, code)
            for name, batch in self._shop.batches.items()
            if batch.sku == order.sku and batch.on_sale
            for code in batch.codes
            if code not in taken
        ][: order.quantity]
        order.held = Counter(name for name, _ in there)
        order.codes = [code for _, code in there]

    def shown(self, number: int) -> dict[str, Any]:
        return self._shop.orders[number].shown

    def held(self, number: int) -> Counter[str]:
        return self._shop.orders[number].held or Counter()

    def stock(self, sku: str) -> tuple[int, dict[str, tuple[int, int, int]]]:
        return self._shop.stock(sku)

    def codes(self, number: int) -> list[str]:
        self._shop.reveal(number)
        return self._shop.orders[number].codes
