"""易支付 (epay), protocol v2: orders by signed link or call, refunds, signed notices.

Written from the platforms' own developer page (`doc/index.html`). What it says, and what is kept to here:

- every request carries `pid`, a `timestamp` of the last 300 s and the merchant's SHA256WithRSA over what is not empty;
- an answer with `code` 0 is signed by the platform; any other is not, and its `msg` says why. All are HTTP 200;
- `submit` is a page for browsers, `create` answers `pay_type` and `pay_info`: on a computer a QR code, on a phone (and
  for the method `jump`) a link. Neither opens an order twice; one that is paid is not opened again;
- a refund number asked for again goes on with the same refund. `refundquery`: 1 done, 0 for anything else;
- an order counts as refunded (2) once anything of it has gone back; closing is not among its states;
- a notice is a GET, signed when it is sent; five more tries until the body contains `success`, whatever the status.

``account`` is what ``new_account()`` makes: the merchant's number and key pair, and the platform's.
``slow``: refunds are on their way until ``POST /_control/refunds/{refund_id}``. ``closes``: whether the way of paying
can be closed.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from simulators.booth import Answer, Booth, Outgoing, Payment, Refusal, Request, Telling, main

TOLERANCE = 300  # seconds
_TYPES = ("alipay", "wxpay", "qqpay")
_METHODS = ("web", "jump")
_DEVICES = ("pc", "mobile", "qq", "wechat", "alipay")
_NAME_BYTES = 127
_STATES = {"open": 0, "closed": 0, "failed": 0, "paid": 1, "refunded": 2, "charged_back": 3}


def new_keys() -> tuple[str, str]:
    """A private and a public key, base64 alone, as the merchant's page shows them."""
    key = generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(private).decode(), base64.b64encode(public).decode()


def new_account() -> dict[str, Any]:
    private, public = new_keys()
    platform_private, platform_public = new_keys()
    return {
        "pid": "1001",
        "merchant_private_key": private,
        "merchant_public_key": public,
        "platform_private_key": platform_private,
        "platform_public_key": platform_public,
    }


def text(fields: Mapping[str, object]) -> bytes:
    """What is signed: neither the signature's own two fields nor arrays nor what is blank."""
    written = {name: str(value) for name, value in fields.items() if isinstance(value, str | int)}
    kept = sorted(name for name, value in written.items() if value.strip() and name not in ("sign", "sign_type"))
    return "&".join(f"{name}={written[name]}" for name in kept).encode()


@cache
def _private(key: str) -> RSAPrivateKey:
    loaded = load_der_private_key(base64.b64decode(key), None)  # which checks it, and takes its time
    assert isinstance(loaded, RSAPrivateKey)
    return loaded


def sign(fields: Mapping[str, object], private_key: str) -> str:
    return base64.b64encode(_private(private_key).sign(text(fields), PKCS1v15(), SHA256())).decode()


def signed_by(fields: Mapping[str, object], public_key: str) -> bool:
    key = load_der_public_key(base64.b64decode(public_key))
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(base64.b64decode(str(fields.get("sign", ""))), text(fields), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def php_float(amount: str) -> str:
    """As PHP prints a float: 9.90 is ``9.9``, 1.00 is ``1``."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


class _Wrong(Exception):
    """Why a request is turned down."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code, self.msg = code, msg


class EpayRsa(Booth):
    name = "epay-rsa"
    retries = (60, 120, 960, 2160, 3600)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.pid: str = account["pid"]
        self.merchant_key: str = account["merchant_public_key"]
        self.key: str = account["platform_private_key"]
        self.slow = False
        self.closes = True

    def handle(self, request: Request) -> Answer:
        fields = {**request.query, **(request.form() if request.method == "POST" else {})}
        match request.method, request.path:
            case "GET" | "POST", "/api/pay/submit":
                self.check_outage("create")
                try:
                    return Answer(200, self.pay_page(self._opened(self._checked(fields))))
                except _Wrong as wrong:
                    raise Refusal(200, f"<!doctype html><p>{escape(wrong.msg)}</p>") from None
            case "POST", "/api/pay/create" | "/api/pay/query" | "/api/pay/refund" | "/api/pay/refundquery" as path:
                return self._call(path.rpartition("/")[2], fields)
            case "POST", "/api/pay/close":
                return self._call("close", fields)
        raise Refusal(404, "Not Found")

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if event != "paid":
            return None
        return Outgoing("GET", _with(payment.notify_url, self.result(payment)))

    def accepted(self, status: int, body: bytes) -> bool:
        return b"success" in body

    def way_back(self, payment: Payment) -> str:
        return _with(payment.return_url, self.result(payment)) if payment.return_url else ""

    def result(self, payment: Payment) -> dict[str, str]:
        """What a notice says, and the browser on its way back."""
        return self.signed(
            {
                "pid": self.pid,
                "trade_no": payment.reference,
                "out_trade_no": payment.number,
                "type": payment.extra["type"],
                "trade_status": "TRADE_SUCCESS",
                "name": payment.extra["name"],
                "money": php_float(payment.received if payment.received != "0" else payment.amount),
            }
        )

    def signed(self, fields: Mapping[str, str], at: float | None = None) -> dict[str, str]:
        timed = {**fields, "timestamp": str(int(time.time() if at is None else at))}
        return {**timed, "sign": sign(timed, self.key), "sign_type": "RSA"}

    def _call(self, name: str, fields: dict[str, str]) -> Answer:
        self.check_outage({"refundquery": "refund"}.get(name, name))
        calls = {
            "create": self._create,
            "query": self._query,
            "refund": self._refund,
            "refundquery": self._refund_query,
            "close": self._close,
        }
        try:
            said = {"code": 0, **calls[name](self._checked(fields))}
        except _Wrong as wrong:
            return Answer(200, {"code": wrong.code, "msg": wrong.msg})
        said["timestamp"] = str(int(time.time()))
        return Answer(200, {**said, "sign": sign(said, self.key), "sign_type": "RSA"})

    def _checked(self, fields: dict[str, str]) -> dict[str, str]:
        if fields.get("pid") != self.pid:
            raise _Wrong(-3, "商户ID不存在")
        timestamp = fields.get("timestamp", "")
        if not re.fullmatch("[0-9]{1,11}", timestamp) or abs(time.time() - int(timestamp)) > TOLERANCE:
            raise _Wrong(-3, "时间戳字段验证失败")
        if fields.get("sign_type") != "RSA" or not signed_by(fields, self.merchant_key):
            raise _Wrong(-3, "RSA签名校验失败")
        return fields

    def _opened(self, fields: dict[str, str]) -> Payment:
        if fields.get("type") not in _TYPES:
            raise _Wrong(-4, "支付方式(type)不存在")
        if not re.fullmatch("[A-Za-z0-9._|-]{1,64}", fields.get("out_trade_no", "")):
            raise _Wrong(-4, "订单号(out_trade_no)格式不正确")
        money = fields.get("money", "")
        if not re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,2})?", money) or not float(money):
            raise _Wrong(-4, "金额不合法")
        if not fields.get("name", "").strip():
            raise _Wrong(-4, "商品名称(name)不能为空")
        if not all(re.match("https?://", fields.get(name, "")) for name in ("notify_url", "return_url")):
            raise _Wrong(-4, "通知地址不合法")
        payment = self.open(
            Payment(
                number=fields["out_trade_no"],
                amount=money,
                currency="CNY",
                notify_url=fields["notify_url"],
                return_url=fields["return_url"],
                extra={
                    "type": fields["type"],
                    "name": fields["name"].encode()[:_NAME_BYTES].decode(errors="ignore"),
                },
            )
        )
        if payment.status not in ("open", "closed"):
            raise _Wrong(-1, "该订单已完成支付，请勿重复发起支付")
        if payment.amount != money:
            raise _Wrong(-1, "该订单已存在，金额不一致")
        return payment

    def _create(self, fields: dict[str, str]) -> dict[str, object]:
        if not fields.get("clientip"):
            raise _Wrong(-4, "用户IP地址(clientip)不能为空")
        if fields.get("method") not in _METHODS or fields.get("device", "pc") not in _DEVICES:
            raise _Wrong(-4, "接口类型(method)不存在")
        payment = self._opened(fields)
        by_code = fields["method"] == "web" and fields.get("device", "pc") == "pc"
        kind = "qrcode" if by_code else "jump"
        return {"trade_no": payment.reference, "pay_type": kind, "pay_info": self.pay_url(payment)}

    def _query(self, fields: dict[str, str]) -> dict[str, object]:
        payment = self._found(fields)
        status = 2 if payment.status == "paid" and payment.refunded != "0" else _STATES[payment.status]
        return {
            "msg": "success",
            "trade_no": payment.reference,
            "out_trade_no": payment.number,
            "type": payment.extra["type"],
            "pid": int(self.pid),
            "status": status,
            "name": payment.extra["name"],
            "money": payment.received if status else payment.amount,
            "refundmoney": payment.refunded,
            "buyer": None,
            "param": "",
        }

    def _refund(self, fields: dict[str, str]) -> dict[str, object]:
        payment = self._found(fields)
        number = fields.get("out_refund_no", "")
        if len(number) <= 5:
            raise _Wrong(-4, "商户退款单号不正确")
        try:
            refund = self.refund(payment, number, fields.get("money", ""), status="pending" if self.slow else "done")
        except Refusal:
            raise _Wrong(-1, "当前订单状态不可退款，或退款金额超过剩余可退") from None
        if refund.status == "refused":
            raise _Wrong(-1, "退款失败")
        return {
            "msg": f"退款成功！退款金额¥{refund.amount}",
            "refund_no": refund.reference,
            "out_refund_no": refund.refund_id,
            "trade_no": payment.reference,
            "money": refund.amount,
            "reducemoney": refund.amount,
        }

    def _refund_query(self, fields: dict[str, str]) -> dict[str, object]:
        number = fields.get("out_refund_no", "")
        for payment in self._payments.values():
            if refund := payment.refunds.get(number):
                return {
                    "refund_no": refund.reference,
                    "out_refund_no": refund.refund_id,
                    "trade_no": payment.reference,
                    "out_trade_no": payment.number,
                    "money": refund.amount,
                    "reducemoney": refund.amount,
                    "status": int(refund.status == "done"),
                }
        raise _Wrong(-1, "退款记录不存在")

    def _close(self, fields: dict[str, str]) -> dict[str, object]:
        payment = self._found(fields)
        if not self.closes:
            raise _Wrong(-1, "当前支付插件不支持关闭订单")
        if payment.status not in ("open", "closed"):
            raise _Wrong(-1, "订单已支付，不能关闭")
        payment.status = "closed"
        return {"msg": "success"}

    def _found(self, fields: dict[str, str]) -> Payment:
        number, reference = fields.get("out_trade_no", ""), fields.get("trade_no", "")
        payment = self.find(reference=reference) if reference else self.find(number=number) if number else None
        if payment is None:
            raise _Wrong(-1, "订单号不存在")
        return payment


def _with(url: str, fields: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"


if __name__ == "__main__":
    main(EpayRsa)
