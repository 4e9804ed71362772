"""The deployed shop, moved and seen in the model's words: orders and payments are numbers, products are letters."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any
from urllib.parse import quote

import httpx

from simulators.booth import Booth
from tests.channels.subject import Subject
from tests.e2e.notices import fields, signed
from tests.house import House, bearer, wait_until
from tests.model.shop_model import CHANNELS, Answer

_NO_JSON = {"Content-Type": "text/plain; charset=utf-8"}


class Deployed:
    """One example's part of the shop: products and orders of its own."""

    def __init__(self, house: House, stripe: Subject, prices: dict[str, int]) -> None:
        self.house, self.stripe = house, stripe
        self.skus = {name: f"{name}-{secrets.token_hex(4)}" for name in prices}
        self.prices = prices
        self.batches: dict[str, str] = {}  # the model's name → the shop's
        self.of: dict[str, str] = {}  # the model's name → the shop's SKU
        self.orders: list[dict[str, Any]] = []  # as placed: trade_id, token
        self.sessions: dict[tuple[int, int], dict[str, Any]] = {}  # how each payment is paid
        for name in prices:
            self.list_product(name, hidden=False)

    # ---- the buyer

    def place(self, key: str, sku: str, quantity: int, channel: str, password: bool) -> Answer:
        more = {"query_password": "correct horse"} if password else {}
        answer = self.house.order(self.skus[sku], quantity, key=key, channel=channel, **more)
        if answer.status_code != 201:
            return _refused(answer)
        placed = answer.json()
        trades = [each["trade_id"] for each in self.orders]
        if placed["trade_id"] not in trades:
            self.orders.append(placed)
            trades.append(placed["trade_id"])
        number, at = trades.index(placed["trade_id"]), int(placed["payment"]["payment_id"][-2:])
        self.sessions.setdefault((number, at - 1), placed["payment"])
        return 201, f"{number}.{at}"

    def cancel(self, number: int) -> Answer:
        return _brief(self.house.act(self.orders[number], "cancel"))

    def pay_again(self, number: int, channel: str) -> Answer:
        answer = self.house.act(self.orders[number], "payments", {"channel": channel})
        if answer.status_code != 201:
            return _refused(answer)
        payment = answer.json()["payment"]
        at = int(payment["payment_id"][-2:]) - 1
        self.sessions.setdefault((number, at), payment)
        return 201, str(at)

    def reveal(self, number: int) -> Answer:
        return _brief(self._read(number))

    def codes(self, number: int) -> list[str]:
        """What the holder reads."""
        return [card["code"] for card in self._read(number).json()["cards"]]

    def _read(self, number: int) -> httpx.Response:
        trade_id = self.orders[number]["trade_id"]
        return self.house.api.post(f"/orders/{trade_id}/cards", headers=bearer(self.orders[number]))

    def confirm(self, number: int) -> Answer:
        return _brief(self.house.act(self.orders[number], "confirm"))

    def view(self, number: int, holder: int) -> Answer:
        trade_id = self.orders[number]["trade_id"]
        answer = self.house.api.get(f"/orders/{trade_id}", headers=bearer(self.orders[holder]))
        return (200, answer.json()["status"]) if answer.is_success else _refused(answer)

    def look_up(self, number: int, right: bool) -> Answer:
        asked = {
            "trade_id": self.orders[number]["trade_id"],
            "query_password": "correct horse" if right else "wrong horse",
        }
        answer = self.house.api.post("/orders/lookup", json=asked)
        if answer.is_success:
            self.orders[number]["token"] = answer.json()["token"]
        return _brief(answer)

    # ---- the provider

    def pays(self, number: int, at: int, minor: int, told: bool) -> Answer:
        payment = self.sessions[number, at]
        if (booth := self._booth(payment)) is not None:
            there = booth.find(number=payment["payment_id"])
            assert there is not None
            assert booth.pay(there, notify=False)
        else:
            httpx.get(payment["redirect_url"]).raise_for_status()
            self._control("payments", payment, {"status": 1, "money": f"{minor // 100}.{minor % 100:02d}"})
        return self.tell(number, at) if told else (200, "")

    def tell(self, number: int, at: int) -> Answer:
        payment = self.sessions[number, at]
        if (booth := self._booth(payment)) is not None:
            there = booth.find(number=payment["payment_id"])
            assert there is not None
            booth.tell(there, "paid")
            booth.quiet(60)
        else:
            before = self._told(payment)
            self._control("notices", payment, {})
            wait_until(lambda: self._told(payment) > before, lambda: "the provider has not told it")
        return 200, ""

    def _told(self, payment: dict[str, Any]) -> int:
        url = f"{self.house.home.provider_url}/_control/notices/{payment['payment_id']}"
        return sum(each["delivered"] for each in httpx.get(url).json())

    def _control(self, what: str, payment: dict[str, Any], body: dict[str, Any]) -> None:
        url = f"{self.house.home.provider_url}/_control/{what}/{payment['payment_id']}"
        httpx.post(url, json=body).raise_for_status()

    def _booth(self, payment: dict[str, Any]) -> Booth | None:
        """The stand where this payment was opened; None: at the provider that came with the house."""
        return self.stripe.booth if self.stripe.booth.find(number=payment["payment_id"]) is not None else None

    def forge(self, number: int, at: int) -> Answer:
        payment = self.sessions[number, at]
        if self._booth(payment) is not None:
            notice = self.stripe.forged(self.stripe.notice(payment["payment_id"]))["unknown key"]
            sent = self.house.api.request(
                notice.method, "/webhooks/model-stripe", headers=notice.headers, content=notice.body
            )
        else:
            said = signed(fields(self.house, {**self.orders[number], "payment": payment}), "not-the-key")
            sent = self.house.api.get("/webhooks/epay", params=said)
        return sent.status_code, sent.text

    # ---- the operator

    def load(self, sku: str, codes: tuple[str, ...]) -> Answer:
        path = f"/admin/products/{self.skus[sku]}/cards"
        headers = {**self.house.operator, **_NO_JSON}
        answer = self.house.api.post(path, headers=headers, content="\n".join(codes))
        if not answer.is_success:
            return _refused(answer)
        self.batches[codes[0]] = answer.json()["batch"]
        self.of[codes[0]] = self.skus[sku]
        return answer.status_code, str(answer.json()["imported"])

    def move(self, name: str, on_sale: bool) -> Answer:
        path = f"/admin/products/{self.of[name]}/batches/{quote(self.batches[name])}"
        body = {"status": "on_sale" if on_sale else "withdrawn"}
        answer = self.house.api.put(path, headers=self.house.operator, json=body)
        return (200, answer.json()["status"]) if answer.is_success else _refused(answer)

    def list_product(self, sku: str, hidden: bool) -> Answer:
        body = {
            "name": f"商品 {sku}",
            "price": {"minor": self.prices[sku], "currency": "CNY"},
            "status": "hidden" if hidden else "on_sale",
        }
        path = f"/admin/products/{self.skus[sku]}"
        answer = self.house.api.put(path, headers=self.house.operator, json=body)
        return (200, answer.json()["status"]) if answer.is_success else _refused(answer)

    def refund(self, number: int, at: int | None, minor: int | None, key: str) -> Answer:
        body: dict[str, Any] = {"note": "the buyer asked for it"}
        if at is not None:
            body["payment_id"] = self.sessions[number, at]["payment_id"]
        if minor is not None:
            body["amount"] = {"minor": minor, "currency": "CNY"}
        return self._refund(number, body, {"Idempotency-Key": key})

    def sent_by_hand(self, number: int, at: int, ref: str) -> Answer:
        payment = self.sessions[number, at]["payment_id"]
        return self._refund(number, {"note": "by bank", "payment_id": payment, "provider_ref": ref}, {})

    def _refund(self, number: int, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        path = f"/admin/orders/{self.orders[number]['trade_id']}/refunds"
        answer = self.house.api.post(path, headers={**self.house.operator, **headers}, json=body)
        return (200, answer.json()["refund"]["state"]) if answer.is_success else _refused(answer)

    def keep(self, number: int, at: int) -> Answer:
        payment = self.sessions[number, at]["payment_id"]
        path = f"/admin/orders/{self.orders[number]['trade_id']}/payments/{payment}/keep"
        return _brief(self.house.api.post(path, headers=self.house.operator, json={"note": "the buyer agreed"}))

    def confirm_by_hand(self, number: int, at: int, minor: int) -> Answer:
        payment = self.sessions[number, at]["payment_id"]
        ref = f"T{payment}"
        there = self.stripe.booth.find(number=payment)
        if there is not None:
            ref = there.extra["payment_intent"]
        body = {
            "note": "seen there",
            "provider_ref": ref,
            "payment_id": payment,
            "amount": {"minor": minor, "currency": "CNY"},
        }
        path = f"/admin/orders/{self.orders[number]['trade_id']}/confirm-payment"
        return _brief(self.house.api.post(path, headers=self.house.operator, json=body))

    # ---- the clock

    def look(self) -> Answer:
        for placed in self.orders:
            self.house.make_due(placed["trade_id"])
        self.house.reconcile()
        return 200, ""

    def time_over(self, number: int) -> Answer:
        self.house.make_due(self.orders[number]["trade_id"], over=True)
        return self.look()

    # ---- what is seen

    def shown(self, number: int) -> dict[str, Any]:
        """As `shop_model.Order.shown`."""
        path = f"/admin/orders/{self.orders[number]['trade_id']}"
        order = self.house.api.get(path, headers=self.house.operator).raise_for_status().json()
        return {
            "status": order["status"],
            "version": order["version"],
            "amount": order["amount"]["minor"],
            "due": order.get("due", order["amount"])["minor"],
            "payments": [
                (
                    each["channel"],
                    each["state"],
                    each["amount"]["minor"],
                    each["paid"]["minor"] if "paid" in each else None,
                    [(it["amount"]["minor"], it["state"], it["by"]) for it in each.get("refunds", ())],
                )
                for each in order["payments"]
            ],
            "story": sorted(each["what"] for each in order["timeline"]),
            "tasks": [each["task"] for each in order["tasks"]],
            "cards": [each["state"] for each in order["cards"]],
        }

    def held(self, number: int) -> Counter[str]:
        """Of which batches the order's cards are."""
        trade_id = self.orders[number]["trade_id"]
        found = self.house.aws("dynamodb").get_item(
            TableName=self.house.outputs["OrdersTable"], Key={"trade_id": {"S": trade_id}}, ConsistentRead=True
        )
        names = {there: name for name, there in self.batches.items()}
        return Counter(names[card["S"].split("#")[1]] for card in found["Item"]["cards"]["L"])

    def stock(self, sku: str) -> tuple[int, dict[str, tuple[int, int, int]]]:
        """What is on sale, and of each batch what is on sale, held and sold."""
        path = f"/admin/products/{self.skus[sku]}"
        found = self.house.api.get(path, headers=self.house.operator).raise_for_status().json()
        names = {there: name for name, there in self.batches.items()}
        batches = {names[it["batch"]]: (it["on_sale"], it["held"], it["sold"]) for it in found["batches"]}
        return found["stock"]["quantity"], batches


def _refused(answer: httpx.Response) -> Answer:
    return answer.status_code, answer.json().get("code", "")


def _brief(answer: httpx.Response) -> Answer:
    return (answer.status_code, "") if answer.is_success else _refused(answer)


def channels(house: House, stripe: Subject) -> None:
    """The channels of the model, saved in the shop."""
    house.channel("epay")
    house.channel("model-whole", refunds="whole")
    body = {"provider": stripe.provider_name, **stripe.settings()}
    house.api.put("/admin/channels/model-stripe", headers=house.operator, json=body).raise_for_status()
    stripe.booth.webhook_url = f"{house.outputs['ApiUrl']}/webhooks/model-stripe"  # type: ignore[attr-defined]
    assert CHANNELS.keys() == {"epay", "model-whole", "model-stripe"}
