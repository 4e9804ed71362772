"""SnapStart: every function published at every deployment, and nobody left who calls one past its alias."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from engine import snapstart
from engine.processes import EngineError
from tests.template.cloudformation import PROJECT, of_type

_FUNCTIONS = sorted(of_type("AWS::Serverless::Function"))

#: Who names a function and does not call it.
_BY_NAME = {"AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::CloudWatch::Alarm"}


def _built(folder: Path) -> Path:
    """What `sam build` writes, but for where the code lies."""
    built = folder / "template.yaml"
    built.write_bytes((PROJECT / "template.yaml").read_bytes())
    return built


def _translated(built: Path) -> dict[str, Any]:
    """The resources that CloudFormation makes of it."""
    template = yaml_parse(built.read_text(encoding="utf-8"))
    template["Globals"]["Function"]["CodeUri"] = "s3://code/functions"
    for each in template["Resources"].values():
        for there in ("ContentUri", "DefinitionUri"):
            if there in each.get("Properties", {}):
                each["Properties"][there] = "s3://code/other"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return dict(translator.translate(template, {})["Resources"])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    built = _built(tmp_path_factory.mktemp("release"))
    snapstart.switch_on(built)
    return _translated(built)


def _of_type(kind: str, resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in resources.items() if each["Type"] == kind}


def _named(node: Any) -> Iterator[str]:
    """Every logical id in it that a Ref, GetAtt or Sub names."""
    if isinstance(node, dict):
        for key, value in node.items():
            match key, value:
                case "Ref", str():
                    yield value
                case "Fn::GetAtt", [str(name), *_]:
                    yield name
                case "Fn::Sub", str() | [str(), *_]:
                    yield from re.findall(r"\$\{([\w:]+)[.}]", value if isinstance(value, str) else value[0])
            yield from _named(value)
    elif isinstance(node, list):
        for each in node:
            yield from _named(each)


def test_every_function_has_a_version_with_a_snapshot_and_an_alias_of_it(release: dict[str, Any]) -> None:
    assert sorted(_of_type("AWS::Lambda::Function", release)) == _FUNCTIONS
    versions, aliases = _of_type("AWS::Lambda::Version", release), _of_type("AWS::Lambda::Alias", release)
    assert len(versions) == len(aliases) == len(_FUNCTIONS)
    for name in _FUNCTIONS:
        assert release[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        alias = aliases[f"{name}Aliaslive"]["Properties"]
        assert alias["FunctionName"] == {"Ref": name}
        version = versions[alias["FunctionVersion"]["Fn::GetAtt"][0]]
        assert version["Properties"]["FunctionName"] == {"Ref": name}
        assert version["DeletionPolicy"] == "Delete", "what no alias names any more is still paid for"


def test_a_deployment_publishes_every_function_anew_though_nothing_in_the_template_did_change(
    release: dict[str, Any], tmp_path: Path
) -> None:
    built = _built(tmp_path)
    snapstart.switch_on(built)
    following = _translated(built)
    assert not _of_type("AWS::Lambda::Version", release).keys() & _of_type("AWS::Lambda::Version", following).keys()
    for name in _FUNCTIONS:  # of a function that is as it was Lambda publishes nothing, and CloudFormation fails
        assert release[name]["Properties"]["Description"] != following[name]["Properties"]["Description"]


def test_whoever_calls_a_function_calls_its_alias(release: dict[str, Any]) -> None:
    past = {
        (each["Type"], resource, name)
        for resource, each in release.items()
        if each["Type"] not in _BY_NAME
        for name in _named(each.get("Properties", {}))
        if name in _FUNCTIONS
    }
    steps = ("DeliverCardsFunction", "CompleteTradeFunction", "CloseTradeFunction")
    assert past == {("AWS::IAM::Role", "TradeMachineRole", name) for name in steps}, "begun before, and at its end"
    called = {
        name
        for each in release.values()
        if each["Type"] != "AWS::IAM::Role"
        for name in _named(each.get("Properties", {}))
        if name.endswith("Aliaslive")
    }
    assert called == {f"{name}Aliaslive" for name in _FUNCTIONS}


def test_every_way_in_names_the_alias(release: dict[str, Any]) -> None:
    for kind in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"):
        for each in _of_type(kind, release).values():
            assert each["Properties"]["FunctionName"]["Ref"].endswith("FunctionAliaslive")
    (api,) = _of_type("AWS::ApiGateway::RestApi", release).values()
    methods = [each for path in api["Properties"]["Body"]["paths"].values() for each in path.values()]
    assert len(methods) > 25
    assert all("FunctionAliaslive}" in json.dumps(each["x-amazon-apigateway-integration"]["uri"]) for each in methods)
    assert set(_named(release["ConnectTerminalIntegration"])) >= {"ConnectTerminalFunctionAliaslive"}
    machine = release["TradeMachine"]["Properties"]["DefinitionSubstitutions"]
    (may_call,) = (
        each
        for each in release["TradeMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if each["Action"] == "lambda:InvokeFunction"
    )
    for step in ("DeliverCardsFunction", "CompleteTradeFunction", "CloseTradeFunction"):
        assert machine[step] == {"Ref": f"{step}Aliaslive"}
        assert {"Ref": f"{step}Aliaslive"} in may_call["Resource"]
        assert {"Fn::GetAtt": [step, "Arn"]} in may_call["Resource"]


def test_it_is_a_template_that_sam_and_cfn_lint_accept(tmp_path: Path) -> None:
    copytree(PROJECT / "statemachines", tmp_path / "statemachines")
    built = _built(tmp_path)
    snapstart.switch_on(built)
    found = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    found["PATH"] = f"{PROJECT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    sam = [str(PROJECT / ".venv/bin/sam"), "validate", "--lint", "--template-file", str(built)]
    done = subprocess.run(sam, env={**os.environ, **found}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_switched_off_nothing_is_published(tmp_path: Path) -> None:
    made = _translated(_built(tmp_path))
    assert not _of_type("AWS::Lambda::Version", made)
    assert not _of_type("AWS::Lambda::Alias", made)
    assert not [name for name in _FUNCTIONS if made[name]["Properties"].get("SnapStart")]


def test_there_is_nothing_to_switch_on_before_a_build(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="sam build"):
        snapstart.switch_on(tmp_path / "template.yaml")


# ---- make deploy ----


@cache
def _deploy(*chosen: str) -> tuple[list[str], str]:
    """What `make deploy` would run, and what it refuses."""
    make = ["make", "--dry-run", "--no-print-directory", "--old-file=.ready", "deploy", *chosen]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # `make test` has its own
    done = subprocess.run(make, cwd=PROJECT, env=ours, capture_output=True, text=True, check=False)
    return done.stdout.splitlines(), done.stderr


def test_make_deploy_switches_it_on_between_build_and_deploy_and_only_if_told() -> None:
    off, _ = _deploy()
    on, _ = _deploy("SNAPSTART=on")
    (at,) = (n for n, line in enumerate(on) if line.endswith("engine snapstart"))
    assert on[at - 1].startswith("sam build ")
    assert on[at + 1].startswith("sam deploy ")
    assert on[:at] + on[at + 1 :] == off == _deploy("SNAPSTART=off")[0]


def test_make_deploy_hands_on_the_parameters_that_it_is_given() -> None:
    _, deploy, _ = _deploy("PARAMETERS=AlarmEmail=you@example.com PaymentWindowSeconds=900")[0]
    assert deploy.endswith("Architecture=x86_64 AlarmEmail=you@example.com PaymentWindowSeconds=900")


@pytest.mark.parametrize(
    ("chosen", "why"),
    [(("SNAPSTART=on", "RUNTIME=python3.11"), "python3.12 or newer"), (("SNAPSTART=yes",), "on or off, not yes")],
)
def test_make_deploy_refuses_what_would_not_work_before_it_builds(chosen: tuple[str, ...], why: str) -> None:
    run, refused = _deploy(*chosen)
    assert run == []
    assert why in refused


# ---- copies of one snapshot ----

_RUNTIME = """
hooks = []

def register_after_restore(hook, *args, **kwargs):
    hooks.append(lambda: hook(*args, **kwargs))
"""

_COPIES = """
import place_order, random
from snapshot_restore_py import hooks
snapshot = random.getstate()
for copy in range(2):
    random.setstate(snapshot)
    for hook in hooks:
        hook()
    print(random.random())
"""


def test_copies_of_one_snapshot_do_not_draw_the_same(tmp_path: Path) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(_RUNTIME, encoding="utf-8")
    path = os.pathsep.join(str(each) for each in (tmp_path, PROJECT / "functions", PROJECT / "layers/cardshop"))
    there = {**os.environ, "PYTHONPATH": path, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    done = subprocess.run([sys.executable, "-c", _COPIES], env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first != second
