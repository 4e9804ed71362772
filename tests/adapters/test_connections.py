"""Places in DynamoDB: at a feed, of an address, by name; each is removed once and ends in time."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.connections import DynamoConnections
from cardshop.adapters.tables import ConnectionItem
from cardshop.domain.connection import SHOP_FEED, Connection, Ticket
from cardshop.domain.errors import Unavailable

from tests.adapters.cloud import items, table_name
from tests.domain.builders import NOW, TRADE_ID

pytestmark = pytest.mark.usefixtures("cloud")
ADDRESS = "J2mX0r3vQ5n8yT1bK7pW4A"


@pytest.fixture
def connections() -> DynamoConnections:
    return DynamoConnections()


def kept(feed: str = TRADE_ID, address: str | None = ADDRESS) -> Connection:
    return Connection.kept(Ticket.new(feed), address, NOW)


def opened(name: str, feed: str = TRADE_ID, address: str | None = ADDRESS) -> Connection:
    return kept(feed, address).opened(name, NOW)


def names(found: list[Connection]) -> set[str]:
    return {each.name for each in found}


def test_what_is_kept_at_a_feed_is_found_there(connections: DynamoConnections) -> None:
    here = [kept(), opened("c-1"), opened("c-2", address=None)]
    for each in (*here, opened("c-3", SHOP_FEED), opened("c-4", "a" * 26)):
        connections.save(each)
    assert sorted(connections.of(TRADE_ID, NOW), key=lambda each: each.name) == sorted(here, key=lambda each: each.name)
    assert names(connections.of(SHOP_FEED, NOW)) == {"CONNECTION#c-3"}


def test_whoever_listens_is_found_without_a_look_at_the_tickets(
    connections: DynamoConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them somebody asked for: those that are over lie there until the table forgets them."""
    for each in (opened("c-1"), opened("c-2"), *(kept() for _ in range(20))):
        connections.save(each)
    asked = []
    query = ConnectionItem.query

    def noted(*what: Any, **more: Any) -> Any:
        asked.append(query(*what, **more))
        return asked[-1]

    monkeypatch.setattr(ConnectionItem, "query", noted)
    assert names(connections.listening(TRADE_ID)) == {"CONNECTION#c-1", "CONNECTION#c-2"}
    assert [each.page_iter.total_scanned_count for each in asked] == [2]


def test_what_is_over_is_not_found_though_the_table_still_has_it(connections: DynamoConnections) -> None:
    """Its time to live removes it within days, not at the second."""
    place, there = kept(), opened("c-1")
    connections.save(place)
    connections.save(there)
    for now, expected in (
        (place.until - 1, {place.name, there.name}),
        (place.until, {there.name}),
        (there.until, set()),
    ):
        assert names(connections.of(TRADE_ID, now)) == expected
        assert names(connections.at(ADDRESS, now)) == expected
    assert names(connections.listening(TRADE_ID)) == {there.name}, "the gateway says whether it is"
    assert len(items("ConnectionsTable")) == 2


def test_places_of_an_address_are_found_whatever_they_listen_to(connections: DynamoConnections) -> None:
    for number in range(5):
        connections.save(opened(f"c-{number}", "abcde"[number] * 26))
    connections.save(opened("elsewhere", address="another address"))
    connections.save(opened("nowhere", address=None))
    found = connections.at(ADDRESS, NOW)
    assert names(found) == {f"CONNECTION#c-{number}" for number in range(5)}
    assert {each.feed for each in found} == {letter * 26 for letter in "abcde"}


def test_a_place_is_removed_once(connections: DynamoConnections) -> None:
    place = kept()
    connections.save(place)
    assert [connections.remove(place) for _ in range(3)] == [True, False, False]


def test_a_connection_is_found_by_its_name_alone_and_removed(connections: DynamoConnections) -> None:
    connections.save(opened("c-1"))
    connections.save(opened("c-2", SHOP_FEED))
    found = connections.find("CONNECTION#c-2")
    assert found is not None
    assert connections.remove(found)
    assert connections.find("CONNECTION#c-2") is None
    assert connections.find("CONNECTION#c-1") is not None


def test_a_place_is_forgotten_by_the_table_when_it_is_over(connections: DynamoConnections) -> None:
    place = opened("c-1")
    connections.save(place)
    (item,) = items("ConnectionsTable")
    assert item["forgotten_at"] == {"N": str(place.until // 1000)}


def test_a_table_that_is_gone_is_unavailable(connections: DynamoConnections) -> None:
    client("dynamodb").delete_table(TableName=table_name("ConnectionsTable"))
    for call in (
        lambda: connections.save(kept()),
        lambda: connections.remove(kept()),
        lambda: connections.of(TRADE_ID, NOW),
        lambda: connections.at(ADDRESS, NOW),
        lambda: connections.find("CONNECTION#c-1"),
    ):
        with pytest.raises(Unavailable):
            call()
