"""Timeline stream → one execution of the trade's machine, named after the trade."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.stream import StreamConsumer, Work, new_trade
from cardshop.adapters.workflow import StepFunctions


@cache
def _workflow() -> StepFunctions:
    return StepFunctions(os.environ["STATE_MACHINE_ARN"])


def start(work: Work) -> None:
    _workflow().start(work["trade_id"])


handler = StreamConsumer(new_trade, start)
