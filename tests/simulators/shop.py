"""A shop that simulated providers tell things to: it keeps every call, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Told:
    """One call, as it came in."""

    target: str  # path and query
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass
class Shop:
    """`reply`: status and body for the call of this number, the first being 1."""

    url: str
    reply: Callable[[int], tuple[int, bytes]] = lambda number: (200, b"ok")
    told: list[Told] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Shop]:
    there = Shop("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            there.told.append(Told(self.path, headers, body))
            status, reply = there.reply(len(there.told))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")  # for who would follow one
            if status != 204:
                self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply if status != 204 else b"")

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}/notify"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
