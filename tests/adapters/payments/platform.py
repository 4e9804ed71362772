"""A provider's interface on this machine: it answers every call with what it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Platform:
    """`answer` None: it hangs up. `answers` come first, one a call."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.posted: list[bytes] = []
        self.answers: list[bytes] = []
        self.status = 200
        self.answer: bytes | None = b""
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                platform.asked.append(self.path)
                if self.command == "POST":
                    platform.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
                answer = platform.answers.pop(0) if platform.answers else platform.answer
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(platform.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def says(self, **fields: object) -> None:
        self.answer = json.dumps(fields, ensure_ascii=False).encode()


@contextmanager
def running() -> Iterator[Platform]:
    platform = Platform()
    thread = threading.Thread(target=platform.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield platform
    finally:
        platform.server.shutdown()
        thread.join()
        platform.server.server_close()
