"""`python -m engine up | down | demo | operator-token`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from engine import operators, processes, shop
from engine.processes import PROJECT, EngineError, Home


def main() -> int:
    parser = argparse.ArgumentParser(prog="engine", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "demo", "operator-token"])
    parser.add_argument("--home", type=Path, default=PROJECT / ".local")
    parser.add_argument("--stack", default=shop.STACK, help="operator-token: the deployed stack's name")
    given = parser.parse_args()
    home = Home(given.home.resolve())
    try:
        if given.command == "down":
            processes.stop(home)
        elif given.command == "operator-token":
            print(operators.token_of_stack(home, given.stack))
        else:
            outputs = shop.up(home, _say)
            if given.command == "demo":
                shop.sell_one(home, outputs, _say)
            else:
                _say(f"ready: {outputs['api_url']} (everything in {home.path / 'outputs.json'})")
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


_started = time.monotonic()


def _say(what: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f} s] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
