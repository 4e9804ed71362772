"""Who hears of changes at once: push connections, and the tickets that open them.

A feed is what is listened to: one trade, by its id, or the whole shop.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from cardshop.domain.payment import is_trade_id

SHOP_FEED = "shop"  # no trade's id: those are 26 characters
TICKET_MS = 60_000
CONNECTION_MS = 7_200_000  # AWS ends every connection then
_HANDSHAKE_MS = 60_000  # the gateway gives up on one after 29 s
CONNECTION = "CONNECTION#"  # how an open one's name begins
_TICKET = "TICKET#"
_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Opens one connection to its feed, within a minute. It goes through a URL, so it is good for nothing else."""

    feed: str
    secret: str

    @classmethod
    def new(cls, feed: str) -> Ticket:
        return cls(feed, secrets.token_urlsafe(24))

    @classmethod
    def parse(cls, text: str) -> Ticket | None:
        """None for what can be none."""
        feed, _, secret = text.partition(".")
        if not (feed == SHOP_FEED or is_trade_id(feed)) or not _SECRET.fullmatch(secret):
            return None
        return cls(feed, secret)

    def __str__(self) -> str:
        return f"{self.feed}.{self.secret}"

    @property
    def name(self) -> str:
        """What is stored of it: nobody who reads the table can connect."""
        return _TICKET + hashlib.sha256(str(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Connection:
    """A place at a feed: an open connection's, or one that a ticket keeps free."""

    feed: str
    name: str
    until: int  # milliseconds, whole seconds: as the table's time to live counts
    address: str | None  # HMAC of where the ticket was asked for

    @classmethod
    def kept(cls, ticket: Ticket, address: str | None, at: int) -> Connection:
        return cls(ticket.feed, ticket.name, _whole(at + TICKET_MS), address)

    def opened(self, connection_id: str, at: int) -> Connection:
        """This place, kept until now by a ticket, as that of the connection opened then, by the gateway's clock."""
        return Connection(self.feed, named(connection_id), _whole(at + CONNECTION_MS), self.address)

    @property
    def is_open(self) -> bool:
        return self.name.startswith(CONNECTION)

    @property
    def connection_id(self) -> str:
        """The gateway's name of an open one."""
        return self.name.removeprefix(CONNECTION)

    def may_be_shaking_hands(self, at: int) -> bool:
        """It is noted here before its handshake ends, and the gateway does not know it until then.

        `at` by the gateway's clock, as its opening is: whoever asks may have one that is off.
        """
        return at < self.until - CONNECTION_MS + _HANDSHAKE_MS


def named(connection_id: str) -> str:
    return CONNECTION + connection_id


def _whole(milliseconds: int) -> int:
    return milliseconds // 1000 * 1000
