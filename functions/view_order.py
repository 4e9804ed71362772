"""GET /orders/{trade_id}: an order's state and story."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.api import orders as present
from cardshop.api.holders import holder
from cardshop.api.http import Door, Response, cacheable, matches
from cardshop.usecases.view_order import ViewOrder

door = Door()


@cache
def _view() -> ViewOrder:
    return ViewOrder(DynamoOrders(), DynamoTimeline())


@door.route("GET", "/orders/<trade_id>")
def view(trade_id: str) -> Response[str]:
    holder(door, trade_id)
    order = _view().order(trade_id)
    tag = f'"{order.version}"'
    known = door.header("If-None-Match")
    changes = [] if matches(known, tag) else _view().changes(order)
    whole = not changes or len(changes) == order.version  # an answer that lacks a change is not what its version names
    return cacheable(present.order(order, changes), known, cache="private, no-cache", tag=tag if whole else None)


handler = door.handler
