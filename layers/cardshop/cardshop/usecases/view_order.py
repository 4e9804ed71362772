"""An order and its timeline, as its holder sees them."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotFound
from cardshop.domain.order import Change, Order
from cardshop.ports import Orders, Timeline


@dataclass(frozen=True, slots=True)
class ViewOrder:
    orders: Orders
    timeline: Timeline

    def order(self, trade_id: str) -> Order:
        order = self.orders.find(trade_id)
        if order is None:
            raise NotFound("no such order")
        return order

    def changes(self, order: Order) -> list[Change]:
        """Every change up to the order's version; its last one is on the order itself, a moment before the timeline."""
        known = {change.version: change for change in self.timeline.of(order.trade_id)}
        known[order.version] = order.last_change
        return [known[version] for version in sorted(known) if version <= order.version]
