"""Terminals are cut off at random and come back while their orders change: in the end each shows the order as it is,
and every change of it once.

All that is drawn comes of one seed, which is printed. `CUTS="40 7"`: so many orders, by that seed.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.e2e.terminal import Terminal
from tests.e2e.test_push import broken
from tests.house import PATIENCE, House, bearer, ok, wait_until

_ORDERS, *_SEED = (int(number) for number in os.environ.get("CUTS", "8").split())
_TERMINALS = 3  # of each order
_AT_ONCE = 8  # orders
_ALIVE = 1.5  # seconds until a terminal is cut off, on average
_STEP = 3.0  # seconds between two steps of a trade, on average
_OPENING = 10  # seconds, as the pages wait for a handshake
_HASTE = 0.02  # seconds in which no handshake ends: its terminal is gone before it is connected


@dataclass
class Trade:
    """An order, and what its terminals have to know of how it goes on."""

    placed: dict[str, Any]
    calm: threading.Event = field(default_factory=threading.Event)  # nobody is cut off any more
    last: int = 0  # the version that it ends with, once that is so

    @property
    def path(self) -> str:
        return f"/orders/{self.placed['trade_id']}"


@dataclass
class Follower:
    """One terminal, cut off and coming back until it has shown the trade's last version."""

    house: House
    trade: Trade
    lot: random.Random
    terminal: Terminal = field(default_factory=Terminal)
    live: threading.Event = field(default_factory=threading.Event)  # connected in the calm, and nothing missed
    cuts: Counter[str] = field(default_factory=Counter)

    def follow(self) -> Terminal:
        deadline = time.monotonic() + PATIENCE
        while not self._is_over:
            assert time.monotonic() < deadline, f"it shows {self.terminal.order}, not version {self.trade.last}"
            try:
                self._connected(deadline)
            except (ConnectionClosed, InvalidHandshake, TimeoutError, ConnectionError):
                self.cuts["by the other side"] += 1
        return self.terminal

    @property
    def _is_over(self) -> bool:
        return self.trade.last > 0 and self.terminal.version == self.trade.last and self.terminal.is_whole

    def _connected(self, deadline: float) -> None:
        answer = self.house.act(self.trade.placed, "tickets")
        if answer.status_code == 429:  # those who were cut off are still counted
            time.sleep(self.lot.uniform(0, _ALIVE))
            return
        address = f"{self.house.outputs['PushUrl']}?ticket={ok(answer)['ticket']}"
        if not self.trade.calm.is_set() and self.lot.random() < 0.2:
            self._half_connected(address)
            return
        with connect(address, open_timeout=_OPENING, compression=None) as line:
            self._look()
            self._listen(line, deadline)

    def _half_connected(self, address: str) -> None:
        try:
            with connect(address, open_timeout=_HASTE, compression=None) as line:
                broken(line)
        except TimeoutError:
            pass
        self.cuts["in its handshake"] += 1

    def _listen(self, line: ClientConnection, deadline: float) -> None:
        until = time.monotonic() + self.lot.expovariate(1 / _ALIVE)
        while not self._is_over and time.monotonic() < deadline:
            calm = self.trade.calm.is_set()
            if calm:
                self.live.set()
            elif time.monotonic() > until:
                if self.lot.random() < 0.5:
                    broken(line)
                    self.cuts["without a word"] += 1
                else:
                    self.cuts["with a farewell"] += 1
                return
            try:
                message = json.loads(line.recv(timeout=0.2))
            except TimeoutError:
                if not self.terminal.is_whole:
                    self._look()
                continue
            if self.terminal.pushed(message):
                self._look()

    def _look(self) -> None:
        tag = {"If-None-Match": self.terminal.tag}
        answer = self.house.api.get(self.trade.path, headers={**bearer(self.trade.placed), **tag})
        if answer.status_code != 304:
            self.terminal.told(ok(answer))


def _goes_on(house: House, trade: Trade, followers: list[Follower], lot: random.Random) -> None:
    """It is paid, delivered, read and confirmed, or cancelled; the last step while everybody is connected."""

    def pause() -> None:
        time.sleep(lot.expovariate(1 / _STEP))

    pause()
    if lot.random() < 0.75:
        house.pay(trade.placed)
        house.until(trade.placed, "delivered")
        pause()
        house.cards(trade.placed)
        pause()
        last, state = "confirm", "completed"
    else:
        pause()
        last, state = "cancel", "closed"
    trade.calm.set()
    for each in followers:
        assert each.live.wait(PATIENCE), "a terminal did not come back"
    ok(house.act(trade.placed, last))
    trade.last = house.until(trade.placed, state)["version"]


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
    began = time.monotonic()

    def lived(seed: float) -> list[Follower]:
        lot = random.Random(seed)
        trade = Trade(house.placed(sku))
        followers = [Follower(house, trade, random.Random(lot.random())) for _ in range(_TERMINALS)]
        with ThreadPoolExecutor(_TERMINALS) as threads:
            following = [threads.submit(each.follow) for each in followers]
            _goes_on(house, trade, followers, lot)
            wait(following)
        for each in following:
            each.result()
        return followers

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        orders = list(threads.map(lived, [lot.random() for _ in range(_ORDERS)]))
    everybody = [each for followers in orders for each in followers]
    cuts = sum((each.cuts for each in everybody), Counter[str]())
    heard = sum(each.terminal.heard for each in everybody)
    with capsys.disabled():
        told = ", ".join(f"{count} {how}" for how, count in sorted(cuts.items()))
        print(f"\n{len(everybody)} terminals of {_ORDERS} orders were cut off: {told}; they heard of {heard} changes")
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
    assert cuts.total() >= len(everybody)
    assert heard
