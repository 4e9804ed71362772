"""POST /orders/{trade_id}/tickets, POST /admin/tickets: what opens a push connection, once and within a minute."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.clock import clock
from cardshop.adapters.connections import DynamoConnections
from cardshop.adapters.log import logger
from cardshop.adapters.settings import fixed_secret
from cardshop.api.holders import holder
from cardshop.api.http import Door, Response, answer, rfc3339
from cardshop.api.operators import operator
from cardshop.domain.connection import SHOP_FEED
from cardshop.usecases.issue_ticket import Caps, IssueTicket

door = Door()


@cache
def _issue() -> IssueTicket:
    caps = Caps(int(os.environ["CONNECTIONS_PER_ORDER"]), int(os.environ["CONNECTIONS_PER_ADDRESS"]))
    return IssueTicket(DynamoConnections(), fixed_secret(os.environ["TRADE_ID_SECRET"]), caps, clock)


@door.route("POST", "/orders/<trade_id>/tickets")
def for_order(trade_id: str) -> Response[str]:
    holder(door, trade_id)
    return _ticket(trade_id)


@door.route("POST", "/admin/tickets")
def for_shop() -> Response[str]:
    who = operator(door)
    logger.info("an operator listens", extra={"operator": who})
    return _ticket(SHOP_FEED)


def _ticket(feed: str) -> Response[str]:
    ticket, until = _issue()(feed, door.address)
    return answer(201, {"ticket": str(ticket), "expires_at": rfc3339(until)})


handler = door.handler
