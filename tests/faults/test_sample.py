"""A part of `make faults`, the same each time: in every flow one case of every kind of fault that it can have."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from faults.flows import FLOWS
from tests.template.cloudformation import PROJECT


def _faults(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faults", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sample() -> str:
    return _faults("--one-of-each").stdout


@pytest.mark.parametrize("flow", FLOWS)
def test_the_shop_bears_what_goes_wrong(sample: str, flow: str) -> None:
    (told,) = re.findall(rf"^{flow}: (\d+) cases, (\d+) failed", sample, re.MULTILINE)
    assert int(told[0]) > 0
    assert int(told[1]) == 0, sample


def test_there_is_no_kind_of_fault_that_no_flow_has(sample: str) -> None:
    assert "not played" not in sample, sample


def test_a_case_is_run_again_by_its_id() -> None:
    ran = _faults("--case", "pay:unheard:2")
    assert ran.returncode == 0, ran.stdout
    assert "-> unheard" in ran.stderr, "it is told what happens"


def test_a_case_that_is_none_is_refused() -> None:
    ran = _faults("--case", "pay:conflict:2")
    assert ran.returncode == 1
    assert "there is no such case" in ran.stdout
