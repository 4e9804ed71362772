"""A terminal comes with its ticket: once, in time, to the feed that the ticket names, while there is a place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cardshop.domain.connection import CONNECTION_MS, SHOP_FEED, Ticket
from cardshop.domain.errors import TooManyConnections, Unauthorized
from cardshop.usecases.connect_terminal import ConnectTerminal
from cardshop.usecases.issue_ticket import Caps, IssueTicket

from tests.domain.builders import NOW, TRADE_ID
from tests.usecases.fakes import SECRET, Clock, Connections

CAPS = Caps(per_feed=3, per_address=4)
OTHER = "a" * 26


@pytest.fixture
def connect(connections: Connections, clock: Clock) -> ConnectTerminal:
    return ConnectTerminal(connections, CAPS, clock)


@pytest.fixture
def ticket(connections: Connections, clock: Clock) -> Callable[..., str]:
    """One more, whatever the caps: as if all were asked for in the same moment."""
    issue = IssueTicket(connections, SECRET, Caps(0, 0), clock)
    return lambda feed=TRADE_ID, address="203.0.113.7": str(issue(feed, address)[0])


@pytest.mark.parametrize("feed", [TRADE_ID, SHOP_FEED])
def test_a_ticket_opens_a_connection_to_its_feed(
    connect: ConnectTerminal, connections: Connections, ticket: Callable[..., str], feed: str
) -> None:
    """Noted with the gateway's time, whatever the function's own clock says."""
    opened = NOW - 600_000
    connect(ticket(feed), "connection-1", opened)
    (there,) = connections.of(feed, NOW)
    assert (there.is_open, there.connection_id, there.until) == (True, "connection-1", opened + CONNECTION_MS)


def test_a_ticket_is_good_once(connect: ConnectTerminal, connections: Connections, ticket: Callable[..., str]) -> None:
    given = ticket()
    connect(given, "connection-1", NOW)
    with pytest.raises(Unauthorized):
        connect(given, "connection-2", NOW)
    assert [each.connection_id for each in connections.of(TRADE_ID, NOW)] == ["connection-1"]


def test_of_two_who_use_a_ticket_in_the_same_moment_one_is_let_in(
    connect: ConnectTerminal, connections: Connections, ticket: Callable[..., str]
) -> None:
    given = ticket()

    def first() -> None:
        connect(given, "connection-1", NOW)

    connections.meanwhile = first
    with pytest.raises(Unauthorized):
        connect(given, "connection-2", NOW)
    assert [each.connection_id for each in connections.of(TRADE_ID, NOW)] == ["connection-1"]


def test_a_ticket_is_over_after_a_minute(
    connect: ConnectTerminal, connections: Connections, ticket: Callable[..., str], clock: Clock
) -> None:
    given = ticket()
    clock.now += 60_000
    with pytest.raises(Unauthorized):
        connect(given, "connection-1", NOW)
    assert not any(each.is_open for each in connections.places.values())


@pytest.mark.parametrize("wrong", ["", "nonsense", str(Ticket(TRADE_ID, "x" * 32)), str(Ticket(SHOP_FEED, "x" * 32))])
def test_without_a_ticket_nobody_is_let_in(connect: ConnectTerminal, ticket: Callable[..., str], wrong: str) -> None:
    ticket()
    with pytest.raises(Unauthorized):
        connect(wrong, "connection-1", NOW)


def test_a_ticket_for_one_feed_is_none_for_another(connect: ConnectTerminal, ticket: Callable[..., str]) -> None:
    secret = ticket().partition(".")[2]
    for feed in (OTHER, SHOP_FEED):
        with pytest.raises(Unauthorized):
            connect(f"{feed}.{secret}", "connection-1", NOW)


def test_an_order_has_so_many_connections_and_a_ticket_that_found_no_place_stays_good(
    connect: ConnectTerminal, ticket: Callable[..., str]
) -> None:
    given = [ticket(address=f"address-{number}") for number in range(4)]
    for number in range(3):
        connect(given[number], f"connection-{number}", NOW)
    with pytest.raises(TooManyConnections):
        connect(given[3], "connection-3", NOW)
    connect.leave("connection-1")
    connect(given[3], "connection-3", NOW)


def test_an_address_has_so_many_connections(connect: ConnectTerminal, ticket: Callable[..., str]) -> None:
    given = [ticket(letter * 26) for letter in "abcde"]
    for number in range(4):
        connect(given[number], f"connection-{number}", NOW)
    with pytest.raises(TooManyConnections):
        connect(given[4], "connection-4", NOW)


def test_who_leaves_makes_room_and_may_leave_twice(
    connect: ConnectTerminal, connections: Connections, ticket: Callable[..., str]
) -> None:
    connect(ticket(), "connection-1", NOW)
    connect(ticket(), "connection-2", NOW)
    for _ in range(2):
        connect.leave("connection-1")
    assert [each.connection_id for each in connections.of(TRADE_ID, NOW)] == ["connection-2"]
