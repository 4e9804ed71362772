"""A shop in memory for every test."""

from __future__ import annotations

import pytest

from tests.usecases.fakes import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()
