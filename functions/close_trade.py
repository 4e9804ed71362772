"""The machine's state CloseTrade: the window is over; the cards go back on sale."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.orders import DynamoOrders
from cardshop.usecases.close_trade import CloseTrade

logger = Logger(service="cardshop", utc=True)


@cache
def _use_case() -> CloseTrade:
    return CloseTrade(DynamoOrders(), lambda: time.time_ns() // 1_000_000)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    logger.append_keys(trade_id=event["trade_id"])
    order = _use_case()(event["trade_id"])
    logger.info("done", extra={"status": order.status})
    return {"status": order.status.value}
