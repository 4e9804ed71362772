"""The grid of channels × cases, printed after the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels import grid


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    if grid.SEEN:
        terminalreporter.section("channels × cases")
        for line in grid.lines():
            terminalreporter.write_line(line)
