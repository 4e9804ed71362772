"""A simulated Epusdt gateway (`assimon/epusdt`): orders in yuan, paid in USDT, told by a signed JSON notice.

Written from the project's `wiki/API.md` and the source it documents. What it says of itself, and what is kept to here:

- `POST /api/v1/order/create-transaction`: the signature is over the fields as parsed, numbers as Go prints a float; an
  order number is taken once (10002); an amount has to be above 0.01. All answers are HTTP 200, `status_code` tells;
- `GET /pay/check-status/{trade_id}`: 1 waiting, 2 paid, 3 over; unsigned. `GET /pay/checkout-counter/{trade_id}`: the
  page, while it waits;
- a notice only when it is paid; five more tries until the body is exactly `ok`, whatever the HTTP status.

The gateway matches transfers by their exact amount, so `received` other than `amount` is a test's invention.

``account``: ``{"token"}``.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeGuard

from simulators.booth import Answer, Booth, Outgoing, Payment, Refusal, Request, Telling, main

RATE = Decimal("6.4")  # yuan to the coin
WALLET = "TNEns8t9jbWENbStkQdVQtHMGpbsYsQjZK"
_ERRORS = {
    400: "系统错误",
    401: "签名认证错误",
    10002: "支付交易已存在，请勿重复创建",
    10004: "支付金额有误, 无法满足最小支付单位",
    10008: "订单不存在",
    10009: "无法解析请求参数",
}
_STATUS = {"open": 1, "paid": 2, "closed": 3, "failed": 3}


def new_account() -> dict[str, Any]:
    return {"token": secrets.token_hex(16)}


def plain(number: Decimal | int) -> str:
    """Go's `strconv.FormatFloat(number, 'f', -1, 64)`."""
    text = f"{Decimal(number):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def sign(fields: Mapping[str, Any], token: str) -> str:
    """Everything but the signature and what is empty, joined in the order of the names, and the token."""
    pairs = []
    for name, value in sorted(fields.items()):
        if name == "signature" or value is None or value == "":
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise TypeError("signature marshal error")
        pairs.append(f"{name}={value if isinstance(value, str) else plain(value)}")
    return hashlib.md5(("&".join(pairs) + token).encode(), usedforsecurity=False).hexdigest()


def encode(value: Any) -> str:
    """JSON with exact numbers."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{encode(each)}" for name, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def decode(body: bytes) -> dict[str, Any] | None:
    """The JSON object, its numbers exact; None if it is none."""
    try:
        value = json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def is_number(value: object) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


class Epusdt(Booth):
    name = "epusdt"
    retries = (15, 30, 60, 120, 240)  # at most five; how far apart, the task queue decides

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.token: str = account["token"]

    def handle(self, request: Request) -> Answer:
        match request.method, request.path.split("/")[1:]:
            case "POST", ["api", "v1", "order", "create-transaction"]:
                self.check_outage("create")
                return self._create(request)
            case "GET", ["pay", "check-status", number]:
                self.check_outage("query")
                payment = self.find(reference=number)
                if payment is None:
                    raise _refusal(10008)
                return _answered({"trade_id": payment.reference, "status": _STATUS.get(payment.status, 2)})
            case "GET", ["pay", "checkout-counter", number]:
                payment = self.find(reference=number)
                if payment is None or payment.status != "open":
                    return Answer(200, "不存在待支付订单或已过期！", "text/plain; charset=utf-8")
                return Answer(200, self.pay_page(payment))
        raise Refusal(200, "Not Found")

    def _create(self, request: Request) -> Answer:
        fields = decode(request.body) or {}
        try:
            ours = sign(fields, self.token)
        except TypeError:
            raise _refusal(401) from None
        if fields.get("signature") != ours:
            raise _refusal(401)
        number, amount, notify_url = (fields.get(name) for name in ("order_id", "amount", "notify_url"))
        if not isinstance(number, str) or not isinstance(notify_url, str) or not is_number(amount):
            raise _refusal(10009)
        if not 1 <= len(number) <= 32 or amount <= Decimal("0.01") or not re.match(r"https?://", notify_url):
            raise _refusal(400)
        coins = (Decimal(amount) / RATE).quantize(Decimal("0.01"), ROUND_HALF_UP)
        if coins < Decimal("0.01"):
            raise _refusal(10004)
        if self.find(number=number) is not None:
            raise _refusal(10002)
        payment = self.open(
            Payment(
                number=number,
                amount=plain(amount),
                currency="CNY",
                notify_url=notify_url,
                return_url=str(fields.get("redirect_url") or ""),
                reference=f"{time.strftime('%Y%m%d')}{time.time_ns() // 10**6}{secrets.randbelow(1000):03d}",
                extra={"actual_amount": plain(coins), "block_transaction_id": secrets.token_hex(32)},
            )
        )
        return _answered(
            {
                "trade_id": payment.reference,
                "order_id": number,
                "amount": amount,
                "actual_amount": coins,
                "token": WALLET,
                "expiration_time": int(time.time()) + 600,
                "payment_url": f"{self.url}/pay/checkout-counter/{payment.reference}",
            }
        )

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if event != "paid":
            return None
        fields = {
            "trade_id": payment.reference,
            "order_id": payment.number,
            "amount": Decimal(payment.received if payment.status == "paid" else payment.amount),
            "actual_amount": Decimal(payment.extra["actual_amount"]),
            "token": WALLET,
            "block_transaction_id": payment.extra["block_transaction_id"],
            "status": 2,
        }
        body = encode({**fields, "signature": sign(fields, self.token)}).encode()
        headers = {"Content-Type": "application/json", "Powered-By": "Epusdt(https://github.com/assimon/epusdt)"}
        return Outgoing("POST", payment.notify_url, headers, body)

    def accepted(self, status: int, body: bytes) -> bool:
        return body == b"ok"


def _answered(data: dict[str, Any]) -> Answer:
    answer = {"status_code": 200, "message": "success", "data": data, "request_id": secrets.token_hex(16)}
    return Answer(200, encode(answer).encode(), "application/json; charset=UTF-8")


def _refusal(code: int) -> Refusal:
    answer = {"status_code": code, "message": _ERRORS[code], "data": None, "request_id": secrets.token_hex(16)}
    return Refusal(200, answer)


if __name__ == "__main__":
    main(Epusdt)
