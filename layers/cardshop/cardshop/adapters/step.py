"""The Lambda entry of a function that is a state of the trade's machine: a trade in, its order's status out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from cardshop.adapters.log import logger
from cardshop.domain.order import Order


class Step:
    """`make` answers the use case, made at the first call. What it raises is what the machine retries or catches."""

    def __init__(self, make: Callable[[], Callable[[str], Order]]) -> None:
        self._make = make
        self._entry = logger.inject_lambda_context(self._run, clear_state=True)

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
        return dict(self._entry(event, context))

    def _run(self, event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
        logger.append_keys(trade_id=event["trade_id"])
        order = self._make()(event["trade_id"])
        logger.info("done", extra={"status": order.status})
        return {"status": order.status.value}
