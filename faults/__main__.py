"""`python -m faults [--flow FLOW…] [--case ID]`: flows × faults × outcome; one case is run again by its id."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from faults import clock

PROJECT = Path(__file__).resolve().parent.parent
#: What takes longest to load of all that shop and harness are made with.
_LIBRARIES = (
    "aws_lambda_powertools.event_handler.api_gateway",
    "aws_lambda_powertools.utilities.batch",
    "boto3.dynamodb.types",
    "httpx",
    "moto.dynamodb.responses",
    "moto.kms.responses",
    "moto.ssm.responses",
    "moto.stepfunctions.models",
    "pydantic",
    "pynamodb.models",
    "pytest",
    "werkzeug.serving",
)


def main(arguments: Sequence[str] | None = None) -> int:
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
    parser.add_argument("--each", action="store_true", help="a run for each line of arguments (JSON) that is read")
    given = parser.parse_args(arguments)
    if given.each:
        return _each()
    sys.path[:0] = [str(given.code), str(given.code / "layers" / "cardshop"), str(PROJECT)]
    os.environ |= {"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_METRICS_DISABLED": "true"}
    clock.install()
    from faults import run  # the shop is imported now that time is its own

    return run.cases(given)


def _each() -> int:
    """Each in a copy of this process, which knows no shop; what it says is a line of JSON."""
    for library in _LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        read, write = os.pipe()
        if os.fork() == 0:
            os.dup2(write, sys.stdout.fileno())
            os.dup2(write, sys.stderr.fileno())
            os.close(write)
            return main(json.loads(line))
        os.close(write)
        with os.fdopen(read) as said:
            print(json.dumps(said.read()), flush=True)
        os.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
