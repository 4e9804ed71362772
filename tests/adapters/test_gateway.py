"""The way to connections: what is told of one that is gone, and no more than three seconds for one that hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cardshop.adapters.gateway import GatewayLine
from cardshop.domain.errors import Unavailable
from cardshop.ports import ConnectionGone

from tests.adapters.gateway import Gateway, running

pytestmark = pytest.mark.usefixtures("cloud")
CONNECTION = "Uq1pZdXfliACIxw="  # as AWS names them


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as gateway:
        yield gateway


@pytest.fixture
def line(gateway: Gateway, cloud: None) -> GatewayLine:
    return GatewayLine(gateway.url, 4)


def test_a_message_comes_as_it_was_sent(line: GatewayLine, gateway: Gateway) -> None:
    line.send(CONNECTION, '{"name": "点卡"}')
    assert gateway.sent == {CONNECTION: [{"name": "点卡"}]}


def test_who_is_gone_is_told_apart(line: GatewayLine, gateway: Gateway) -> None:
    line.close(CONNECTION)
    assert gateway.closed == [CONNECTION]
    with pytest.raises(ConnectionGone):
        line.send(CONNECTION, "{}")
    with pytest.raises(ConnectionGone):
        line.close(CONNECTION)


@pytest.mark.parametrize(
    ("date", "at"), [("Sat, 22 Nov 2025 08:26:40 GMT", 1_763_800_000_000), ("", 0)], ids=["told", "not told"]
)
def test_when_it_is_gone_is_told_by_the_gateways_clock(line: GatewayLine, gateway: Gateway, date: str, at: int) -> None:
    gateway.gone.add(CONNECTION)
    gateway.date = date
    with pytest.raises(ConnectionGone) as gone:
        line.send(CONNECTION, "{}")
    assert gone.value.at == at


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, "LimitExceededException"),
        (403, "ForbiddenException"),
        (413, "PayloadTooLargeException"),
        (500, "InternalServerError"),
        (503, ""),
    ],
)
def test_whatever_else_it_answers_it_did_not_take_the_message_and_is_not_asked_again(
    line: GatewayLine, gateway: Gateway, status: int, error: str
) -> None:
    gateway.broken[CONNECTION] = (status, error)
    with pytest.raises(Unavailable):
        line.send(CONNECTION, "{}")
    assert gateway.asked == [("POST", CONNECTION)]


def test_one_that_hangs_is_given_up_on_and_not_asked_again(line: GatewayLine, gateway: Gateway) -> None:
    gateway.silent.add(CONNECTION)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        line.send(CONNECTION, "{}")
    assert time.monotonic() - began < 4
    assert gateway.asked == [("POST", CONNECTION)]


def test_a_gateway_that_is_not_there_is_unavailable(gateway: Gateway, line: GatewayLine) -> None:
    nowhere = GatewayLine("http://127.0.0.1:9/ws", 4)
    with pytest.raises(Unavailable):
        nowhere.send(CONNECTION, "{}")
    with pytest.raises(Unavailable):
        nowhere.close(CONNECTION)
