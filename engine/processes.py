"""The two servers of a home folder: the local engine and the simulated payment provider.

Both listen on 127.0.0.1, on ports chosen once and kept in the home, and are stopped by process id with SIGTERM only:
the engine saves its state then.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60
_STOP_SECONDS = 60


class EngineError(Exception):
    """Told to the person at the terminal, without a traceback."""


@dataclass(frozen=True)
class Home:
    """Where one local shop keeps everything it has: state, ports, process ids, logs."""

    path: Path

    @property
    def ports(self) -> dict[str, int]:
        """Chosen free at the first call, the same ever after."""
        kept = self.path / "ports.json"
        if not kept.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            engine, provider = _free_ports(2)
            kept.write_text(json.dumps({"engine": engine, "provider": provider}))
        return {name: int(port) for name, port in json.loads(kept.read_text()).items()}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['engine']}"

    @property
    def provider_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['provider']}"

    @property
    def aws_env(self) -> dict[str, str]:
        """The environment in which the AWS tools speak to this engine and to nothing else."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **plain,
            "PATH": f"{PROJECT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
        }


REGION = "us-east-1"


def start(home: Home, merchants: dict[str, str], provider_time_scale: float) -> None:
    """Both servers up and answering; those that run already are left alone."""
    (home.path / "state" / "s3").mkdir(parents=True, exist_ok=True)
    (home.path / "provider").mkdir(exist_ok=True)
    if _pid(home, "provider") is None:
        command = [str(PROJECT / ".venv/bin/python"), "-m", "simulators.epay", "--port", str(home.ports["provider"])]
        command += ["--state", str(home.path / "provider"), "--time-scale", str(provider_time_scale)]
        for pid, key in merchants.items():
            command += ["--merchant", f"{pid}:{key}"]
        _spawn(home, "provider", command, dict(os.environ))
    if _pid(home, "engine") is None:
        _rewind_streams(home)
        _spawn(home, "engine", [str(PROJECT / ".engine-venv/bin/ministack")], _engine_env(home))
    _wait_for(home, "engine", f"{home.endpoint}/_ministack/health")
    _wait_for(home, "provider", f"{home.provider_url}/api.php")


def stop(home: Home) -> None:
    """Both servers down, their state saved. Stopping what is not running is no error."""
    for name in ("engine", "provider"):
        pid = _pid(home, name)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(name, pid)
        (home.path / f"{name}.pid").unlink(missing_ok=True)


def _engine_env(home: Home) -> dict[str, str]:
    """A clean one: what the engine has in its environment leaks into the functions it runs."""
    return {
        "HOME": str(home.path),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "GATEWAY_PORT": str(home.ports["engine"]),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.path / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home.path / "state" / "s3"),
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
        "LAMBDA_WARM_TTL_SECONDS": "900",
    }


def _rewind_streams(home: Home) -> None:
    """Saved stream positions point into streams that begin anew: with them the consumers would stay silent."""
    saved = home.path / "state" / "lambda.json"
    if saved.exists():
        state = json.loads(saved.read_text())
        payload = state.get("payload", state)
        if "dynamodb_stream_positions" in payload:
            payload["dynamodb_stream_positions"] = {}
            saved.write_text(json.dumps(state))


def _spawn(home: Home, name: str, command: list[str], env: dict[str, str]) -> None:
    port = home.ports[name]
    with closing(socket.socket()) as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise EngineError(f"port {port} is taken by another program; free it, or remove {home.path}/ports.json")
    with (home.path / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    (home.path / f"{name}.pid").write_text(str(process.pid))


def _pid(home: Home, name: str) -> int | None:
    """The running server's process id; None if it is not running."""
    try:
        pid = int((home.path / f"{name}.pid").read_text())
        os.kill(pid, 0)
        os.waitpid(pid, os.WNOHANG)  # a child of this very process that ended is not running
        os.kill(pid, 0)
    except ChildProcessError:
        return pid
    except (OSError, ValueError):
        return None
    return pid


def _wait_for(home: Home, name: str, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            if _pid(home, name) is None:
                break
            time.sleep(0.1)
    raise EngineError(f"the {name} did not start; see {home.path / name}.log")


def _wait_for_end(name: str, pid: int) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise EngineError(f"the {name} (process {pid}) does not stop")


def _free_ports(count: int) -> list[int]:
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        sockets = [first, second][:count]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
