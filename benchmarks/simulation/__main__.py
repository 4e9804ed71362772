"""`python -m benchmarks.simulation`: what the shop would do on AWS at scale; one table, and its drawings in `docs/`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engine.processes import PROJECT

sys.path.insert(0, str(PROJECT / "layers" / "cardshop"))

from benchmarks.figures import Figure, read_baseline, table
from benchmarks.simulation import bounds, pattern, plots, scenarios
from benchmarks.simulation.claims import AWS, DYNAMODB_LOCAL, ENGINE, claims_per_sale, sale
from benchmarks.simulation.limits import (
    DEFAULT,
    PARTITION_READS,
    PARTITION_WRITES,
    SMALLER,
    WARM,
    WARM_SMALLER,
    Limits,
)
from benchmarks.simulation.model import Result
from benchmarks.simulation.scenarios import Scenario, p, took

_DOCS = PROJECT / "docs"
_BASELINE = Path(__file__).parent.parent / "baseline.json"
#: `tests/contention/test_flash_sale.py`, the median that docs/decisions.md tells.
MEASURED = ((ENGINE, 1.18), (DYNAMODB_LOCAL, 1.24))
_BUYERS, _CARDS, _AT_ONCE = 400, 200, 32
_UNTIL = 600  # seconds drawn


def main() -> int:
    began = time.monotonic()
    checks = [
        scenarios.at(each, _bound(each.limits, each.bound) * share)
        for each in scenarios.SUSTAINED
        for share in (scenarios.BELOW, scenarios.ABOVE)
    ]
    asked = [*scenarios.BURSTS, *scenarios.FLASHES, *checks]
    results = scenarios.run_all(asked)
    bursts = list(zip(scenarios.BURSTS, results, strict=False))
    flashes = list(zip(scenarios.FLASHES, results[len(bursts) :], strict=False))
    sustained = list(zip(checks, results[len(bursts) + len(flashes) :], strict=True))
    figures = [
        *_counted(),
        *_bounds(),
        *_product(),
        *_sustained(sustained),
        *(figure for burst, result in bursts for figure in _burst(burst, result)),
        *(figure for flash, result in flashes for figure in _flash(flash, result)),
        *_raises(),
        *_claims(),
    ]
    print(f"\n{_limits()}\n\n{table(figures, read_baseline(_BASELINE))}\n")
    _draw(bursts, flashes)
    print(f"drawn: docs/scale-*.svg; {time.monotonic() - began:.0f} s")
    return 0


def _limits() -> str:
    lines = [f"{'limit':<44}{'a second':>10}{'burst':>9}{'smaller':>9}   source"]
    for name, limit in DEFAULT.items():
        smaller = f"{SMALLER[name].rate:,.0f}" if SMALLER[name].rate != limit.rate else ""
        burst = f"{limit.burst:,.0f}" if limit.burst else ""
        lines.append(f"{limit.name:<44}{limit.rate:>10,.0f}{burst:>9}{smaller:>9}   {limit.source}")
    partition = "DynamoDB: Best practices for designing partition keys"
    lines.append(f"{'writes of a partition, and of an item':<44}{PARTITION_WRITES:>10,}{'':>18}   {partition}")
    lines.append(f"{'reads of a partition, and of an item':<44}{PARTITION_READS:>10,}{'':>18}   {partition}")
    return "\n".join(lines)


def _counted() -> list[Figure]:
    """The model's own sums, beside what the engine counted."""
    return [
        Figure("cost.paid.calls", pattern.calls(), "AWS calls of a paid trade"),
        Figure("cost.paid.invocations", pattern.invocations(), "  invocations, alone"),
        Figure("cost.paid.writes", pattern.writes(), "  write units"),
        Figure("cost.paid.reads", pattern.reads(), "  read units"),
        Figure("cost.paid.transitions", sum(step.transitions for step in pattern.PAID), "  state transitions"),
    ]


def _bounds() -> list[Figure]:
    warm = {bound.what: bound.trades for bound in bounds.shop(WARM)}
    smaller = {bound.what: bound.trades for bound in bounds.shop(WARM_SMALLER)}
    found = []
    for bound in bounds.shop(DEFAULT):
        later = f"{warm[bound.what]:,.0f}" if warm[bound.what] != bound.trades else ""
        small = f"smaller {smaller[bound.what]:,.0f}" if smaller[bound.what] != warm[bound.what] else ""
        beside = ", ".join(each for each in (f"warm {later}" if later else "", small) if each)
        found.append(Figure(f"whole shop.{bound.what}", bound.trades, bound.what, "/s", beside=beside))
    days = scenarios.AFTER_SALE_DAYS
    open_all_week = bounds.open_executions(DEFAULT, days)
    found.append(
        Figure(
            "whole shop.open",
            open_all_week,
            f"open executions, {days:.0f} days each, on average",
            "/s",
            beside=f"{open_all_week * 86_400:,.0f} a day",
        )
    )
    return found


def _product() -> list[Figure]:
    return [
        Figure(f"one product.{bound.what}", bound.trades, f"{bound.what} (one file of 10,000)", "/s")
        for bound in bounds.product(1)
    ]


def _sustained(checked: Sequence[tuple[Scenario, Result]]) -> list[Figure]:
    found = []
    for number, each in enumerate(scenarios.SUSTAINED):
        (below, kept), (above, lost) = checked[2 * number : 2 * number + 2]
        keeps = scenarios.keeps_up(kept, below.load), scenarios.keeps_up(lost, above.load)
        said = f"keeps up at {below.load.rate:.0f} {_yes(keeps[0])} {above.load.rate:.0f} {_yes(keeps[1])}"
        rate = _bound(each.limits, each.bound)
        found.append(Figure(f"sustained.{number}", rate, f"{each.name}: {each.bound}", "/s", beside=said))
    return found


def _burst(scenario: Scenario, result: Result) -> list[Figure]:
    part = f"burst of {scenario.load.rate:,.0f}/s for {scenario.load.seconds:.0f} s, {scenario.name}"
    first = ", ".join(f"{what} at {at:.0f} s ({result.refused[what]:,})" for what, at in result.first.items())
    answers = ", ".join(f"{answer}: {count:,}" for answer, count in result.answers.most_common())
    dead = ", ".join(f"{what} {count:,}" for what, count in result.dead.items()) or "none"
    over = max((at + seconds for at, seconds in result.delivered), default=0.0) - scenario.load.seconds
    stuck = result.accepted - len(result.delivered)
    return [
        Figure(
            f"{part}.accepted",
            result.accepted,
            "orders accepted",
            beside=f"no way to pay: {result.unpayable:,}",
            note=answers,
        ),
        _lag(part, "order → machine waits", took(result.waits)),
        _lag(part, "notice → delivered", took(result.delivered)),
        _lag(part, "change → timeline", took(result.recorded)),
        *_pushes(part, result),
        Figure(f"{part}.over", over, "the last delivered, after the burst", "s", beside=f"{stuck:,} are reconcile's"),
        Figure(f"{part}.dead", sum(result.dead.values()), "dead letters, failed executions", beside=dead),
        Figure(f"{part}.timeouts", result.timeouts, "start_trade timed out"),
        Figure(
            f"{part}.counts",
            result.counts_aside,
            "counts of the product's stock put aside",
            note=f"written {result.counts:,}, overtaken by another {result.counts_lost:,}",
        ),
        Figure(
            f"{part}.lambda", result.busiest, "Lambda environments at once", note=f"refused first: {first or 'nothing'}"
        ),
    ]


def _flash(scenario: Scenario, result: Result) -> list[Figure]:
    part = f"{scenario.load.rate:,.0f}/s with the raises, {scenario.name}"
    refused = ", ".join(f"{what} {count:,}" for what, count in result.refused.items()) or "nothing"
    served = result.accepted / sum(result.answers.values())
    hottest = ", ".join(f"{kind} {keys[0]:,.0f}" for kind, keys in result.keys.items())
    return [
        Figure(f"{part}.accepted", 100 * served, "orders accepted", "%", note=f"refused: {refused}"),
        _lag(part, "order → machine waits", took(result.waits)),
        _lag(part, "notice → delivered", took(result.delivered)),
        *_pushes(part, result),
        Figure(
            f"{part}.lambda",
            result.busiest,
            "Lambda environments at once",
            note=f"hottest key, units a second: {hottest}",
        ),
    ]


def _pushes(part: str, result: Result) -> list[Figure]:
    return [
        _lag(part, "change → who listens", took(result.pushed)),
        Figure(
            f"{part}.pushes",
            result.pushes_aside,
            "  batches of changes put aside, and told later",
            beside=f"of {len(result.pushed):,} changes",
        ),
    ]


def _lag(part: str, what: str, seconds: list[float]) -> Figure:
    beside = f"p50 {p(seconds, 50):,.1f}, longest {max(seconds, default=0):,.0f}"
    return Figure(f"{part}.{what}", p(seconds, 95), f"{what}, p95", "s", beside=beside)


def _raises() -> list[Figure]:
    return [
        Figure(f"what {scenarios.FLASH_RATE:,.0f}/s takes.{what}", wanted, what, beside=f"there is {there:,.0f}")
        for what, there, wanted in bounds.raises(scenarios.FLASH_RATE, DEFAULT)
    ]


def _claims() -> list[Figure]:
    found = []
    for store, measured in MEASURED:
        value = claims_per_sale(_BUYERS, _CARDS, _AT_ONCE, store)
        what = f"{store.name}: {_BUYERS} buyers, {_AT_ONCE} at once, {_CARDS} cards"
        found.append(Figure(f"claims ÷ sales.{store.name}", value, what, beside=f"measured {measured}"))
    found += [
        Figure(
            f"claims ÷ sales.{AWS.name}{buyers}{at_once}",
            claims_per_sale(buyers, cards, at_once, AWS, seeds=range(3)),
            f"{AWS.name}: {buyers:,} buyers, {at_once} at once, {cards} cards",
        )
        for buyers, cards, at_once in ((_BUYERS, _CARDS, _AT_ONCE), (2000, 500, 32), (2000, 500, 128))
    ]
    sold = sale(2000, 2000, _AT_ONCE, AWS)
    plenty = f"  while more than {20 * _AT_ONCE} of 2,000 cards are left"
    return [*found, Figure(f"claims ÷ sales.{AWS.name}plenty", sold.in_plenty, plenty)]


def _bound(limits: Limits, what: str) -> float:
    return next(bound.trades for bound in bounds.shop(limits) if bound.what == what)


def _yes(keeps_up: bool) -> str:
    return "✓" if keeps_up else "✗"


def _draw(bursts: Sequence[tuple[Scenario, Result]], flashes: Sequence[tuple[Scenario, Result]]) -> None:
    default, warm = ({each.what: each.trades for each in bounds.shop(some)} for some in (DEFAULT, WARM))
    rows = [plots.Bar(what, (trades, warm[what])) for what, trades in default.items()]
    legend = ("as it deploys, new tables", "on warm tables")
    rate = DEFAULT["starts"].rate
    drawn = plots.bars(
        "Paid trades a second that each limit lets through", legend, rows, mark=(rate, "300"), logarithmic=True
    )
    (_DOCS / "scale-bounds.svg").write_text(drawn)

    names = {
        "undriven": "orders without a waiting machine",
        "undelivered": "noticed, not delivered",
        "unrecorded": "changes not on a timeline",
    }
    panels = {
        f"{scenario.name}/{name}": result.series[key] for scenario, result in bursts for key, name in names.items()
    }
    drawn = plots.lines(
        "A burst of 1,000 orders a second for a minute", panels, list(names.values()), until=_UNTIL, unit="how many"
    )
    (_DOCS / "scale-burst.svg").write_text(drawn)

    by_product = [result.keys for _, result in flashes]
    kinds = [
        ("product", "product's item, read", PARTITION_READS),
        ("product, written", "product's item, written by count_stock", PARTITION_WRITES),
        (pattern.BATCH, "file's item, read at delivery", PARTITION_READS),
        (pattern.DATA_KEY, "file's data key, read at reveal", PARTITION_READS),
        (pattern.POOL, "fullest pool, written", PARTITION_WRITES),
        (pattern.DUE, "fullest of index due's 32 keys", PARTITION_WRITES),
        (pattern.LANE, "fullest holdings lane", PARTITION_WRITES),
        (pattern.FEED, "who listens to the shop, read", PARTITION_READS),
    ]
    rows = [plots.Bar(label, tuple(100 * keys[kind][0] / most for keys in by_product)) for kind, label, most in kinds]
    drawn = plots.bars(
        "The hottest key of each kind at 8,000 orders a second, in % of a partition",
        [scenario.name for scenario, _ in flashes],
        rows,
        mark=(100, "100 %"),
        logarithmic=True,
    )
    (_DOCS / "scale-hot-keys.svg").write_text(drawn)


if __name__ == "__main__":
    sys.exit(main())
