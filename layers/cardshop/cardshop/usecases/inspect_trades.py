"""An operator's view: the trades that are not over, and one trade's whole story."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.order import Change, Order
from cardshop.domain.trade import Status
from cardshop.ports import Incident, Orders, Timeline
from cardshop.usecases.view_order import ViewOrder


@dataclass(frozen=True, slots=True)
class InspectTrades:
    orders: Orders
    timeline: Timeline

    def under_way(
        self, limit: int, after: str | None, status: Status | None, *, with_tasks: bool = False
    ) -> tuple[list[Order], str | None]:
        """Some orders, and where to go on: of a status, or with a task that waits for an operator, if that is asked.

        Then there may be fewer than `limit`, and still more to come.
        """
        found, following = self.orders.under_way(limit, after)
        wanted = [order for order in found if status in {None, order.status} and (order.tasks or not with_tasks)]
        return wanted, following

    def story(self, trade_id: str) -> tuple[Order, list[Change], list[Incident]]:
        view = ViewOrder(self.orders, self.timeline)
        order = view.order(trade_id)
        return order, view.changes(order), self.timeline.incidents(trade_id)
