"""The simulated 支付宝: the official SDK gets along with it, and it refuses what the real one refuses."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from simulators.alipay import BEIJING, Alipay, new_account
from simulators.booth import Payment, Refund, Telling, serve
from tests.oracles.alipay import Oracle, official

ACCOUNT = new_account()
NUMBER = "order_1"


@pytest.fixture
def booth() -> Iterator[Alipay]:
    with serve(Alipay(dict(ACCOUNT))) as served:
        yield served


@pytest.fixture
def sdk(booth: Alipay) -> Iterator[Oracle]:
    with official(ACCOUNT, f"{booth.url}/gateway.do") as asked:
        yield asked


def later(seconds: int = 600) -> str:
    return (datetime.now(BEIJING) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def order(**changed: Any) -> dict[str, Any]:
    asked = {"out_trade_no": NUMBER, "total_amount": "9.90", "subject": "Steam 充值卡", "time_expire": later()}
    return {**asked, **changed}


def fields(way: str, asked: dict[str, Any] | str, **changed: str) -> dict[str, str]:
    """A request, signed; a field changed to nothing is left out."""
    whole = {
        "app_id": ACCOUNT["app_id"],
        "method": f"alipay.trade.{way}",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": later(0),
        "version": "1.0",
        "notify_url": "http://127.0.0.1:9/webhook",
        "biz_content": asked if isinstance(asked, str) else json.dumps(asked, ensure_ascii=False),
        **changed,
    }
    sent = {name: value for name, value in whole.items() if value}
    key = load_der_private_key(base64.b64decode(ACCOUNT["private_key"]), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    message = "&".join(f"{name}={sent[name]}" for name in sorted(sent)).encode()
    return {**sent, "sign": base64.b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()}


def sent(booth: Alipay, asked: dict[str, str]) -> dict[str, Any]:
    with urllib.request.urlopen(f"{booth.url}/gateway.do?{urlencode(asked)}", timeout=5) as answer:
        whole: dict[str, Any] = json.load(answer)
    (name,) = whole.keys() - {"sign"}
    told: dict[str, Any] = whole[name]
    assert ("sign" in whole) == (name != "error_response")
    return told


def opened(booth: Alipay) -> Payment:
    sent(booth, fields("precreate", order()))
    payment = booth.find(number=NUMBER)
    assert payment is not None
    return payment


def paid(booth: Alipay) -> Payment:
    payment = opened(booth)
    assert booth.pay(payment, notify=False)
    return payment


def test_the_official_sdk_gets_along_with_it(booth: Alipay, sdk: Oracle) -> None:
    named = {"out_trade_no": NUMBER}
    made = sdk("call", method="alipay.trade.precreate", asked=order(), notify_url="http://127.0.0.1:9/webhook")
    assert (made["code"], made["outTradeNo"]) == ("10000", NUMBER)
    assert sdk("call", method="alipay.trade.query", asked=named)["subCode"] == "ACQ.TRADE_NOT_EXIST"
    with urllib.request.urlopen(made["qrCode"], timeout=5) as page:
        assert "9.90" in page.read().decode()
    assert sdk("call", method="alipay.trade.query", asked=named)["tradeStatus"] == "WAIT_BUYER_PAY"
    payment = booth.find(number=NUMBER)
    assert payment is not None
    booth.pay(payment, notify=False)
    assert sdk("call", method="alipay.trade.query", asked=named)["tradeStatus"] == "TRADE_SUCCESS"
    assert sdk("call", method="alipay.trade.close", asked=named)["subCode"] == "ACQ.TRADE_STATUS_ERROR"
    back = {**named, "refund_amount": "1.00", "out_request_no": "r1"}
    assert [sdk("call", method="alipay.trade.refund", asked=back)["fundChange"] for _ in range(2)] == ["Y", "N"]
    look = {**named, "out_request_no": "r1"}
    found = sdk("call", method="alipay.trade.fastpay.refund.query", asked=look)
    assert (found["refundStatus"], found["refundAmount"]) == ("REFUND_SUCCESS", "1.00")
    look["out_request_no"] = "r2"
    assert "refundStatus" not in sdk("call", method="alipay.trade.fastpay.refund.query", asked=look)


def test_the_official_sdk_takes_no_answer_of_another_key(booth: Alipay, sdk: Oracle) -> None:
    booth.account["alipay_private_key"] = ACCOUNT["next_alipay_private_key"]
    assert sdk("call", method="alipay.trade.query", asked={"out_trade_no": NUMBER}).startswith("验签失败")


def test_the_official_sdk_believes_its_notices(booth: Alipay, sdk: Oracle) -> None:
    payment = paid(booth)
    for event in ("paid", "finished", "waiting", "closed", "refunded"):
        outgoing = booth.notice(payment, event, Telling("n1", time.time(), Refund("r1", "9.90")))
        assert outgoing is not None
        told = dict(parse_qsl(outgoing.body.decode(), keep_blank_values=True))
        assert sdk("notice", fields=told)
        assert not sdk("notice", fields={**told, "total_amount": "0.01"})
    assert sdk("notice", fields=booth.returned(payment)), "and the buyer's way back, which is signed alike"
    assert booth.notice(payment, "charged_back", Telling("n2", time.time(), None)) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"app_id": "2021004100000110"}, "isv.invalid-app-id"),
        ({"app_id": ""}, "isv.missing-app-id"),
        ({"charset": "latin-1"}, "isv.invalid-charset"),
        ({"sign_type": "RSA"}, "isv.invalid-sign-type"),
        ({"timestamp": "2025-11-22T16:26:40"}, "isv.invalid-timestamp"),
        ({"timestamp": ""}, "isv.missing-timestamp"),
        ({"version": "2.0"}, "isv.invalid-version"),
        ({"biz_content": "{"}, "isv.invalid-parameter"),
        ({"method": "alipay.trade.pay"}, "isv.invalid-method"),
    ],
)
def test_a_request_that_is_wrong_is_refused(booth: Alipay, changed: dict[str, str], code: str) -> None:
    assert sent(booth, fields("query", {"out_trade_no": NUMBER}, **changed))["sub_code"] == code


def test_a_request_that_is_not_signed_so_is_refused(booth: Alipay) -> None:
    asked = fields("query", {"out_trade_no": NUMBER})
    assert sent(booth, {**asked, "format": "JSON"})["sub_code"] == "isv.invalid-signature"
    assert sent(booth, {**asked, "sign": "x"})["sub_code"] == "isv.invalid-signature"
    del asked["sign"]
    assert sent(booth, asked)["sub_code"] == "isv.missing-sign"


@pytest.mark.parametrize(
    "changed",
    [
        {"total_amount": "0.00"},
        {"total_amount": "9.901"},
        {"subject": "a & b"},
        {"subject": ""},
        {"out_trade_no": "order-1"},
        {"time_expire": "2025-11-22 16:26"},
        {"product_code": "FAST_INSTANT_TRADE_PAY"},
    ],
)
def test_an_order_that_is_wrong_is_refused(booth: Alipay, changed: dict[str, Any]) -> None:
    told = sent(booth, fields("precreate", order(**changed)))
    assert told["sub_code"] == "ACQ.INVALID_PARAMETER"
    assert booth.find(number=NUMBER) is None


def test_an_order_number_has_one_price_and_is_paid_once(booth: Alipay) -> None:
    opened(booth)
    assert sent(booth, fields("precreate", order()))["code"] == "10000"
    another = sent(booth, fields("precreate", order(total_amount="1.00")))
    assert another["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    paid(booth)
    assert sent(booth, fields("precreate", order()))["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"


def test_a_page_leads_to_where_it_is_paid(booth: Alipay) -> None:
    asked = fields("wap.pay", order(product_code="QUICK_WAP_WAY"), return_url="https://shop.example/back")
    with urllib.request.urlopen(f"{booth.url}/gateway.do?{urlencode(asked)}", timeout=5) as page:
        assert "确认付款" in page.read().decode()
    payment = booth.find(number=NUMBER)
    assert payment is not None
    assert booth.pay(payment, notify=False)
    back = urlsplit(booth.way_back(payment))
    assert (back.netloc, back.path) == ("shop.example", "/back")
    assert dict(parse_qsl(back.query))["out_trade_no"] == NUMBER


def test_a_page_that_is_wrong_says_so(booth: Alipay) -> None:
    asked = fields("page.pay", order(product_code="QUICK_WAP_WAY"))
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{booth.url}/gateway.do?{urlencode(asked)}", timeout=5)


def test_what_is_not_paid_in_time_is_closed(booth: Alipay) -> None:
    payment = opened(booth)
    payment.extra["until"] = later(-1)
    assert not booth.pay(payment)
    told = sent(booth, fields("query", {"out_trade_no": NUMBER}))
    assert (told["trade_status"], "send_pay_date" in told) == ("TRADE_CLOSED", False)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"refund_amount": "9.91"}, "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        ({"out_request_no": "r1", "refund_amount": "2.00"}, "ACQ.DISCORDANT_REPEAT_REQUEST"),
        ({"refund_amount": "-1"}, "ACQ.INVALID_PARAMETER"),
        ({"refund_currency": "CNY"}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "order_2"}, "ACQ.TRADE_NOT_EXIST"),
    ],
)
def test_a_refund_that_is_wrong_is_refused(booth: Alipay, changed: dict[str, str], code: str) -> None:
    payment = paid(booth)
    asked = {"out_trade_no": NUMBER, "refund_amount": "1.00", "out_request_no": "r1"}
    assert sent(booth, fields("refund", asked))["fund_change"] == "Y"
    assert sent(booth, fields("refund", {**asked, "out_request_no": "r2", **changed}))["sub_code"] == code
    assert payment.refunded == "1.00"


def test_only_success_is_success(booth: Alipay) -> None:
    assert booth.accepted(200, b"success\n")
    for status, body in ((200, b"SUCCESS"), (200, b'{"success"}'), (200, b""), (500, b"success")):
        assert not booth.accepted(status, body)
    assert len(booth.retries) == 7
