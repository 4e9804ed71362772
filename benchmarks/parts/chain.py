"""Notice → order readable as delivered, beside the same chain stripped to its AWS calls, one trade after the other.

The clock starts when the notice is sent and ends when the order is answered as delivered. A trade of the shop's and
one of the floor's take turns, so that whatever else this machine does slows both.
"""

from __future__ import annotations

import json
import re
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

import urllib3
from cardshop.adapters.payments.epay import Epay
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, Payment, PaymentState

from benchmarks.buyer import Buyer, Placed, item_of
from benchmarks.figures import TIMED, TIMED_APART, Figure, percentile
from benchmarks.stage import FLOOR, Stage, resources
from engine import deploy
from engine.processes import Home
from tests.house import House, wait_until

_WARM, _TRADES = 8, 60
_AIM = 1.5
_STEPS = ("receive_notice", "confirm_payment", "deliver_cards", "view_order")
_DURATION = re.compile(r"REPORT .*?Duration: ([\d.]+) ms")


def run(stage: Stage) -> list[Figure]:
    house, floor = stage.house, Floor(stage.home, stage.floor)
    house.channel()
    sku, _ = house.product(_WARM + _TRADES)
    buyer = Buyer(house)
    ask = provider(house)
    stage.say(f"chain: {_TRADES} trades of the shop's, {_TRADES} of the floor's in between")
    shop_ms, floor_ms, asked_ms = [], [], []
    for _ in range(_WARM + _TRADES):
        placed = waiting(house, buyer.order(sku))
        buyer.pay(placed)
        shop_ms.append(timed(_trade(buyer, placed)))
        asked_ms.append(timed(lambda placed=placed: ask(placed)))  # type: ignore[misc]
        floor_ms.append(timed(_bare(floor, floor.waiting())))
    shop, bare, asked = (middle_and_tail(times[_WARM:]) for times in (shop_ms, floor_ms, asked_ms))
    figures = [_where(stage, house)]
    for index, (name, tolerance) in enumerate((("p50", TIMED), ("p95", TIMED_APART))):
        ratio = (shop[index] - asked[index]) / bare[index]
        beside = f"bare chain {bare[index]:.1f} ms"
        figures += [
            Figure(f"chain.{name}", shop[index], f"notice → delivered, {name} of {_TRADES}", "ms", beside=beside),
            Figure(f"chain.query_{name}", asked[index], f"  of it the provider's query, {name}", "ms"),
            Figure(
                f"chain.ratio_{name}",
                ratio,
                f"  without the query, ÷ the bare chain, {name}",
                "×",
                most=_AIM,
                tolerance=tolerance,
            ),
        ]
    return figures


def _where(stage: Stage, house: House) -> Figure:
    """Where the time goes, as the engine logs it."""
    functions = resources(stage.home, FLOOR, "AWS::Lambda::Function")
    groups = {name: f"/aws/lambda/{functions[name]}" for name in ("Receive", "Confirm", "Deliver", "View")}
    groups |= {name: f"/{house.stack}/{name}" for name in _STEPS}
    ms = {name: milliseconds(house, group) for name, group in groups.items()}
    added = sum(ms[name] for name in _STEPS) / sum(ms[name] for name in groups if name not in _STEPS)
    told = ", ".join(f"{name} {spent:.0f}" for name, spent in ms.items())
    return Figure("chain.functions", added, "time in the four functions ÷ in the bare four", "×", note=f"ms: {told}")


def milliseconds(house: House, group: str) -> float:
    """What an invocation took, the median."""
    pages = house.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    reports = (_DURATION.match(event["message"]) for page in pages for event in page["events"])
    return statistics.median(float(report.group(1)) for report in reports if report)


def waiting(house: House, placed: Placed) -> Placed:
    """This order, once the machine waits for its payment: buyers take longer than that."""
    wait_until(lambda: "task_token" in item_of(house, placed), lambda: f"no machine waits for {placed['trade_id']}")
    return placed


def _trade(buyer: Buyer, placed: Placed) -> Callable[[], None]:
    notice = buyer.notice(placed)

    def go() -> None:
        buyer.notify(notice)
        buyer.delivered(placed)

    return go


def _bare(floor: Floor, order: str) -> Callable[[], None]:
    def go() -> None:
        floor.notify(order)
        floor.delivered(order)

    return go


def provider(house: House) -> Callable[[Placed], None]:
    """The provider's query, asked as confirm_payment asks it."""
    pid, key = house.merchant
    channel = Channel("epay", "epay", {"url": house.home.provider_url, "pid": pid}, {"key": key})

    def ask(placed: Placed) -> None:
        amount = Money(placed["amount"]["minor"], placed["amount"]["currency"])
        payment = Payment(placed["payment"]["payment_id"], "epay", amount, PaymentState.OPEN)
        assert Epay().query_payment(channel, payment).paid

    return ask


class Floor:
    """Orders of its own, a machine that waits for each, and a notice."""

    def __init__(self, home: Home, outputs: dict[str, str]) -> None:
        self._api, self._table, self._machine = outputs["ApiUrl"], outputs["Orders"], outputs["Machine"]
        self._dynamodb = deploy.aws(home, "dynamodb")
        self._states = deploy.aws(home, "stepfunctions")
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(60))

    def waiting(self) -> str:
        """A new order, once the machine waits for its payment."""
        order = uuid.uuid4().hex
        item = {"id": {"S": order}, "status": {"S": "pending"}}
        self._dynamodb.put_item(TableName=self._table, Item=item)
        self._states.start_execution(stateMachineArn=self._machine, input=json.dumps({"id": order}))
        wait_until(lambda: "task_token" in self._item(order), lambda: f"no machine waits for {order}")
        return order

    def notify(self, order: str) -> None:
        assert self._http.request("GET", f"{self._api}/webhooks/{order}").data == b"success"

    def delivered(self, order: str) -> None:
        """As soon as the order says so, asked without a pause."""
        deadline = time.monotonic() + 60
        while json.loads(self._http.request("GET", f"{self._api}/orders/{order}").data)["status"] != "delivered":
            assert time.monotonic() < deadline, f"{order} is not delivered"

    def _item(self, order: str) -> dict[str, Any]:
        found = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": order}}, ConsistentRead=True)
        return dict(found["Item"])


def timed(do: Callable[[], None]) -> float:
    started = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - started)


def middle_and_tail(values: list[float]) -> tuple[float, float]:
    return percentile(values, 50), percentile(values, 95)
