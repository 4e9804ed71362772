"""`python -m engine up | down | demo | operator-token`: what the Makefile calls."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from pathlib import Path

import boto3

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
            print(_operator_token(home, given.stack))
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


def _operator_token(home: Home, stack: str) -> str:
    """From the local engine if it is up and no AWS profile or endpoint was chosen; else from AWS itself."""
    chosen = any(os.environ.get(name) for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"))
    session = boto3.Session()
    if not chosen and (home.path / "engine.pid").exists():
        os.environ.update({name: value for name, value in home.aws_env.items() if name.startswith("AWS_")})
        session = boto3.Session()
    (described,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    key = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}["OperatorTokenKey"]
    return operators.token(session.client("secretsmanager"), key, getpass.getuser())


if __name__ == "__main__":
    sys.exit(main())
