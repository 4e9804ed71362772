"""A simulated cloud for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters import cloud as simulated
from tests.adapters.cloud import Waiting


@pytest.fixture
def cloud() -> Iterator[None]:
    with simulated.cloud():
        yield


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)
