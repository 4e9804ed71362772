"""The shop as a discrete-event model: every trade goes its way, and AWS's limits answer it as they would.

What is refused is tried again as the code, the template and the clients do it: three attempts of a client, the retry
queues, the machine's Retry, the provider's own. Left out: burst capacity beyond a second, tables that split while the
burst lasts, the tails of latencies, and buyers who try again.
"""

from __future__ import annotations

import gc
import heapq
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import simpy

from benchmarks.simulation import pattern
from benchmarks.simulation.limits import PARTITION_READS, PARTITION_WRITES, Limits
from benchmarks.simulation.pattern import MS, Step

Process = Generator[simpy.Event, Any, Any]

# The code's and the template's own numbers; tests/benchmarks/test_simulation.py holds them against both.
CLIENT_ATTEMPTS = 3
RECORD_BATCH, COUNT_BATCH, COUNT_WINDOW = 100, 1000, 1.0
RETRY_BATCH, RETRY_DELAY, VISIBILITY, RECEIVES = 10, 2.0, 180.0, 5
NOTICE_RETRY, NOTICE_LONGEST, NOTICE_RECEIVES = 10.0, 900.0, 100  # doubled each time
TIMEOUT = 29.0
COUNT_ATTEMPTS = 50
SETTINGS_AGE, URL_AGE = 60.0, 300.0
SPREAD, OLD_AT_MOST, OLD_FOR = 0.25, 900.0, 5.0
FILE = 10_000  # cards

_POLL = 0.25  # Lambda asks an idle shard four times a second
_PROVIDER_AGAIN = 15.0  # seconds until a provider whose notice was not taken sends it again
_MACHINE_ATTEMPTS = 8
_TRANSITION = 0.02  # seconds


class Bucket:
    """Tokens that come at a rate and are kept up to a burst."""

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, rate: float, burst: float, *, full: bool = True) -> None:
        self.rate, self.burst = rate, burst
        self.level = burst if full else min(burst, rate / 10)
        self.at = 0.0

    def has(self, now: float, wanted: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        return self.level >= wanted

    def take(self, now: float, wanted: float = 1) -> bool:
        if not self.has(now, wanted):
            return False
        self.level -= wanted
        return True

    def reserve(self, now: float, wanted: float = 1) -> float:
        """Seconds until it is one's turn."""
        self.has(now, wanted)
        self.level -= wanted
        return max(0.0, -self.level / self.rate)


class Key(Bucket):
    """A partition key that many share: the partition it is on gives it no more than a partition has."""

    __slots__ = ("load",)

    def __init__(self, most: float, *, full: bool) -> None:
        super().__init__(most, most, full=full)
        self.load: defaultdict[int, float] = defaultdict(float)  # units asked for, by the second

    @property
    def peak(self) -> float:
        return max(self.load.values(), default=0)


@dataclass(slots=True)
class Kept:
    """What an environment has read of the parameter store: when, until when it is fresh, for how long at most."""

    age: float
    until: float = 0.0
    read: float = -OLD_AT_MOST - 1


@dataclass(slots=True)
class Worker:
    """An execution environment, and what it keeps."""

    cold: bool
    settings: Kept = field(default_factory=lambda: Kept(SETTINGS_AGE))
    url: Kept = field(default_factory=lambda: Kept(URL_AGE))


@dataclass(frozen=True, slots=True)
class Load:
    """Orders a second for so many seconds, of one card each, and when their buyers pay."""

    rate: float
    seconds: float
    horizon: float
    products: int = 1
    pays: tuple[float, float] = (10.0, 40.0)
    warm: bool = False  # its functions have had such a load before, and the buckets no rest


@dataclass(slots=True)
class Result:
    """`waits` (order → its machine waits), `delivered` (notice → delivered), `recorded` (change → timeline), `pushed`
    (change → who listens) and `counted` (sale → listed): when each began, and the seconds it took.
    """

    answers: Counter[str] = field(default_factory=Counter)
    unpayable: int = 0  # accepted, and not told how to pay: the shop's address could not be read
    refused: Counter[str] = field(default_factory=Counter)  # by AWS, each try
    first: dict[str, float] = field(default_factory=dict)  # when that first was
    waits: list[tuple[float, float]] = field(default_factory=list)
    delivered: list[tuple[float, float]] = field(default_factory=list)
    recorded: list[tuple[float, float]] = field(default_factory=list)
    pushed: list[tuple[float, float]] = field(default_factory=list)
    counted: list[tuple[float, float]] = field(default_factory=list)
    dead: Counter[str] = field(default_factory=Counter)
    timeouts: int = 0
    busiest: int = 0  # Lambda environments at once
    counts: int = 0
    counts_lost: int = 0  # overtaken by another count of the same product
    counts_aside: int = 0  # after fifty, or without capacity: to the retry queue, and not followed there
    pushes_aside: int = 0  # batches, likewise
    #: By the second: orders whose machine does not wait yet, noticed and not delivered, records not on a timeline.
    series: dict[str, list[float]] = field(default_factory=dict)
    keys: dict[str, list[float]] = field(default_factory=dict)  # by kind: each key's busiest second, most first

    @property
    def accepted(self) -> int:
        return self.answers["201"]


class Trade:
    __slots__ = (
        "delivered",
        "due",
        "file",
        "holdings",
        "noticed",
        "paid",
        "placed",
        "pool",
        "product",
        "revealed",
        "shard",
        "started",
        "waits",
        "woken",
    )

    def __init__(self, env: simpy.Environment, rnd: random.Random, product: int, files: int) -> None:
        self.product = product
        self.file = product * files + rnd.randrange(files)
        self.pool = self.file * _POOLS + rnd.randrange(_POOLS)
        self.due = rnd.randrange(pattern.DUE_SHARDS)
        self.holdings = self.file * pattern.LANES + rnd.choices(range(pattern.LANES), pattern.LANE_WEIGHTS)[0]
        self.shard = rnd.getrandbits(32)
        self.placed = self.noticed = 0.0
        self.started = self.waits = self.paid = False
        self.woken, self.delivered, self.revealed = env.event(), env.event(), env.event()


_POOLS = pattern.pools(FILE)


class Shop:
    def __init__(self, limits: Limits, load: Load, *, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.random = random.Random(seed)
        self.limits, self.load = limits, load
        self.result = Result()
        self.files = max(1, -(-int(load.rate * load.seconds * 1.25) // (FILE * load.products)))
        full = not load.warm
        for name in ("requests", "starts", "answers", "transitions", "parameters", "kms"):
            limit = limits[name]
            setattr(self, name, Bucket(limit.rate, max(limit.burst, 1), full=full))
        most = limits["table"].rate
        self.tables = {
            where: Bucket(most, most, full=full)
            for where in ("orders", "orders/due", "orders/holds", "stock", "timeline", "holdings", "catalogue")
        }
        self.listeners = Bucket(3 * most, 3 * most, full=full)  # reads of `connections`
        self.keys: dict[tuple[str, int], Key] = {}
        self.idle: dict[str, list[Worker]] = {}
        self.scaling: dict[str, Bucket] = {}
        self.working = 0
        shards = max(1, int(most // PARTITION_WRITES))
        start_lanes, record_lanes, push_lanes = (
            shards * int(limits[name].rate) for name in ("start_lanes", "record_lanes", "push_lanes")
        )
        start_batch = int(limits["start_batch"].rate)
        self.start_lanes = [Lane(self, self._start_batch, start_batch) for _ in range(start_lanes)]
        self.record_lanes = [Lane(self, self._record_batch, RECORD_BATCH) for _ in range(record_lanes)]
        push_batch = int(limits["push_batch"].rate)
        self.push_lanes = [Lane(self, self._push_batch, push_batch) for _ in range(push_lanes)]
        self.count_lanes = [Lane(self, self._count_batch, COUNT_BATCH, COUNT_WINDOW) for _ in range(shards)]
        self.versions: Counter[int] = Counter()  # of a product's list of stock
        retried = {"most": int(limits["start_retries"].rate), "receives": RECEIVES}
        noticed = {"most": int(limits["notices"].rate), "receives": NOTICE_RECEIVES}
        self.retries = Queue(self, "StartTradeDeadLetters", self._start_again, RETRY_BATCH, **retried)
        self.notices = Queue(self, "NoticesDeadLetters", self._confirm, 1, **noticed)
        self.placed = self.driven = self.noticed = 0
        if load.warm:
            self._warm_up()

    requests: Bucket
    starts: Bucket
    answers: Bucket
    transitions: Bucket
    parameters: Bucket
    kms: Bucket

    def run(self) -> Result:
        self.env.process(self._arrivals())
        self.env.process(self._watch())
        gc.disable()  # hundreds of thousands of processes under way, and not one cycle worth the search
        try:
            self.env.run(until=self.load.horizon)
        finally:
            gc.enable()
        kinds = sorted({kind for kind, _ in self.keys})
        self.result.keys = {
            kind: sorted((key.peak for (each, _), key in self.keys.items() if each == kind), reverse=True)
            for kind in kinds
        }
        return self.result

    # ---- the buyer's way ----------------------------------------------------------------------------------------

    def _arrivals(self) -> Process:
        for number in range(int(self.load.rate * self.load.seconds)):
            self.env.process(self._trade(number % self.load.products))
            yield self.env.timeout(self.random.expovariate(self.load.rate))

    def _trade(self, product: int) -> Process:
        answered = yield from self._place(product)
        if isinstance(answered, str):
            self.result.answers[answered] += 1
            return
        trade: Trade = answered
        self.result.answers["201"] += 1
        yield self.env.timeout(self.random.uniform(*self.load.pays))
        trade.noticed = self.env.now
        self.noticed += 1
        while not (yield from self._call(pattern.RECEIVE, settings=True)):
            yield self.env.timeout(_PROVIDER_AGAIN)
        self.notices.put(trade)
        yield trade.delivered
        self.requests.take(self.env.now, 2 * pattern.VIEW.requests)  # looks before and after the card is read
        if (yield from self._reveal(trade)):
            self._record(trade, pattern.RECORD_CHANGE)
        trade.revealed.succeed()

    def _place(self, product: int) -> Process:
        """The trade, or what the buyer was answered."""
        if not self.requests.take(self.env.now):
            return "429 of the gateway"
        worker = self._enter(pattern.PLACE.name)
        if worker is None:
            return "500: no Lambda environment"
        try:
            if worker.cold:
                yield self._cold(worker)
            if not (yield from self._fresh(worker.settings)):
                return "503 unavailable: settings"
            trade = Trade(self.env, self.random, product, self.files)
            item = self._key(pattern.PRODUCT, product, PARTITION_READS)
            if not (self._done([(item, 0.5)]) or (yield from self._spend([(item, 0.5)]))):
                return "503 unavailable: DynamoDB"
            yield self.env.timeout(pattern.PLACE.seconds)
            claim: list[tuple[Bucket, float]] = [
                (self._key(pattern.POOL, trade.pool, PARTITION_WRITES), 2.0),
                (self._key(pattern.DUE, trade.due, PARTITION_WRITES), 1.0),
                (self.tables["stock"], 2.0),
                (self.tables["orders"], 2.0),
                (self.tables["orders/due"], 1.0),
                (self.tables["orders/holds"], 1.0),
            ]
            if not (self._done(claim) or (yield from self._spend(claim))):
                return "503 unavailable: DynamoDB"
            if not (yield from self._fresh(worker.url)):
                self.result.unpayable += 1
        finally:
            self._leave(pattern.PLACE.name, worker)
        trade.placed = self.env.now
        self.placed += 1
        self._record(trade, pattern.RECORD_HOLDING, begins=True)
        self.count_lanes[trade.pool % len(self.count_lanes)].put((self.env.now, product, trade.pool))
        return trade

    def _call(self, step: Step, units: Sequence[tuple[Bucket, float]] = (), *, settings: bool = False) -> Process:
        """A request of a buyer or a provider; whether it was done."""
        if step.requests and not self.requests.take(self.env.now):
            return False
        worker = self._enter(step.name)
        if worker is None:
            return False
        try:
            if worker.cold:
                yield self._cold(worker)
            if settings and not (yield from self._fresh(worker.settings)):
                return False
            yield self.env.timeout(step.seconds)
            return not units or self._done(units) or (yield from self._spend(units))
        finally:
            self._leave(step.name, worker)

    def _reveal(self, trade: Trade) -> Process:
        self.kms.take(self.env.now)
        data_key = self._key(pattern.DATA_KEY, trade.file, PARTITION_READS)
        return (yield from self._call(pattern.REVEAL, [(self.tables["orders"], 2.0), (data_key, 0.5)]))

    # ---- streams and queues -------------------------------------------------------------------------------------

    def _start_batch(self, batch: list[Any]) -> Process:
        worker = yield from self._hired(pattern.START.name)
        began = self.env.now
        yield self.env.timeout(MS["own"] / 1000)
        for trade in batch:
            if self.env.now - began > TIMEOUT:
                break
            if not (yield from self._start(trade)):
                self.retries.put(trade, RETRY_DELAY)
        else:
            self._leave(pattern.START.name, worker)
            return
        self._leave(pattern.START.name, worker)
        self.result.timeouts += 1
        half = -(
            -len(batch) // 2
        )  # both halves come again, with what has started: that starts no second time, and counts
        yield from self._start_batch(batch[:half])
        if batch[half:]:
            yield from self._start_batch(batch[half:])

    def _start_again(self, batch: list[Any], tries: int) -> Process:
        """What failed once more, each with the seconds until its next try."""
        worker = yield from self._hired(pattern.START.name)
        started = []
        for trade in batch:
            started.append((yield from self._start(trade)))  # noqa: PERF401  a comprehension cannot yield
        self._leave(pattern.START.name, worker)
        return [(trade, VISIBILITY) for trade, done in zip(batch, started, strict=True) if not done]

    def _start(self, trade: Trade) -> Process:
        for attempt in range(CLIENT_ATTEMPTS):
            if attempt:
                yield self.env.timeout(self.random.random() * 2 ** (attempt - 1))
            yield self.env.timeout(MS["StartExecution"] / 1000)
            if self.starts.take(self.env.now):
                if not trade.started:
                    trade.started = True
                    self.env.process(self._machine(trade))
                return True
            self._refuse("StartExecution")
        return False

    def _confirm(self, batch: list[Any], tries: int) -> Process:
        """`confirm_payment` on one notice; it wakes the machine, or starts one that nobody has started yet."""
        (trade,) = batch
        worker = yield from self._hired(pattern.CONFIRM.name)
        again = [(trade, min(NOTICE_LONGEST, NOTICE_RETRY * 2.0 ** (tries - 1)))]
        try:
            if not (yield from self._fresh(worker.settings)):
                return again
            yield self.env.timeout(pattern.CONFIRM.seconds - MS["SendTaskSuccess"] / 1000)
            if not trade.paid:
                units: list[tuple[Bucket, float]] = [(self.tables["orders"], 2.0), (self.tables["orders/holds"], 1.0)]
                if not (self._done(units) or (yield from self._spend(units))):
                    return again
                trade.paid = True
                self._record(trade, pattern.RECORD_HOLDING)
            if not trade.waits:
                return [] if (yield from self._start(trade)) else again
            return [] if (yield from self._answer(trade)) else again
        finally:
            self._leave(pattern.CONFIRM.name, worker)

    def _answer(self, trade: Trade) -> Process:
        for attempt in range(CLIENT_ATTEMPTS):
            if attempt:
                yield self.env.timeout(self.random.random() * 2 ** (attempt - 1))
            yield self.env.timeout(MS["SendTaskSuccess"] / 1000)
            if self.answers.take(self.env.now):
                if not trade.woken.triggered:
                    trade.woken.succeed()
                return True
            self._refuse("SendTaskSuccess")
        return False

    def _record(self, trade: Trade, step: Step, *, begins: bool = False) -> None:
        self.record_lanes[trade.shard % len(self.record_lanes)].put((self.env.now, step, trade, begins))
        self.push_lanes[trade.shard % len(self.push_lanes)].put(self.env.now)

    def _record_batch(self, batch: list[Any]) -> Process:
        worker = yield from self._hired(pattern.RECORD_CHANGE.name)
        own = MS["own"] / 1000
        yield self.env.timeout(own + sum(step.seconds - own for _, step, _, _ in batch))
        wait, timeline, lanes = 0.0, self.tables["timeline"], self.tables["holdings"]
        for _, step, trade, _ in batch:
            wait = max(wait, timeline.reserve(self.env.now))
            if step is pattern.RECORD_HOLDING:
                wait = max(wait, lanes.reserve(self.env.now))
                lane_key = self._key(pattern.LANE, trade.holdings, PARTITION_WRITES)
                lane_key.load[int(self.env.now)] += 1
                wait = max(wait, lane_key.reserve(self.env.now))
        if wait:
            yield self.env.timeout(wait)
        self._leave(pattern.RECORD_CHANGE.name, worker)
        self.result.recorded += [(at, self.env.now - at) for at, _, _, _ in batch]
        for trade in (trade for _, _, trade, begins in batch if begins):
            self.start_lanes[trade.shard % len(self.start_lanes)].put(trade)

    def _push_batch(self, batch: list[Any]) -> Process:
        """The changes of different orders: of each order who listens to it, and once who listens to the shop."""
        worker = yield from self._hired(pattern.PUSH.name)
        yield self.env.timeout((MS["own"] + MS["Query"] * (len(batch) + 1)) / 1000)
        units = [(self._key(pattern.FEED, 0, PARTITION_READS), 1.0), (self.listeners, len(batch) + 1.0)]
        if self._done(units, "who listens") or (yield from self._spend(units, "who listens")):
            self.result.pushed += [(at, self.env.now - at) for at in batch]
        else:
            self.result.pushes_aside += 1
        self._leave(pattern.PUSH.name, worker)

    def _count_batch(self, batch: list[Any]) -> Process:
        """The pools that cards left are counted, and listed by one write if no other of the product came between."""
        worker = yield from self._hired(pattern.COUNT.name)
        units = -(-(200 + 300 * self.files) // 1024)  # what the product's item has grown to
        pools = Counter(product for product, _ in {(product, pool) for _, product, pool in batch})
        for product in sorted(pools):
            item = self._key("product, written", product, PARTITION_WRITES)
            throttled = 0
            for _attempt in range(COUNT_ATTEMPTS):
                version = self.versions[product]
                took = (MS["GetItem"] + pools[product] * MS["Query"] + MS["UpdateItem"]) / 1000
                yield self.env.timeout(took * self.random.uniform(0.5, 1.5))  # in step they would overtake for ever
                item.load[int(self.env.now)] += units
                if not item.take(self.env.now, units):
                    self._refuse("the product's item")
                    throttled += 1
                    if throttled == CLIENT_ATTEMPTS:
                        self.result.counts_aside += 1
                        break
                elif self.versions[product] == version:
                    self.versions[product] += 1
                    self.result.counts += 1
                    break
                else:
                    self.result.counts_lost += 1
            else:
                self.result.counts_aside += 1
        self._leave(pattern.COUNT.name, worker)
        self.result.counted += [(at, self.env.now - at) for at, _, _ in batch]

    # ---- the machine --------------------------------------------------------------------------------------------

    def _machine(self, trade: Trade) -> Process:
        if not (yield from self._token(trade)):
            return
        self.driven += 1
        self.result.waits.append((trade.placed, self.env.now - trade.placed))
        if not trade.paid:  # else the state's condition fails, and the next begins
            trade.waits = True
            yield trade.woken
        if not (yield from self._do(pattern.DELIVER, trade)):
            return
        self.result.delivered.append((trade.noticed, self.env.now - trade.noticed))
        trade.delivered.succeed()
        if not (yield from self._token(trade)):
            return
        if not trade.revealed.triggered:
            yield trade.revealed
        yield from self._do(pattern.COMPLETE, trade)

    def _token(self, trade: Trade) -> Process:
        """A state that writes its token onto the order, with its Retry; whether it could."""
        wait = self.transitions.reserve(self.env.now) + _TRANSITION
        for attempt in range(_MACHINE_ATTEMPTS):
            if attempt:
                wait = self.random.uniform(0, min(30, 2 ** (attempt - 1)))
            yield self.env.timeout(wait)
            if self._done([(self.tables["orders"], 2.0)]) or (yield from self._spend([(self.tables["orders"], 2.0)])):
                return True
        self.result.dead["executions failed"] += 1
        return False

    def _do(self, step: Step, trade: Trade) -> Process:
        """A function that the machine invokes, with the state's Retry; whether it was done."""
        due = 2.0 if step is pattern.DELIVER else 1.0
        units: list[tuple[Bucket, float]] = [
            (self._key(pattern.DUE, trade.due, PARTITION_WRITES), due),
            (self.tables["orders/due"], due),
            (self.tables["orders"], 2.0),
        ]
        if step is pattern.DELIVER:
            units.append((self._key(pattern.BATCH, trade.file, PARTITION_READS), 1.0))
        wait = self.transitions.reserve(self.env.now) + _TRANSITION
        for attempt in range(_MACHINE_ATTEMPTS):
            if attempt:
                yield self.env.timeout(self.random.uniform(0, min(60, 2 ** (attempt - 1))))
            worker = self._enter(step.name)
            if worker is None:
                continue
            try:
                if worker.cold:
                    yield self._cold(worker)
                yield self.env.timeout(wait + step.seconds)
                if self._done(units) or (yield from self._spend(units)):
                    self._record(trade, pattern.RECORD_CHANGE)
                    return True
            finally:
                self._leave(step.name, worker)
        self.result.dead["executions failed"] += 1
        return False

    # ---- what AWS gives -----------------------------------------------------------------------------------------

    def _refuse(self, what: str) -> None:
        self.result.refused[what] += 1
        self.result.first.setdefault(what, self.env.now)

    def _done(self, units: Sequence[tuple[Bucket, float]], what: str = "DynamoDB") -> bool:
        """Whether DynamoDB has the capacity for all of it, now. An index without it holds up its table."""
        now = self.env.now
        for bucket, wanted in units:
            if isinstance(bucket, Key):
                bucket.load[int(now)] += wanted
        for bucket, wanted in units:
            if not bucket.has(now, wanted):
                self._refuse(what)
                return False
        for bucket, wanted in units:
            bucket.level -= wanted
        return True

    def _spend(self, units: Sequence[tuple[Bucket, float]], what: str = "DynamoDB") -> Process:
        """A client's further attempts at what was refused."""
        for attempt in range(1, CLIENT_ATTEMPTS):
            yield self.env.timeout(self.random.uniform(0, 0.05 * 2**attempt))
            if self._done(units, what):
                return True
        return False

    def _key(self, kind: str, number: int, most: float) -> Key:
        found = self.keys.get((kind, number))
        if found is None:
            found = self.keys[kind, number] = Key(most, full=not self.load.warm)
        return found

    def _enter(self, function: str) -> Worker | None:
        """An environment of this function; None if the account, or the function's growth, allows no other."""
        if self.working >= self.limits["concurrency"].rate:
            self._refuse("Lambda")
            return None
        idle = self.idle.setdefault(function, [])
        if idle:
            worker = idle.pop()
        else:
            scaling = self.scaling.get(function)
            if scaling is None:
                limit = self.limits["scaling"]
                scaling = self.scaling[function] = Bucket(limit.rate, limit.burst)
            if not scaling.take(self.env.now):
                self._refuse("Lambda")
                return None
            worker = Worker(cold=True)
        self.working += 1
        self.result.busiest = max(self.result.busiest, self.working)
        return worker

    def _hired(self, function: str) -> Process:
        """As Lambda's own pollers do it: they wait for an environment."""
        while (worker := self._enter(function)) is None:
            yield self.env.timeout(1)
        if worker.cold:
            yield self._cold(worker)
        return worker

    def _cold(self, worker: Worker) -> simpy.Event:
        worker.cold = False
        return self.env.timeout(MS["cold"] / 1000)

    def _leave(self, function: str, worker: Worker) -> None:
        self.working -= 1
        self.idle[function].append(worker)

    def _fresh(self, kept: Kept) -> Process:
        """Whether it can be used: it is kept for a while, and used for longer if it cannot be read anew."""
        if kept.until > self.env.now:
            return True
        if (yield from self._parameter()):
            kept.read = self.env.now
            kept.until = self.env.now + kept.age * self.random.uniform(1 - SPREAD, 1)
        elif self.env.now - kept.read <= OLD_AT_MOST:
            kept.until = self.env.now + OLD_FOR
        else:
            return False
        return True

    def _parameter(self) -> Process:
        for attempt in range(CLIENT_ATTEMPTS):
            if attempt:
                yield self.env.timeout(self.random.random() * 2 ** (attempt - 1))
            yield self.env.timeout(MS["GetParameter"] / 1000)
            if self.parameters.take(self.env.now):
                return True
            self._refuse("GetParameter")
        return False

    def _warm_up(self) -> None:
        for step in {each.name: each for each in pattern.PAID if each.invocations}.values():
            enough = int(self.load.rate * step.seconds * 2) + 10
            self.idle[step.name] = [
                Worker(False, *(Kept(age, self.random.uniform(0, age), 0.0) for age in (SETTINGS_AGE, URL_AGE)))
                for _ in range(enough)
            ]

    def _watch(self) -> Process:
        series = self.result.series
        names = ("undriven", "undelivered", "unrecorded")
        for name in names:
            series[name] = []
        while True:
            unrecorded = sum(len(lane.records) for lane in self.record_lanes)
            now = (self.placed - self.driven, self.noticed - len(self.result.delivered), unrecorded)
            for name, value in zip(names, now, strict=True):
                series[name].append(value)
            yield self.env.timeout(1)


class Lane:
    """A stream shard's records, or one of the batches of it that are worked on at once: one batch after another."""

    def __init__(self, shop: Shop, work: Callable[[list[Any]], Process], most: int, window: float = 0.0) -> None:
        self.records: deque[Any] = deque()
        self._window = window  # seconds that records are gathered
        self._shop, self._work, self._most = shop, work, most
        self._wake = shop.env.event()
        shop.env.process(self._run())

    def put(self, record: Any) -> None:
        self.records.append(record)
        if not self._wake.triggered:
            self._wake.succeed()

    def _run(self) -> Process:
        env = self._shop.env
        while True:
            if not self.records:
                self._wake = env.event()
                yield self._wake
                yield env.timeout(self._shop.random.uniform(0, _POLL))
            if len(self.records) < self._most and self._window:
                yield env.timeout(self._window)
            batch = [self.records.popleft() for _ in range(min(self._most, len(self.records)))]
            yield from self._work(batch)


class Queue:
    """An SQS queue and the pollers that Lambda gives it: five, and five more each second that there is work for."""

    def __init__(
        self,
        shop: Shop,
        dead_letters: str,
        work: Callable[[list[Any], int], Process],
        batch: int,
        *,
        most: int,
        receives: int,
    ) -> None:
        self._shop, self._work, self._batch, self._most = shop, work, batch, most
        self._receives = receives
        self._dead_letters = dead_letters
        self._messages: list[tuple[float, int, Any, int]] = []  # visible from, …, received so often
        self._number = count()
        self._step = int(shop.limits["pollers"].rate)
        self._least = most if shop.load.warm else min(self._step, most)
        self._allowed = self._least
        self._pollers = 0
        shop.env.process(self._scale())

    def put(self, item: Any, delay: float = 0.0, received: int = 0) -> None:
        heapq.heappush(self._messages, (self._shop.env.now + delay, next(self._number), item, received))
        if not delay and self._pollers < self._allowed:
            self._hire()

    def _hire(self) -> None:
        self._pollers += 1
        self._shop.env.process(self._poll())

    def _poll(self) -> Process:
        while batch := self._visible():
            tries = batch[0][1] + 1
            received = {id(item): times + 1 for item, times in batch}
            failed = yield from self._work([item for item, _ in batch], tries)
            for item, delay in failed:
                if received[id(item)] >= self._receives:
                    self._shop.result.dead[self._dead_letters] += 1
                else:
                    self.put(item, delay, received[id(item)])
        self._pollers -= 1

    def _visible(self) -> list[tuple[Any, int]]:
        found: list[tuple[Any, int]] = []
        while self._messages and self._messages[0][0] <= self._shop.env.now and len(found) < self._batch:
            _, _, item, received = heapq.heappop(self._messages)
            found.append((item, received))
        return found

    def _scale(self) -> Process:
        env = self._shop.env
        while True:
            yield env.timeout(1)
            waiting = bool(self._messages) and self._messages[0][0] <= env.now
            if waiting and self._pollers >= self._allowed:
                self._allowed = min(self._most, self._allowed + self._step)
            elif not self._pollers:
                self._allowed = self._least
            if waiting:
                for _ in range(self._allowed - self._pollers):
                    self._hire()
