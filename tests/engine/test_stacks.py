"""Which shop an operator's command is for, and what it says when there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import boto3
import pytest

from engine import stacks
from engine.processes import PROJECT, EngineError, Home

AWS = "https://sqs.eu-west-1.amazonaws.com"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A local shop whose engine is up, and an operator who has a profile `shop` but has not chosen it."""
    config = tmp_path / "config"
    config.write_text("[profile shop]\nregion = eu-west-1\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    home = Home(tmp_path / "home")
    assert home.endpoint
    (home.path / "engine.pid").write_text("1")
    return home


def endpoint(home: Home) -> str:
    with stacks.opened(home, "shop") as stack:
        return str(stack.client("sqs").meta.endpoint_url)


def test_the_local_engine_is_meant_while_it_is_up(home: Home) -> None:
    assert endpoint(home) == home.endpoint


def test_aws_is_meant_when_the_local_engine_is_down(home: Home) -> None:
    (home.path / "engine.pid").unlink()
    assert endpoint(home) == AWS


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("AWS_PROFILE", "shop", AWS),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE", AWS),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_what_the_operator_chose_goes_before_the_local_engine(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str, value: str, meant: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert endpoint(home) == meant


def test_a_profile_that_there_is_not_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")
    with pytest.raises(EngineError, match=r"the stack shop: .*elsewhere"):
        endpoint(home)


@pytest.mark.parametrize("command", [["letters", "Notices"], ["astray", "SKU", "BATCH"], ["operator-token"]])
def test_an_error_is_one_line_and_exit_1(tmp_path: Path, command: list[str]) -> None:
    """Given an operator who has chosen AWS and no region."""
    python = [str(PROJECT / ".venv/bin/python"), "-m", "engine", "--home", str(tmp_path)]
    env = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*python, *command], cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the stack cardshop: You must specify a region.\n"
