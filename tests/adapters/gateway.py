"""The WebSocket gateway's way back to its clients, played on this machine: what each connection was sent."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

_GONE = 410, "GoneException"


class Gateway:
    """Knows every connection but those that are `gone`; answers some with an error, or (`silent`) not at all."""

    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.closed: list[str] = []
        self.asked: list[tuple[str, str]] = []  # (method, connection)
        self.gone: set[str] = set()
        self.broken: dict[str, tuple[int, str]] = {}  # to a message: (status, error)
        self.silent: set[str] = set()
        self.date: str | None = None  # in its answers, instead of now; "": none
        self.over = threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = unquote(self.path.rpartition("/@connections/")[2])
                gateway.asked.append((self.command, connection))
                if connection in gateway.silent and self.command == "POST":
                    gateway.over.wait()
                    self.close_connection = True
                    return
                refusal = gateway.broken.get(connection) if self.command == "POST" else None
                if connection in gateway.gone:
                    refusal = _GONE
                if refusal is None:
                    gateway._take(self.command, connection, body)
                status, error = refusal or (200, "")
                self.send_response(status)
                if error:
                    self.send_header("x-amzn-ErrorType", error)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_DELETE = do_POST

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(timestamp) if gateway.date is None else gateway.date

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ws"

    def _take(self, method: str, connection: str, body: bytes) -> None:
        if method == "POST":
            self.sent[connection].append(json.loads(body))
        else:
            self.closed.append(connection)
            self.gone.add(connection)


@contextmanager
def running() -> Iterator[Gateway]:
    gateway = Gateway()
    thread = threading.Thread(target=gateway.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield gateway
    finally:
        gateway.over.set()
        gateway.server.shutdown()
        thread.join()
        gateway.server.server_close()
