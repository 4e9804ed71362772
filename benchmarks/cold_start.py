"""One cold start, in a process of its own: `python cold_start.py FUNCTION < event` prints milliseconds of import, call.

Without a function: what `boto3.client("dynamodb")` takes here, for comparison. With a payment provider behind it:
milliseconds of the import alone, and of the provider's. All are processor time, which waits for nobody.
"""

import json
import sys
import time
from importlib import import_module
from typing import Any


class Context:
    aws_request_id = "8f2d6a1e-3b4c-4d5e-9f60-718293a4b5c6"
    memory_limit_in_mb = 512
    function_version = "$LATEST"

    def __init__(self, function: str) -> None:
        self.function_name = function
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function}"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 29_000


def cold(function: str, event: Any) -> list[float]:
    started = time.process_time()
    handler = import_module(function).handler
    imported = time.process_time()
    handler(event, Context(function))
    return [1000 * (imported - started), 1000 * (time.process_time() - imported)]


def imported(function: str, provider: str) -> list[float]:
    started = time.process_time()
    import_module(function)
    done = time.process_time()
    import_module("cardshop.adapters.payments").provider(provider)
    return [1000 * (done - started), 1000 * (time.process_time() - done)]


def bare() -> list[float]:
    started = time.process_time()
    boto3 = import_module("boto3")
    imported = time.process_time()
    boto3.client("dynamodb")
    return [1000 * (imported - started), 1000 * (time.process_time() - imported)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case [function, provider]:
            taken = imported(function, provider)
        case [function]:
            taken = cold(function, json.load(sys.stdin))
        case _:
            taken = bare()
    print(json.dumps(taken))
