"""A counting reverse proxy between functions and the engine.

Each function gets a door of its own (a port on 127.0.0.1), so a call has a name. DynamoDB calls are asked for what they
consume: that changes the body, which the caller signed, so they go on signed as the engine's root. Everything else
passes as it came. Who may do what is tested elsewhere; here is counted.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.capacity import READS, WRITES, Used, refused, used
from engine.processes import REGION

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_ROOT = Credentials("test", "test")
_POLL = 0.1  # seconds until a door notices that it is to close


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a function made."""

    caller: str
    service: str
    operation: str
    status: int
    error: str = ""
    used: list[Used] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return f"{self.service}:{self.operation}"


class Proxy:
    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._engine = urllib3.PoolManager(maxsize=64, retries=False, timeout=urllib3.Timeout(120))
        self._doors: list[_Door] = []
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self.calls: list[Call] = []

    def door(self, caller: str) -> str:
        """The address that this caller is to take for AWS's."""
        door = _Door(self, caller)
        self._doors.append(door)
        threading.Thread(target=door.serve_forever, args=(_POLL,), daemon=True).start()
        return f"http://127.0.0.1:{door.server_port}"

    def close(self) -> None:
        for door in self._doors:
            door.shutdown()
            door.server_close()

    @property
    def silence(self) -> float:
        """Seconds since the last call was answered."""
        return time.monotonic() - self._last

    def relay(self, caller: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        service, operation = _named(method, path, headers, body)
        request: Any = None
        counted = service == "dynamodb" and operation in READS | WRITES
        if counted:
            request = {**json.loads(body), "ReturnConsumedCapacity": "INDEXES"}
            body, headers = self._dynamodb(operation, request)
        answer = self._engine.urlopen(
            method, self._endpoint + path, body=body, headers=headers, redirect=False, decode_content=False
        )
        done = _Answer(answer.status, dict(answer.headers), answer.data)
        error = _error(done)
        units = self._units(operation, request, done.body, error) if counted else []
        with self._lock:
            self.calls.append(Call(caller, service, operation, done.status, error, units))
            self._last = time.monotonic()
        return done

    def _units(self, operation: str, request: Any, answer: bytes, error: str) -> list[Used]:
        if error:
            return refused(operation, request, error)
        if request.get("Select") == "COUNT":  # the answer shows nothing to take the size of: look ourselves
            whole = {name: value for name, value in request.items() if name != "Select"}
            body, headers = self._dynamodb(operation, whole)
            answer = self._engine.urlopen("POST", f"{self._endpoint}/", body=body, headers=headers).data
        return used(operation, request, json.loads(answer))

    def _dynamodb(self, operation: str, request: Any) -> tuple[bytes, dict[str, str]]:
        """(body, headers) of this request, signed as the engine's root."""
        body = json.dumps(request).encode()
        named = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        signed = AWSRequest("POST", f"{self._endpoint}/", data=body, headers=named)
        SigV4Auth(_ROOT, "dynamodb", REGION).add_auth(signed)
        return body, dict(signed.headers)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class _Door(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: Proxy, caller: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy, self.caller = proxy, caller


class _Handler(BaseHTTPRequestHandler):
    server: _Door
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        passed = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            answer = self.server.proxy.relay(self.server.caller, self.command, self.path, passed, body)
        except urllib3.exceptions.HTTPError as error:
            answer = _Answer(502, {"Content-Type": "text/plain"}, str(error).encode())
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_PUT = do_DELETE = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what matters is counted."""


def _named(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """(service, operation), in whichever of AWS's protocols it was asked for."""
    given = {name.lower(): value for name, value in headers.items()}
    scope = _SCOPE.search(given.get("authorization", ""))
    service = scope.group(1) if scope else "unsigned"
    if target := given.get("x-amz-target"):
        return service, target.rpartition(".")[2]
    url = urlsplit(path)
    asked = parse_qs(url.query) | (parse_qs(body.decode("latin-1")) if b"Action=" in body else {})
    return service, asked["Action"][0] if "Action" in asked else f"{method} {url.path}"


def _error(answer: _Answer) -> str:
    """The code that a failed call was answered with."""
    if answer.status < 400:
        return ""
    try:
        return str(json.loads(answer.body)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}"
