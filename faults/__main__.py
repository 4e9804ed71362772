"""`python -m faults [--flow FLOW…] [--case ID]`: flows × faults × outcome; one case is run again by its id."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from faults import clock

PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--flow", nargs="+", metavar="FLOW", help="only these")
    parser.add_argument("--kind", nargs="+", metavar="KIND", help="only these faults")
    parser.add_argument(
        "--case", metavar="ID", help="one case, as flow:fault:number, with everything that happens in it"
    )
    parser.add_argument("--at", metavar="TEXT", help="only where this goes on: a function, a table, a state")
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="a sample of the cases, by --seed")
    parser.add_argument("--one-of-each", action="store_true", help="of every kind of fault in every flow, by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", action="store_true", help="stop at the first case that fails")
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="cases at a time")
    parser.add_argument("--code", type=Path, default=PROJECT, metavar="DIR", help="where functions/ and layers/ are")
    given = parser.parse_args()
    sys.path[:0] = [str(given.code), str(given.code / "layers" / "cardshop"), str(PROJECT)]
    os.environ |= {"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_METRICS_DISABLED": "true"}
    clock.install()
    from faults import run  # the shop is imported now that time is its own

    return run.cases(given)


if __name__ == "__main__":
    sys.exit(main())
