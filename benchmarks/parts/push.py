"""Notice → message on an order's two other terminals, beside the same chain and a push stripped to their AWS calls; and
five hundred open connections that all hear of one change.

The clock starts when the notice is sent and stops when both terminals have the message: that of `paid`, the change that
the notice causes, which the aims are about; and that of `delivered`, which the machine makes of it. A trade of the
shop's and one of the floor's take turns, as in `chain`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.buyer import Buyer, Placed
from benchmarks.figures import EXACT, TIMED, TIMED_APART, Figure
from benchmarks.parts.chain import Floor, middle_and_tail, milliseconds, provider, timed, waiting
from benchmarks.stage import PUSHING_FLOOR, Stage, resources
from engine import shop
from tests.house import House, wait_until

_WARM, _TRADES = 8, 60
_TERMINALS = 2
_CHANGES = ("paid", "delivered")
_AIM_MS, _AIM = 100, 2
_CROWD, _AT_ONCE = 500, 16
_STEPS = ("receive_notice", "confirm_payment", "record_events", "push_changes")
_BARE_STEPS = ("Receive", "Confirm", "Push")
_PATIENCE = 60  # seconds for one message


def run(stage: Stage) -> list[Figure]:
    house = stage.house
    house.channel()
    return [*_beside_the_floor(stage, house), *_crowd(stage)]


def _beside_the_floor(stage: Stage, house: House) -> list[Figure]:
    floor, buyer, ask = Floor(stage.home, stage.pushing_floor), Buyer(house), provider(house)
    sku, _ = house.product(_WARM + _TRADES)
    stage.say(f"push: {_TRADES} trades of the shop's, {_TRADES} of the floor's in between, two terminals each")
    shop_ms, floor_ms, asked_ms = [], [], []
    for _ in range(_WARM + _TRADES):
        placed = waiting(house, buyer.order(sku))
        buyer.pay(placed)
        notice = buyer.notice(placed)
        with _listening(partial(_address, house, buyer, placed), _TERMINALS) as lines:
            shop_ms.append(_heard(lines, partial(buyer.notify, notice)))
        asked_ms.append(timed(partial(ask, placed)))
        order = floor.waiting()
        with _listening(partial("{}?id={}".format, stage.pushing_floor["PushUrl"], order), _TERMINALS) as lines:
            floor_ms.append(_heard(lines, partial(floor.notify, order)))
    asked = middle_and_tail(asked_ms[_WARM:])
    figures = []
    for number, change in enumerate(_CHANGES):
        ours, bare = (middle_and_tail([each[number] for each in times[_WARM:]]) for times in (shop_ms, floor_ms))
        for index, (name, tolerance) in enumerate((("p50", TIMED), ("p95", TIMED_APART))):
            what = f"notice → {change} on {_TERMINALS} terminals, {name} of {_TRADES}"
            aimed_at = change == _CHANGES[0]
            most = _AIM_MS if aimed_at and name == "p95" else None
            beside = f"bare {bare[index]:.1f} ms"
            ratio = (ours[index] - asked[index]) / bare[index]
            figures += [
                Figure(f"push.{change}_{name}", ours[index], what, "ms", most=most, beside=beside),
                Figure(
                    f"push.{change}_ratio_{name}",
                    ratio,
                    f"  without the query ({asked[index]:.1f} ms), ÷ the bare chain, {name}",
                    "×",
                    most=_AIM if aimed_at else None,
                    tolerance=tolerance,
                ),
            ]
    return [*figures, _where(stage, house)]


def _crowd(stage: Stage) -> list[Figure]:
    """One order with more terminals than an order may have: one change, told by one invocation."""
    house = stage.deployed("crowd", {**shop.LOCAL_PARAMETERS, "ConnectionsPerOrder": "0"})
    house.channel()
    buyer = Buyer(house)
    sku, _ = house.product(1)
    placed = waiting(house, buyer.order(sku))
    buyer.pay(placed)
    notice = buyer.notice(placed)
    stage.say(f"push: {_CROWD} open connections")
    last, deaf = 0.0, 0
    with _listening(lambda: _address(house, buyer, placed), _CROWD) as lines:
        started = time.perf_counter()
        buyer.notify(notice)
        for line in lines:
            try:
                _until("paid", line)
                last = time.perf_counter() - started
            except (TimeoutError, ConnectionClosed):
                deaf += 1
    wait_until(lambda: not house.items("Connections"), lambda: "connections that are closed are still noted")
    return [
        Figure(
            "push.deaf",
            deaf,
            f"who did not hear, of {_CROWD} open connections to one order",
            most=0,
            tolerance=EXACT,
            required=True,
        ),
        Figure("push.last", last, "  notice → paid on the last of them", "s"),
    ]


def _address(house: House, buyer: Buyer, placed: Placed) -> str:
    return f"{house.outputs['PushUrl']}?ticket={buyer.ticket(placed)}"


@contextmanager
def _listening(address: Callable[[], str], terminals: int) -> Iterator[list[ClientConnection]]:
    def opened(_: int) -> ClientConnection:
        return connect(address(), open_timeout=_PATIENCE, compression=None)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        lines = list(threads.map(opened, range(terminals)))
        try:
            yield lines
        finally:
            list(threads.map(ClientConnection.close, lines))


def _heard(lines: Sequence[ClientConnection], notify: Callable[[], None]) -> list[float]:
    """Milliseconds from this notice until all of them had the message of each change."""
    started = time.perf_counter()
    notify()
    times = []
    for change in _CHANGES:
        for line in lines:
            _until(change, line)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _until(status: str, line: ClientConnection) -> None:
    while json.loads(line.recv(timeout=_PATIENCE))["status"] != status:
        pass


def _where(stage: Stage, house: House) -> Figure:
    """Where the time goes, as the engine logs it."""
    functions = resources(stage.home, PUSHING_FLOOR, "AWS::Lambda::Function")
    groups = {name: f"/aws/lambda/{functions[name]}" for name in _BARE_STEPS}
    groups |= {name: f"/{house.stack}/{name}" for name in _STEPS}
    ms = {name: milliseconds(house, group) for name, group in groups.items()}
    told = ", ".join(f"{name} {spent:.0f}" for name, spent in ms.items())
    return Figure(
        "push.function",
        ms["push_changes"] / ms["Push"],
        "time in push_changes ÷ in the bare push",
        "×",
        note=f"ms: {told}",
    )
