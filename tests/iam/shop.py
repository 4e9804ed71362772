"""A deployed shop whose orders can be put into any state, and whose functions can be called as their triggers do."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from cardshop.adapters.queue import dumps
from cardshop.adapters.tables import CHANGE
from cardshop.domain.payment import Notice
from cardshop.ports import QueuedNotice

from tests.e2e.notices import fields, signed
from tests.house import House, wait_until
from tests.iam.roles import Roles

_EVENTS = Path(__file__).resolve().parents[2] / "events"
GATEWAY_TOKEN = "a-token-of-the-simulated-gateway"
_STALE = "a-token-of-an-execution-that-is-gone"
_MEMORY = 512  # as the template has it: setting it again is what ends a function's worker


@dataclass
class Shop(House):
    @cached_property
    def api(self) -> httpx.Client:
        """Nothing that fails is asked again: it is to be seen."""
        return httpx.Client(base_url=self.outputs["ApiUrl"], timeout=60)

    @cached_property
    def resources(self) -> dict[str, str]:
        """Physical ids by logical ids."""
        found = self.aws("cloudformation").describe_stack_resources(StackName=self.stack)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    @cached_property
    def roles(self) -> Roles:
        return Roles(self.aws("iam"), self.resources)

    @cached_property
    def sku(self) -> str:
        """A product with more cards than anybody here buys."""
        return self.product(2000)[0]

    @cached_property
    def db(self) -> Any:
        return self.aws("dynamodb")

    def cold(self, function: str) -> None:
        """The function's next call begins with nothing kept: no secret, no settings, no connection."""
        if function in self.resources:  # the machine is none
            name = self.resources[function]
            self.aws("lambda").update_function_configuration(FunctionName=name, MemorySize=_MEMORY)

    def call(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """What a function answers its trigger; `{"error": …}` if it raised."""
        answer = self.aws("lambda").invoke(FunctionName=self.resources[function], Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read() or b"null")
        return {"error": content} if "FunctionError" in answer else dict(content or {})

    def log(self, function: str, since: float) -> str:
        """What it wrote since then (`time.time()`)."""
        pages = self.aws("logs").get_paginator("filter_log_events")
        group = f"/{self.stack}/{_file(function)}"
        found = pages.paginate(logGroupName=group, startTime=int(since * 1000))
        return "\n".join(event["message"] for page in found for event in page["events"])

    # ---- orders ----

    def stored(self, trade_id: str) -> dict[str, Any]:
        key = {"trade_id": {"S": trade_id}}
        found = self.db.get_item(TableName=self.outputs["OrdersTable"], Key=key, ConsistentRead=True)
        return dict(found.get("Item", {}))

    def status(self, placed: dict[str, Any]) -> str:
        return str(self.stored(placed["trade_id"])["status"]["S"])

    def waiting(self, **more: Any) -> dict[str, Any]:
        """An unpaid order whose execution waits, with a token on it that nothing waits with any more."""
        placed = self.placed(more.pop("sku", self.sku), **more)
        wait_until(lambda: "task_token" in self.stored(placed["trade_id"]), lambda: "its execution has not begun")
        self.become(placed, task_token={"S": _STALE})
        return placed

    def become(self, placed: dict[str, Any], status: str | None = None, *, paid: bool = False, **more: Any) -> None:
        """As if all that leads there had happened: the order with another status, its payment accepted, or `more`."""
        order = self.stored(placed["trade_id"])
        if status is not None:
            version = str(int(order["version"]["N"]) + 1)
            more |= {"status": {"S": status}, "version": {"N": version}, "last_write": {"S": CHANGE}}
        if paid:
            payment = order["payments"]["L"][0]["M"]
            got = {"state": {"S": "accepted"}, "paid_minor": payment["minor"], "paid_currency": order["currency"]}
            more["payments"] = {"L": [{"M": {**payment, **got}}]}
        self.db.update_item(
            TableName=self.outputs["OrdersTable"],
            Key={"trade_id": {"S": placed["trade_id"]}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in more),
            ExpressionAttributeNames={f"#{name}": name for name in more},
            ExpressionAttributeValues={f":{name}": value for name, value in more.items()},
        )

    def delivered(self, **more: Any) -> dict[str, Any]:
        placed = self.waiting(**more)
        self.become(placed, "delivered", paid=True, after_sale_until={"N": str(10**13)})
        return placed

    def awaiting_stock(self, for_sale: int = 0) -> tuple[dict[str, Any], str]:
        """A paid order without a card, and its product, which has one that is not for sale."""
        sku, _ = self.product(1 + for_sale)
        placed = self.waiting(sku=sku)
        (card,) = self.stored(placed["trade_id"])["cards"]["L"]
        pool, _, card_id = card["S"].rpartition("/")
        self.become(placed, "awaiting_stock", paid=True, cards={"L": []}, lacking={"S": sku})
        place = {"pool": {"S": pool}, "place": {"S": secrets.token_hex(8)}, "card_id": {"S": card_id}}
        self.db.put_item(TableName=self.outputs["StockTable"], Item=place)  # no card is nowhere
        return placed, sku

    # ---- what triggers a function ----

    def noticed(self, placed: dict[str, Any], **changed: str) -> dict[str, Any]:
        """The queue's message of a provider's notice."""
        said = signed(fields(self, placed, **changed), self.merchant[1])
        notice = Notice(method="GET", query=tuple(said.items()), headers={}, body=b"")
        return self.message(QueuedNotice("epay", notice, int(time.time() * 1000)))

    @staticmethod
    def message(queued: QueuedNotice) -> dict[str, Any]:
        event = event_file("confirm_payment/paid")
        event["Records"][0]["body"] = dumps(queued)
        return event


def event_file(name: str, **replaced: str) -> dict[str, Any]:
    """A sample event, with words in it replaced."""
    text = (_EVENTS / f"{name}.json").read_text(encoding="utf-8")
    for word, by in replaced.items():
        text = text.replace(word, by)
    return dict(json.loads(text))


def _file(function: str) -> str:
    """`PlaceOrderFunction` → `place_order`."""
    words = function.removesuffix("Function")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("_")
