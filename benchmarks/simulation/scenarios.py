"""What is asked of the model, and how what it did is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count

from benchmarks.figures import percentile
from benchmarks.simulation.limits import DEFAULT, RAISED, READY, WARM, WARM_SMALLER, Limits
from benchmarks.simulation.model import Load, Result, Shop

AFTER_SALE_DAYS = 7.0
BURST_RATE, BURST_SECONDS = 1000.0, 60.0
FLASH_RATE = 8000.0

#: Whoever is served within this many seconds is not waiting behind others.
PROMPT = 1.5
_SUSTAINED_SECONDS = 24.0
BELOW, ABOVE = 0.9, 1.25  # of a bound


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    limits: Limits
    load: Load


@dataclass(frozen=True, slots=True)
class Sustained:
    """That the shop keeps up below this bound and falls behind above it."""

    name: str
    limits: Limits
    bound: str  # of `bounds.shop`


SUSTAINED = (
    Sustained("as it deploys", DEFAULT, "writes: orders"),
    Sustained("on warm tables", WARM, "StartExecution"),
    Sustained("the same in a smaller region", WARM_SMALLER, "StartExecution"),
)

_BURST = Load(BURST_RATE, BURST_SECONDS, horizon=1200)
BURSTS = (
    Scenario("as it deploys", DEFAULT, _BURST),
    Scenario("on warm tables", WARM, _BURST),
    Scenario("warm, parameters faster", READY, _BURST),
)
_FLASH = Load(FLASH_RATE, seconds=3, horizon=5, pays=(0.3, 0.8), warm=True)
FLASHES = (
    Scenario("twenty products", RAISED, replace(_FLASH, products=20)),
    Scenario("one product", RAISED, _FLASH),
)


def at(sustained: Sustained, rate: float) -> Scenario:
    load = Load(rate, _SUSTAINED_SECONDS, _SUSTAINED_SECONDS + PROMPT, products=20, pays=(1, 2), warm=True)
    return Scenario(sustained.name, sustained.limits, load)


def run(scenario: Scenario) -> Result:
    return Shop(scenario.limits, scenario.load).run()


def run_all(scenarios: Sequence[Scenario]) -> list[Result]:
    """A process for each of the machine's cores; the same seeds give the same results."""
    with ProcessPoolExecutor(cpu_count()) as processes:
        return list(processes.map(run, scenarios))


def keeps_up(result: Result, load: Load) -> bool:
    """Nearly nobody was refused, and the orders and notices of the last seconds were not waiting behind others."""
    late = load.seconds * 0.7
    orders = [took for began, took in result.waits if began > late]
    notices = [took for began, took in result.delivered if began > late]
    asked = load.rate * (load.seconds - late)
    served = len(orders) > 0.85 * asked and len(notices) > 0.85 * asked
    refused = sum(result.answers.values()) - result.accepted
    return served and refused <= 0.005 * result.accepted and max(p(orders, 95), p(notices, 95)) <= PROMPT


def p(seconds: Iterable[float], percent: int) -> float:
    found = sorted(seconds)
    return percentile(found, percent) if len(found) > 1 else sum(found)


def took(measured: Iterable[tuple[float, float]]) -> list[float]:
    return [seconds for _, seconds in measured]
