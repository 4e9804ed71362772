"""Terminals are cut off at random and come back while their orders change: in the end each shows the order as it is,
and every change of it once.

In the calm after that nobody is cut off: all come at once, while their orders go on changing, and what is committed
after the one look that each takes it is told by push, every version. So is the operators' board, from the first on.

All that is drawn comes of one seed, which is printed. `CUTS="40 7"`: so many orders, by that seed.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.e2e.terminal import Terminal
from tests.e2e.test_push import broken, listening
from tests.house import PATIENCE, House, bearer, ok, wait_until

_ORDERS, *_SEED = (int(number) for number in os.environ.get("CUTS", "8").split())
_TERMINALS = 3  # of each order, that are cut off
_LATE = 3  # more, that come in the calm
_AT_ONCE = 8  # orders
_ALIVE = 1.5  # seconds until a terminal is cut off, on average
_STEP = 2.0  # seconds between two steps of a trade, on average
_BURST = 5  # changes at once, in the calm
_OPENING = 10  # seconds, as the pages wait for a handshake
_HASTE = 0.02  # seconds in which no handshake ends: its terminal is gone before it is connected
_SOON = 120  # seconds in which a change is told, by a shop that may be short of processors


@dataclass
class Trade:
    """An order, and what its terminals have to know of how it goes on."""

    placed: dict[str, Any]
    calm: threading.Event = field(default_factory=threading.Event)  # nobody is cut off any more
    last: int = 0  # the version that it ends with, once that is so
    deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)  # for whoever waits for any of this

    @property
    def path(self) -> str:
        return f"/orders/{self.placed['trade_id']}"


@dataclass
class Follower:
    """One terminal, cut off and coming back until the calm, and then told of everything up to the last version."""

    house: House
    trade: Trade
    lot: random.Random
    terminal: Terminal = field(default_factory=Terminal)
    settled: threading.Event = field(default_factory=threading.Event)  # connected in the calm
    cuts: Counter[str] = field(default_factory=Counter)
    pushed: int = 0  # versions that it had to be told in the calm
    is_done: bool = False

    def follow(self) -> None:
        while not self.trade.calm.is_set():
            self._connected(self._cut_off)
        self.follow_in_the_calm()

    def follow_in_the_calm(self) -> None:
        assert self.trade.calm.wait(PATIENCE)
        while not self.is_done:
            self._connected(self._told)

    def _connected(self, listen: Callable[[ClientConnection], None]) -> None:
        """With a new ticket. It looks once, and listens."""
        assert time.monotonic() < self.trade.deadline, f"it shows {self.terminal.order}"
        answer = self.house.act(self.trade.placed, "tickets")
        if answer.status_code == 429:  # those who were cut off are still counted
            time.sleep(self.lot.uniform(0, _ALIVE))
            return
        address = f"{self.house.outputs['PushUrl']}?ticket={ok(answer)['ticket']}"
        calm = self.trade.calm.is_set()
        try:
            if not calm and self.lot.random() < 0.1:
                self.cuts["in their handshake"] += 1
                with connect(address, open_timeout=_HASTE, compression=None) as line:
                    broken(line)
                return
            with connect(address, open_timeout=_OPENING, compression=None) as line:
                self._look()
                listen(line)
        except (ConnectionClosed, InvalidHandshake, TimeoutError, ConnectionError):
            if calm:
                self.cuts["by the shop, in the calm"] += 1

    def _cut_off(self, line: ClientConnection) -> None:
        until = time.monotonic() + self.lot.expovariate(1 / _ALIVE)
        while time.monotonic() < until:
            if self.trade.calm.is_set():
                return
            if (message := _heard(line)) is None:
                if not self.terminal.is_whole:
                    self._look()
            elif self.terminal.pushed(message):
                self._look()
        if self.lot.random() < 0.5:
            broken(line)
            self.cuts["without a word"] += 1
        else:
            self.cuts["with a farewell"] += 1

    def _told(self, line: ClientConnection) -> None:
        """It asks for nothing but what the timeline, which is written a moment later, lacked in its first look."""
        read, told, late = self.terminal.version, set[int](), 0.0
        self.settled.set()
        while True:
            message = _heard(line)
            if message is not None:
                self.terminal.pushed(message)
                told.add(message["version"])
            if message is None and not self.terminal.changes.keys() >= set(range(1, read + 1)):
                self._look()
            last = self.trade.last
            if not last:
                assert time.monotonic() < self.trade.deadline, "its order does not go on"
                continue
            late = late or time.monotonic() + _SOON
            lacks = set(range(read + 1, last + 1)) - told
            assert not lacks or time.monotonic() < late, f"it read version {read}, and is not told {sorted(lacks)}"
            if not lacks and self.terminal.is_whole:
                self.is_done, self.pushed = True, last - read
                return

    def _look(self) -> None:
        tag = {"If-None-Match": self.terminal.tag}
        answer = self.house.api.get(self.trade.path, headers={**bearer(self.trade.placed), **tag})
        if answer.status_code != 304:
            self.terminal.told(ok(answer))


def _heard(line: ClientConnection) -> dict[str, Any] | None:
    try:
        return dict(json.loads(line.recv(timeout=0.2)))
    except TimeoutError:
        return None


def _goes_on(house: House, trade: Trade, followers: list[Follower], lot: random.Random) -> None:
    """It is paid, delivered and read. In the calm it is read while they come, and then while it is confirmed."""

    def pause() -> None:
        time.sleep(lot.expovariate(1 / _STEP))

    pause()
    house.pay(trade.placed)
    house.until(trade.placed, "delivered")
    pause()
    house.cards(trade.placed)
    pause()
    trade.calm.set()
    for each in followers:
        house.cards(trade.placed)
        assert each.settled.wait(PATIENCE), "a terminal did not come back"
    with ThreadPoolExecutor(_BURST) as hands:
        reads = [hands.submit(house.cards, trade.placed) for _ in range(_BURST - 1)]
        ok(house.act(trade.placed, "confirm"))
    for read in reads:
        read.result()
    house.until(trade.placed, "completed")
    trade.last = house.view(trade.placed)["version"]


def _whole(house: House, trade: Trade) -> dict[str, Any]:
    """The order once its timeline, which is written a moment later, tells all of it."""
    seen: dict[str, Any] = {}

    def told() -> bool:
        seen.update(house.view(trade.placed))
        return len(seen["timeline"]) == trade.last

    wait_until(told, lambda: f"{seen}")
    return seen


def test_terminals_that_are_cut_off_at_random_show_every_change_once(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    (seed,) = _SEED or (random.randrange(10_000),)
    lot = random.Random(seed)
    sku, _ = house.product(_ORDERS)
    board = ok(house.api.post("/admin/tickets", headers=house.operator))["ticket"]
    began = time.monotonic()

    def lived(seed: float) -> list[Follower]:
        lot = random.Random(seed)
        trade = Trade(house.placed(sku))
        followers = [Follower(house, trade, random.Random(lot.random())) for _ in range(_TERMINALS + _LATE)]
        with ThreadPoolExecutor(len(followers)) as threads:
            following = [threads.submit(each.follow) for each in followers[:_TERMINALS]]
            following += [threads.submit(each.follow_in_the_calm) for each in followers[_TERMINALS:]]
            _goes_on(house, trade, followers, lot)
            wait(following)
        for each in following:
            each.result()
        return followers

    with listening(house, board, max_queue=None) as line:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            orders = list(threads.map(lived, [lot.random() for _ in range(_ORDERS)]))
        try:
            _tells_all(line, {each.trade.placed["trade_id"]: each.trade.last for each, *_ in orders})
            board_is = "was told all"
        except ConnectionClosed:  # as any terminal whose message took two seconds; it would come back
            board_is = "was closed by the shop"
    everybody = [each for followers in orders for each in followers]
    cuts = sum((each.cuts for each in everybody), Counter[str]())
    with capsys.disabled():
        told = ", ".join(f"{count} {how}" for how, count in sorted(cuts.items()))
        print(f"\nterminals of {_ORDERS} orders were cut off: {told}")
        print(f"{len(everybody)} were told {sum(each.pushed for each in everybody)} versions in the calm")
        print(f"the operators' board {board_is}")
        print(f'{time.monotonic() - began:.0f} s; the same again, as far as it is drawn: CUTS="{_ORDERS} {seed}"')
    for followers in orders:
        seen = _whole(house, followers[0].trade)
        timeline = seen.pop("timeline")
        for each in followers:
            terminal = each.terminal
            assert terminal.order == seen
            assert [terminal.changes[version] for version in sorted(terminal.changes)] == timeline
            assert terminal.versions == sorted(set(terminal.versions)), (
                "a version was shown twice, or an older one later"
            )
            assert each.pushed >= 1
    assert cuts.total() >= _ORDERS * _TERMINALS


def _tells_all(board: ClientConnection, last: dict[str, int]) -> None:
    lacks = {(trade_id, version) for trade_id in last for version in range(1, last[trade_id] + 1)}
    deadline = time.monotonic() + _SOON
    while lacks:
        assert time.monotonic() < deadline, f"the board was not told {sorted(lacks)}"
        if (message := _heard(board)) is not None:
            lacks.discard((message["trade_id"], message["version"]))
