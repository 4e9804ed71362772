"""`make down`, then `make up`: everything is where it was, and an open payment link goes on working."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from engine import processes, shop
from engine.processes import PROJECT, Home
from tests.house import House, ok


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


def test_everything_survives(own_home: Home) -> None:
    house = _house(own_home)
    before = json.loads((own_home.path / "outputs.json").read_text())
    assert (own_home.path / "outputs.json").stat().st_mode & 0o777 == 0o600
    assert {"api_url", "region", "endpoint_url", "state_machine_arn", "demo"} <= before.keys()
    wanted = {"sku", "channel", "pid", "key", "provider_url", "operator_token"}
    assert wanted <= before["demo"].keys()
    sold = house.placed(before["demo"]["sku"])
    house.pay(sold)
    house.until(sold, "delivered")
    code = house.cards(sold)
    unpaid = house.placed(before["demo"]["sku"])
    paid_unnoticed = house.placed(before["demo"]["sku"])
    house.pay(paid_unnoticed, notify=False)
    stock = ok(house.api.get(f"/products/{before['demo']['sku']}"))["stock"]

    processes.stop(own_home)
    house = _house(own_home)

    after = json.loads((own_home.path / "outputs.json").read_text())
    same = ("api_url", "endpoint_url", "state_machine_arn")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert {**after["demo"], "operator_token": ""} == {**before["demo"], "operator_token": ""}
    assert ok(house.api.get(f"/products/{after['demo']['sku']}"))["stock"] == stock
    assert house.cards(sold) == code
    assert house.view(unpaid)["status"] == "pending_payment"
    house.pay(unpaid)  # the link of before
    house.until(unpaid, "delivered")
    assert house.cards(unpaid) != code


def test_down_is_down_and_says_nothing_when_it_is(own_home: Home) -> None:
    pid, key = shop.merchant(own_home)
    processes.start(own_home, {pid: key}, provider_time_scale=60)
    numbers = [int((own_home.path / f"{name}.pid").read_text()) for name in ("engine", "provider")]
    processes.stop(own_home)
    processes.stop(own_home)
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
