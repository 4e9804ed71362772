"""A shop in the test's own process: the operators' API over real HTTP, and what it was asked."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "eyJhbGciOiJIUzI1NiJ9.an-operators.token"
PATIENCE = 30.0  # seconds


class Shop:
    """`failures`: how the next imports fail, an HTTP status or None for a connection that just ends.

    `looks`: an import is answered once the product was looked at so often since; the batch grows each time.
    """

    def __init__(self) -> None:
        self.products: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.orders: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, str]] = []
        self.deeds: list[tuple[str, dict[str, Any], str | None]] = []  # what, its body, its key
        self.duplicates: list[int] = []
        self.failures: list[int | None] = []
        self.looks = 0
        self.quotes_the_header = False
        self.files: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.loading = threading.Event()  # an import has arrived
        self._looked = threading.Condition()
        self._count = 0
        self._closed = False
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shop._answer(self)

            do_PUT = do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"

    def serve(self) -> None:
        self.server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        with self._looked:
            self._closed = True
            self._looked.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.asked.append(f"{request.command} {request.path}")
        parts = urlsplit(request.path)
        path = [unquote(part) for part in parts.path.removeprefix("/api/").split("/")]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        authorization = request.headers.get("Authorization", "")
        if self.quotes_the_header:  # as Amazon's gateway does on a path it does not know
            said = f"'{authorization}' not a valid key=value pair in Authorization header"
            _send(request, 403, {"message": said})
        elif authorization != f"Bearer {TOKEN}":
            _problem(request, 401, "unauthorized", "未授权 Missing or invalid token", "the token is not valid")
        else:
            self._route(request, path, query, body)

    def _route(self, request: BaseHTTPRequestHandler, path: list[str], query: dict[str, str], body: bytes) -> None:
        match request.command, path:
            case "GET", ["admin", "products"]:
                _send(request, 200, {"products": list(self.products.values())})
            case "GET", ["admin", "products", sku] if sku in self.products:
                self._product(request, sku)
            case "PUT", ["admin", "products", sku, "batches", batch] if batch in self.batches[sku]:
                self.batches[sku][batch]["status"] = json.loads(body)["status"]
                _send(request, 200, self.batches[sku][batch])
            case "POST", ["admin", "products", sku, "cards"] if sku in self.products:
                self.files.append(body)
                self.headers.append(dict(request.headers))
                self._load(request, sku, body)
            case "GET", ["admin", "orders"]:
                self._orders(request, query)
            case "GET", ["admin", "orders", trade_id] if trade_id in self.orders:
                _send(request, 200, self.orders[trade_id])
            case "POST", ["admin", "orders", trade_id, *deed] if trade_id in self.orders and deed:
                self.deeds.append(("/".join(deed), json.loads(body), request.headers.get("Idempotency-Key")))
                made = {"refund_id": "r1", "state": "by_hand", "amount": {"minor": 100, "currency": "CNY"}}
                order = self.orders[trade_id]
                _send(request, 200, {"refund": made, "order": order} if deed == ["refunds"] else order)
            case _:
                _problem(request, 404, "not_found", "未找到 Not found", "未找到 Not found")

    def _product(self, request: BaseHTTPRequestHandler, sku: str) -> None:
        with self._looked:
            self._count += 1
            shown = {**self.products[sku], "batches": [dict(each) for each in self.batches[sku].values()]}
            for batch in self.batches[sku].values():
                batch["imported"] += batch.get("growth", 0)
            self._looked.notify_all()
        _send(request, 200, shown)

    def _load(self, request: BaseHTTPRequestHandler, sku: str, body: bytes) -> None:
        if self.failures:
            status = self.failures.pop(0)
            if status is None:
                request.close_connection = True
                return None
            return _problem(request, status, "busy", "繁忙,请重试 Busy, try again", "send it again")
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not lines:
            return _problem(request, 422, "unprocessable", "请求内容无法处理 Unprocessable", "no card in the file")
        name = f"batch-of-{len(lines)}"
        batch = self.batches[sku].get(name)
        if batch and batch["status"] != "importing":
            return _send(request, 200, self._loaded(sku, batch))
        batch = self.batches[sku].setdefault(name, made_batch(name, "importing", imported=0))
        with self._looked:
            enough = self._count + self.looks
            batch["growth"] = len(lines) // 4
            self.loading.set()
            assert self._looked.wait_for(lambda: self._closed or self._count >= enough, PATIENCE), "nobody looked"
            del batch["growth"]
        batch.update(status="on_sale", imported=len(lines) - len(self.duplicates))
        return _send(request, 201, self._loaded(sku, batch))

    def _loaded(self, sku: str, batch: dict[str, Any]) -> dict[str, Any]:
        shown = {name: batch[name] for name in ("batch", "status", "imported")}
        return {"sku": sku, **shown, "duplicates": self.duplicates, "encoding": "utf-8"}

    def _orders(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        """The cursor is the number of orders passed; a status thins a page out, as in the shop itself."""
        self.queries.append(query)
        limit, start = int(query.get("limit", 50)), int(query.get("after", 0))
        page = list(self.orders.values())[start : start + limit]
        shown = [
            {name: value for name, value in order.items() if name not in ("timeline", "incidents")}
            for order in page
            if query.get("status", order["status"]) == order["status"]
        ]
        more = {"next": str(start + limit)} if start + limit < len(self.orders) else {}
        _send(request, 200, {"orders": shown, **more})


def made_product(sku: str = "steam-50", name: str = "Steam 充值卡 50 元", **more: Any) -> dict[str, Any]:
    price = {"minor": 990, "currency": "CNY"}
    stock = {"level": "in_stock", "quantity": 1998}
    return {"sku": sku, "name": name, "price": price, "status": "on_sale", "stock": stock, **more}


def made_batch(batch: str, status: str = "on_sale", **more: Any) -> dict[str, Any]:
    counts = {"imported": 1000, "on_sale": 990, "held": 4, "sold": 6}
    return {"batch": batch, "status": status, **counts, "created_at": "2026-11-24T21:40:00.120Z", **more}


def made_order(trade_id: str, status: str = "delivered", **more: Any) -> dict[str, Any]:
    price = {"minor": 990, "currency": "CNY"}
    payment = {"payment_id": f"{trade_id}01", "channel": "epay", "state": "accepted", "amount": price, "paid": price}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("pending_payment", "buyer", {"terminal": "pc", "device": "phone-7", "address": "203.0.113.7"}),
        ("paid", "provider", {"terminal": None}),
        ("delivered", "shop", {"terminal": None}),
        ("cards_revealed", "buyer", {"terminal": "miniapp", "address": "2001:db8::1428:57ab"}),
    ]
    return {
        "trade_id": trade_id,
        "status": status,
        "version": len(changes),
        "amount": price,
        "items": [{"sku": "steam-50", "name": "Steam 充值卡 50 元", "quantity": 1, "price": price}],
        "terminal": "miniapp",
        "created_at": "2026-11-24T21:48:05.120Z",
        "expires_at": "2026-11-24T22:03:05.120Z",
        "payments": [payment],
        "timeline": [
            {
                "version": version,
                "what": what,
                "status": "delivered" if what == "cards_revealed" else what,
                "when": f"2026-11-24T21:48:{version:02d}.120Z",
                "by": by,
                **whence,
            }
            for version, (what, by, whence) in enumerate(changes, start=1)
        ],
        "incidents": [],
        **more,
    }


def _problem(request: BaseHTTPRequestHandler, status: int, code: str, title: str, detail: str) -> None:
    problem = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    _send(request, status, problem, "application/problem+json")


def _send(
    request: BaseHTTPRequestHandler, status: int, document: dict[str, Any], kind: str = "application/json"
) -> None:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
