"""What an order takes from AWS and costs: paid, abandoned, cancelled, paid late; one card each, capped as a real shop.

One after the other, so streams and queues hand over one thing at a time: a busy shop has fewer invocations. Every
worker is warm: secrets and settings, which a worker reads every minute or five, are counted apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.buyer import Buyer, Placed, item_of
from benchmarks.figures import COUNTED, EXACT, Figure, counts
from benchmarks.meter import Meter, Took
from benchmarks.prices import BILLED_SECONDS, Use
from benchmarks.stage import Stage
from tests.house import House, wait_until

_ORDERS = 12
_APART = 0.35  # seconds between orders: one's records are read before the next one's are there
_UNPAID_LOOKS, _CLOSED_LOOKS = 3, 2  # of reconcile's, at an order that nobody pays (`domain/looks.py`)
_MONTHLY_RUNS = 43_200
_BATCHED = 0.1  # invocations: two records may still come in one
_ORDER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    took: Took
    states: int  # aimed at
    dollars: float | None = None  # aimed at


def run(stage: Stage) -> list[Figure]:
    house, proxy = stage.counted
    shop = _Shop(house, Meter(house, proxy))
    stage.say("cost: warming every worker up")
    paid_late = [shop.cancelled() for _ in range(2)]
    shop.until("closed", paid_late)
    for placed in paid_late:
        shop.settle(placed)
    shop.until("completed", [shop.paid(), *paid_late])
    shop.reconcile()
    shop.measure()

    stage.say(f"cost: {_ORDERS} orders of each kind")
    shop.until("completed", [shop.paid() for _ in range(_ORDERS)])
    paid = shop.measure()
    shop.until("closed", [shop.cancelled() for _ in range(_ORDERS)])
    cancelled = shop.measure()
    shop.until("closed", [shop.cancelled(query_password="correct horse battery staple")])
    with_password = shop.measure().largest_order
    idle = shop.idle()
    unpaid = [shop.placed() for _ in range(_ORDERS)]
    abandoned = shop.measure()
    unpaid_look = (shop.look(unpaid).use - idle.use).by(_ORDERS)
    assert shop.are("pending_payment", unpaid), "this machine is too slow: the payment window was over too soon"
    shop.until("closed", unpaid)
    abandoned += shop.measure()
    closed_look = (shop.look(unpaid).use - idle.use).by(_ORDERS)
    for placed in unpaid:
        shop.settle(placed)
    shop.until("completed", unpaid)
    late = abandoned + shop.measure()

    figures = []
    kinds = [
        _Kind("paid", paid, 4, 160),
        _Kind("abandoned", abandoned, 2, 80),
        _Kind("cancelled", cancelled, 2),
        _Kind("late", late, 6),
    ]
    for kind in kinds:
        figures += _of(kind)
    looks = unpaid_look.price * _UNPAID_LOOKS + closed_look.price * _CLOSED_LOOKS
    all_told = abandoned.use.by(_ORDERS).price + looks
    return [
        *figures,
        Figure(
            "cost.look",
            unpaid_look.price,
            "a look of reconcile's at an unpaid order, a million",
            "$",
            tolerance=COUNTED,
        ),
        Figure(
            "cost.abandoned_and_looks",
            all_told,
            "abandoned, with its five looks, a million",
            "$",
            most=80,
            tolerance=COUNTED,
        ),
        Figure(
            "cost.cached",
            sum(kind.took.cached for kind in kinds),
            "reads of cached secrets and settings, by all of these orders",
            beside="not in the prices",
        ),
        Figure("cost.idle_look", _monthly(idle.use), "reconcile with nothing to do, a month", "$", tolerance=COUNTED),
        Figure(
            "cost.order_bytes",
            paid.largest_order,
            "an order without its token",
            "bytes",
            most=_ORDER_BYTES,
            tolerance=0.02,
        ),
        Figure(
            "cost.order_bytes_password", with_password, "  with a query password (cancelled)", "bytes", tolerance=0.02
        ),
    ]


def _of(kind: _Kind) -> list[Figure]:
    use, name = kind.took.use.by(_ORDERS), f"cost.{kind.name}"
    dollars = {what: price for what, price in use.dollars().items() if price >= 0.05}
    return [
        Figure(
            f"{name}.dollars",
            use.price,
            f"{kind.name}: list price, a million",
            "$",
            most=kind.dollars,
            tolerance=COUNTED,
            note=f"{counts(dollars, 1)} (invocations of {1000 * BILLED_SECONDS:.0f} ms assumed)",
        ),
        Figure(f"{name}.arm64", use.price_on_arm, "  the same on arm64", "$", tolerance=COUNTED),
        Figure(f"{name}.transitions", use.transitions, "  state transitions", most=kind.states, tolerance=EXACT),
        Figure(f"{name}.writes", use.writes, "  write units", tolerance=COUNTED, note=_units(kind.took, "write ")),
        Figure(f"{name}.reads", use.reads, "  read units", tolerance=COUNTED, note=_units(kind.took, "read ")),
        Figure(
            f"{name}.calls",
            kind.took.calls.total() / _ORDERS,
            "  AWS calls",
            tolerance=COUNTED,
            note=counts(kind.took.calls, _ORDERS),
        ),
        Figure(
            f"{name}.invocations",
            use.invocations,
            "  invocations",
            tolerance=_BATCHED,
            note=counts(kind.took.invocations, _ORDERS),
        ),
        Figure(f"{name}.kms", use.kms, "  KMS calls", tolerance=EXACT),
    ]


def _units(took: Took, start: str) -> str:
    return counts({k.removeprefix(start): v for k, v in took.units.items() if k.startswith(start)}, _ORDERS)


def _monthly(use: Use) -> float:
    return use.price * _MONTHLY_RUNS / 1_000_000


class _Shop:
    """Orders of each kind, told apart by a meter. What only looks goes around the proxy, and is not counted."""

    def __init__(self, house: House, meter: Meter) -> None:
        self._house, self._meter = house, meter
        self._buyer = Buyer(house)
        self._dynamodb = house.aws("dynamodb")
        self._table = house.outputs["OrdersTable"]
        self._counted = 0
        house.channel()
        self._sku, _ = house.product(1000)

    def placed(self, **more: Any) -> Placed:
        placed = self._buyer.order(self._sku, **more)
        self._until_driven("pending_payment", placed)
        time.sleep(_APART)
        return placed

    def paid(self) -> Placed:
        placed = self.placed()
        self.settle(placed)
        return placed

    def settle(self, placed: Placed) -> None:
        """Paid, now or late; its holder looks, reads the card and looks again."""
        self._buyer.pay(placed)
        self._buyer.notify(self._buyer.notice(placed))
        self._until_driven("delivered", placed)
        self._buyer.view(placed)
        assert self._buyer.cards(placed)
        self._buyer.view(placed)
        assert self.are("delivered", [placed]), "this machine is too slow: the after-sale window was over too soon"
        time.sleep(_APART)

    def cancelled(self, **more: Any) -> Placed:
        placed = self.placed(**more)
        self._buyer.cancel(placed)
        self._buyer.view(placed)
        time.sleep(_APART)
        return placed

    def until(self, status: str, trades: list[Placed]) -> None:
        wait_until(lambda: self.are(status, trades), lambda: f"some are not {status}")

    def are(self, status: str, trades: list[Placed]) -> bool:
        return all(item_of(self._house, placed)["status"]["S"] == status for placed in trades)

    def look(self, trades: list[Placed]) -> Took:
        """Reconcile's, at these."""
        for placed in trades:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"trade_id": {"S": placed["trade_id"]}},
                UpdateExpression="SET due_at = :now",
                ExpressionAttributeValues={":now": {"N": str(time.time_ns() // 1_000_000)}},
            )
        self.measure()
        looked = self._house.reconcile()["looked"]
        assert looked == len(trades), looked
        return self.measure()

    def idle(self) -> Took:
        """A run of reconcile's with nothing to look at."""
        self.measure()
        assert not self._house.reconcile().get("looked")
        return self.measure()

    def reconcile(self) -> None:
        self._house.reconcile()

    def measure(self) -> Took:
        """What everything since the last measure took."""
        took = self._meter.took(requests=self._buyer.requests - self._counted)
        self._counted = self._buyer.requests
        return took

    def _until_driven(self, status: str, placed: Placed) -> None:
        """In this state, and the machine has come to wait there: buyers are slower than that."""

        def there() -> bool:
            item = item_of(self._house, placed)
            return item["status"]["S"] == status and "task_token" in item

        wait_until(there, lambda: f"{placed['trade_id']} is not {status}, or not driven")
