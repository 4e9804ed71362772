"""Cold starts: each function's import ÷ a bare `boto3.client("dynamodb")`, and its first call beside it.

A round starts every function, each in a fresh process after one that makes a bare client. The first call reaches the
engine, in a shop that sells.
"""

from __future__ import annotations

import io
import json
import shutil
import statistics
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardshop.adapters.payments import PROVIDERS

from benchmarks import runtime
from benchmarks.buyer import Buyer
from benchmarks.figures import TIMED, Figure
from benchmarks.stage import Stage, function_name, resources, variables
from engine.processes import PROJECT
from tests.house import House, ok

_ROUNDS = 5
_SCRIPT = Path(__file__).parents[1] / "cold_start.py"
_EVENTS = PROJECT / "events"
#: What the sample events tell of.
_TRADE, _SKU = "m5qk7c2xj3zv6n4wtyb2hdgl5e", "steam-50"
#: The provider that this shop has a channel of.
_SAMPLES = {"receive_notice": "epay_*.json"}
_MEGABYTE = 1_000_000
#: An import may take so much of a bare client.
_MOST = 1.5


def run(stage: Stage) -> list[Figure]:
    house = stage.house
    house.channel()
    starts = _starts(house)
    stage.say(f"cold: {len(starts)} functions, {_ROUNDS} times each")
    bare: list[float] = []
    taken: dict[str, list[list[float]]] = {name: [] for name in starts}
    with runtime.packages() as packages:
        for _ in range(_ROUNDS):
            for name, start in starts.items():
                bare.append(sum(_milliseconds([], [packages])))
                taken[name].append(_milliseconds([name], [*start.path, packages], start.environment, start.event))
        providers = _providers(starts["receive_notice"], packages)
    client = statistics.median(bare)
    figures = [Figure("cold.client", client, 'a bare boto3.client("dynamodb")', "ms")]
    sums = []
    for name, rounds in sorted(taken.items()):
        imported, called = (statistics.median(each[index] for each in rounds) for index in (0, 1))
        sums.append((imported + called) / client)
        told, beside = f"  import of {name}, ÷ that", f"first call {called:.0f} ms"
        ratio = imported / client
        figures.append(Figure(f"cold.{name}", ratio, told, "×", beside=beside, most=_MOST, tolerance=TIMED))
    told = "  import and first call ÷ that, the middle one of them"
    figures.append(Figure("cold.first_call", statistics.median(sums), told, "×", tolerance=TIMED))
    return figures + providers + [figure for layer in sorted(runtime.BUILT.glob("*Layer")) for figure in _sizes(layer)]


def _providers(start: _Start, packages: Path) -> list[Figure]:
    """`receive_notice`'s import with every provider there, ÷ that of a shop that has epay alone: they load on use."""
    (built,) = runtime.layers(["CardshopLayer"])
    alone: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in PROVIDERS}
    with tempfile.TemporaryDirectory() as folder:
        without = Path(folder)
        shutil.copytree(built, without, dirs_exist_ok=True)
        for name in PROVIDERS.keys() - {"epay"}:
            module = PROVIDERS[name].partition(":")[0].replace(".", "/")
            (without / f"{module}.pyc").unlink()  # layers are built compiled
        everywhere = [*start.path, packages]
        for _ in range(_ROUNDS):
            for name, found in taken.items():
                path = [without if each == built else each for each in everywhere]
                alone.append(sum(_milliseconds(["receive_notice", "epay"], path)))
                found.append(sum(_milliseconds(["receive_notice", name], everywhere)))
    epay = statistics.median(alone)
    figures = []
    for name, found in sorted(taken.items()):
        what, most = f"  its first notice of {name}", None
        if name == "epay":
            what, most = "receive_notice, all providers there, ÷ epay alone", 1.25
        ratio = statistics.median(found) / epay
        figures.append(Figure(f"cold.provider_{name}", ratio, what, "×", most=most, tolerance=TIMED))
    return figures


@dataclass(frozen=True)
class _Start:
    event: str
    environment: dict[str, str]
    path: list[Path]


def _starts(house: House) -> dict[str, _Start]:
    """Function → how it starts. One without a sample event is left out."""
    body = {"name": "Steam 50", "price": {"minor": 990, "currency": "CNY"}, "status": "on_sale"}
    ok(house.api.put(f"/admin/products/{_SKU}", headers=house.operator, json=body))
    codes = "\n".join(f"COLD-{number:04d}" for number in range(100))
    house.api.post(f"/admin/products/{_SKU}/cards", headers=house.operator, content=codes).raise_for_status()
    buyer = Buyer(house)
    placed = buyer.order(_SKU)
    buyer.pay(placed)
    buyer.notify(buyer.notice(placed))
    buyer.delivered(placed)
    real = {
        "OPERATOR-TOKEN": house.operator["Authorization"].removeprefix("Bearer "),
        "ORDER-TOKEN": placed["token"],
    }
    trades = {"close_trade": buyer.order(_SKU)["trade_id"]}  # for nobody paid it
    starts = {}
    for logical, physical in resources(house.home, house.stack, "AWS::Lambda::Function").items():
        name = function_name(logical)
        samples = sorted((_EVENTS / name).glob(_SAMPLES.get(name, "*.json")))
        if samples:
            event = samples[0].read_text(encoding="utf-8")
            for told, meant in {**real, _TRADE: trades.get(name, placed["trade_id"])}.items():
                event = event.replace(told, meant)
            starts[name] = _start(house, logical, physical, event)
    return starts


def _start(house: House, logical: str, physical: str, event: str) -> _Start:
    deployed: dict[str, Any] = house.aws("lambda").get_function_configuration(FunctionName=physical)
    names = [layer["Arn"].split(":")[-2].rpartition("-")[2] for layer in deployed["Layers"]]
    access = {name: value for name, value in house.home.aws_env.items() if name.startswith("AWS_")}
    path = [runtime.BUILT / logical, *runtime.layers(f"{name.capitalize()}Layer" for name in names)]
    return _Start(event, {**variables(deployed), **access}, path)


def _milliseconds(
    arguments: list[str], path: list[Path], environment: dict[str, str] | None = None, event: str = ""
) -> list[float]:
    """[import, first call]."""
    told = runtime.run([str(_SCRIPT), *arguments], path, environment, event)
    return [float(each) for each in json.loads(told.splitlines()[-1])]


def _sizes(layer: Path) -> list[Figure]:
    files = [path for path in layer.rglob("*") if path.is_file()]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(layer))
    name = layer.name.removesuffix("Layer").lower()
    unzipped = sum(path.stat().st_size for path in files) / _MEGABYTE
    zipped = len(packed.getvalue()) / _MEGABYTE
    beside = f"{len(files)} files, zipped {zipped:.1f} MB"
    return [Figure(f"cold.layer_{name}", unzipped, f"layer {name}, unzipped", "MB", beside=beside, tolerance=0.05)]
