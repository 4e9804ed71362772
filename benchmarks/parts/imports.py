"""Ten thousand cards in one file: what the request calls, and what its cards in the stock's stream set off.

The stream is not read meanwhile. Afterwards count_stock is handed one full batch of these very records, as many as the
template lets it have at once; an import sets off so many of those as its cards fill.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter

import urllib3

from benchmarks.capacity import Item
from benchmarks.figures import EXACT, Figure, counts
from benchmarks.meter import Stream
from benchmarks.proxy import Call, Proxy
from benchmarks.stage import Stage, resources
from tests.house import House, wait_until

_CARDS = 10_000
_SILENCE = 2.0  # seconds without a call
_TIMEOUT = 300
_STEPS = 0.01


def run(stage: Stage) -> list[Figure]:
    house, proxy = stage.counted
    sku, _ = house.product(1)  # a warm worker
    wait_until(lambda: proxy.silence > _SILENCE, lambda: "the functions never rest")
    at_once = _sever(house)
    stream = Stream(house, "Stock")
    list(stream.new())
    stage.say(f"imports: {_CARDS:,} cards in one file")
    itself, seconds = _import(house, proxy, sku)
    added = [new for _, new in stream.new() if new is not None]
    assert len(added) == _CARDS, len(added)
    counting = _count(house, proxy, added[:at_once]) * -(-_CARDS // at_once)
    kms = sum(call.service == "kms" for call in itself)
    return [
        *_of("", itself, f"{_CARDS:,} cards in one file: AWS calls"),
        Figure("imports.kms", kms, "  KMS calls", beside="one an attempt", most=1, tolerance=EXACT),
        Figure("imports.seconds", seconds, "  answered after", "s"),
        *_of("counting_", counting, f"and counting the stock, {at_once} records at a time: AWS calls"),
    ]


def _of(name: str, calls: list[Call], what: str) -> list[Figure]:
    used = [each for call in calls for each in call.used]
    kinds = counts(Counter(call.kind for call in calls), 1)
    return [
        Figure(f"imports.{name}calls", len(calls), what, tolerance=_STEPS, note=kinds),
        Figure(f"imports.{name}writes", sum(each.writes for each in used), "  write units", tolerance=_STEPS),
        Figure(f"imports.{name}reads", sum(each.reads for each in used), "  read units", tolerance=_STEPS),
    ]


def _sever(house: House) -> int:
    """Nothing reads the stock's stream any more; answers how many records count_stock would be handed at once."""
    functions = house.aws("lambda")
    mapping = resources(house.home, house.stack, "AWS::Lambda::EventSourceMapping")["CountStockFunctionStream"]
    return int(functions.update_event_source_mapping(UUID=mapping, Enabled=False)["BatchSize"])


def _import(house: House, proxy: Proxy, sku: str) -> tuple[list[Call], float]:
    """(what the request called, seconds)."""
    codes = "".join(f"{secrets.token_hex(10).upper()}\n" for _ in range(_CARDS))
    before, started = len(proxy.calls), time.perf_counter()
    answer = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT)).request(
        "POST", f"{house.outputs['ApiUrl']}/admin/products/{sku}/cards", headers=house.operator, body=codes
    )
    assert answer.status == 201, answer.data
    return proxy.calls[before:], time.perf_counter() - started


def _count(house: House, proxy: Proxy, added: list[Item]) -> list[Call]:
    """What count_stock calls when it is handed these items' records."""
    records = [{"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {"NewImage": item}} for item in added]
    before = len(proxy.calls)
    answer = house.aws("lambda").invoke(
        FunctionName=resources(house.home, house.stack, "AWS::Lambda::Function")["CountStockFunction"],
        Payload=json.dumps({"Records": records}).encode(),
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    return proxy.calls[before:]
