"""WebSocket $connect and $disconnect."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.clock import clock
from cardshop.adapters.connections import DynamoConnections
from cardshop.domain.connection import Connection, Ticket

from tests.adapters.cloud import items, table_name
from tests.domain.builders import TRADE_ID
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import Event, sample

CONNECT, DISCONNECT = sample("connect_terminal/connect"), sample("connect_terminal/disconnect")
CONNECTION = CONNECT["requestContext"]["connectionId"]
TICKET = CONNECT["queryStringParameters"]["ticket"]


def asked_for(text: str = TICKET, *, seconds_ago: int = 0, address: str = "address") -> None:
    ticket = Ticket.parse(text)
    assert ticket is not None
    DynamoConnections().save(Connection.kept(ticket, address, clock() - seconds_ago * 1000))


def connect(shop: Deployed, ticket: str | None = TICKET, connection: str = CONNECTION) -> Any:
    about = {**CONNECT["requestContext"], "connectionId": connection, "connectedAt": clock()}
    query = None if ticket is None else {"ticket": ticket}
    return shop.invoke("connect_terminal", {**CONNECT, "queryStringParameters": query, "requestContext": about})


def listening(feed: str = TRADE_ID) -> list[str]:
    return [each.connection_id for each in DynamoConnections().of(feed, clock()) if each.is_open]


def test_a_ticket_opens_one_connection(shop: Deployed, logs: Logs) -> None:
    asked_for()
    assert connect(shop) == {"statusCode": 200}
    assert listening() == [CONNECTION]
    assert connect(shop, connection="another")["statusCode"] == 401
    assert listening() == [CONNECTION]
    assert TICKET not in logs.text
    assert TICKET.partition(".")[2] not in logs.text


@pytest.mark.parametrize("ticket", [None, "", "nonsense", f"{'a' * 26}.{TICKET.partition('.')[2]}"])
def test_without_its_ticket_nobody_is_let_in(shop: Deployed, ticket: str | None) -> None:
    asked_for()
    assert connect(shop, ticket)["statusCode"] == 401
    assert listening() == []


def test_a_ticket_is_over_after_a_minute(shop: Deployed) -> None:
    asked_for(seconds_ago=60)
    assert shop.invoke("connect_terminal", CONNECT)["statusCode"] == 401
    assert listening() == []


def test_too_many_are_refused_at_the_handshake(shop: Deployed) -> None:
    given = [str(Ticket(TRADE_ID, str(number) * 32)) for number in range(4)]
    for each in given:  # all at once: none was counted when the others were asked for
        asked_for(each)
    answers = [connect(shop, each, f"connection-{number}")["statusCode"] for number, each in enumerate(given)]
    assert answers == [200, 200, 200, 429]
    assert len(listening()) == 3


def test_one_address_opens_no_more_than_its_share(shop: Deployed) -> None:
    """Whatever it listens to, and however its tickets were got."""
    given = [str(Ticket(letter * 26, letter * 32)) for letter in "abcdef"]
    for each in given:
        asked_for(each)
    answers = [connect(shop, each, f"connection-{number}")["statusCode"] for number, each in enumerate(given)]
    assert answers == [200] * 5 + [429]
    asked_for(elsewhere := str(Ticket("g" * 26, "g" * 32)), address="another")
    assert connect(shop, elsewhere, "connection-6")["statusCode"] == 200


@pytest.mark.parametrize(
    "huge", ["x" * 100_000, "." * 100_000, f"{TRADE_ID}.{'a' * 100_000}", f"{'a' * 100_000}.{'a' * 32}"]
)
def test_what_can_be_no_ticket_is_not_looked_up(shop: Deployed, logs: Logs, huge: str) -> None:
    client("dynamodb").delete_table(TableName=table_name("ConnectionsTable"))
    assert connect(shop, huge)["statusCode"] == 401
    assert len(logs.text) < 5_000


def test_who_leaves_is_forgotten_and_leaving_twice_is_no_error(shop: Deployed) -> None:
    asked_for()
    connect(shop)
    for _ in range(2):
        assert shop.invoke("connect_terminal", DISCONNECT) == {"statusCode": 200}
        assert items("ConnectionsTable") == []


@pytest.mark.parametrize("event", [CONNECT, DISCONNECT], ids=["connect", "disconnect"])
def test_a_store_that_does_not_answer_refuses_the_handshake(shop: Deployed, event: Event) -> None:
    client("dynamodb").delete_table(TableName=table_name("ConnectionsTable"))
    assert shop.invoke("connect_terminal", event)["statusCode"] == 503


def test_a_message_is_none_of_its_business(shop: Deployed) -> None:
    """Whatever a client sends, it connects nobody and disconnects nobody."""
    asked_for()
    about = {**CONNECT["requestContext"], "eventType": "MESSAGE", "routeKey": "$default"}
    message = {"requestContext": about, "body": '{"action": "$connect"}', "isBase64Encoded": False}
    before = items("ConnectionsTable")
    assert shop.invoke("connect_terminal", message) == {"statusCode": 200}
    assert items("ConnectionsTable") == before
