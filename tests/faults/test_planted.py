"""The harness finds what it is for. Each patch here plants a bug that somebody could write, and says by which flow and
which faults it is to be found; a flow without a fault goes well in spite of it, unless the patch says otherwise.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.template.cloudformation import PROJECT

_PATCHES = sorted((Path(__file__).parent / "planted").glob("*.patch"))
_FAILED = re.compile(r"^make faults CASE=(\S+)$", re.MULTILINE)


@dataclass
class Planted:
    flow: str = ""
    faults: list[str] = field(default_factory=list)
    at: str = ""  # where they happen
    shows: bool = False  # without a fault


def _plant(patch: Path, folder: Path) -> Planted:
    """Each hunk's lines are looked for, wherever they stand now."""
    planted = Planted()
    head, *files = re.split(r"^--- .*\n", patch.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in head.splitlines():
        name, _, value = line.partition(": ")
        match name:
            case "Flow":
                planted.flow = value
            case "Faults":
                planted.faults = value.split()
            case "At":
                planted.at = value
            case "Shows without a fault":
                planted.shows = True
    for text in files:
        name, *hunks = re.split(r"^(?:\+\+\+ |@@ .*\n)", text, flags=re.MULTILINE)[1:]
        name = name.strip()
        path = folder / name
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            there = path.read_text(encoding="utf-8")
            assert there.count(before) == 1, f"{name} has changed: plant {patch.name} anew"
            path.write_text(there.replace(before, after), encoding="utf-8")
    return planted


def test_there_are_bugs_to_plant() -> None:
    assert len(_PATCHES) >= 15


@pytest.fixture(scope="module")
def faults() -> Iterator[Callable[..., str]]:
    """What `python -m faults` says, by a process that has loaded what is the same for every bug."""
    command = [sys.executable, "-m", "faults", "--each"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, said = process.stdin, process.stdout

        def run(*arguments: object) -> str:
            print(json.dumps([str(each) for each in arguments]), file=asked, flush=True)
            return str(json.loads(said.readline()))

        yield run
        asked.close()


@pytest.mark.parametrize("patch", _PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_caught(patch: Path, tmp_path: Path, faults: Callable[..., str]) -> None:
    for folder in ("functions", "layers", "statemachines"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    planted = _plant(patch, tmp_path)
    said = faults(
        *("--code", tmp_path, "--flow", planted.flow, "--kind", *planted.faults, "--at", planted.at, "--first")
    )
    found = _FAILED.findall(said)
    assert found, f"nothing was found:\n{said}"
    assert planted.shows or f"{planted.flow}::" not in found, f"it shows without a fault:\n{said}"
