"""A buyer's and the provider's hands in a shop, light enough not to be what is measured."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from functools import cache
from typing import Any
from urllib.parse import urlencode

import urllib3

from engine import deploy
from engine.processes import Home
from tests.e2e import notices
from tests.house import House, bearer

Placed = dict[str, Any]
_PATIENCE = 60.0  # seconds


class Buyer:
    """May be shared by threads."""

    def __init__(self, house: House, *, connections: int = 64) -> None:
        self._house = house
        self._api = house.outputs["ApiUrl"]
        self._http = urllib3.PoolManager(maxsize=connections, retries=False, timeout=urllib3.Timeout(60))
        self.requests = 0  # sent to the shop, the provider's notices among them

    def order(self, sku: str, **more: Any) -> Placed:
        """One card, by somebody with a device and an address of their own."""
        body = {
            "items": [{"sku": sku, "quantity": 1}],
            "channel": "epay",
            "terminal": "mobile",
            "device_id": str(uuid.uuid4()),
            "contact": {"email": f"{secrets.token_hex(6)}@example.com"},
            **more,
        }
        return self._json("POST", "/orders", {"Idempotency-Key": str(uuid.uuid4())}, body)

    def pay(self, placed: Placed) -> None:
        """At the provider, which keeps its notice to itself: it is sent with `notify`."""
        self._provider("GET", placed["payment"]["redirect_url"])
        books = f"{self._house.home.provider_url}/_control/payments/{placed['payment']['payment_id']}"
        self._provider("POST", books, json.dumps({"status": 1}))

    def notice(self, placed: Placed) -> str:
        """The notice's address, signed, as the provider would call it."""
        said = notices.signed(notices.fields(self._house, placed), self._house.merchant[1])
        return f"{self._api}/webhooks/epay?{urlencode(said)}"

    def notify(self, notice: str) -> None:
        self.requests += 1
        answer = self._http.request("GET", notice)
        assert answer.data == b"success", answer.data

    def view(self, placed: Placed) -> dict[str, Any]:
        return self._json("GET", f"/orders/{placed['trade_id']}", bearer(placed))

    def delivered(self, placed: Placed) -> None:
        """As soon as the order says so, asked without a pause."""
        deadline = time.monotonic() + _PATIENCE
        while (status := self.view(placed)["status"]) not in {"delivered", "completed"}:
            assert time.monotonic() < deadline, f"{placed['trade_id']} is {status}"

    def cards(self, placed: Placed) -> list[str]:
        revealed = self._json("POST", f"/orders/{placed['trade_id']}/cards", bearer(placed), {})
        return [card["code"] for card in revealed["cards"]]

    def cancel(self, placed: Placed) -> None:
        self._json("POST", f"/orders/{placed['trade_id']}/cancel", bearer(placed), {})

    def ticket(self, placed: Placed) -> str:
        return str(self._json("POST", f"/orders/{placed['trade_id']}/tickets", bearer(placed), {})["ticket"])

    def get(self, path: str) -> dict[str, Any]:
        return self._json("GET", path, {})

    def _json(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> dict[str, Any]:
        self.requests += 1
        data = None if body is None else json.dumps(body)
        answer = self._http.request(method, self._api + path, headers=headers, body=data)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.data[:300]!r}"
        return dict(json.loads(answer.data))

    def _provider(self, method: str, url: str, body: str | None = None) -> None:
        answer = self._http.request(method, url, body=body, redirect=False)
        assert answer.status < 400, f"{url}: {answer.status}"


def item_of(house: House, placed: Placed) -> dict[str, Any]:
    """The order as it is stored, read around the API and the proxy: nothing of it is counted."""
    key = {"trade_id": {"S": placed["trade_id"]}}
    found = _dynamodb(house.home).get_item(TableName=house.outputs["OrdersTable"], Key=key, ConsistentRead=True)
    return dict(found["Item"])


@cache
def _dynamodb(home: Home) -> Any:
    return deploy.aws(home, "dynamodb")
