"""One engine for the whole run, beside whatever else runs on this machine, and the stacks the tests need on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from engine import deploy, processes, shop
from engine.processes import PROJECT, Home
from tests.house import House


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """A local engine and a simulated provider of this run's own, on free ports; nothing of it is kept."""
    home = Home(PROJECT / ".local" / f"tests-{os.getpid()}")
    pid, key = shop.merchant(home)
    try:
        processes.start(home, {pid: key}, provider_time_scale=60)
        yield home
    finally:
        processes.stop(home)
    shutil.rmtree(home.path)


def _deployed(home: Home, stack: str, parameters: dict[str, str]) -> House:
    outputs = deploy.deploy(home, stack, {**shop.LOCAL_PARAMETERS, **parameters})
    house = House(home, stack, outputs, shop.merchant(home))
    house.channel()
    return house


@pytest.fixture(scope="session")
def house(home: Home) -> House:
    """The shop as `make up` deploys it."""
    return _deployed(home, "shop", {"RetrySeconds": "0"})


@pytest.fixture(scope="session")
def hasty(home: Home) -> House:
    """A shop that waits for nothing: short windows, low caps."""
    short = {"PaymentWindowSeconds": "4", "AfterSaleSeconds": "2", "FirstLookSeconds": "1"}
    caps = {"HoldsPerAddress": "3", "HoldsPerDevice": "2", "HoldsPerContact": "2"}
    return _deployed(home, "hasty", {**short, **caps})
