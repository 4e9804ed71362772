"""Orders stream → the trade's timeline, one immutable entry a version, and whose the cards of each batch are."""

from __future__ import annotations

from functools import cache

from cardshop.adapters.holdings import DynamoHoldings
from cardshop.adapters.stream import StreamConsumer, Work, change_of, changed_order, holdings_of
from cardshop.adapters.timeline import DynamoTimeline


@cache
def _timeline() -> DynamoTimeline:
    return DynamoTimeline()


@cache
def _holdings() -> DynamoHoldings:
    return DynamoHoldings()


def record(work: Work) -> None:
    _timeline().append(work["trade_id"], [change_of(work)])
    _holdings().note(holdings_of(work))


handler = StreamConsumer(changed_order, record)
