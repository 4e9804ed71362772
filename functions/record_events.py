"""Orders stream → the trade's timeline: one immutable entry a version."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.stream import StreamConsumer, Work, change_of, changed_order
from cardshop.adapters.timeline import DynamoTimeline


@cache
def _timeline() -> DynamoTimeline:
    return DynamoTimeline()


def record(work: Work) -> None:
    _timeline().append(work["trade_id"], [change_of(work)])


handler = StreamConsumer(changed_order, record)
