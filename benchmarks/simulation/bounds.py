"""How many trades a second each limit lets through: what there is (`limits`) by what a trade asks for (`pattern`)."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.simulation import pattern
from benchmarks.simulation.limits import PARTITION_READS, PARTITION_WRITES, Limits
from benchmarks.simulation.pattern import MS

_TABLES = ("orders", "orders/due", "orders/holds-by-address", "timeline", "stock", "holdings", "catalogue")


@dataclass(frozen=True, slots=True)
class Bound:
    what: str
    trades: float  # a second


def shop(limits: Limits) -> list[Bound]:
    """The whole shop's, the lowest first."""
    shards = int(limits["table"].rate // PARTITION_WRITES)
    start = (MS["StartExecution"] + MS["own"] / limits["start_batch"].rate) / 1000  # a full batch has one invocation
    record = sum(step.seconds - MS["own"] / 1000 for step in pattern.RECORDS) + len(pattern.RECORDS) * MS["own"] / 1e5
    changes = len(pattern.PUSHES)
    batch = limits["push_batch"].rate
    push = changes * (MS["Query"] + (MS["own"] + MS["Query"]) / batch) / 1000
    found = [
        Bound("StartExecution", limits["starts"].rate),
        Bound("SendTaskSuccess", limits["answers"].rate / pattern.operations("SendTaskSuccess")),
        Bound("state transitions", limits["transitions"].rate / sum(step.transitions for step in pattern.PAID)),
        Bound("API requests", limits["requests"].rate / sum(step.requests for step in pattern.PAID)),
        Bound("Lambda concurrency", limits["concurrency"].rate / pattern.busy_seconds()),
        Bound("KMS Decrypt", limits["kms"].rate / pattern.operations("Decrypt")),
        Bound("confirm_payment at once", limits["notices"].rate / pattern.CONFIRM.seconds),
        Bound("start_trade on its shards", shards * limits["start_lanes"].rate / start),
        Bound("record_events on its shards", shards * limits["record_lanes"].rate / record),
        Bound("push_changes on its shards", shards * limits["push_lanes"].rate / push),
        Bound("pushes: the shop's feed, a change a batch", PARTITION_READS / changes),
        Bound("pushes: the shop's feed, full batches", PARTITION_READS * batch / changes),
        Bound("reads: connections", 3 * limits["table"].rate / pattern.reads("connections")),
        Bound("index due, its 32 keys", pattern.DUE_SHARDS * PARTITION_WRITES / pattern.on(pattern.DUE)),
        *(Bound(f"writes: {where}", limits["table"].rate / pattern.writes(where)) for where in _TABLES),
    ]
    return sorted(found, key=lambda bound: bound.trades)


def open_executions(limits: Limits, days: float) -> float:
    """Trades a second, on average, whose executions wait so many days for the end of the after-sale window."""
    return limits["open"].rate / (days * 86_400)


def product(files: int) -> list[Bound]:
    """One product's, its cards from so many files of 10,000: what its items and pools let through."""
    lane = max(pattern.LANE_WEIGHTS) / sum(pattern.LANE_WEIGHTS)
    per_file = [
        ("its file's item, read at delivery", PARTITION_READS / pattern.on(pattern.BATCH, reading=True)),
        ("its file's data key, read at reveal", PARTITION_READS / pattern.on(pattern.DATA_KEY, reading=True)),
        ("the fullest of its 8 holdings lanes", PARTITION_WRITES / (pattern.on(pattern.LANE) * lane)),
        ("its pools, two units a claim", pattern.pools(10_000) * PARTITION_WRITES / pattern.on(pattern.POOL)),
    ]
    read = sum(use.reads for use in pattern.PLACE.uses if use.key == pattern.PRODUCT)
    found = [Bound("its own item, read at each order", PARTITION_READS / read)]
    found += [Bound(what, trades * files) for what, trades in per_file]
    return sorted(found, key=lambda bound: bound.trades)


def raises(rate: float, limits: Limits) -> list[tuple[str, float, float]]:
    """What is too low for so many trades a second: (what, what there is, what it takes) in the limit's own unit."""
    per_trade = {
        "requests": sum(step.requests for step in pattern.PAID),
        "starts": pattern.operations("StartExecution"),
        "answers": pattern.operations("SendTaskSuccess"),
        "transitions": sum(step.transitions for step in pattern.PAID),
        "concurrency": pattern.busy_seconds(),
        "kms": pattern.operations("Decrypt"),
        "notices": pattern.CONFIRM.seconds,
    }
    found = [
        (limits[name].name, limits[name].rate, rate * each)
        for name, each in per_trade.items()
        if limits[name].rate < rate * each
    ]
    return found + [
        (f"writes of {where}", limits["table"].rate, rate * pattern.writes(where))
        for where in _TABLES
        if limits["table"].rate < rate * pattern.writes(where)
    ]
