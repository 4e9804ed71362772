"""GET /orders/{trade_id}: an order's state and story. GET …/return: where the provider sends the buyer's browser."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools.event_handler import Response
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.api import orders as present
from cardshop.api.holders import holder
from cardshop.api.http import Door, cacheable, matches
from cardshop.usecases.view_order import ViewOrder

door = Door()

_RETURN_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Cardshop</title>
<style>:root{color-scheme:light dark}body{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;
margin:20vh auto;padding:0 1rem}
</style><h1>支付已提交</h1><p>收到支付渠道的通知后立即发货。请回到下单的终端查看卡密。</p>
<h2 lang="en">Payment submitted</h2><p lang="en">Your cards are delivered the moment the provider confirms.
Go back to where you ordered to read them.</p></html>"""


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
    return cacheable(present.order(order, changes), known, cache="private, no-cache", tag=tag)


@door.route("GET", "/orders/<trade_id>/return")
def landed(trade_id: str) -> Response[str]:
    return Response(
        200,
        "text/html; charset=utf-8",
        _RETURN_PAGE,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "Referrer-Policy": "no-referrer",
        },
    )


handler = door.handler
