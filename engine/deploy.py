"""`sam build` and `sam deploy`, unmodified, pointed at the local engine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml

from engine.processes import PROJECT, REGION, EngineError, Home

_BUILD = PROJECT / ".aws-sam" / "local"
_RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def build() -> Path:
    """The built template. What has not changed since the last build is not built again.

    In JSON: `sam deploy` reads its template again and again, and as YAML that takes two fifths of its time.
    """
    stamp, template = _BUILD / "sources.sha256", _BUILD / "template.json"
    digest = _digest()
    (PROJECT / ".local").mkdir(exist_ok=True)
    with (PROJECT / ".local" / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make test` may build beside `make up`
        if template.exists() and stamp.exists() and stamp.read_text() == digest:
            return template
        command = ["build", "--parallel", "--build-dir", str(_BUILD), "--parameter-overrides", f"Runtime={_RUNTIME}"]
        _sam(command, {"LAYER_PLATFORM": "native"}, PROJECT / ".local" / "sam-build.log")
        template.write_text(json.dumps(yaml.safe_load((_BUILD / "template.yaml").read_text(encoding="utf-8"))))
        stamp.write_text(digest)
    return template


def deploy(home: Home, stack: str, parameters: dict[str, str]) -> dict[str, str]:
    """The stack as the template has it now; answers its outputs."""
    template = build()
    given = {"Target": "local", "LocalEndpoint": home.endpoint, "Runtime": _RUNTIME, **parameters}
    overrides = [f"{name}={value}" for name, value in given.items()]
    _sam(
        [
            "deploy",
            "--config-file",
            str(PROJECT / "samconfig.toml"),
            "--config-env",
            "local",
            "--template-file",
            str(template),
            "--stack-name",
            stack,
            "--region",
            REGION,
            "--parameter-overrides",
            *overrides,
        ],
        home.aws_env,
        home.path / "sam-deploy.log",
    )
    return outputs(home, stack)


def outputs(home: Home, stack: str) -> dict[str, str]:
    (described,) = aws(home, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def aws(home: Home, service: str) -> Any:
    """A client with the deployer's rights on the local engine."""
    return _client(home.endpoint, service)


@cache
def _client(endpoint: str, service: str) -> Any:
    """Made once: that takes longer than most of its calls."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _sam(arguments: list[str], env: dict[str, str], log: Path) -> None:
    with log.open("wb") as output:
        full = {**os.environ, "SAM_CLI_TELEMETRY": "0", **env}
        full["PATH"] = f"{PROJECT / '.venv/bin'}{os.pathsep}{full['PATH']}"
        done = subprocess.run(
            [str(PROJECT / ".venv/bin/sam"), *arguments],
            cwd=PROJECT,
            env=full,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise EngineError(f"sam {arguments[0]} failed:\n{tail}\n(all of it: {log})")


def _digest() -> str:
    """Of everything that goes into the build, and of the Python that it is built for."""
    digest = hashlib.sha256(_RUNTIME.encode())
    folders = [PROJECT / name for name in ("functions", "layers", "statemachines")]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    for path in [PROJECT / "template.yaml", *files]:
        if "__pycache__" not in path.parts:
            digest.update(json.dumps(str(path.relative_to(PROJECT))).encode() + path.read_bytes())
    return digest.hexdigest()
