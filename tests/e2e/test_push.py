"""Terminals hear each change of their order at once; what one misses it finds on the order when it comes back."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from engine.processes import REGION
from tests.house import House, bearer, ok, wait_until

_PATIENCE = 30  # seconds for one message


def ticket(house: House, placed: dict[str, Any]) -> str:
    return str(ok(house.act(placed, "tickets"))["ticket"])


@contextmanager
def listening(house: House, ticket: str, **more: Any) -> Iterator[ClientConnection]:
    address = f"{house.outputs['PushUrl']}?ticket={ticket}"
    with connect(address, open_timeout=_PATIENCE, compression=None, **more) as line:
        yield line


_PLACED = 1  # the version of a new order, which its terminals know; it may still be told to one that came at once


def news(line: ClientConnection, since: int = _PLACED) -> dict[str, Any]:
    """The first message of a later version."""
    message: dict[str, Any] = {"version": 0}
    while message["version"] <= since:
        message = json.loads(line.recv(timeout=_PATIENCE))
    return message


def heard(line: ClientConnection, until: str, since: int = _PLACED) -> list[str]:
    """The states it is told of, as a terminal shows them: each version once, up to this one."""
    states: list[str] = []
    while until not in states:
        message = news(line, since)
        since = message["version"]
        states.append(message["status"])
    return states


def refused(house: House, ticket: str) -> bool:
    """The local engine answers every refused handshake with 403, whatever the function says."""
    with pytest.raises(InvalidStatus) as refusal, listening(house, ticket):
        pass
    return refusal.value.response.status_code in {401, 403}


def test_two_terminals_hear_of_payment_and_delivery_and_never_a_code(house: House) -> None:
    sku, codes = house.product(1)
    placed = house.placed(sku)
    with listening(house, ticket(house, placed)) as phone, listening(house, ticket(house, placed)) as pc:
        house.pay(placed)
        last: dict[str, Any] = {}
        while last.get("status") != "delivered":
            last = json.loads(phone.recv(timeout=_PATIENCE))
            assert codes[0] not in json.dumps(last)
        assert heard(pc, "delivered") == ["paid", "delivered"]
    seen = house.view(placed)
    assert last["change"] == seen["timeline"][last["version"] - 1]
    assert last["order"] == {name: value for name, value in seen.items() if name != "timeline"}


def test_one_that_was_cut_off_comes_back_and_misses_nothing(house: House) -> None:
    placed = house.placed(house.product(1)[0])
    with listening(house, ticket(house, placed)) as line:
        broken(line)
    house.pay(placed)
    house.until(placed, "delivered")
    with listening(house, ticket(house, placed)) as line:
        version = house.view(placed)["version"]  # the one read that finds what it missed
        ok(house.act(placed, "confirm"))
        assert heard(line, "completed", since=version) == ["completed"]


def test_a_dead_terminal_holds_nobody_back(house: House) -> None:
    placed = house.placed(house.product(1)[0])
    with ExitStack() as lines:
        dead = [lines.enter_context(listening(house, ticket(house, placed))) for _ in range(5)]
        alive = lines.enter_context(listening(house, ticket(house, placed)))
        for each in dead:
            broken(each)
        house.pay(placed)
        assert heard(alive, "delivered") == ["paid", "delivered"]


def test_one_that_reads_nothing_holds_nobody_back(house: House) -> None:
    """Its buffers are full, down to the gateway's socket."""
    placed = house.placed(house.product(1)[0])
    with listening(house, ticket(house, placed), max_queue=1) as full, listening(house, ticket(house, placed)) as alive:
        items = house.items("Connections")
        there = [each["name"]["S"].partition("#")[2] for each in items if each["feed"]["S"] == placed["trade_id"]]
        url = house.outputs["PushUrl"].replace("ws:", "http:")
        gateway = boto3.Session("test", "test", region_name=REGION).client("apigatewaymanagementapi", endpoint_url=url)
        nothing = " " * 128_000
        for _ in range(160):  # twenty megabytes
            for connection in there:
                gateway.post_to_connection(ConnectionId=connection, Data=nothing.encode())
            while alive.recv(timeout=_PATIENCE) != nothing:
                pass
        house.pay(placed)
        assert heard(alive, "delivered") == ["paid", "delivered"]
        broken(full)


def test_one_whose_handshake_has_not_ended_keeps_its_place_and_one_that_is_gone_does_not(house: House) -> None:
    """The gateway knows neither. The functions are told of both as it would."""
    placed = house.placed(house.product(1)[0])
    now = int(time.time() * 1000)
    with listening(house, ticket(house, placed)) as line:
        for name, connected_at in (("comes", now), ("gone", now - 3_600_000)):
            _asked(house, "CONNECT", name, ticket=ticket(house, placed), connectedAt=connected_at)
        house.pay(placed)
        heard(line, "delivered")
        wait_until(lambda: "CONNECTION#gone" not in _noted_of(house, placed), lambda: "it keeps its place")
        ok(house.act(placed, "confirm"))
        heard(line, "completed")  # what was told before is over: an order's changes are told one batch after the other
        assert "CONNECTION#comes" in _noted_of(house, placed)
    _asked(house, "DISCONNECT", "comes")


def test_an_operator_hears_of_every_order_and_never_a_code(house: House) -> None:
    board = ok(house.api.post("/admin/tickets", headers=house.operator))["ticket"]
    sku, codes = house.product(2)
    with listening(house, board) as line:
        orders = [house.placed(sku) for _ in range(2)]
        for each in orders:
            house.pay(each)
        waited = {each["trade_id"] for each in orders}
        while waited:
            message = line.recv(timeout=_PATIENCE)
            assert not [code for code in codes if code in message]
            assert "task_token" not in message
            if (told := json.loads(message))["status"] == "delivered":
                waited.discard(told["trade_id"])


def test_what_a_terminal_sends_reaches_nobody_and_changes_nothing(house: House) -> None:
    sku, _ = house.product(2)
    placed, other = house.placed(sku), house.placed(sku)
    with listening(house, ticket(house, placed)) as line, listening(house, ticket(house, other)) as stranger:
        for message in (
            "",
            "ping",
            b"\xff\xfe",
            json.dumps({"action": "$connect", "ticket": ticket(house, other)}),
            json.dumps({"action": "$disconnect"}),
            json.dumps({"action": "$default", "trade_id": other["trade_id"], "version": 99, "status": "delivered"}),
            "x" * 100_000,
        ):
            line.send(message)
        ok(house.act(placed, "cancel"))
        first = news(line)
        assert (first["trade_id"], first["status"]) == (placed["trade_id"], "payment_failed"), "nothing was answered"
        ok(house.act(other, "cancel"))
        first = news(stranger)
        assert (first["trade_id"], first["status"]) == (other["trade_id"], "payment_failed")


def test_a_ticket_is_good_once_and_only_for_its_order(house: House) -> None:
    sku, _ = house.product(2)
    placed, other = house.placed(sku), house.placed(sku)
    used = ticket(house, placed)
    with listening(house, used):
        assert refused(house, used)
    secret = ticket(house, placed).partition(".")[2]
    assert refused(house, f"{other['trade_id']}.{secret}")
    for nothing in ("", "nonsense", "x" * 8000):
        assert refused(house, nothing)
    answer = house.api.post(f"/orders/{placed['trade_id']}/tickets", headers=bearer(other))
    assert answer.status_code == 404


def test_five_hundred_terminals_all_hear_of_it(house: House) -> None:
    sku, _ = house.product(25)
    orders = [house.placed(sku) for _ in range(25)]
    with ExitStack() as lines:
        there = {
            placed["trade_id"]: [lines.enter_context(listening(house, ticket(house, placed))) for _ in range(20)]
            for placed in orders
        }
        assert sum(map(len, there.values())) == 500
        assert house.act(orders[0], "tickets").status_code == 429, "twenty an order, and no more"
        for placed in orders:
            ok(house.act(placed, "cancel"))
        for each in there.values():
            assert all("payment_failed" in heard(line, "payment_failed") for line in each)
    wait_until(lambda: not _open_connections(house), lambda: f"{_open_connections(house)} are still noted")


def broken(line: ClientConnection) -> None:
    """Its network is gone: a reset instead of a farewell."""
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.socket.close()


def _asked(house: House, kind: str, name: str, ticket: str = "", **more: int) -> None:
    """As the gateway asks: before a handshake ends, and when a connection has ended."""
    about = {"eventType": kind, "connectionId": name, **more}
    event = {"requestContext": about, "queryStringParameters": {"ticket": ticket}}
    stack = house.aws("cloudformation")
    function = stack.describe_stack_resource(StackName=house.stack, LogicalResourceId="ConnectTerminalFunction")
    arn = function["StackResourceDetail"]["PhysicalResourceId"]
    answer = house.aws("lambda").invoke(FunctionName=arn, Payload=json.dumps(event).encode())
    assert json.loads(answer["Payload"].read()) == {"statusCode": 200}


def _noted_of(house: House, placed: dict[str, Any]) -> set[str]:
    return {item["name"]["S"] for item in house.items("Connections") if item["feed"]["S"] == placed["trade_id"]}


def _open_connections(house: House) -> int:
    items = house.aws("dynamodb").scan(TableName=house.outputs["ConnectionsTable"])["Items"]
    return sum(item["name"]["S"].startswith("CONNECTION#") for item in items)
