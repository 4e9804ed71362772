"""Open push connections, and the tickets that open them."""

from __future__ import annotations

from pynamodb.exceptions import DeleteError
from pynamodb.expressions.condition import Condition

from cardshop.adapters.tables import ConnectionItem, refused, store
from cardshop.domain.connection import CONNECTION, Connection


class DynamoConnections:
    """`ports.Connections`."""

    def save(self, connection: Connection) -> None:
        with store():
            ConnectionItem(
                connection.feed,
                connection.name,
                forgotten_at=connection.until // 1000,
                address=connection.address,
            ).save()

    def remove(self, connection: Connection) -> bool:
        with store():
            try:
                ConnectionItem(connection.feed, connection.name).delete(condition=ConnectionItem.feed.exists())
            except DeleteError as error:
                if refused(error):
                    return False
                raise
        return True

    def of(self, feed: str, now: int) -> list[Connection]:
        return [each for each in self._query(feed) if each.until > now]

    def listening(self, feed: str) -> list[Connection]:
        return self._query(feed, ConnectionItem.name.startswith(CONNECTION))

    def at(self, address: str, now: int) -> list[Connection]:
        with store():
            found = ConnectionItem.by_address.query(address, ConnectionItem.forgotten_at > now // 1000)
            return [_connection(each) for each in found]

    def find(self, name: str) -> Connection | None:
        with store():
            found = next(iter(ConnectionItem.by_name.query(name)), None)
        return None if found is None else Connection(found.feed, name, 0, None)

    @staticmethod
    def _query(feed: str, which: Condition | None = None) -> list[Connection]:
        with store():
            return [_connection(each) for each in ConnectionItem.query(feed, which, consistent_read=True)]


def _connection(item: ConnectionItem) -> Connection:
    return Connection(item.feed, item.name, int(item.forgotten_at) * 1000, item.address)
