"""The machine's state CompleteTrade: the after-sale window is over."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.step import Step
from cardshop.usecases.complete_trade import CompleteTrade


@cache
def _complete() -> CompleteTrade:
    return CompleteTrade(DynamoOrders(), clock)


handler = Step(_complete)
