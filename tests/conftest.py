"""One engine for each process of the run, beside whatever else runs on this machine, and the stacks its tests need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from engine import deploy, processes, shop
from engine.processes import PROJECT, Home
from tests.channels import grid
from tests.house import House

#: What takes long begins first, who works beside who waits, and the short rest evens out the end. Of those who share a
#: deployed shop, those who fill it with cards and trades come last: whoever asks whether it is sound looks through all.
_ORDER = (
    "e2e/test_contract.py",
    "e2e/test_odd_paths.py",
    "e2e/test_windows.py",
    "faults/test_sample.py",
    "e2e/test_killed_workers.py",
    "statemachines/test_paths.py",
    "contention/test_flash_sale.py",
    "faults",
    "model",
    "browser",
    "e2e/test_down_up.py",
    "contention",
    "e2e/test_secrets.py",
    "e2e/test_notices.py",
    "e2e",
    "e2e/test_cut_off.py",
    "e2e/test_import.py",
    "e2e/test_flash_sale.py",
    "simulators",
    "e2e/test_storm.py",
    "functions",
)
#: Files that share a stack which no others need: each is deployed once, in one process.
_TOGETHER = (("tests/browser/",), ("tests/e2e/test_odd_paths.py", "tests/e2e/test_windows.py"))
_TESTS = Path(__file__).parent


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return next((each[0] for each in _TOGETHER if nodeid.startswith(each)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path.relative_to(_TESTS)))


def _place(path: Path) -> int:
    named = (str(each) for each in (path, *path.parents) if str(each) in _ORDER)
    first = next(named, None)
    return len(_ORDER) if first is None else _ORDER.index(first)


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
