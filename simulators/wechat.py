"""微信支付 (WeChat Pay), API v3, for a merchant of its own: orders by native, h5 and jsapi, refunds, signed notices.

``account`` is what ``new_account()`` makes: the merchant's numbers and keys, and WeChat Pay's own key pairs by serial,
of which ``signs_with`` is the one for notices. As in the real one:

- a request without a right signature of this minute answers 401 ``SIGN_ERROR``; other refusals have their documented
  code, ``{"code": …, "message": …}``;
- every 2xx is signed, with the key that the request's ``Wechatpay-Serial`` asks for, else as notices are;
- an order number asked for again in other words, or for another way of paying, answers 403 ``OUT_TRADE_NO_USED``;
- a refund is ``PROCESSING`` until it is settled (``POST /_control/refunds/{refund_id}``).

Where the real one has ``weixin://`` codes, the page that pays is named instead: there is no app to scan them with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from simulators.booth import Answer, Booth, Outgoing, Payment, Refund, Refusal, Request, Telling, main

SCHEME = "WECHATPAY2-SHA256-RSA2048"
BEIJING = timezone(timedelta(hours=8))
FRESH = 300  # seconds
STATES = {"open": "NOTPAY", "paid": "SUCCESS", "closed": "CLOSED", "failed": "CLOSED", "refunded": "REFUND"}
REFUND_STATES = {"pending": "PROCESSING", "done": "SUCCESS", "refused": "ABNORMAL"}
TRADE_TYPES = {"native": "NATIVE", "h5": "MWEB", "jsapi": "JSAPI"}
MESSAGES = {"SUCCESS": "支付成功", "NOTPAY": "订单未支付", "CLOSED": "订单已关闭", "REFUND": "订单发生过退款"}


class WeChat(Booth):
    name = "wechat"
    retries = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.merchant_key = load_pem_public_key(account["public_key"].encode())
        self.keys = {serial: _key(pem) for serial, pem in account["keys"].items()}
        self.signs_with: str = account["signs_with"]

    def answer(self, request: Request) -> Answer:
        """The page that pays learns from its address where the buyer goes afterwards."""
        shown = self.find(reference=request.path.removeprefix("/_pay/")) if "redirect_url" in request.query else None
        if shown is not None:
            shown.return_url = request.query["redirect_url"]
        return super().answer(request)

    def handle(self, request: Request) -> Answer:
        orders, refunds = "/v3/pay/transactions", "/v3/refund/domestic/refunds"
        match request.method, request.path.removeprefix(orders).split("/"):
            case "POST", ["", "native" | "h5" | "jsapi" as way]:
                self._admit("create", request)
                answer = Answer(200, self._create(way, request.json()))
            case "GET", ["", "out-trade-no", number]:
                self._admit("query", request)
                answer = Answer(200, self._order_told(self._found(number, request.query.get("mchid"))))
            case "POST", ["", "out-trade-no", number, "close"]:
                self._admit("close", request)
                self._close(self._found(number, request.json().get("mchid")))
                answer = Answer(204)
            case "POST", _ if request.path == refunds:
                self._admit("refund", request)
                answer = Answer(200, self._refund(request.json()))
            case "GET", _ if request.path.startswith(f"{refunds}/"):
                self._admit("refund_query", request)
                answer = Answer(200, self._refund_found(request.path.removeprefix(f"{refunds}/")))
            case _:
                raise _refusal(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")
        asked = request.headers.get("wechatpay-serial", "")
        body, content_type = answer.content() if answer.status != 204 else (b"", "")
        headers = self.signature(body, serial=asked if asked in self.keys else self.signs_with)
        return Answer(answer.status, body, content_type, headers)

    # Requests

    def _admit(self, kind: str, request: Request) -> None:
        self.check_outage(kind)
        if request.headers.get("accept") != "application/json" or not request.headers.get("user-agent"):
            raise _refusal(400, "PARAM_ERROR", "Accept 须为 application/json,User-Agent 不能为空")
        if request.body and not request.headers.get("content-type", "").startswith("application/json"):
            raise _refusal(400, "PARAM_ERROR", "Content-Type 须为 application/json")
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        try:
            if scheme != SCHEME or abs(time.time() - int(fields["timestamp"])) > FRESH:
                raise ValueError
            if (fields["mchid"], fields["serial_no"]) != (self.account["mchid"], self.account["merchant_serial"]):
                raise ValueError
            signed = f"{request.method}\n{request.target}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode()
            assert isinstance(self.merchant_key, rsa.RSAPublicKey)
            self.merchant_key.verify(
                base64.b64decode(fields["signature"]), signed + request.body + b"\n", padding.PKCS1v15(), SHA256()
            )
        except (ValueError, KeyError, InvalidSignature):
            raise _refusal(401, "SIGN_ERROR", "签名错误,请检查后再试") from None

    def _found(self, number: str, mchid: object) -> Payment:
        if mchid != self.account["mchid"]:
            raise _refusal(400, "PARAM_ERROR", "mchid 与商户号不符")
        payment = self.find(number=number)
        if payment is None:
            raise _refusal(404, "ORDER_NOT_EXIST", "订单不存在")
        return payment

    def _create(self, way: str, asked: dict[str, Any]) -> dict[str, Any]:
        self._check(way, asked)
        words = {name: asked.get(name) for name in ("description", "time_expire", "notify_url", "amount", "payer")}
        fresh = Payment(
            number=asked["out_trade_no"],
            amount=str(asked["amount"]["total"]),
            currency="CNY",
            notify_url=asked["notify_url"],
            reference=f"42000{secrets.randbelow(10**23):023}",
            extra={"way": way, "words": words, "prepay_id": f"wx{secrets.token_hex(17)}"},
        )
        payment = self.open(fresh)
        if (payment.extra["way"], payment.extra["words"]) != (way, words):
            raise _refusal(403, "OUT_TRADE_NO_USED", "商户订单号重复")
        if payment.status == "closed":
            raise _refusal(400, "ORDER_CLOSED", "订单已关闭")
        if payment.status != "open":
            raise _refusal(400, "INVALID_REQUEST", "该订单已支付")
        prepay_id = payment.extra["prepay_id"]
        if way == "jsapi":
            return {"prepay_id": prepay_id}
        if way == "h5":
            return {"h5_url": f"{self.pay_url(payment)}?prepay_id={prepay_id}&package={secrets.randbelow(10**10)}"}
        return {"code_url": self.pay_url(payment)}

    def _check(self, way: str, asked: dict[str, Any]) -> None:
        if (asked.get("appid"), asked.get("mchid")) != (self.account["appid"], self.account["mchid"]):
            raise _refusal(400, "APPID_MCHID_NOT_MATCH", "appid 和 mch_id 不匹配")
        amount, payer, scene = asked.get("amount"), asked.get("payer"), asked.get("scene_info")
        total = amount.get("total") if isinstance(amount, dict) else None
        until = str(asked.get("time_expire"))
        right = {
            "description": isinstance(asked.get("description"), str) and 0 < len(asked["description"]) <= 127,
            "out_trade_no": re.fullmatch(r"[\w\-|*@]{6,32}", str(asked.get("out_trade_no")), re.ASCII),
            "time_expire": "time_expire" not in asked
            or (re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", until) and datetime.fromisoformat(until)),
            "notify_url": re.fullmatch(
                r"https://[^?]+|http://(127\.0\.0\.1|localhost)[^?]+", str(asked.get("notify_url"))
            ),
            "amount.total": isinstance(total, int) and not isinstance(total, bool) and total > 0,
            "amount.currency": isinstance(amount, dict) and amount.get("currency", "CNY") == "CNY",
            "payer.openid": way != "jsapi" or (isinstance(payer, dict) and payer.get("openid")),
            "scene_info": way != "h5"
            or (isinstance(scene, dict) and scene.get("payer_client_ip") and scene.get("h5_info", {}).get("type")),
        }
        if wrong := [name for name, fits in right.items() if not fits]:
            raise _refusal(400, "PARAM_ERROR", f"参数错误: {wrong[0]}")

    def _close(self, payment: Payment) -> None:
        if payment.status == "closed":
            raise _refusal(400, "ORDER_CLOSED", "订单已关闭")
        if payment.status != "open":
            raise _refusal(400, "ORDER_PAID", "订单已支付")
        payment.status = "closed"

    def _refund(self, asked: dict[str, Any]) -> dict[str, Any]:
        payment = self.find(number=str(asked.get("out_trade_no")))
        if payment is None:
            raise _refusal(404, "RESOURCE_NOT_EXISTS", "订单不存在")
        amount, number = asked.get("amount"), asked.get("out_refund_no")
        if not isinstance(amount, dict) or not re.fullmatch(r"[\w\-|*@]{1,64}", str(number), re.ASCII):
            raise _refusal(400, "PARAM_ERROR", "参数错误")
        if type(amount.get("refund")) is not int or amount.get("currency") != "CNY":
            raise _refusal(400, "PARAM_ERROR", "参数错误: amount")
        if str(amount.get("total")) != payment.received:
            raise _refusal(400, "INVALID_REQUEST", "订单金额不一致")
        if self.account.get("balance") == 0:
            raise _refusal(403, "NOT_ENOUGH", "基本账户余额不足,请充值后重新发起")
        try:
            refund = self.refund(payment, str(number), str(amount["refund"]), status="pending")
        except Refusal:
            raise _refusal(400, "INVALID_REQUEST", "退款金额大于可退金额,或同一退款单号金额不一致") from None
        return self._refund_told(payment, refund)

    def _refund_found(self, number: str) -> dict[str, Any]:
        for payment in self._payments.values():
            if number in payment.refunds:
                return self._refund_told(payment, payment.refunds[number])
        raise _refusal(404, "RESOURCE_NOT_EXISTS", "退款单不存在")

    # What it tells

    def _order_told(self, payment: Payment) -> dict[str, Any]:
        state = STATES.get(payment.status, "SUCCESS")
        if any(refund.status != "refused" for refund in payment.refunds.values()):
            state = "REFUND"  # of a part, too
        told = {
            "appid": self.account["appid"],
            "mchid": self.account["mchid"],
            "out_trade_no": payment.number,
            "promotion_detail": [],
            "trade_state": state,
            "trade_state_desc": MESSAGES[state],
        }
        if state in ("NOTPAY", "CLOSED"):
            return {**told, "amount": {"payer_currency": "CNY", "total": int(payment.amount)}}
        return {**told, **self._money(payment)}

    def _money(self, payment: Payment) -> dict[str, Any]:
        total = int(payment.amount if payment.received == "0" else payment.received)
        amount = {"total": total, "payer_total": total, "currency": payment.currency, "payer_currency": "CNY"}
        return {
            "transaction_id": payment.reference,
            "trade_type": TRADE_TYPES[payment.extra["way"]],
            "bank_type": "OTHERS",
            "attach": "",
            "success_time": _rfc3339(time.time()),
            "payer": payment.extra["words"]["payer"] or {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
            "amount": amount,
        }

    def _refund_told(self, payment: Payment, refund: Refund) -> dict[str, Any]:
        total, sent = int(payment.received), int(refund.amount)
        amount = {"total": total, "refund": sent, "payer_total": total, "payer_refund": sent, "currency": "CNY"}
        return {
            "refund_id": _refund_reference(refund),
            "out_refund_no": refund.refund_id,
            "transaction_id": payment.reference,
            "out_trade_no": payment.number,
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": _rfc3339(time.time()),
            "status": REFUND_STATES[refund.status],
            "funds_account": "AVAILABLE",
            "amount": amount,
        }

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if not payment.notify_url:
            return None
        if event == "paid":
            content = {**self._order_told(payment), **self._money(payment), "trade_state": "SUCCESS"}
            return self.sends(payment, "TRANSACTION.SUCCESS", content, telling)
        outcomes = {"refunded": "SUCCESS", "refund_refused": "ABNORMAL", "refund_closed": "CLOSED"}
        if event not in outcomes:
            return None
        refund = telling.refund or Refund(f"console{telling.id}", payment.received, reference=telling.id)
        answer = self._refund_told(payment, refund)
        kept = ("refund_id", "out_refund_no", "transaction_id", "out_trade_no", "user_received_account")
        content = {
            "mchid": self.account["mchid"],
            **{name: answer[name] for name in kept},
            "refund_status": outcomes[event],
            "success_time": _rfc3339(telling.at),
            "amount": {name: value for name, value in answer["amount"].items() if name != "currency"},
        }
        return self.sends(payment, f"REFUND.{outcomes[event]}", content, telling)

    def sends(self, payment: Payment, event_type: str, content: dict[str, Any], telling: Telling) -> Outgoing:
        """The signed call with this content, sealed."""
        kind = event_type.partition(".")[0].lower()
        told = {
            "id": telling.id,
            "create_time": _rfc3339(telling.at),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": "支付成功" if kind == "transaction" else "退款通知",
            "resource": self.sealed(_json(content), kind),
        }
        body = _json(told)
        headers = {"Content-Type": "application/json", "User-Agent": "Mozilla/4.0", **self.signature(body)}
        return Outgoing("POST", payment.notify_url, headers, body)

    def sealed(self, content: bytes, kind: str) -> dict[str, Any]:
        nonce = secrets.token_urlsafe(9)
        key = AESGCM(self.account["api_v3_key"].encode())
        return {
            "original_type": kind,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(key.encrypt(nonce.encode(), content, kind.encode())).decode(),
            "associated_data": kind,
            "nonce": nonce,
        }

    def unsealed(self, resource: dict[str, str]) -> bytes:
        return AESGCM(self.account["api_v3_key"].encode()).decrypt(
            resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), resource["associated_data"].encode()
        )

    def signature(self, body: bytes, *, serial: str = "", at: float | None = None) -> dict[str, str]:
        """The headers that sign this body, at this moment (Unix seconds) unless told otherwise."""
        timestamp, nonce = str(int(time.time() if at is None else at)), secrets.token_hex(16)
        key = self.keys[serial or self.signs_with]
        signed = key.sign(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", padding.PKCS1v15(), SHA256())
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": base64.b64encode(signed).decode(),
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Serial": serial or self.signs_with,
        }


def new_account() -> dict[str, Any]:
    """A merchant with fresh keys. WeChat Pay signs with its public-key pair; it has a platform certificate as well."""
    merchant, current, platform = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    today = datetime.now(BEIJING)
    certificate = (
        x509.CertificateBuilder(subject, subject, platform.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=5 * 365))
        .sign(platform, SHA256())
    )
    serial, key_id = f"{certificate.serial_number:040X}", f"PUB_KEY_ID_{secrets.randbelow(10**34):034}"
    return {
        "mchid": "1900000109",
        "appid": "wx8888888888888888",
        "merchant_serial": secrets.token_hex(20).upper(),
        "private_key": _private(merchant),
        "public_key": _public(merchant),
        "api_v3_key": secrets.token_hex(16),
        "keys": {key_id: _private(current), serial: _private(platform)},
        "signs_with": key_id,
        "certificate_serial": serial,
        "wechat_keys": {key_id: _public(current), serial: certificate.public_bytes(Encoding.PEM).decode()},
    }


@cache
def _key(pem: str) -> rsa.RSAPrivateKey:
    loaded = load_pem_private_key(pem.encode(), None)  # which checks it, and takes its time
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded


def _private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(int(at), BEIJING).isoformat()


def _refund_reference(refund: Refund) -> str:
    return f"503{int(hashlib.sha256(refund.reference.encode()).hexdigest(), 16) % 10**25:025}"


def _refusal(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"code": code, "message": message})


if __name__ == "__main__":
    main(WeChat)
