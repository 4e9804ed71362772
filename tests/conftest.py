"""One engine for each process of the run, beside whatever else runs on this machine, and the stacks its tests need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from engine import deploy, processes, shop
from engine.processes import PROJECT, Home
from tests.channels import grid
from tests.house import House


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    grid.note(report.user_properties)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """The grid of channels × cases, after the run."""
    yield
    if grid.SEEN:
        terminalreporter.section("channels × cases")
        for line in grid.lines():
            terminalreporter.write_line(line)


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
