"""Cold starts: each function's import and first call, in a fresh process, beside a bare `boto3.client("dynamodb")`.

The interpreter is the local engine's, whose packages, like Lambda's, hold boto3; the layers are those that were built.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from cardshop.adapters.payments import PROVIDERS

from benchmarks.buyer import Buyer
from benchmarks.figures import TIMED_APART, Figure
from benchmarks.stage import Stage, function_name, resources, variables
from engine.processes import PROJECT
from tests.house import House, ok

_ROUNDS = 5
_SCRIPT = Path(__file__).parents[1] / "cold_start.py"
_PYTHON = PROJECT / ".engine-venv" / "bin" / "python"
_BUILT = PROJECT / ".aws-sam" / "local"
_EVENTS = PROJECT / "events"
#: What the sample events tell of.
_TRADE, _SKU = "m5qk7c2xj3zv6n4wtyb2hdgl5e", "steam-50"
#: The provider that this shop has a channel of.
_SAMPLES = {"receive_notice": "epay_*.json"}
_MEGABYTE = 1_000_000
#: Nobody waits for these, and their first call is their whole work, as much as there is.
_SCHEDULED = {"audit_stock", "reconcile"}


def run(stage: Stage) -> list[Figure]:
    house = stage.house
    house.channel()
    starts = _starts(house)
    stage.say(f"cold: {len(starts)} functions, {_ROUNDS} times each")
    bare: list[float] = []
    taken: dict[str, list[list[float]]] = {name: [] for name in starts}
    ratios: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(_ROUNDS):
        for name, start in starts.items():
            bare.append(sum(_milliseconds([], "", {})))  # each time anew: noise slows both
            taken[name].append(_milliseconds([name], *start))
            ratios[name].append(sum(taken[name][-1]) / bare[-1])
    figures = [Figure("cold.client", statistics.median(bare), 'a bare boto3.client("dynamodb")', "ms")]
    for name, rounds in sorted(taken.items()):
        imported, called = (statistics.median(each[index] for each in rounds) for index in (0, 1))
        ratio = statistics.median(ratios[name])
        beside = f"import {imported:.0f} + call {called:.0f} ms"
        tolerance = None if name in _SCHEDULED else TIMED_APART
        figures.append(Figure(f"cold.{name}", ratio, f"  {name}, ÷ that", "×", beside=beside, tolerance=tolerance))
    figures += _providers(starts["receive_notice"][1])
    return figures + [figure for layer in sorted(_BUILT.glob("*Layer")) for figure in _sizes(layer)]


def _providers(environment: dict[str, str]) -> list[Figure]:
    """`receive_notice`'s import with every provider there, ÷ that of a shop that has epay alone: they load on use."""
    built = _BUILT / "CardshopLayer" / "python"
    ratios: dict[str, list[float]] = {name: [] for name in PROVIDERS}
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder)
        shutil.copytree(built, alone, dirs_exist_ok=True)
        for name in PROVIDERS.keys() - {"epay"}:
            module = PROVIDERS[name].partition(":")[0].replace(".", "/")
            (alone / f"{module}.pyc").unlink()  # layers are built compiled
        for _ in range(_ROUNDS):
            path = environment["PYTHONPATH"].replace(str(built), str(alone))
            epay = sum(_milliseconds(["receive_notice", "epay"], "", {**environment, "PYTHONPATH": path}))
            for name in PROVIDERS:
                ratios[name].append(sum(_milliseconds(["receive_notice", name], "", environment)) / epay)
    figures = []
    for name, of in sorted(ratios.items()):
        what, most = f"  its first notice of {name}", None
        if name == "epay":
            what, most = "receive_notice, all providers there, ÷ epay alone", 1.25
        figure = Figure(f"cold.provider_{name}", statistics.median(of), what, "×", most=most, tolerance=TIMED_APART)
        figures.append(figure)
    return figures


def _starts(house: House) -> dict[str, tuple[str, dict[str, str]]]:
    """Function → its sample event and its environment. A function without a sample event is left out."""
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
        _TRADE: placed["trade_id"],
    }
    starts = {}
    for logical, physical in resources(house.home, house.stack, "AWS::Lambda::Function").items():
        name = function_name(logical)
        samples = sorted((_EVENTS / name).glob(_SAMPLES.get(name, "*.json")))
        if samples:
            event = samples[0].read_text(encoding="utf-8")
            for told, meant in real.items():
                event = event.replace(told, meant)
            starts[name] = (event, _environment(house, logical, physical))
    return starts


def _environment(house: House, logical: str, physical: str) -> dict[str, str]:
    deployed: dict[str, Any] = house.aws("lambda").get_function_configuration(FunctionName=physical)
    names = [layer["Arn"].split(":")[-2].rpartition("-")[2] for layer in deployed["Layers"]]
    layers = [str(_BUILT / f"{name.capitalize()}Layer" / "python") for name in names]
    return {
        **variables(deployed),
        **{name: value for name, value in house.home.aws_env.items() if name.startswith("AWS_")},
        "PYTHONPATH": os.pathsep.join([*layers, str(_BUILT / logical)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _milliseconds(arguments: list[str], event: str, environment: dict[str, str]) -> list[float]:
    """[import, first call]."""
    env = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", **environment}
    done = subprocess.run(
        [str(_PYTHON), str(_SCRIPT), *arguments], input=event, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
    return [float(each) for each in json.loads(done.stdout.splitlines()[-1])]


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
