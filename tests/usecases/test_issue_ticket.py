"""Tickets for push connections: to whom, for how long, and how many at a time."""

from __future__ import annotations

import pytest
from cardshop.domain.connection import SHOP_FEED, TICKET_MS, Ticket
from cardshop.domain.errors import TooManyConnections
from cardshop.usecases.issue_ticket import Caps, IssueTicket

from tests.domain.builders import NOW, TRADE_ID
from tests.usecases.fakes import SECRET, Clock, Connections

ADDRESS = "203.0.113.7"


@pytest.fixture
def issue(connections: Connections, clock: Clock) -> IssueTicket:
    return IssueTicket(connections, SECRET, Caps(per_feed=3, per_address=5), clock)


@pytest.mark.parametrize("feed", [TRADE_ID, SHOP_FEED])
def test_a_ticket_keeps_a_place_for_a_minute(issue: IssueTicket, connections: Connections, feed: str) -> None:
    ticket, until = issue(feed, ADDRESS)
    assert until == NOW + TICKET_MS
    (place,) = connections.of(feed, NOW)
    assert (place.name, place.until, place.is_open) == (ticket.name, until, False)
    assert connections.of(feed, until) == []


def test_nothing_that_is_stored_tells_the_ticket_or_the_address(issue: IssueTicket, connections: Connections) -> None:
    ticket, _ = issue(TRADE_ID, ADDRESS)
    assert ticket.secret not in str(connections.places)
    assert ADDRESS not in str(connections.places)


def test_an_order_has_so_many_places_tickets_counted(
    issue: IssueTicket, connections: Connections, clock: Clock
) -> None:
    issue(TRADE_ID, "a")
    issue(TRADE_ID, "b")
    (first, second) = connections.of(TRADE_ID, NOW)
    connections.remove(first)
    connections.save(first.opened("connection-1", NOW))
    clock.now += 20_000
    issue(TRADE_ID, "c")
    with pytest.raises(TooManyConnections) as refused:
        issue(TRADE_ID, "d")
    assert refused.value.retry_after == 40, "when the first ticket is over"
    issue("a" * 26, "d")
    clock.now = second.until
    issue(TRADE_ID, "d")


def test_an_address_has_so_many_places_whatever_they_listen_to(issue: IssueTicket) -> None:
    for letter in "abcde":
        issue(letter * 26, ADDRESS)
    with pytest.raises(TooManyConnections):
        issue("f" * 26, ADDRESS)
    issue("f" * 26, "198.51.100.1")


@pytest.mark.parametrize("address", [ADDRESS, None])
def test_a_cap_of_zero_is_none(connections: Connections, clock: Clock, address: str | None) -> None:
    issue = IssueTicket(connections, SECRET, Caps(0, 0), clock)
    assert len({issue(TRADE_ID, address)[0] for _ in range(30)}) == 30


def test_whose_address_nobody_knows_is_counted_by_the_order_alone(issue: IssueTicket) -> None:
    tickets = [issue(letter * 26, None)[0] for letter in "abcdefg"]
    assert all(isinstance(each, Ticket) for each in tickets)
