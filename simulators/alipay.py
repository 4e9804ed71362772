"""支付宝 (Alipay), the open platform's gateway for one application with RSA2 keys: three ways to pay, refunds, notices.

``account`` is what ``new_account()`` makes: the application's numbers and key pair, Alipay's key pair, and one that is
to replace it; keys as Alipay's own tools write them, base64 without the PEM around. As in the real one:

- a field of the request that is missing or wrong answers 40001 or 40002 with an ``isv.…`` code, a business refusal
  40004 with an ``ACQ.…`` code, all of them by HTTP 200; what is answered to a known application is signed;
- there is no trade before the buyer has been there: the cashier's page counts as logged in, the code's page as scanned.
  Until then query, close and refund answer ``ACQ.TRADE_NOT_EXIST``; after ``time_expire`` nobody can pay;
- a refund asked for again, and one that takes its time (``account["slow"]``), answers ``fund_change`` N, and
  ``account["balance"] = 0`` has no money for any;
- nobody is told of a refund, or of a trade that was closed, unless a control tells it: merchants have it switched on.

Where the real one has ``https://qr.alipay.com/…`` codes, the page that pays is named instead.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from simulators.booth import Answer, Booth, Outgoing, Payment, Refund, Refusal, Request, Telling, main

BEIJING = timezone(timedelta(hours=8))
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
KINDS = {
    "alipay.trade.page.pay": "create",
    "alipay.trade.wap.pay": "create",
    "alipay.trade.precreate": "create",
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.refund": "refund",
    "alipay.trade.fastpay.refund.query": "refund_query",
}
PRODUCTS = {"page": "FAST_INSTANT_TRADE_PAY", "wap": "QUICK_WAP_WAY", "precreate": None}
STATES = {"open": "WAIT_BUYER_PAY", "closed": "TRADE_CLOSED", "failed": "TRADE_CLOSED", "refunded": "TRADE_CLOSED"}
#: What a refund may be asked with: anything else may refund twice, the document says.
REFUND_FIELDS = {"out_trade_no", "trade_no", "refund_amount", "out_request_no", "refund_reason", "query_options"}


class Alipay(Booth):
    name = "alipay"
    retries = (240, 600, 600, 3600, 7200, 21600, 54000)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.merchant_key = load_der_public_key(base64.b64decode(account["public_key"]))

    def answer(self, request: Request) -> Answer:
        """Who opens the page has scanned the code."""
        seen = self.find(reference=request.path.removeprefix("/_pay/"))
        if seen is not None:
            seen.extra["there"] = True
        return super().answer(request)

    def handle(self, request: Request) -> Answer:
        if request.path != "/gateway.do" or request.method not in ("GET", "POST"):
            raise Refusal(404, "没有这个页面 · There is no such page")
        method = request.query.get("method", "")
        if method in KINDS:
            self.check_outage(KINDS[method])
        charset = "utf-8" if request.query.get("charset", "").lower() == "utf-8" else "gbk"
        query = dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True, encoding=charset))
        form = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True, encoding=charset))
        page = method.endswith(("page.pay", "wap.pay"))
        try:
            told = {"code": "10000", "msg": "Success", **self._act(method, {**query, **form})}
        except Refused as refused:
            if page:
                raise Refusal(400, f"订单信息有误 · {refused.told['sub_code']}") from None
            told = refused.told
        if page:
            return Answer(302, headers={"Location": told["url"]})
        if told.get("sub_code") == "isv.invalid-app-id":
            return Answer(200, {"error_response": told})
        written = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        body = f'{{"{method.replace(".", "_")}_response":{written},"sign":"{self.signature(written)}"}}'
        return Answer(200, body.encode(), "text/html;charset=utf-8")

    # Requests

    def _act(self, method: str, fields: dict[str, str]) -> dict[str, Any]:
        self._admit(fields)
        try:
            asked = json.loads(fields["biz_content"])
        except ValueError:
            raise Refused("40002", "isv.invalid-parameter") from None
        match method.removeprefix("alipay.trade."):
            case "page.pay" | "wap.pay" as way:
                payment = self._created(way.removesuffix(".pay"), asked, fields)
                payment.extra["there"] = True
                return {"url": self.pay_url(payment)}
            case "precreate":
                payment = self._created("precreate", asked, fields)
                return {"out_trade_no": payment.number, "qr_code": self.pay_url(payment)}
            case "query":
                return self._trade_told(self._trade(asked))
            case "close":
                return self._closed(self._trade(asked))
            case "refund":
                return self._refunded(self._trade(asked), asked)
            case "fastpay.refund.query":
                return self._refund_told(self._trade(asked), str(asked.get("out_request_no")))
        raise Refused("40002", "isv.invalid-method")

    def _admit(self, fields: dict[str, str]) -> None:
        wanted = {
            "method": ".+",
            "app_id": self.account["app_id"],
            "charset": "(?i)utf-8|gbk",
            "sign_type": "RSA2",
            "timestamp": TIME,
            "version": r"1\.0",
            "biz_content": "(?s).+",
            "sign": ".+",
        }
        for name, pattern in wanted.items():
            if name not in fields:
                raise Refused("40001", f"isv.missing-{name.replace('_', '-')}")
            if not re.fullmatch(pattern, fields[name]):
                raise Refused("40002", f"isv.invalid-{name.replace('_', '-')}")
        message = _joined({name: value for name, value in fields.items() if name != "sign" and value})
        assert isinstance(self.merchant_key, rsa.RSAPublicKey)
        try:
            self.merchant_key.verify(base64.b64decode(fields["sign"]), message, padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            raise Refused("40002", "isv.invalid-signature") from None

    def _created(self, way: str, asked: dict[str, Any], fields: dict[str, str]) -> Payment:
        right = {
            "out_trade_no": re.fullmatch(r"\w{1,64}", str(asked.get("out_trade_no")), re.ASCII),
            "total_amount": re.fullmatch(r"\d{1,9}(\.\d\d?)?", str(asked.get("total_amount"))),
            "subject": re.fullmatch("[^/=&]{1,256}", str(asked.get("subject", ""))),
            "product_code": asked.get("product_code") == PRODUCTS[way],
            "time_expire": re.fullmatch(TIME, str(asked.get("time_expire"))),
            "notify_url": re.fullmatch(r"https?://.{1,248}", fields.get("notify_url", "")),
        }
        if not all(right.values()) or not Decimal("0.01") <= Decimal(asked["total_amount"]) <= 100_000_000:
            raise Refused("40004", "ACQ.INVALID_PARAMETER")
        fresh = Payment(
            number=asked["out_trade_no"],
            amount=f"{Decimal(asked['total_amount']):.2f}",
            currency="CNY",
            notify_url=fields["notify_url"],
            return_url=fields.get("return_url", ""),
            reference=f"{_beijing(time.time()):.10}22001{secrets.randbelow(10**15):015}".replace("-", ""),
            extra={"subject": asked["subject"], "until": asked["time_expire"], "there": False},
        )
        payment = self.open(fresh)
        if (payment.amount, payment.extra["subject"]) != (fresh.amount, fresh.extra["subject"]):
            raise Refused("40004", "ACQ.CONTEXT_INCONSISTENT")
        self._expire(payment)
        if payment.status != "open":
            raise Refused("40004", f"ACQ.TRADE_HAS_{'CLOSE' if payment.status == 'closed' else 'SUCCESS'}")
        return payment

    def _trade(self, asked: dict[str, Any]) -> Payment:
        payment = self.find(number=str(asked.get("out_trade_no")))
        if payment is None or not payment.extra["there"]:
            raise Refused("40004", "ACQ.TRADE_NOT_EXIST", out_trade_no=asked.get("out_trade_no"))
        self._expire(payment)
        return payment

    def _expire(self, payment: Payment) -> None:
        until = datetime.strptime(payment.extra["until"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
        if payment.status == "open" and until.timestamp() < time.time():
            payment.status = "closed"

    def pay(self, payment: Payment, received: str | None = None, notify: bool = True) -> bool:
        with self.lock:
            payment.extra["there"] = True
            self._expire(payment)
            return super().pay(payment, received, notify)

    def _closed(self, payment: Payment) -> dict[str, Any]:
        if payment.status != "open":
            raise Refused("40004", "ACQ.TRADE_STATUS_ERROR", out_trade_no=payment.number)
        payment.status = "closed"
        return {"out_trade_no": payment.number, "trade_no": payment.reference}

    def _refunded(self, payment: Payment, asked: dict[str, Any]) -> dict[str, Any]:
        number, amount = str(asked.get("out_request_no")), str(asked.get("refund_amount"))
        if not asked.keys() <= REFUND_FIELDS or not re.fullmatch(r"\d{1,9}(\.\d\d?)?", amount):
            raise Refused("40004", "ACQ.INVALID_PARAMETER")
        known = payment.refunds.get(number)
        if known is None and payment.status != "paid":
            raise Refused("40004", f"ACQ.TRADE_{'STATUS_ERROR' if payment.status == 'open' else 'HAS_CLOSE'}")
        if known is None and self.account.get("balance") == 0:
            raise Refused("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH")
        try:
            refund = self.refund(payment, number, amount, status="pending" if self.account.get("slow") else "done")
        except Refusal:
            wrong = "DISCORDANT_REPEAT_REQUEST" if known else "REASON_TRADE_REFUND_FEE_ERR"
            raise Refused("40004", f"ACQ.{wrong}", refund_fee="0.00", send_back_fee="0.00") from None
        return {
            "buyer_logon_id": "159****5620",
            "fund_change": "Y" if known is None and refund.status == "done" else "N",
            "out_trade_no": payment.number,
            "refund_fee": f"{Decimal(payment.refunded):.2f}",
            "send_back_fee": "0.00",
            "trade_no": payment.reference,
        }

    # What it tells

    def _trade_told(self, payment: Payment) -> dict[str, Any]:
        told = {
            "buyer_logon_id": "159****5620",
            "buyer_pay_amount": "0.00",
            "buyer_user_id": "2088102122524333",
            "invoice_amount": "0.00",
            "out_trade_no": payment.number,
            "point_amount": "0.00",
            "receipt_amount": "0.00",
            "total_amount": _total(payment),
            "trade_no": payment.reference,
            "trade_status": STATES.get(payment.status, "TRADE_SUCCESS"),
        }
        return {**told, "send_pay_date": _beijing(time.time())} if payment.received != "0" else told

    def _refund_told(self, payment: Payment, number: str) -> dict[str, Any]:
        """Of a refund that is not made, nothing."""
        refund = payment.refunds.get(number)
        if refund is None or refund.status != "done":
            return {}
        return {
            "out_request_no": number,
            "out_trade_no": payment.number,
            "refund_amount": f"{Decimal(refund.amount):.2f}",
            "refund_status": "REFUND_SUCCESS",
            "total_amount": _total(payment),
            "trade_no": payment.reference,
        }

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        statuses = {"paid": "TRADE_SUCCESS", "finished": "TRADE_FINISHED", "waiting": "WAIT_BUYER_PAY"}
        if event == "closed":
            changed = {"trade_status": "TRADE_CLOSED", "refund_fee": "0.00", "gmt_close": _beijing(telling.at)}
        elif event == "refunded":
            changed = self._sent_back(payment, telling)
        elif event in statuses:
            changed = {"trade_status": statuses[event]}
        else:
            return None
        told = {
            "gmt_create": _beijing(telling.at),
            "charset": "utf-8",
            "gmt_payment": _beijing(telling.at),
            "notify_time": _beijing(time.time()),
            "subject": payment.extra["subject"],
            "buyer_id": "2088102122524333",
            "invoice_amount": _total(payment),
            "version": "1.0",
            "notify_id": telling.id,
            "fund_bill_list": json.dumps([{"amount": _total(payment), "fundChannel": "ALIPAYACCOUNT"}]),
            "notify_type": "trade_status_sync",
            "out_trade_no": payment.number,
            "total_amount": _total(payment),
            "trade_no": payment.reference,
            "auth_app_id": self.account["app_id"],
            "receipt_amount": _total(payment),
            "point_amount": "0.00",
            "app_id": self.account["app_id"],
            "buyer_pay_amount": _total(payment),
            "seller_id": self.account["seller_id"],
            **changed,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": "Mozilla/4.0"}
        return Outgoing("POST", payment.notify_url, headers, urlencode(self.signed(told)).encode())

    def _sent_back(self, payment: Payment, telling: Telling) -> dict[str, str]:
        refund = telling.refund or Refund(payment.reference, payment.received)
        back = Decimal(payment.refunded) or Decimal(refund.amount)
        whole = back == Decimal(payment.received)
        told = {
            "trade_status": "TRADE_CLOSED" if whole else "TRADE_SUCCESS",
            "refund_fee": f"{back:.2f}",
            "gmt_refund": f"{_beijing(telling.at)}.631",
            "out_biz_no": refund.refund_id,
        }
        return {**told, "gmt_close": _beijing(telling.at)} if whole else told

    def accepted(self, status: int, body: bytes) -> bool:
        return status == 200 and body.strip() == b"success"

    def way_back(self, payment: Payment) -> str:
        """The shop's page, and what the buyer's browser carries there: signed as a notice is."""
        return f"{payment.return_url}?{urlencode(self.returned(payment))}" if payment.return_url else ""

    def returned(self, payment: Payment) -> dict[str, str]:
        told = {
            "charset": "utf-8",
            "out_trade_no": payment.number,
            "method": "alipay.trade.page.pay.return",
            "total_amount": _total(payment),
            "trade_no": payment.reference,
            "auth_app_id": self.account["app_id"],
            "version": "1.0",
            "app_id": self.account["app_id"],
            "seller_id": self.account["seller_id"],
            "timestamp": _beijing(time.time()),
        }
        return self.signed(told)

    def signed(self, told: dict[str, str], *, key: str = "alipay_private_key") -> dict[str, str]:
        """The fields with their signature, by the key of this name in the account."""
        return {**told, "sign": self.signature(_joined(told).decode(), key=key), "sign_type": "RSA2"}

    def signature(self, text: str, *, key: str = "alipay_private_key") -> str:
        signed = _signing_key(self.account[key]).sign(text.encode(), padding.PKCS1v15(), SHA256())
        return base64.b64encode(signed).decode()


class Refused(Exception):
    """What the gateway will not do, as it says so."""

    def __init__(self, code: str, sub_code: str, **more: Any) -> None:
        super().__init__(sub_code)
        message = {"40001": "Missing Required Arguments", "40002": "Invalid Arguments"}.get(code, "Business Failed")
        self.told = {"code": code, "msg": message, "sub_code": sub_code, "sub_msg": f"拒绝: {sub_code}", **more}


def new_account() -> dict[str, Any]:
    """An application with fresh keys: its own, Alipay's, and Alipay's next."""
    merchant, alipay, following = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    return {
        "app_id": "2021004100000109",
        "seller_id": "2088102100000109",
        "private_key": _private(merchant),
        "public_key": _public(merchant),
        "alipay_private_key": _private(alipay),
        "alipay_public_key": _public(alipay),
        "next_alipay_private_key": _private(following),
        "next_alipay_public_key": _public(following),
    }


@cache
def _signing_key(written: str) -> rsa.RSAPrivateKey:
    key = load_der_private_key(base64.b64decode(written), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _private(key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def _public(key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def _joined(fields: dict[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())).encode()


def _total(payment: Payment) -> str:
    return f"{Decimal(payment.amount if payment.received == '0' else payment.received):.2f}"


def _beijing(at: float) -> str:
    return datetime.fromtimestamp(int(at), BEIJING).strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    main(Alipay)
