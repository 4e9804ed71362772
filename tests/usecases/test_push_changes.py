"""Each change to everybody who listens to it, and nobody held back by one who does not take it."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest
from cardshop.domain.connection import SHOP_FEED, Connection, Ticket
from cardshop.domain.errors import Unavailable
from cardshop.ports import ConnectionGone
from cardshop.usecases.push_changes import News, PushChanges

from tests.domain.builders import NOW, TRADE_ID
from tests.template.cloudformation import TEMPLATE
from tests.usecases.fakes import Connections

CAPS = TEMPLATE["Parameters"]
OTHER = "a" * 26
LATER = NOW + 60_000  # no handshake takes so long
CHANGE = [News(TRADE_ID, "paid")]


class Line:
    """`ports.Line`: what each connection heard. Those that are gone, those that take nothing, those that hang."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = defaultdict(list)
        self.gone: set[str] = set()
        self.broken: set[str] = set()
        self.stuck: set[str] = set()
        self.gone_by_now: set[str] = set()  # once they are to be closed
        self.closed: list[str] = []
        self.hangs = threading.Event()  # set: those that hang are given up on
        self.others: set[str] = set()  # once all of these have heard
        self.told = threading.Event()  # somebody has heard something

    def send(self, connection_id: str, message: str) -> None:
        if connection_id in self.gone:
            raise ConnectionGone(LATER)
        if connection_id in self.stuck:
            assert self.hangs.wait(10)
        if connection_id in self.broken | self.stuck:
            raise Unavailable
        self.heard[connection_id].append(message)
        self.told.set()
        if self.others and self.others <= self.heard.keys():
            self.hangs.set()

    def close(self, connection_id: str) -> None:
        if connection_id == "deaf":
            raise Unavailable
        if connection_id in self.gone_by_now:
            raise ConnectionGone(LATER)
        self.closed.append(connection_id)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def push(connections: Connections, line: Line) -> PushChanges:
    return PushChanges(connections, line)


def listen(connections: Connections, *names: str, feed: str = TRADE_ID, at: int = NOW) -> None:
    for name in names:
        connections.save(Connection.kept(Ticket.new(feed), None, at).opened(name, at))


def test_everybody_who_listens_to_the_trade_or_to_the_shop_is_told(
    push: PushChanges, connections: Connections, line: Line
) -> None:
    listen(connections, "pc", "phone")
    listen(connections, "board", feed=SHOP_FEED)
    listen(connections, "stranger", feed=OTHER)
    assert push(CHANGE) == 3
    assert line.heard == {"pc": ["paid"], "phone": ["paid"], "board": ["paid"]}


def test_each_hears_the_changes_of_a_batch_in_their_order(
    push: PushChanges, connections: Connections, line: Line
) -> None:
    listen(connections, "pc")
    listen(connections, "stranger", feed=OTHER)
    listen(connections, "board", feed=SHOP_FEED)
    push([News(TRADE_ID, "paid"), News(OTHER, "closed"), News(TRADE_ID, "delivered")])
    assert line.heard["pc"] == ["paid", "delivered"]
    assert line.heard["stranger"] == ["closed"]
    assert line.heard["board"] == ["paid", "closed", "delivered"]


def test_a_ticket_hears_nothing(push: PushChanges, connections: Connections, line: Line) -> None:
    connections.save(Connection.kept(Ticket.new(TRADE_ID), None, NOW))
    assert push(CHANGE) == 0
    assert line.heard == {}


def test_whether_a_connection_is_over_the_gateway_says(push: PushChanges, connections: Connections, line: Line) -> None:
    """Whatever was noted of its end, and of what clock."""
    listen(connections, "pc", "phone", at=LATER - 7_200_000)
    line.gone = {"pc"}
    assert push(CHANGE) == 1
    assert [each.connection_id for each in connections.places.values()] == ["phone"]


def test_who_is_gone_is_forgotten(push: PushChanges, connections: Connections, line: Line) -> None:
    listen(connections, "pc", "phone")
    line.gone = {"pc"}
    assert push(CHANGE) == 1
    assert line.heard == {"phone": ["paid"]}
    assert [each.connection_id for each in connections.places.values()] == ["phone"]
    assert line.closed == []


def test_who_is_still_shaking_hands_is_not_forgotten(push: PushChanges, connections: Connections, line: Line) -> None:
    """The gateway does not know it yet; it hears of the next change, and reads this one once it is connected."""
    listen(connections, "pc", at=LATER - 5_000)
    line.gone = {"pc"}
    assert push(CHANGE) == 0
    line.gone = set()
    assert push([News(TRADE_ID, "delivered")]) == 1
    assert line.heard == {"pc": ["delivered"]}


@pytest.mark.parametrize(("age", "left"), [(5_000, ["pc"]), (60_000, [])], ids=["shaking hands", "connected"])
def test_who_takes_nothing_and_is_not_there_to_be_closed_is_forgotten_unless_it_still_shakes_hands(
    push: PushChanges, connections: Connections, line: Line, age: int, left: list[str]
) -> None:
    listen(connections, "pc", at=LATER - age)
    line.broken = line.gone_by_now = {"pc"}
    assert push(CHANGE) == 0
    assert (line.closed, [each.connection_id for each in connections.places.values()]) == ([], left)


def test_who_takes_nothing_is_closed_so_that_it_comes_back(
    push: PushChanges, connections: Connections, line: Line
) -> None:
    listen(connections, "pc", "phone")
    line.broken = {"pc"}
    assert push([*CHANGE, News(TRADE_ID, "delivered")]) == 1
    assert line.closed == ["pc"], "and is not tried again"
    assert line.heard == {"phone": ["paid", "delivered"]}
    assert [each.connection_id for each in connections.places.values()] == ["phone"]


def test_who_can_be_neither_told_nor_closed_is_tried_again_and_the_others_have_heard(
    push: PushChanges, connections: Connections, line: Line
) -> None:
    """Closed later, it comes back; forgotten here, it would stay open and hear nothing."""
    listen(connections, "deaf", "phone")
    line.broken = {"deaf"}
    with pytest.raises(Unavailable):
        push(CHANGE)
    assert line.heard == {"phone": ["paid"]}
    assert sorted(each.connection_id for each in connections.places.values()) == ["deaf", "phone"]


def test_one_that_hangs_holds_nobody_back(push: PushChanges, connections: Connections, line: Line) -> None:
    """Given that it hangs until everybody else has heard, then everybody else hears."""
    others = {f"phone-{number}" for number in range(100)}
    listen(connections, "stuck", *others)
    line.stuck, line.others = {"stuck"}, others
    assert push(CHANGE) == 100
    assert line.heard.keys() == others
    assert line.closed == ["stuck"]


def test_all_that_one_address_may_have_hang_and_hold_no_other_order_back(
    push: PushChanges, connections: Connections, line: Line
) -> None:
    """Given that its own orders changed in the same batch, and first, and that they hang until the other has heard."""
    cap = CAPS["ConnectionsPerAddress"]["Default"]
    hanging = [f"stuck-{number}" for number in range(cap)]
    feeds = [letter * 26 for letter in "abcde"]
    for number, name in enumerate(hanging):
        listen(connections, name, feed=feeds[number % len(feeds)])
    listen(connections, "phone")
    line.stuck, line.others = set(hanging), {"phone"}
    assert push([*(News(feed, "closed") for feed in feeds), *CHANGE]) == 1
    assert line.heard == {"phone": ["paid"]}
    assert sorted(line.closed) == sorted(hanging)


def test_a_buyer_hears_before_it_is_looked_up_who_listens_to_the_shop(line: Line) -> None:
    class Slow(Connections):
        def listening(self, feed: str) -> list[Connection]:
            assert feed != SHOP_FEED or line.told.wait(10)
            return super().listening(feed)

    connections = Slow()
    listen(connections, "phone")
    listen(connections, "board", feed=SHOP_FEED)
    assert PushChanges(connections, line)(CHANGE) == 2


def test_nobody_listens(push: PushChanges) -> None:
    assert push(CHANGE) == 0
    assert push([]) == 0
