"""Importing a function costs nothing but time: no variable is needed, and nobody is called."""

from __future__ import annotations

import subprocess
import sys

from tests.functions.deployed import FUNCTIONS
from tests.template.cloudformation import PROJECT, of_type

SCRIPT = """
import socket, sys

def refuse(*arguments, **keywords):
    raise AssertionError(f"the network was used: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
sys.path[:0] = ["layers/cardshop", "functions"]
for function in sys.argv[1:]:
    assert callable(__import__(function).handler), function
    print(function)
"""


def test_every_function_is_imported_with_an_empty_environment_and_without_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, *FUNCTIONS],
        cwd=PROJECT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == FUNCTIONS


def test_every_function_in_the_folder_is_deployed_and_has_a_sample_event() -> None:
    handlers = {each["Handler"] for each in of_type("AWS::Serverless::Function").values()}
    assert handlers == {f"{function}.handler" for function in FUNCTIONS}
    assert {path.parent.name for path in (PROJECT / "events").glob("*/*.json")} == set(FUNCTIONS)
