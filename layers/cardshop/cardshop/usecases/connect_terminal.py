"""A terminal opens a push connection with its ticket, and leaves."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.connection import Connection, Ticket, named
from cardshop.domain.errors import Unauthorized
from cardshop.ports import Clock, Connections
from cardshop.usecases.issue_ticket import Caps, check


@dataclass(frozen=True, slots=True)
class ConnectTerminal:
    connections: Connections
    caps: Caps
    clock: Clock

    def __call__(self, text: str, connection_id: str, connected_at: int) -> Connection:
        """It is noted before the handshake ends: what is committed once it has ended is pushed.

        `connected_at` by the gateway's clock, milliseconds.
        Unauthorized for a ticket that is unknown, over or used. TooManyConnections leaves the ticket good.
        """
        ticket, now = Ticket.parse(text), self.clock()
        taken = self.connections.of(ticket.feed, now) if ticket else []
        place = next((each for each in taken if ticket and each.name == ticket.name), None)
        if place is None:
            raise Unauthorized("no such ticket: they are good for one connection, within a minute")
        if self.caps.per_feed:
            check([each for each in taken if each.is_open], self.caps.per_feed, "for this order", now)
        if self.caps.per_address and place.address:
            there = self.connections.at(place.address, now)
            check([each for each in there if each.is_open], self.caps.per_address, "from this address", now)
        if not self.connections.remove(place):
            raise Unauthorized("the ticket was used a moment ago")
        opened = place.opened(connection_id, connected_at)
        self.connections.save(opened)
        return opened

    def leave(self, connection_id: str) -> None:
        """Does nothing for one that is gone already, or has only just come: whoever pushes finds out."""
        left = self.connections.find(named(connection_id))
        if left is not None:
            self.connections.remove(left)
