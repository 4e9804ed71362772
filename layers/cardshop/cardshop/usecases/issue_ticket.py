"""A ticket for a push connection: to one order, for whoever holds it, or to the whole shop, for operators.

Places are counted before one more is taken, and not locked: under a race there may be a few too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cardshop.domain.card import text_hmac
from cardshop.domain.connection import Connection, Ticket
from cardshop.domain.errors import TooManyConnections
from cardshop.ports import Clock, Connections


@dataclass(frozen=True, slots=True)
class Caps:
    """Places at a time; 0: no cap."""

    per_feed: int
    per_address: int


@dataclass(frozen=True, slots=True)
class IssueTicket:
    connections: Connections
    secret: bytes
    caps: Caps
    clock: Clock

    def __call__(self, feed: str, address: str | None) -> tuple[Ticket, int]:
        """The ticket, and until when it is good (ms). TooManyConnections, with the seconds until a place is free."""
        now = self.clock()
        hashed = text_hmac(self.secret, "address", address) if address else None
        if self.caps.per_feed:
            check(self.connections.of(feed, now), self.caps.per_feed, "for this order", now)
        if self.caps.per_address and hashed:
            check(self.connections.at(hashed, now), self.caps.per_address, "from this address", now)
        ticket = Ticket.new(feed)
        place = Connection.kept(ticket, hashed, now)
        self.connections.save(place)
        return ticket, place.until


def check(taken: Sequence[Connection], cap: int, whose: str, now: int) -> None:
    """TooManyConnections if there is no place for one more."""
    if len(taken) >= cap:
        first = min(each.until for each in taken)
        raise TooManyConnections(f"at most {cap} connections {whose}", retry_after=max(1, -(-(first - now) // 1000)))
