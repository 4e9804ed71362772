"""The simulated BEpusdt gateway, seen over HTTP as a shop sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from simulators import bepusdt
from simulators.booth import serve
from tests.simulators.shop import listening
from tests.simulators.test_epusdt import ORDER, TOKEN, ordered


@pytest.fixture
def coins() -> Iterator[bepusdt.Bepusdt]:
    with serve(bepusdt.Bepusdt({"token": TOKEN}, time_scale=60_000)) as booth:
        yield booth


def create(booth: bepusdt.Bepusdt, token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    return ordered(booth.url, bepusdt.sign, token, **changes)


def test_the_documents_own_example_is_taken(coins: bepusdt.Bepusdt) -> None:
    assert bepusdt.sign({**ORDER, "name": ""}, TOKEN) == "1cd4b52df5587cfb1968b0c0c6e156cd"
    answer = create(coins)
    assert (answer["status_code"], answer["data"]["amount"], answer["data"]["actual_amount"]) == (200, "42", "5.92")


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "another"},
        {"amount": 0},
        {"amount": 100_000},
        {"amount": "42"},
        {"redirect_url": ""},
        {"fiat": "KRW"},
        {"trade_type": "usdt.base"},
        {"timeout": "600"},
    ],
)
def test_bepusdt_refuses_with_one_code(changes: dict[str, Any], coins: bepusdt.Bepusdt) -> None:
    assert create(coins, **changes)["status_code"] == 400


def test_bepusdt_answers_the_same_order_until_it_is_over(coins: bepusdt.Bepusdt) -> None:
    first = create(coins)["data"]
    assert create(coins)["data"]["trade_id"] == first["trade_id"]
    changed = create(coins, amount=84, fiat="USD")["data"]
    assert (changed["trade_id"], changed["amount"], changed["fiat"]) == (first["trade_id"], "84", "USD")
    httpx.post(f"{coins.url}/_control/payments/{ORDER['order_id']}", json={"status": "closed"})
    assert create(coins)["data"]["trade_id"] != first["trade_id"]


def test_bepusdt_cancels_what_waits_and_only_that(coins: bepusdt.Bepusdt) -> None:
    number = create(coins)["data"]["trade_id"]
    fields = {"trade_id": number}
    body = {**fields, "signature": bepusdt.sign(fields, TOKEN)}
    cancel = f"{coins.url}/api/v1/order/cancel-transaction"
    assert httpx.post(cancel, json={**body, "signature": "0" * 32}).json()["status_code"] == 400
    assert httpx.post(cancel, json=body).json()["status_code"] == 200
    assert httpx.post(cancel, json=body).json()["status_code"] == 400
    info = httpx.post(f"{coins.url}/api/v1/pay/info", json=fields).json()["data"]
    assert (info["status"], info["money"], info["fiat"], info["order_id"]) == (4, "42", "CNY", ORDER["order_id"])


def test_bepusdt_tells_of_waiting_and_of_the_end_too(coins: bepusdt.Bepusdt) -> None:
    with listening() as there:
        there.reply = lambda _: (200, b"")  # the status is enough
        create(coins, notify_url=there.url)
        for event in ("waiting", "closed", "failed", "refunded"):
            httpx.post(f"{coins.url}/_control/notices/{ORDER['order_id']}", json={"event": event})
            coins.quiet()
        told = [each.json() for each in there.told]
        assert [each["status"] for each in told] == [1, 3, 6]
        assert all(each["actual_amount"] == "5.92" for each in told)


def test_an_older_bepusdt_has_another_query_and_another_page() -> None:
    with serve(bepusdt.Bepusdt({"token": TOKEN, "older": True}, time_scale=60_000)) as booth:
        opened = create(booth)["data"]
        assert opened["payment_url"].endswith(f"/pay/checkout-counter/{opened['trade_id']}")
        assert "确认付款" in httpx.get(opened["payment_url"]).text
        assert httpx.post(f"{booth.url}/api/v1/pay/info", json={"trade_id": opened["trade_id"]}).status_code == 404
        status = httpx.get(f"{booth.url}/pay/check-status/{opened['trade_id']}").json()
    assert (status["trade_id"], status["status"]) == (opened["trade_id"], 1)
