"""Each change of an order to everybody who listens to it, or to the whole shop.

Messages may come twice or out of order: a terminal keeps the greatest version. What it misses it finds on the order
itself when it connects again, so a connection that takes no message is closed rather than waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cardshop.domain.connection import SHOP_FEED, Connection
from cardshop.domain.errors import Unavailable
from cardshop.ports import ConnectionGone, Connections, Line

#: Connections told side by side: more than one address may have, so that whoever lets all of his hang leaves room.
AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class News:
    trade_id: str
    message: str


@dataclass(frozen=True, slots=True)
class PushChanges:
    connections: Connections
    line: Line

    def __call__(self, news: Sequence[News]) -> int:
        """How many connections heard of it.

        Unavailable, once all the others have heard, if one could be neither told nor closed: its terminal would be
        deaf and not know it, so all of this is to be done again.
        """
        by_feed: dict[str, list[str]] = {}
        for each in news:
            by_feed.setdefault(each.trade_id, []).append(each.message)
        by_feed[SHOP_FEED] = [each.message for each in news]
        with ThreadPoolExecutor(AT_ONCE) as pool:  # a buyer's terminals hear while the next feed's are looked up
            outcomes = [
                pool.submit(self._tell, connection, messages)
                for feed, messages in by_feed.items()
                for connection in self.connections.listening(feed)
            ]
        told = [each.result() for each in outcomes if each.exception() is None]
        if len(told) < len(outcomes):
            failed = next(error for each in outcomes if (error := each.exception()))
            raise Unavailable(f"{len(outcomes) - len(told)} connections were neither told nor closed") from failed
        return sum(told)

    def _tell(self, connection: Connection, messages: Sequence[str]) -> bool:
        """Whether it heard all of them, in their order."""
        try:
            if self._took(connection, messages):
                return True
        except ConnectionGone as gone:
            # Before its handshake has ended it misses nothing: it reads the order after that.
            if connection.may_be_shaking_hands(gone.at):
                return False
        self.connections.remove(connection)
        return False

    def _took(self, connection: Connection, messages: Sequence[str]) -> bool:
        """Whether it took all of them; else it is closed, and comes back. ConnectionGone."""
        try:
            for message in messages:
                self.line.send(connection.connection_id, message)
        except Unavailable:
            self.line.close(connection.connection_id)
            return False
        return True
