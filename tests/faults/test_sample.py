"""A part of `make faults`, the same each time: every flow, and of its cases some of every kind."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from faults.flows import FLOWS
from tests.template.cloudformation import PROJECT

_ONE_IN = 40


def _faults(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faults", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sample() -> str:
    return _faults("--one-in", str(_ONE_IN)).stdout


@pytest.mark.parametrize("flow", FLOWS)
def test_the_shop_bears_what_goes_wrong(sample: str, flow: str) -> None:
    (told,) = re.findall(rf"^{flow}: (\d+) cases, (\d+) failed", sample, re.MULTILINE)
    assert int(told[0]) > 0
    assert int(told[1]) == 0, sample


def test_a_case_is_run_again_by_its_id() -> None:
    ran = _faults("--case", "pay:unheard:2")
    assert ran.returncode == 0, ran.stdout
    assert "-> unheard" in ran.stderr, "it is told what happens"


def test_a_case_that_is_none_is_refused() -> None:
    ran = _faults("--case", "pay:conflict:2")
    assert ran.returncode == 1
    assert "there is no such case" in ran.stdout
