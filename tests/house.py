"""A shop of the tests' own, deployed on a local engine of its own, and a buyer's and an operator's hands in it."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import httpx

from engine import deploy, operators, shop
from engine.processes import Home

_Found = TypeVar("_Found")

PATIENCE = 240.0  # seconds until what must happen is given up on: a queue hides for 180 what its reader lost
_ANSWER = 150.0  # seconds for an answer: a function may take 120 here


class _AsksAgain(httpx.HTTPTransport):
    """As clients do: 503 says that something did not answer, and that asking again is safe, whatever was asked.

    It comes of a machine that is short of processors; who wants to see a 503 asks without this.
    """

    def __init__(self) -> None:
        super().__init__(limits=httpx.Limits(max_connections=64, max_keepalive_connections=64))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for pause in (0.5, 1, 2, 4):
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            answer.close()
            time.sleep(pause)
        return super().handle_request(request)


@dataclass
class House:
    """One deployed stack."""

    home: Home
    stack: str
    outputs: dict[str, str]
    merchant: tuple[str, str]

    @cached_property
    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.outputs["ApiUrl"], timeout=_ANSWER, transport=_AsksAgain())

    @cached_property
    def operator(self) -> dict[str, str]:
        token = operators.token(self.aws("secretsmanager"), self.outputs["OperatorTokenKey"], "tests")
        return {"Authorization": f"Bearer {token}"}

    def aws(self, service: str) -> Any:
        return deploy.aws(self.home, service)

    def channel(self, name: str = "epay", **settings: str) -> str:
        pid, key = self.merchant
        body = {"provider": "epay", "url": self.home.provider_url, "pid": pid, "key": key, **settings}
        ok(self.api.put(f"/admin/channels/{name}", headers=self.operator, json=body))
        return name

    def product(self, cards: int, price: int = 990, currency: str = "CNY") -> tuple[str, list[str]]:
        """A fresh product on sale with so many cards; answers its SKU and its codes."""
        sku = f"sku-{secrets.token_hex(4)}"
        body = {"name": f"商品 {sku}", "price": {"minor": price, "currency": currency}, "status": "on_sale"}
        ok(self.api.put(f"/admin/products/{sku}", headers=self.operator, json=body))
        codes = [f"CODE-{secrets.token_hex(10)}" for _ in range(cards)]
        if codes:
            answer = self.api.post(f"/admin/products/{sku}/cards", headers=self.operator, content="\n".join(codes))
            assert answer.status_code == 201, answer.text
        return sku, codes

    def order(self, sku: str, quantity: int = 1, *, key: str | None = None, **more: Any) -> httpx.Response:
        body = {"items": [{"sku": sku, "quantity": quantity}], "channel": "epay", "terminal": "pc", **more}
        return self.api.post("/orders", headers={"Idempotency-Key": key or str(uuid.uuid4())}, json=body)

    def placed(self, sku: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
        answer = self.order(sku, quantity, **more)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def view(self, placed: dict[str, Any]) -> dict[str, Any]:
        return ok(self.api.get(f"/orders/{placed['trade_id']}", headers=bearer(placed)))

    def until(self, placed: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """The order as soon as it is in one of these states."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.view(placed))
            return found["status"] in statuses

        wait_until(there, lambda: f"{placed['trade_id']} is {found.get('status')}, not {statuses}")
        return found

    def cards(self, placed: dict[str, Any]) -> list[str]:
        revealed = ok(self.api.post(f"/orders/{placed['trade_id']}/cards", headers=bearer(placed)))
        return [card["code"] for card in revealed["cards"]]

    def pay(self, placed: dict[str, Any], *, notify: bool = True) -> None:
        shop.pay(placed["payment"]["redirect_url"], notify=notify)

    def says(self, placed: dict[str, Any], **amended: Any) -> None:
        """The provider's books from now on (`status` 1 is paid, `money` a decimal), and its notice of them."""
        number = placed["payment"]["payment_id"]
        for control in ("payments", "notices"):
            url = f"{self.home.provider_url}/_control/{control}/{number}"
            httpx.post(url, json=amended, timeout=30).raise_for_status()

    @contextmanager
    def outage(self, **what: bool) -> Iterator[None]:
        """The provider does not answer `query`, or `submit`."""
        url = f"{self.home.provider_url}/_control/outage"
        httpx.post(url, json=what).raise_for_status()
        try:
            yield
        finally:
            httpx.post(url, json=dict.fromkeys(what, False)).raise_for_status()

    def act(self, placed: dict[str, Any], path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """The holder's POST below the order: `cancel`, `confirm`, `payments`."""
        return self.api.post(f"/orders/{placed['trade_id']}/{path}", headers=bearer(placed), json=body or {})

    def make_due(self, trade_id: str, *, over: bool = False) -> None:
        """As if the time had come to look at this trade (`over`: and its windows had ended), if it needs a look."""
        dynamodb = self.aws("dynamodb")
        try:
            dynamodb.update_item(
                TableName=self.outputs["OrdersTable"],
                Key={"trade_id": {"S": trade_id}},
                UpdateExpression="SET due_at = :past"
                + (", expires_at = :past, after_sale_until = :past" if over else ""),
                ConditionExpression="attribute_exists(due_at)",
                ExpressionAttributeValues={":past": {"N": "1"}},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def reconcile(self) -> dict[str, int]:
        """One run, now; what it counted."""
        return self._invoke("ReconcileFunction")

    def audit(self) -> dict[str, int]:
        """The daily audit, now; what it counted."""
        return self._invoke("AuditStockFunction")

    def _invoke(self, function: str) -> dict[str, int]:
        answer = self.aws("lambda").invoke(FunctionName=self.outputs[function], Payload=b"{}")
        counts = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, counts
        return dict(counts)

    def items(self, table: str) -> list[dict[str, Any]]:
        """Everything in a table (`Orders`, `Timeline`, …), in DynamoDB's own JSON."""
        pages = self.aws("dynamodb").get_paginator("scan")
        found = pages.paginate(TableName=self.outputs[f"{table}Table"], ConsistentRead=True)
        return [item for page in found for item in page["Items"]]

    def messages(self, queue: str) -> int:
        """Messages in a queue, waiting, delayed or being worked on."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        found = self.aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def bearer(placed: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {placed['token']}"}


def ok(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return dict(answer.json())


def wait_until(there: Callable[[], _Found], why: Callable[[], str], patience: float = PATIENCE) -> _Found:
    """Ask until it is so, and tell what it is: it happens in other processes, which offer no event to wait on.

    Ever more seldom: two cores serve those who ask and those who work.
    """
    deadline, pause = time.monotonic() + patience, 0.02
    while not (found := there()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience:.0f} s: {why()}")
        time.sleep(pause)
        pause = min(2 * pause, 1.0)
    return found
