"""How many claims a flash sale sends for each sale: `PlaceOrder` and `pick` again, on a store that is only timings.

A claim is lost to whoever commits between its look and its own commit, so what counts is how long a look, a claim and
a pause take beside one another, and how many buyers are at it. `tests/contention/test_flash_sale.py` measures the same
sale on the local engine and on DynamoDB Local.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import simpy
from cardshop.domain.product import shares
from cardshop.usecases.pick_cards import SPREAD
from cardshop.usecases.place_order import _ATTEMPTS, _PAUSE_SECONDS

Process = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True, slots=True)
class Store:
    """Seconds a read and a claim take; `lanes`: how many calls it works on at a time."""

    name: str
    read: float
    claim: float
    lanes: int


#: One process answers call after call: 2 ms a read (docs/performance.md), twice that a claim of two items.
ENGINE = Store("local engine", 0.002, 0.004, 1)
#: One transaction at a time; with 32 buyers one takes as long as five reads (tests/contention/test_flash_sale.py).
DYNAMODB_LOCAL = Store("DynamoDB Local", 0.002, 0.010, 1)
#: As many at a time as come.
AWS = Store("DynamoDB", 0.005, 0.015, 10_000)


@dataclass(slots=True)
class Sale:
    claims: int = 0
    sold: int = 0
    claims_at_last_sale: int = 0
    claims_in_plenty: int = 0  # while more than twenty cards a buyer at the counter were left
    sold_in_plenty: int = 0
    busy: int = 0

    @property
    def claims_per_sale(self) -> float:
        return self.claims_at_last_sale / self.sold

    @property
    def in_plenty(self) -> float:
        return self.claims_in_plenty / self.sold_in_plenty if self.sold_in_plenty else 1.0


class _Counter:
    """The sale: pools of cards by their place, and the buyers in front of them."""

    def __init__(self, cards: int, at_once: int, store: Store, seed: int) -> None:
        self.env = simpy.Environment()
        self.random = random.Random(seed)
        self.store = store
        self.lanes = simpy.Resource(self.env, store.lanes)
        self.counts = shares(cards)
        self.pools: list[list[float]] = [sorted(self.random.random() for _ in range(each)) for each in self.counts]
        self.plenty = 20 * at_once
        self.left = cards
        self.sale = Sale()

    def serve(self, buyers: deque[None]) -> Process:
        while buyers:
            buyers.popleft()
            yield from self._buyer()

    def _buyer(self) -> Process:
        yield from self._call(self.store.read)  # the product
        for attempt in range(_ATTEMPTS):
            if attempt:
                yield self.env.timeout(self.random.uniform(0, _PAUSE_SECONDS * min(attempt, 4)))
                yield from self._call(self.store.read)
            seen: list[tuple[int, float]] = yield from self._look(1 + SPREAD)
            if attempt and not seen:
                return  # out of stock
            if len(seen) < 1 + SPREAD and attempt == 0:
                continue
            pool, place = self.random.choice(seen)
            plenty = self.left > self.plenty
            yield from self._call(self.store.claim)
            self.sale.claims += 1
            self.sale.claims_in_plenty += plenty
            if self._take(pool, place):
                self.sale.sold += 1
                self.sale.sold_in_plenty += plenty
                self.sale.claims_at_last_sale = self.sale.claims
                return
        self.sale.busy += 1

    def _look(self, wanted: int) -> Process:
        order = sorted(range(len(self.pools)), key=lambda n: self.random.random() ** (1 / self.counts[n]), reverse=True)
        seen: list[tuple[int, float]] = []
        for number in order:
            start = self.random.random()
            yield from self._call(self.store.read)
            cards = self.pools[number]
            found = cards[bisect_left(cards, start) :][: wanted - len(seen)]
            if len(seen) + len(found) < wanted:
                yield from self._call(self.store.read)
                cards = self.pools[number]
                found += cards[: bisect_left(cards, start)][: wanted - len(seen) - len(found)]
            seen += [(number, place) for place in found]
            if len(seen) >= wanted:
                break
        return seen

    def _take(self, pool: int, place: float) -> bool:
        cards = self.pools[pool]
        at = bisect_left(cards, place)
        if at == len(cards) or cards[at] != place:
            return False
        del cards[at]
        self.left -= 1
        return True

    def _call(self, seconds: float) -> Process:
        with self.lanes.request() as lane:
            yield lane
            yield self.env.timeout(seconds * self.random.uniform(0.5, 1.5))


def sale(buyers: int, cards: int, at_once: int, store: Store, *, seed: int = 1) -> Sale:
    counter = _Counter(cards, at_once, store, seed)
    waiting: deque[None] = deque([None] * buyers)
    for _ in range(at_once):
        counter.env.process(counter.serve(waiting))
    counter.env.run()
    return counter.sale


def claims_per_sale(buyers: int, cards: int, at_once: int, store: Store, *, seeds: Sequence[int] = range(5)) -> float:
    """The median of a run for each seed, as the contention test takes it."""
    return median(sale(buyers, cards, at_once, store, seed=seed).claims_per_sale for seed in seeds)
