"""`make down`, then `make up`: everything is where it was, and an open payment link goes on working."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import httpx
import pytest

from engine import deploy, processes, shop
from engine.processes import PROJECT, Home
from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound

_T = TypeVar("_T")
_ENDS = {"completed", "closed"}


@pytest.fixture
def own_home() -> Iterator[Home]:
    home = Home(PROJECT / ".local" / f"tests-{os.getpid()}-down-up")
    try:
        yield home
    finally:
        processes.stop(home)
    shutil.rmtree(home.path)


def _house(home: Home) -> House:
    outputs = shop.up(home, lambda _: None)
    return House(home, shop.STACK, {"ApiUrl": outputs["api_url"]}, shop.merchant(home))


def _stock(house: House, outputs: dict[str, Any]) -> int:
    """Cards for sale, as the catalogue says: counted a moment after each sale."""
    return int(ok(house.api.get(f"/products/{outputs['demo']['sku']}"))["stock"]["quantity"])


def test_everything_survives(own_home: Home) -> None:
    house = _house(own_home)
    before = json.loads((own_home.path / "outputs.json").read_text())
    assert (own_home.path / "outputs.json").stat().st_mode & 0o777 == 0o600
    assert {"api_url", "region", "endpoint_url", "state_machine_arn", "demo"} <= before.keys()
    wanted = {"sku", "channel", "pid", "key", "provider_url", "operator_token"}
    assert wanted <= before["demo"].keys()
    stocked = _stock(house, before)
    sold = house.placed(before["demo"]["sku"])
    house.pay(sold)
    house.until(sold, "delivered")
    code = house.cards(sold)
    unpaid = house.placed(before["demo"]["sku"])
    paid_unnoticed = house.placed(before["demo"]["sku"])
    house.pay(paid_unnoticed, notify=False)
    stock = stocked - 3
    wait_until(lambda: _stock(house, before) == stock, lambda: "the stock is not counted")

    processes.stop(own_home)
    house = _house(own_home)

    after = json.loads((own_home.path / "outputs.json").read_text())
    same = ("api_url", "endpoint_url", "state_machine_arn")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert {**after["demo"], "operator_token": ""} == {**before["demo"], "operator_token": ""}
    assert _stock(house, after) == stock
    assert house.cards(sold) == code
    assert house.view(unpaid)["status"] == "pending_payment"
    house.pay(unpaid)  # the link of before
    house.until(unpaid, "delivered")
    assert house.cards(unpaid) != code


def test_a_hundred_trades_in_every_state_reach_their_end(own_home: Home) -> None:
    """The executions die with the engine; what they drove goes on from the orders."""
    house = _whole_house(own_home)
    queue = house.outputs["NoticesQueue"]  # one that is being read when everything stops is shown again after this
    house.aws("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "15"})
    sku, _ = house.product(90)
    scarce, _ = house.product(5)
    placed = _at_once([partial(house.placed, sku) for _ in range(80)])
    waiting = _at_once([partial(house.placed, scarce) for _ in range(5)])
    _at_once([partial(house.act, each, "cancel") for each in waiting])
    for each in waiting:
        house.until(each, "closed")
    bought = _at_once([partial(_when_left, house, scarce) for _ in range(5)])
    for few in (bought, waiting, placed[:8], placed[8:16], placed[16:22]):
        for each in few:  # a few at a time: two cores start a worker for each that is under way
            house.pay(each)
        for each in few:
            house.until(each, "delivered", "awaiting_stock")
    _at_once([partial(house.pay, each, notify=False) for each in placed[30:45]])
    _at_once([partial(house.act, each, "cancel") for each in placed[45:55]])
    last = _at_once([partial(house.placed, sku) for _ in range(10)])
    for each in placed[22:30]:
        house.pay(each)  # on their way when everything stops
    everyone = [*placed, *waiting, *bought, *last]
    assert len(everyone) == 100
    before = Counter(item["status"]["S"] for item in house.items("Orders"))
    assert before.keys() >= {"pending_payment", "delivered", "awaiting_stock"}, before

    processes.stop(own_home)
    house = _whole_house(own_home)

    codes = "\n".join(f"LATE-{number}-{scarce}" for number in range(5))
    ok(house.api.post(f"/admin/products/{scarce}/cards", headers=house.operator, content=codes))
    wait_until(lambda: not _time_passes(house), lambda: str(_under_way(house)))
    ends = [house.view(each)["status"] for each in everyone]
    assert Counter(ends) == {"completed": 55, "closed": 45}
    assert set(ends[:45]) == {"completed"}, "whoever paid has the card, noticed or not"
    cards = [code for each, end in zip(everyone, ends, strict=True) if end == "completed" for code in house.cards(each)]
    assert len(set(cards)) == 55
    house.audit()
    assert_sound(house, forgetful=True)


def _whole_house(home: Home) -> House:
    shop.up(home, lambda _: None)
    return House(home, shop.STACK, deploy.outputs(home, shop.STACK), shop.merchant(home))


def _at_once(acts: Sequence[Callable[[], _T]]) -> list[_T]:
    with ThreadPoolExecutor(3) as threads:
        return list(threads.map(lambda act: act(), acts))


def _when_left(house: House, sku: str) -> dict[str, Any]:
    """An order, as soon as the stock that was given back is counted."""
    answers: list[httpx.Response] = []

    def there() -> bool:
        answers.append(house.order(sku))
        return answers[-1].status_code == 201

    wait_until(there, lambda: answers[-1].text)
    return dict(answers[-1].json())


def _time_passes(house: House) -> Counter[str]:
    """Every window ends, and `reconcile` looks; what is still under way then."""
    for item in house.items("Orders"):
        if item["status"]["S"] not in _ENDS:
            house.make_due(item["trade_id"]["S"], over=True)
    house.reconcile()
    return _under_way(house)


def _under_way(house: House) -> Counter[str]:
    return Counter(item["status"]["S"] for item in house.items("Orders") if item["status"]["S"] not in _ENDS)


def test_down_is_down_and_says_nothing_when_it_is(own_home: Home) -> None:
    pid, key = shop.merchant(own_home)
    processes.start(own_home, {pid: key}, provider_time_scale=60)
    numbers = [int((own_home.path / f"{name}.pid").read_text()) for name in ("engine", "provider")]
    processes.stop(own_home)
    processes.stop(own_home)
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
