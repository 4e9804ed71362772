"""`python -m benchmarks [--only NAME…] [--accept]`: one table, `results.json`, and what got worse."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.figures import Figure, accepted, missed, read_baseline, table, worse
from engine.processes import PROJECT

sys.path.insert(0, str(PROJECT / "layers" / "cardshop"))

from benchmarks.stage import Stage

_FOLDER = Path(__file__).parent
_RESULTS, _BASELINE = _FOLDER / "results.json", _FOLDER / "baseline.json"
#: `growth` last: it leaves an engine that is full.
_PARTS = ("chain", "push", "throughput", "cost", "imports", "cold", "pages", "growth")

_started = time.monotonic()


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, metavar="NAME", help=", ".join(_PARTS))
    parser.add_argument("--accept", action="store_true", help="make this run the baseline")
    given = parser.parse_args()
    figures: list[Figure] = []
    broken: list[str] = []
    with Stage(_say) as stage:
        for part in _PARTS:
            if part in given.only:
                run: Callable[[Stage], list[Figure]] = import_module(f"benchmarks.parts.{part}").run
                try:
                    figures += run(stage)
                except Exception:  # noqa: BLE001  told below; the other parts' quarter of an hour is not lost for it
                    traceback.print_exc()
                    broken.append(part)
    baseline = read_baseline(_BASELINE)
    _write(_RESULTS, [asdict(each) for each in figures])
    print(f"\n{table(figures, baseline)}\n")
    if given.accept:
        _write(_BASELINE, accepted(figures, baseline))
        print(f"accepted as {_BASELINE.relative_to(PROJECT)}")
        return _told(broken)
    for each in missed(figures):
        print(f"not there yet: {each}")
    found = worse(figures, baseline)
    for each in found:
        print(f"worse: {each}")
    return _told(broken) or (1 if found else 0)


def _told(broken: list[str]) -> int:
    for part in broken:
        print(f"broken: {part}, see above")
    return 2 if broken else 0


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _say(what: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f} s] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
