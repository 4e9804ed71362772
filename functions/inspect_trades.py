"""GET /admin/orders and /admin/orders/{trade_id}: what is under way, and one trade's whole story."""

from __future__ import annotations

import re
from functools import cache

from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.api import orders as present
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator, operator_on
from cardshop.domain.errors import Unprocessable
from cardshop.domain.trade import Status
from cardshop.usecases.inspect_trades import InspectTrades

door = Door()

_PAGE, _MOST = 50, 100
_CURSOR = re.compile(r"[0-9]{1,15}\.[a-z2-7]{26}")


@cache
def _inspect() -> InspectTrades:
    return InspectTrades(DynamoOrders(), DynamoTimeline())


@door.route("GET", "/admin/orders")
def under_way() -> Response[str]:
    operator(door)
    given = door.app.current_event.query_string_parameters or {}
    limit, after, status = given.get("limit", str(_PAGE)), given.get("after"), given.get("status")
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= _MOST:
        raise Unprocessable(f"limit: 1 to {_MOST}")
    if after is not None and not _CURSOR.fullmatch(after):
        raise Unprocessable("after: the `next` of an answer")
    if status is not None and status not in set(Status):
        raise Unprocessable(f"status: one of {', '.join(Status)}")
    if (tasks := given.get("tasks", "any")) not in {"any", "open"}:
        raise Unprocessable("tasks: open")
    orders, following = _inspect().under_way(
        int(limit), after, Status(status) if status else None, with_tasks=tasks == "open"
    )
    shown = {"orders": [{**present.summary(order), "tasks": present.inside(order)["tasks"]} for order in orders]}
    return answer(200, {**shown, "next": following} if following else shown)


@door.route("GET", "/admin/orders/<trade_id>")
def story(trade_id: str) -> Response[str]:
    operator_on(door, trade_id)
    order, changes, incidents = _inspect().story(trade_id)
    noted = [present.incident(incident) for incident in incidents]
    return answer(200, {**present.order(order, changes), **present.inside(order), "incidents": noted})


handler = door.handler
