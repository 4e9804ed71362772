"""The simulated Epusdt gateway, seen over HTTP as a shop sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from simulators import epusdt
from simulators.booth import serve
from tests.simulators.shop import listening

TOKEN = "epusdt_password_xasddawqe"
ORDER: dict[str, Any] = {
    "order_id": "20220201030210321",
    "amount": 42,
    "notify_url": "http://example.com/notify",
    "redirect_url": "http://example.com/redirect",
}


@pytest.fixture
def usdt() -> Iterator[epusdt.Epusdt]:
    with serve(epusdt.Epusdt({"token": TOKEN}, time_scale=60_000)) as booth:
        yield booth


def ordered(booth_url: str, sign: Callable[[dict[str, Any], str], str], token: str, **changes: Any) -> dict[str, Any]:
    fields = {**ORDER, **changes}
    body = epusdt.encode({**fields, "signature": sign(fields, token)})
    answer = httpx.post(f"{booth_url}/api/v1/order/create-transaction", content=body)
    assert answer.status_code == 200
    return dict(answer.json())


def create(booth: epusdt.Epusdt, token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    return ordered(booth.url, epusdt.sign, token, **changes)


def test_the_documents_own_example_is_taken(usdt: epusdt.Epusdt) -> None:
    assert epusdt.sign(ORDER, TOKEN) == "1cd4b52df5587cfb1968b0c0c6e156cd"
    answer = create(usdt)
    assert (answer["status_code"], answer["data"]["amount"], answer["data"]["actual_amount"]) == (200, 42, 6.56)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": "another"}, 401),
        ({"order_id": "x" * 33}, 400),
        ({"order_id": 1}, 10009),
        ({"amount": Decimal("0.01")}, 400),
        ({"amount": Decimal("0.02")}, 10004),
        ({"amount": "42"}, 10009),
        ({"notify_url": "example.com"}, 400),
    ],
)
def test_epusdt_refuses_with_its_codes(changes: dict[str, Any], code: int, usdt: epusdt.Epusdt) -> None:
    assert create(usdt, **changes)["status_code"] == code


@pytest.mark.parametrize("body", [b"", b"[]", b'{"order_id": "1"}', b'{"name": true, "signature": "0"}'])
def test_epusdt_refuses_what_is_not_signed(body: bytes, usdt: epusdt.Epusdt) -> None:
    answer = httpx.post(f"{usdt.url}/api/v1/order/create-transaction", content=body)
    assert answer.json()["status_code"] == 401


def test_epusdt_takes_an_order_number_once(usdt: epusdt.Epusdt) -> None:
    assert create(usdt)["status_code"] == 200
    assert create(usdt)["status_code"] == 10002


def test_epusdt_shows_the_page_only_while_it_waits_and_the_status_ever_after(usdt: epusdt.Epusdt) -> None:
    opened = create(usdt)["data"]
    status = f"{usdt.url}/pay/check-status/{opened['trade_id']}"
    assert "确认付款" in httpx.get(opened["payment_url"]).text
    assert httpx.get(status).json()["data"] == {"trade_id": opened["trade_id"], "status": 1}
    httpx.post(f"{usdt.url}/_control/pay/{ORDER['order_id']}", json={"notify": False})
    assert "确认付款" not in httpx.get(opened["payment_url"]).text
    assert httpx.get(status).json()["data"]["status"] == 2
    assert httpx.get(f"{usdt.url}/pay/check-status/1").json()["status_code"] == 10008


@pytest.mark.parametrize(("reply", "status", "tries"), [(b"ok", 500, 1), (b"success", 200, 6), (b"ok\n", 200, 6)])
def test_epusdt_tells_of_money_until_the_answer_is_ok(
    reply: bytes, status: int, tries: int, usdt: epusdt.Epusdt
) -> None:
    with listening() as there:
        there.reply = lambda _: (status, reply)
        opened = create(usdt, notify_url=there.url)["data"]
        httpx.post(f"{usdt.url}/_control/pay/{ORDER['order_id']}", json={})
        usdt.quiet()
        assert len(there.told) == tries
        told = there.told[0].json()
    assert (told["order_id"], told["trade_id"], told["status"]) == (ORDER["order_id"], opened["trade_id"], 2)
    assert told["signature"] == epusdt.sign({**told, "amount": 42, "actual_amount": Decimal("6.56")}, TOKEN)
