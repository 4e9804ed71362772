"""The functions as they are deployed: each with the environment that `template.yaml` gives it and no other variable."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.aws import client
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettingsStore, SigningKeys
from cardshop.adapters.tables import OrderItem, PoolItem
from cardshop.api import holders, operators, tokens
from cardshop.domain.order import Order
from cardshop.domain.payment import Channel, Offer
from cardshop.domain.product import Product

from tests.adapters.cloud import kms_key, queue, secret, state_machine
from tests.domain.builders import PRICE, SKU, TRADE_ID
from tests.functions.samples import Event, sample, with_body, with_header
from tests.template.cloudformation import PROJECT, RESOURCES

SHOP_URL = "https://shop.example/api"
PUBLIC_URLS = json.dumps({"api": SHOP_URL, "pages": "https://shop.example"})
MERCHANT_KEY = "merchant-key"  # signs the notices in `events/`
REQUEST_ID = "8f2d6a1e-3b4c-4d5e-9f60-718293a4b5c6"
FUNCTIONS = sorted(path.stem for path in (PROJECT / "functions").glob("*.py"))


def _resource(function: str) -> str:
    """`place_order` → `PlaceOrderFunction`."""
    return "".join(part.capitalize() for part in function.split("_")) + "Function"


@dataclass(frozen=True)
class Answer:
    """What the gateway would send back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.text))

    def is_problem(self, status: int, code: str) -> bool:
        """Whether it is this problem, told as every problem is (RFC 9457)."""
        assert (self.status, self.json.get("code")) == (status, code), self
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.headers["Cache-Control"] == "no-store"
        assert self.json.keys() == {"type", "title", "status", "code", "detail"}
        assert self.json["status"] == status
        self.text.encode()  # and can be sent
        return True


class Context(LambdaContext):
    def __init__(self, function: str) -> None:
        self._function_name = function
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}"
        self._aws_request_id = REQUEST_ID

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 300_000


class Deployed:
    """A shop of this test's own on a simulated cloud, with two channels and one product."""

    def __init__(self) -> None:
        _forget()
        self.notices = queue("notices")
        self.retries = queue("retries")
        self.machine = state_machine()
        self.order_keys = SigningKeys(secret("order-token-key", "signs orders' tokens".ljust(64, "!")))
        self.operator_keys = SigningKeys(secret("operator-token-key", "signs operators' tokens".ljust(64, "!")))
        client("ssm").put_parameter(Name="/cardshop/public-urls", Value=PUBLIC_URLS, Type="String")
        self.variables = {
            "CHANNELS_PREFIX": "/cardshop/channels",
            "PUBLIC_URLS_PARAMETER": "/cardshop/public-urls",
            "TRADE_ID_SECRET": secret("trade-id-secret", "makes trade ids"),
            "CARD_ID_SECRET": secret("card-id-secret", "makes card ids"),
            "ORDER_TOKEN_KEY": "order-token-key",
            "OPERATOR_TOKEN_KEY": "operator-token-key",
            "SETTINGS_KEY": "alias/settings",
            "NOTICES_QUEUE_URL": self.notices,
            "RETRY_QUEUE_URL": self.retries,
            "STATE_MACHINE_ARN": self.machine,
            "PAYMENT_WINDOW_SECONDS": "1800",
            "AFTER_SALE_SECONDS": "604800",
            "STOCK_PATIENCE_SECONDS": "259200",
            "FIRST_LOOK_SECONDS": "60",
            "TOKEN_SECONDS": "3600",
            "HOLDS_PER_ADDRESS": "3",
            "HOLDS_PER_DEVICE": "0",
            "HOLDS_PER_CONTACT": "0",
            "CONNECTIONS_PER_ORDER": "3",
            "CONNECTIONS_PER_ADDRESS": "5",
            "PUSH_URL": "https://push.execute-api.us-east-1.amazonaws.com/ws",
            "RETRY_SECONDS": "0",  # a message that is to be tried again is there again at once
            "PAUSE_SECONDS": "0",
            "PLAIN_HTTP_PROVIDERS": "false",
        }
        self.product()
        self.channels()

    @cached_property
    def sealing_key(self) -> str:
        return kms_key()  # takes a while: not for those that seal nothing

    # ---- calling ----

    def invoke(self, function: str, event: Event) -> Any:
        """What the function answers Lambda."""
        with pytest.MonkeyPatch.context() as patch:
            for name in (*self.variables, "SEALING_KEY"):
                patch.delenv(name, raising=False)
            for name in RESOURCES[_resource(function)]["Properties"]["Environment"]["Variables"]:
                if name == "SEALING_KEY":
                    patch.setenv(name, self.sealing_key)
                elif not name.endswith("_TABLE"):  # read when the models were imported
                    patch.setenv(name, self.variables[name])
            return module(function).handler(event, Context(function))

    def call(self, function: str, event: Event) -> Answer:
        """What the function answers the gateway."""
        answer = self.invoke(function, event)
        assert answer["isBase64Encoded"] is False
        headers = {name: ", ".join(values) for name, values in answer["multiValueHeaders"].items()}
        return Answer(answer["statusCode"], headers, answer["body"])

    def as_holder(self, event: Event, trade_id: str = TRADE_ID) -> Event:
        """The call with the token of this order."""
        token = tokens.issue(self.order_keys, audience="order", subject=trade_id, lifetime=60, terminal="pc")
        return with_header(event, "Authorization", f"Bearer {token}")

    def as_operator(self, event: Event) -> Event:
        token = tokens.issue(self.operator_keys, audience="operator", subject="alice", lifetime=60)
        return with_header(event, "Authorization", f"Bearer {token}")

    # ---- what there is ----

    def product(self, sku: str = SKU, *, on_sale: bool = True) -> None:
        DynamoCatalogue().save(Product(sku, "Steam 50 元", PRICE, on_sale))

    def channels(self, url: str = "https://pay.example.com") -> None:
        """Two channels of one account there."""
        for name, kind in (("epay", "alipay"), ("epay-wx", "wxpay")):
            self.channel(name, url=url, type=kind)

    def channel(self, name: str, **settings: str) -> None:
        channel = Channel(name, "epay", {"pid": "1001", **settings}, {"key": MERCHANT_KEY})
        store = ChannelSettingsStore("/cardshop/channels", self.variables["SETTINGS_KEY"])
        store.save(channel, Offer.of(channel, provider("epay").terms(channel)))

    def stock(self, *codes: str) -> None:
        """Cards for sale, imported by the function itself."""
        event = with_body(sample("import_cards/file"), "\n".join(codes).encode())
        assert self.call("import_cards", self.as_operator(event)).status == 201

    def order(self, order: Order, *changes: Callable[[Order], Order]) -> Order:
        """This order as placed, whatever its state, and then changed; its cards are taken out of no pool."""
        for card in order.cards:
            PoolItem(card.pool.key, card.place, card_id=card.card_id).save()
        DynamoOrders().place(order, {})
        for change in changes:
            before = self.stored(order.trade_id)
            DynamoOrders().record(before, change(before))
        return self.stored(order.trade_id)

    def wait_with(self, token: str) -> None:
        """A state of the machine waits with this token; it is on the order."""
        OrderItem(TRADE_ID).update([OrderItem.task_token.set(token)])

    def stored(self, trade_id: str = TRADE_ID) -> Order:
        found = DynamoOrders().find(trade_id)
        assert found is not None
        return found


def module(function: str) -> ModuleType:
    return importlib.import_module(f"functions.{function}")


def _forget() -> None:
    """Drop what the functions keep for the life of a process."""
    loaded = [each for name, each in sys.modules.items() if name.startswith("functions.")]
    for each in (*loaded, holders, operators):
        for value in vars(each).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """What the function counted (CloudWatch's embedded metric format, on stdout)."""
    found: dict[str, list[float]] = {}
    for line in capsys.readouterr().out.splitlines():
        entry = json.loads(line)
        for metric in [
            each for group in entry.get("_aws", {}).get("CloudWatchMetrics", []) for each in group["Metrics"]
        ]:
            found[metric["Name"]] = entry[metric["Name"]]
    return found


class Logs:
    """Everything the shop's logger writes, line by line."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._written = io.StringIO()
        self._read = 0
        for handler in logging.getLogger("cardshop").handlers:
            if isinstance(handler, logging.StreamHandler):
                patch.setattr(handler, "stream", self._written)

    @property
    def text(self) -> str:
        return self._written.getvalue()

    @property
    def new(self) -> str:
        """What was written since this was last asked."""
        since, self._read = self._read, len(self.text)
        return self.text[since:]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]
