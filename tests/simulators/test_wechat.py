"""The simulated WeChat Pay, seen by another SDK as the merchant's client, and by a client that gets things wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType  # type: ignore[import-untyped]
from wechatpayv3.utils import build_authorization, load_private_key  # type: ignore[import-untyped]

from simulators.booth import Payment, Telling, serve
from simulators.wechat import WeChat, new_account
from tests.simulators.shop import listening

NUMBER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
NOTIFY = "https://shop.example/api/webhooks/wechat"
ORDERS, REFUNDS = "/v3/pay/transactions", "/v3/refund/domestic/refunds"
WAYS = {"native": WeChatPayType.NATIVE, "h5": WeChatPayType.H5, "jsapi": WeChatPayType.JSAPI}
MORE: dict[str, dict[str, Any]] = {
    "native": {},
    "h5": {"scene_info": {"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}}},
    "jsapi": {"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}},
}
ASKED = {
    "appid": "wx8888888888888888",
    "mchid": "1900000109",
    "description": "Steam 50 元",
    "out_trade_no": NUMBER,
    "notify_url": NOTIFY,
    "time_expire": "2096-10-02T15:06:40+08:00",
    "amount": {"total": 990, "currency": "CNY"},
}


@cache
def account() -> dict[str, Any]:
    return new_account()


@pytest.fixture
def booth() -> Iterator[WeChat]:
    with serve(WeChat(account(), time_scale=60_000)) as served:
        yield served


def sdk(booth: WeChat, way: str = "native") -> Any:
    key_id = account()["signs_with"]
    client = WeChatPay(
        WAYS[way],
        account()["mchid"],
        account()["private_key"],
        account()["merchant_serial"],
        account()["appid"],
        account()["api_v3_key"],
        notify_url=NOTIFY,
        timeout=5,
        public_key=account()["wechat_keys"][key_id],
        public_key_id=key_id,
        proxy={"http": ""},
    )
    client._core._gate_way = booth.url
    return client


@pytest.mark.parametrize(("way", "names"), [("native", "code_url"), ("h5", "h5_url"), ("jsapi", "prepay_id")])
def test_the_sdk_opens_pays_refunds_and_hears_of_it(booth: WeChat, way: str, names: str) -> None:
    client = sdk(booth, way)
    for _ in range(2):  # the same again is the same order
        status, answer = client.pay("Steam 50 元", NUMBER, {"total": 990}, **MORE[way])
        assert (status, list(json.loads(answer))) == (200, [names])
    _, answer = client.query(out_trade_no=NUMBER)
    assert json.loads(answer)["trade_state"] == "NOTPAY"
    payment = booth.find(number=NUMBER)
    assert payment is not None
    assert booth.pay(payment, notify=False)
    _, answer = client.query(out_trade_no=NUMBER)
    paid = json.loads(answer)
    assert (paid["trade_state"], paid["amount"]["total"]) == ("SUCCESS", 990)

    status, answer = client.refund("refund-1", {"refund": 400, "total": 990, "currency": "CNY"}, out_trade_no=NUMBER)
    assert (status, json.loads(answer)["status"]) == (200, "PROCESSING")
    booth.settle(payment, payment.refunds["refund-1"], "done")
    _, answer = client.query_refund("refund-1")
    refunded = json.loads(answer)
    assert (refunded["status"], refunded["amount"]["refund"]) == ("SUCCESS", 400)
    assert json.loads(client.query(out_trade_no=NUMBER)[1])["trade_state"] == "REFUND"

    heard = [said(booth, payment, event, client) for event in ("paid", "refunded", "refund_refused", "refund_closed")]
    assert [each["event_type"] for each in heard] == [
        "TRANSACTION.SUCCESS",
        "REFUND.SUCCESS",
        "REFUND.ABNORMAL",
        "REFUND.CLOSED",
    ]
    assert heard[0]["resource"]["transaction_id"] == paid["transaction_id"] == payment.reference
    assert [each["resource"]["refund_status"] for each in heard[1:]] == ["SUCCESS", "ABNORMAL", "CLOSED"]
    assert heard[1]["resource"]["out_refund_no"] == "refund-1"
    assert heard[1]["resource"]["refund_id"] == refunded["refund_id"]


def said(booth: WeChat, payment: Payment, event: str, client: Any) -> Any:
    refund = None if event == "paid" else payment.refunds["refund-1"]
    outgoing = booth.notice(payment, event, Telling("n1", time.time(), refund))
    assert outgoing is not None
    assert outgoing.url == NOTIFY
    return client.callback(outgoing.headers, outgoing.body)


def test_the_sdk_closes_what_is_not_paid(booth: WeChat) -> None:
    client = sdk(booth)
    client.pay("Steam 50 元", NUMBER, {"total": 990})
    assert client.close(NUMBER)[0] == 204
    assert json.loads(client.query(out_trade_no=NUMBER)[1])["trade_state"] == "CLOSED"
    status, answer = client.close(NUMBER)
    assert (status, json.loads(answer)["code"]) == (400, "ORDER_CLOSED")


def test_nobody_is_told_what_the_real_one_tells_nobody(booth: WeChat) -> None:
    payment = Payment(NUMBER, "990", "CNY", NOTIFY, extra={"way": "native", "words": {"payer": None}})
    for event in ("closed", "failed", "charged_back"):
        assert booth.notice(payment, event, Telling("n1", time.time(), None)) is None
    payment.notify_url = ""
    assert booth.notice(payment, "paid", Telling("n1", time.time(), None)) is None


# ---- refusals


def ask(booth: WeChat, method: str, target: str, asked: Any = None, **headers: str) -> tuple[int, Any]:
    body = "" if asked is None else json.dumps(asked)
    key = load_private_key(account()["private_key"])
    whose = account()["mchid"], account()["merchant_serial"]
    signed = {
        "Authorization": build_authorization(target, method, *whose, key, body),
        "Accept": "application/json",
        "User-Agent": "a shop",
        "Content-Type": "application/json",
        **headers,
    }
    connection = HTTPConnection(urlsplit(booth.url).netloc, timeout=5)
    try:
        connection.request(method, target, body or None, signed)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def create(booth: WeChat, way: str = "native", **changed: Any) -> tuple[int, Any]:
    status, answer = ask(booth, "POST", f"{ORDERS}/{way}", {**ASKED, **MORE[way], **changed})
    return status, answer.get("code")


@pytest.mark.parametrize(
    ("way", "changed", "status", "code"),
    [
        ("native", {"appid": "wx0000000000000000"}, 400, "APPID_MCHID_NOT_MATCH"),
        ("native", {"mchid": "1900000110"}, 400, "APPID_MCHID_NOT_MATCH"),
        ("native", {"description": "元" * 128}, 400, "PARAM_ERROR"),
        ("native", {"out_trade_no": "short"}, 400, "PARAM_ERROR"),
        ("native", {"time_expire": "2096-10-02T07:06:40Z"}, 400, "PARAM_ERROR"),
        ("native", {"notify_url": "http://shop.example/"}, 400, "PARAM_ERROR"),
        ("native", {"notify_url": f"{NOTIFY}?a=b"}, 400, "PARAM_ERROR"),
        ("native", {"amount": {"total": 9.9}}, 400, "PARAM_ERROR"),
        ("native", {"amount": {"total": 990, "currency": "USD"}}, 400, "PARAM_ERROR"),
        ("jsapi", {"payer": {}}, 400, "PARAM_ERROR"),
        ("h5", {"scene_info": {"h5_info": {"type": "Wap"}}}, 400, "PARAM_ERROR"),
    ],
)
def test_what_the_real_one_refuses_is_refused(
    booth: WeChat, way: str, changed: dict[str, Any], status: int, code: str
) -> None:
    assert create(booth, way, **changed) == (status, code)
    assert booth.find(number=NUMBER) is None


def test_a_number_belongs_to_one_way_of_paying_and_one_set_of_words(booth: WeChat) -> None:
    assert create(booth) == (200, None)
    assert create(booth, "h5") == (403, "OUT_TRADE_NO_USED")
    assert create(booth, description="Another") == (403, "OUT_TRADE_NO_USED")
    payment = booth.find(number=NUMBER)
    assert payment is not None
    booth.pay(payment, notify=False)
    assert create(booth) == (400, "INVALID_REQUEST")
    assert ask(booth, "POST", f"{ORDERS}/out-trade-no/{NUMBER}/close", {"mchid": account()["mchid"]})[0] == 400
    payment.status = "closed"
    assert create(booth) == (400, "ORDER_CLOSED")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": 'WECHATPAY2-SHA256-RSA2048 mchid="1900000109"'},
        {"Authorization": "WECHATPAY2-SM2-WITH-SM3"},
    ],
)
def test_a_request_without_a_right_signature_is_refused(booth: WeChat, headers: dict[str, str]) -> None:
    status, answer = ask(booth, "POST", f"{ORDERS}/native", ASKED, **headers)
    assert (status, answer["code"]) == (401, "SIGN_ERROR")


def test_a_signature_of_another_request_or_another_time_is_refused(
    booth: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, whose = load_private_key(account()["private_key"]), (account()["mchid"], account()["merchant_serial"])
    other = build_authorization(f"{ORDERS}/h5", "POST", *whose, key, json.dumps(ASKED))
    assert ask(booth, "POST", f"{ORDERS}/native", ASKED, Authorization=other)[0] == 401
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 301)
        old = build_authorization(f"{ORDERS}/native", "POST", *whose, key, json.dumps(ASKED))
    assert ask(booth, "POST", f"{ORDERS}/native", ASKED, Authorization=old)[0] == 401
    assert ask(booth, "POST", f"{ORDERS}/native", ASKED)[0] == 200


def test_a_request_without_the_headers_it_wants_is_refused(booth: WeChat) -> None:
    for headers in ({"Accept": "text/html"}, {"User-Agent": ""}, {"Content-Type": "text/plain"}):
        status, answer = ask(booth, "POST", f"{ORDERS}/native", ASKED, **headers)
        assert (status, answer["code"]) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", f"{ORDERS}/out-trade-no/{NUMBER}?mchid=1900000109", 404, "ORDER_NOT_EXIST"),
        ("GET", f"{ORDERS}/out-trade-no/{NUMBER}?mchid=1900000110", 400, "PARAM_ERROR"),
        ("GET", f"{REFUNDS}/refund-1", 404, "RESOURCE_NOT_EXISTS"),
        ("GET", "/v3/certificates", 404, "RESOURCE_NOT_EXISTS"),
    ],
)
def test_what_is_not_there_is_not_found(booth: WeChat, method: str, target: str, status: int, code: str) -> None:
    found, answer = ask(booth, method, target)
    assert (found, answer["code"]) == (status, code)


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"amount": {"refund": 991, "total": 990, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": 400, "total": 991, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": "400", "total": 990, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": None}, 400, "PARAM_ERROR"),
        ({"out_refund_no": "?"}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "unknown"}, 404, "RESOURCE_NOT_EXISTS"),
    ],
)
def test_a_refund_that_cannot_be_is_refused(booth: WeChat, changed: dict[str, Any], status: int, code: str) -> None:
    create(booth)
    payment = booth.find(number=NUMBER)
    assert payment is not None
    booth.pay(payment, notify=False)
    right = {
        "out_trade_no": NUMBER,
        "out_refund_no": "refund-1",
        "amount": {"refund": 400, "total": 990, "currency": "CNY"},
    }
    found, answer = ask(booth, "POST", REFUNDS, {**right, **changed})
    assert (found, answer["code"]) == (status, code)
    assert payment.refunds == {}


# ---- notices


def test_a_notice_comes_until_it_is_got_each_time_signed_anew(booth: WeChat) -> None:
    with listening() as there:
        there.reply = lambda number: (204 if number == 3 else 500, b"")
        create(booth, notify_url=there.url)
        payment = booth.find(number=NUMBER)
        assert payment is not None
        booth.pay(payment)
        booth.quiet()
    assert [attempt.status for attempt in booth.attempts(NUMBER)] == [500, 500, 204]
    assert len(there.told) == 3
    written = [{name.title(): value for name, value in each.headers.items()} for each in there.told]
    notices = [sdk(booth).callback(headers, each.body) for headers, each in zip(written, there.told, strict=True)]
    assert len({notice["id"] for notice in notices}) == 1
    assert {notice["resource"]["out_trade_no"] for notice in notices} == {NUMBER}


def test_the_page_that_pays_goes_back_where_its_address_says(booth: WeChat) -> None:
    create(booth, "h5")
    payment = booth.find(number=NUMBER)
    assert payment is not None
    page = urlsplit(booth.pay_url(payment))
    connection = HTTPConnection(page.netloc, timeout=5)
    connection.request("GET", f"{page.path}?redirect_url=https%3A%2F%2Fshop.example%2Fback")
    assert connection.getresponse().read()
    connection.request("POST", page.path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert (answer.status, answer.headers["Location"]) == (303, "https://shop.example/back")
    assert payment.status == "paid"
