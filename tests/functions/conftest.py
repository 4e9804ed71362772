"""A deployed shop on a simulated cloud, and what its functions log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.cloud import Waiting, cloud
from tests.adapters.payments.platform import Platform, running
from tests.domain.builders import PAYMENT_ID
from tests.functions.deployed import Deployed, Logs


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr("random.uniform", lambda low, high: low)  # whoever would wait a random while waits no time
    with cloud():
        yield Deployed()


@pytest.fixture
def platform(shop: Deployed) -> Iterator[Platform]:
    """The provider behind the shop's channels, on whose books the samples' payment is."""
    with running() as platform:
        platform.says(code=1, status=1, money="9.90", trade_no="T1", out_trade_no=PAYMENT_ID)
        shop.channels(platform.url)
        yield platform


@pytest.fixture
def logs(shop: Deployed, monkeypatch: pytest.MonkeyPatch) -> Logs:
    """What is logged from here on."""
    return Logs(monkeypatch)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)
