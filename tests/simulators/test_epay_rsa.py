"""The simulated 易支付 of v2, seen over HTTP as a shop sees it."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from simulators import epay_rsa
from simulators.booth import serve
from tests.simulators.shop import listening

ACCOUNT = epay_rsa.new_account()
ORDER = {
    "pid": "1001",
    "type": "alipay",
    "method": "web",
    "clientip": "203.0.113.7",
    "out_trade_no": "20160806151343349",
    "notify_url": "http://shop.example/notify",
    "return_url": "http://shop.example/return?from=pay",
    "name": "VIP会员",
    "money": "1.00",
}
NUMBER = {"pid": "1001", "out_trade_no": ORDER["out_trade_no"]}
REFUND = {**NUMBER, "out_refund_no": "R20160806", "money": "0.40"}


def signed(fields: dict[str, str], key: str = ACCOUNT["merchant_private_key"], off: int = 0) -> dict[str, str]:
    timed = {"timestamp": str(int(time.time()) + off), **fields}
    return {**timed, "sign": epay_rsa.sign(timed, key), "sign_type": "RSA"}


@pytest.fixture
def stand() -> Iterator[epay_rsa.EpayRsa]:
    with serve(epay_rsa.EpayRsa(ACCOUNT, time_scale=100_000)) as served:
        yield served


Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(stand: epay_rsa.EpayRsa) -> Call:
    def posted(name: str, fields: dict[str, str], *, as_they_are: bool = False) -> dict[str, Any]:
        sent = fields if as_they_are else signed(fields)
        answer = httpx.post(f"{stand.url}/api/pay/{name}", data=sent)
        assert answer.status_code == 200
        said: dict[str, Any] = answer.json()
        return said

    return posted


def test_openssl_agrees_with_its_signatures(tmp_path: Path) -> None:
    """The text of the platforms' own example, checked by OpenSSL's own program."""
    text = (
        "money=1.00&name=VIP会员&out_trade_no=20160806151343349&pid=1001"
        "&trade_no=20160806151343349021&trade_status=TRADE_SUCCESS&type=alipay"
    )
    fields = {**dict(parse_qsl(text)), "param": "", "sign": "x", "sign_type": "RSA"}
    assert epay_rsa.text({**fields, "list": [1]}).decode() == text
    (tmp_path / "text").write_text(text)
    (tmp_path / "signature").write_bytes(base64.b64decode(epay_rsa.sign(fields, ACCOUNT["platform_private_key"])))
    (tmp_path / "key").write_bytes(base64.b64decode(ACCOUNT["platform_public_key"]))
    arguments = ["-sha256", "-keyform", "DER", "-verify", "key", "-signature", "signature", "text"]
    done = subprocess.run(["openssl", "dgst", *arguments], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, b"Verified OK")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: signed({**ORDER, "pid": "1002"}), "商户ID不存在"),
        (lambda: signed(ORDER, off=-400), "时间戳字段验证失败"),
        (lambda: signed(ORDER, off=400), "时间戳字段验证失败"),
        (lambda: {**signed(ORDER), "money": "0.01"}, "RSA签名校验失败"),
        (lambda: {**signed(ORDER), "sign": "x"}, "RSA签名校验失败"),
        (lambda: {**signed(ORDER), "sign_type": "MD5"}, "RSA签名校验失败"),
        (lambda: signed(ORDER, ACCOUNT["platform_private_key"]), "RSA签名校验失败"),
        (lambda: signed({**ORDER, "money": "0"}), "金额不合法"),
        (lambda: signed({**ORDER, "money": "1.001"}), "金额不合法"),
        (lambda: signed({**ORDER, "type": "bank"}), "支付方式(type)不存在"),
        (lambda: signed({**ORDER, "out_trade_no": "a b"}), "订单号(out_trade_no)格式不正确"),
        (lambda: signed({**ORDER, "name": " "}), "商品名称(name)不能为空"),
        (lambda: signed({**ORDER, "notify_url": "shop"}), "通知地址不合法"),
        (lambda: signed({**ORDER, "clientip": ""}), "用户IP地址(clientip)不能为空"),
        (lambda: signed({**ORDER, "method": "jsapi"}), "接口类型(method)不存在"),
    ],
)
def test_what_is_wrong_is_refused_unsigned(call: Call, wrong: Callable[[], dict[str, str]], said: str) -> None:
    answer = call("create", wrong(), as_they_are=True)
    assert answer.pop("code") < 0
    assert answer == {"msg": said}


def test_answers_are_signed_and_an_order_is_opened_once(stand: epay_rsa.EpayRsa, call: Call) -> None:
    first = call("create", ORDER)
    assert epay_rsa.signed_by(first, ACCOUNT["platform_public_key"])
    assert (first["code"], first["pay_type"], first["trade_no"]) == (0, "qrcode", call("create", ORDER)["trade_no"])
    assert call("create", {**ORDER, "device": "mobile"})["pay_type"] == "jump"
    assert call("create", {**ORDER, "money": "2.00"})["code"] == -1
    page = httpx.get(f"{stand.url}/api/pay/submit", params=signed(ORDER))
    assert "1.00" in page.text
    unsigned = httpx.get(f"{stand.url}/api/pay/submit", params={**signed(ORDER), "sign": ""})
    assert "RSA签名校验失败" in unsigned.text
    httpx.post(first["pay_info"])
    assert call("create", ORDER)["msg"] == "该订单已完成支付，请勿重复发起支付"


def test_an_order_is_open_then_paid_then_refunded(stand: epay_rsa.EpayRsa, call: Call) -> None:
    assert call("query", NUMBER) == {"code": -1, "msg": "订单号不存在"}
    call("create", ORDER)
    assert call("query", NUMBER)["status"] == 0
    assert call("refund", REFUND)["code"] == -1
    payment = stand.find(number=NUMBER["out_trade_no"])
    assert payment is not None
    stand.pay(payment, notify=False)
    paid = call("query", NUMBER)
    assert (paid["status"], paid["money"], paid["pid"], paid["refundmoney"]) == (1, "1.00", 1001, "0")
    assert call("refundquery", REFUND) == {"code": -1, "msg": "退款记录不存在"}
    assert call("refund", REFUND)["refund_no"] == call("refund", REFUND)["refund_no"]
    assert call("refundquery", REFUND)["status"] == 1
    assert call("refund", {**REFUND, "out_refund_no": "R20160807", "money": "0.61"})["code"] == -1
    part = call("query", NUMBER)
    assert (part["status"], part["refundmoney"]) == (2, "0.40")


def test_a_slow_refund_is_done_when_it_is_settled(stand: epay_rsa.EpayRsa, call: Call) -> None:
    stand.slow = True
    call("create", ORDER)
    payment = stand.find(number=NUMBER["out_trade_no"])
    assert payment is not None
    stand.pay(payment, notify=False)
    call("refund", REFUND)
    assert call("refundquery", REFUND)["status"] == 0
    httpx.post(f"{stand.url}/_control/refunds/{REFUND['out_refund_no']}", json={"status": "refused"})
    assert call("refund", REFUND)["code"] == -1


def test_only_an_open_order_is_closed(stand: epay_rsa.EpayRsa, call: Call) -> None:
    assert call("close", NUMBER)["code"] == -1
    call("create", ORDER)
    payment = stand.find(number=NUMBER["out_trade_no"])
    assert payment is not None
    assert (call("close", NUMBER)["code"], payment.status) == (0, "closed")
    payment.status = "open"
    stand.closes = False
    assert (call("close", NUMBER)["code"], payment.status) == (-1, "open")
    stand.closes = True
    stand.pay(payment, notify=False)
    assert call("close", NUMBER)["code"] == -1


def test_a_notice_is_signed_and_sent_until_it_is_taken(stand: epay_rsa.EpayRsa, call: Call) -> None:
    with listening() as there:
        there.reply = lambda number: (500, [b"fail", b"<success>"][number - 1])  # the status it does not look at
        page = call("create", {**ORDER, "notify_url": there.url})["pay_info"]
        back = httpx.post(page, data={"notify": "1"}).headers["Location"]
        stand.quiet()
    assert [attempt.accepted for attempt in stand.attempts(ORDER["out_trade_no"])] == [False, True]
    address, _, result = back.partition("?from=pay&")
    for told in (*(each.query() for each in there.told), dict(parse_qsl(result))):
        assert epay_rsa.signed_by(told, ACCOUNT["platform_public_key"])
        assert (told["money"], told["trade_status"], told["out_trade_no"]) == (
            "1",
            "TRADE_SUCCESS",
            ORDER["out_trade_no"],
        )
    assert address == "http://shop.example/return"


def test_in_an_outage_it_answers_nobody(stand: epay_rsa.EpayRsa, call: Call) -> None:
    httpx.post(f"{stand.url}/_control/outage", json={"refund": True})
    assert httpx.post(f"{stand.url}/api/pay/refundquery", data=signed(REFUND)).status_code == 503
    assert call("query", NUMBER)["code"] == -1
    assert httpx.get(f"{stand.url}/api/pay/query").status_code == 404
