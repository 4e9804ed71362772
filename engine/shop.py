"""The demo shop: what `make up` makes sure of, and the one sale that `make demo` makes for real."""

from __future__ import annotations

import json
import os
import secrets
import time
import uuid
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from engine import deploy, operators, pages, processes
from engine.processes import REGION, EngineError, Home
from engine.stacks import Stack

STACK = "cardshop"
SKU = "steam-50"
CHANNEL = "epay"
_PRODUCT = {
    "name": "Steam 充值卡 50 元 Gift Card",
    "category": "游戏 Games",
    "description": "付款即发卡密,登录 Steam 后兑换。\nThe code is yours the moment you pay; redeem it in Steam.",
    "price": {"minor": 990, "currency": "CNY"},
    "status": "on_sale",
}
_CARDS_AT_LEAST = 20
_PATIENCE = 30  # seconds

#: One address is all the load there is on one machine, so the caps that protect a real shop are out of the way.
LOCAL_PARAMETERS = {
    "HoldsPerAddress": "0",
    "HoldsPerDevice": "0",
    "HoldsPerContact": "0",
    "ConnectionsPerAddress": "0",
    "RetrySeconds": "1",
}
Say = Callable[[str], None]


def merchant(home: Home) -> tuple[str, str]:
    """The demo channel's account at the simulated provider; made once, kept in the home."""
    kept = home.path / "merchant.json"
    if not kept.exists():
        home.path.mkdir(parents=True, exist_ok=True)
        _write_private(kept, json.dumps({"pid": "1001", "key": secrets.token_hex(16)}))
    account = json.loads(kept.read_text())
    return account["pid"], account["key"]


def up(home: Home, say: Say) -> dict[str, Any]:
    """Everything running, deployed, stocked; answers what `outputs.json` holds."""
    pid, key = merchant(home)
    say("starting the local engine and the simulated provider")
    processes.start(home, {pid: key}, provider_time_scale=60)
    say("building and deploying the stack (a minute the first time)")
    stack = deploy.deploy(home, STACK, LOCAL_PARAMETERS)
    say("building and uploading the pages")
    shown = pages.publish(Stack(STACK, partial(deploy.aws, home)), say)
    token = operators.token(deploy.aws(home, "secretsmanager"), stack["OperatorTokenKey"], "make-up")
    say("making sure of the demo product, its cards and its channel")
    with _api(stack["ApiUrl"], token) as api:
        _stock(api, home, say)
    outputs = {
        "api_url": stack["ApiUrl"],
        "pages_url": stack["PagesUrl"] if shown else None,
        "region": REGION,
        "endpoint_url": home.endpoint,
        "state_machine_arn": stack["StateMachineArn"],
        "tables": {
            name: stack[f"{name.title()}Table"] for name in ("orders", "timeline", "stock", "sealed", "catalogue")
        },
        "demo": {
            "sku": SKU,
            "channel": CHANNEL,
            "pid": pid,
            "key": key,
            "provider_url": home.provider_url,
            "operator_token": token,
        },
    }
    _write_private(home.path / "outputs.json", json.dumps(outputs, indent=2) + "\n")
    return outputs


def sell_one(home: Home, outputs: dict[str, Any], say: Say) -> None:
    """Order → pay at the provider → notice → delivery → reveal, and print what happened."""
    demo = outputs["demo"]
    with httpx.Client(base_url=outputs["api_url"], timeout=30) as api:
        say("ordering one card")
        placed = _ok(
            api.post(
                "/orders",
                headers={"Idempotency-Key": str(uuid.uuid4())},
                json={"items": [{"sku": demo["sku"], "quantity": 1}], "channel": demo["channel"], "terminal": "pc"},
            )
        )
        trade_id = placed["trade_id"]
        say("paying at the simulated provider")
        pay(placed["payment"]["redirect_url"])
        paid_at = time.monotonic()
        bearer = {"Authorization": f"Bearer {placed['token']}"}
        order = _until_delivered(api, trade_id, bearer)
        say(f"delivered {1000 * (time.monotonic() - paid_at):.0f} ms after the payment")
        cards = _ok(api.post(f"/orders/{trade_id}/cards", headers=bearer))["cards"]
        order = _ok(api.get(f"/orders/{trade_id}", headers=bearer))
    print(f"\nTrade {trade_id}: {order['amount']['minor'] / 100:.2f} {order['amount']['currency']}, {order['status']}")
    print(f"  card {cards[0]['sku']}: {cards[0]['code']}\n\nTimeline")
    for change in order["timeline"]:
        print(
            f"  {change['when']}  v{change['version']}  {change['what']:<18} {change['by']} {change['terminal'] or ''}"
        )
    print("\nExecution history")
    for line in _history(home, outputs["state_machine_arn"], trade_id):
        print(f"  {line}")
    print(f"""
Try it by hand
  products   {outputs["api_url"]}/products
  order      curl -s {outputs["api_url"]}/orders -H "Idempotency-Key: $(openssl rand -hex 16)" \\
               -d '{{"items":[{{"sku":"{demo["sku"]}","quantity":1}}],"channel":"{demo["channel"]}","terminal":"pc"}}'
             then open its payment.redirect_url in a browser and pay
  provider   {demo["provider_url"]}
  engine     {outputs["endpoint_url"]} (region {outputs["region"]}, any credentials)
  all of it  {home.path / "outputs.json"}
Stop it with `make down`; `make up` brings it back as it was.""")
    if outputs["pages_url"]:
        print(f"\nThe shop: {outputs['pages_url']} (in Chromium or Chrome: others do not look for *.localhost here)")


def pay(redirect_url: str, *, notify: bool = True) -> None:
    """Do what a buyer's browser does at the simulated provider: open the page, submit its form."""
    with httpx.Client(timeout=30) as browser:
        page = browser.get(redirect_url)
        form = _Form()
        form.feed(page.text)
        if form.action is None:
            raise EngineError(f"the provider shows no form to pay with (HTTP {page.status_code})")
        fields = {name: value for name, value in form.fields.items() if notify or name != "notify"}
        answered = browser.post(urljoin(str(page.url), form.action), data=fields)
        if answered.status_code >= 400:
            raise EngineError(f"the provider refused the payment (HTTP {answered.status_code})")


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        elif tag == "input" and given.get("name") and (given.get("type") != "checkbox" or "checked" in given):
            self.fields[str(given["name"])] = given.get("value") or ""


def _stock(api: httpx.Client, home: Home, say: Say) -> None:
    product = api.get(f"/products/{SKU}")
    if product.status_code == 404:
        _ok(api.put(f"/admin/products/{SKU}", json=_PRODUCT))
        product = api.get(f"/products/{SKU}")
    if _ok(product)["stock"]["quantity"] < _CARDS_AT_LEAST:
        path = _card_file(home)
        say(f"loading {path}")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        _ok(api.post(f"/admin/products/{SKU}/cards", content=path.read_bytes(), headers=headers))
    pid, key = merchant(home)
    settings = {"provider": "epay", "url": home.provider_url, "pid": pid, "key": key, "type": "alipay"}
    _ok(api.put(f"/admin/channels/{CHANNEL}", json=settings))
    _ok(api.put(f"/admin/channels/{CHANNEL}/offer", json={"offered": True, "title": "模拟支付 Simulated"}))


def _card_file(home: Home) -> Path:
    """A fresh file of made-up codes, one a line, as an operator would have it."""
    folder = home.path / "cards"
    folder.mkdir(exist_ok=True)
    path = folder / f"{SKU}-{len(list(folder.iterdir())) + 1}.txt"
    _write_private(path, "".join(f"DEMO-{secrets.token_hex(8).upper()}\n" for _ in range(1000)))
    return path


def _until_delivered(api: httpx.Client, trade_id: str, bearer: dict[str, str]) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        order = _ok(api.get(f"/orders/{trade_id}", headers=bearer))
        if order["status"] == "delivered":
            return order
        time.sleep(0.02)  # a terminal without push asks again
    raise EngineError(f"trade {trade_id} is still {order['status']} after {_PATIENCE} s")


def _history(home: Home, machine_arn: str, trade_id: str) -> list[str]:
    arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{trade_id}"
    events = deploy.aws(home, "stepfunctions").get_execution_history(executionArn=arn)["events"]
    lines = []
    for event in events:
        details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails") or {}
        when = event["timestamp"].astimezone().isoformat(timespec="milliseconds")
        lines.append(f"{when}  {event['type']} {details.get('name', '')}".rstrip())
    return lines


def _api(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {token}"})


def _ok(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json())
    raise EngineError(
        f"{answer.request.method} {answer.request.url.path}: HTTP {answer.status_code} {answer.text[:400]}"
    )


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
