"""A Python that has what a function has on Lambda and nothing else: its layers, its own file, the runtime's boto3.

The interpreter is the local engine's, without its other packages (`-S`, `-P`); the layers are those that were built.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.processes import PROJECT

BUILT = PROJECT / ".aws-sam" / "local"
_ENGINE = PROJECT / ".engine-venv"
#: What is there without a layer.
_PACKAGES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")


@contextmanager
def packages() -> Iterator[Path]:
    """A folder with the runtime's own packages."""
    (installed,) = _ENGINE.glob("lib/python*/site-packages")
    with tempfile.TemporaryDirectory() as folder:
        for name in _PACKAGES:
            (Path(folder) / name).symlink_to(installed / name)
        yield Path(folder)


def layers(names: Iterable[str]) -> list[Path]:
    """Of these names (`CardshopLayer`)."""
    return [BUILT / name / "python" for name in names]


def run(
    arguments: Iterable[str], path: Iterable[Path], environment: Mapping[str, str] | None = None, given: str = ""
) -> str:
    """What this Python says when it finds its modules there."""
    command = [str(_ENGINE / "bin" / "python"), "-S", "-P", *arguments]
    env = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        **(environment or {}),
    }
    done = subprocess.run(command, input=given, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[3:]}: {done.stderr[-2000:]}"
    return done.stdout
