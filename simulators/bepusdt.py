"""A simulated BEpusdt gateway (`v03413/BEpusdt`): Epusdt's protocol for many coins and chains, with its own ways.

Written from the project's `docs/api/api.md` and the source it documents. What it says of itself, and is kept to here:

- signatures as Epusdt's, but a number is signed as Go's `%v` prints a float, and empty texts are left out;
- an order number that waits or is paid answers its own order again, worked out anew if it is asked for differently; one
  that is over gets a new order. A refusal is `status_code` 400 with a message, all answers are HTTP 200;
- `POST /api/v1/order/cancel-transaction` only while nothing has come in; `POST /api/v1/pay/info` is unsigned;
- a waiting order may be told as well (event `waiting`; there: once a minute), one that is over (`closed`) or not
  confirmed on the chain (`failed`) too. HTTP 200 is "got it". Tries come 2, 4, 8… minutes after the payment.

``account``: ``{"token"}``; with ``"older": true`` it is a version before `pay/info`, which has `check-status` and wants
`ok` for a notice. A payment's ``extra["confirming"]`` is a transfer seen, not confirmed.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import time
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from simulators.booth import Answer, Booth, Outgoing, Payment, Refusal, Request, Telling, main
from simulators.epusdt import decode, encode, is_number, new_account

__all__ = ["Bepusdt", "new_account"]

RATES = {"CNY": Decimal("7.1"), "USD": Decimal(1), "EUR": Decimal("0.9"), "GBP": Decimal("0.8"), "JPY": Decimal(150)}
WALLET = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
_CHAINS = ("trc20", "erc20", "bep20", "polygon", "arbitrum", "solana", "aptos", "xlayer")
_TRADE_TYPES = {
    *(f"{coin}.{chain}" for coin in ("usdt", "usdc") for chain in _CHAINS),
    *("usdt.plasma", "usdt.ton", "usdt0.xlayer", "usdc.base", "tron.trx", "ethereum.eth", "bsc.bnb", "ton.gram"),
}
_TOLD = {"waiting": 1, "paid": 2, "closed": 3, "failed": 6}


def shortest(number: Decimal | int) -> str:
    """Go's `fmt.Sprintf("%v", float64(number))`."""
    value = Decimal(number).normalize()
    if value and not -4 <= value.adjusted() < 6:
        digits = "".join(map(str, value.as_tuple().digits))
        return f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{value.adjusted():+03d}"
    return f"{value:f}"


def sign(fields: Mapping[str, Any], token: str) -> str:
    """`utils.EpusdtSign`; a boolean, a list or an object is signed in Go's own writing, which nobody needs here."""
    named = sorted((name, value) for name, value in fields.items() if name != "signature" and value not in (None, ""))
    joined = "&".join(f"{name}={shortest(value) if is_number(value) else value}" for name, value in named)
    return hashlib.md5((joined.rstrip("&") + token).encode(), usedforsecurity=False).hexdigest()


class Bepusdt(Booth):
    name = "bepusdt"
    retries = (120, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 30720)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.token: str = account["token"]
        self.older: bool = account.get("older", False)

    def handle(self, request: Request) -> Answer:
        match request.method, request.path.split("/")[1:]:
            case "POST", ["api", "v1", "order", "create-transaction"]:
                self.check_outage("create")
                return self._create(self._signed(request))
            case "POST", ["api", "v1", "order", "cancel-transaction"]:
                self.check_outage("close")
                return self._cancel(self._signed(request))
            case "POST", ["api", "v1", "pay", "info"] if not self.older:
                self.check_outage("query")
                return self._info(decode(request.body) or {})
            case "GET", ["pay", "check-status", number] if self.older:
                self.check_outage("query")
                payment = self._known(number)
                return _json({"trade_id": number, "trade_hash": "", "status": _status(payment), "return_url": ""})
            case "GET", ["pay", page, number] if page == self._page:
                return Answer(200, self.pay_page(self._known(number)))
        raise Refusal(404, "404 page not found")

    @property
    def _page(self) -> str:
        return "checkout-counter" if self.older else "checkout"

    def _signed(self, request: Request) -> dict[str, Any]:
        fields = decode(request.body)
        if fields is None or "signature" not in fields:
            raise _refusal("签名丢失")
        if sign(fields, self.token) != fields["signature"]:
            raise _refusal("签名错误")
        return fields

    def _known(self, number: object) -> Payment:
        payment = self.find(reference=number) if isinstance(number, str) and number else None
        if payment is None:
            raise _refusal("order not found")
        return payment

    def _create(self, fields: dict[str, Any]) -> Answer:
        number, notify_url, return_url = (fields.get(name) for name in ("order_id", "notify_url", "redirect_url"))
        amount, seconds = fields.get("amount"), fields.get("timeout", 0)
        texts = all(isinstance(each, str) and each for each in (number, notify_url, return_url))
        if not texts or not is_number(amount) or not isinstance(seconds, int) or isinstance(seconds, bool):
            raise _refusal("请求参数错误")
        amount, fiat = Decimal(amount), fields.get("fiat") or "CNY"
        trade_type = fields.get("trade_type") or "usdt.trc20"
        if trade_type not in _TRADE_TYPES or fiat not in RATES:
            raise _refusal("订单创建失败：不支持的类型")
        if not Decimal("0.01") <= amount <= 99999:
            raise _refusal("订单创建失败：交易金额必须在 0.01 - 99999 之间")
        wanted = {
            "trade_type": trade_type,
            "actual_amount": str((amount / RATES[fiat]).quantize(Decimal("0.01"), ROUND_HALF_UP)),
            "expires": int(time.time()) + (seconds if 180 <= seconds <= 3600 else 1200),
            "name": fields.get("name") or number,
            "block_transaction_id": secrets.token_hex(32),
        }
        fresh = Payment(
            str(number), f"{amount.normalize():f}", fiat, str(notify_url), str(return_url), _number(), extra=wanted
        )
        payment = self.open(fresh)
        if payment is not fresh and payment.status in ("closed", "failed"):
            payment.reference, payment.status = fresh.reference, "open"
        if payment.status == "open" and (payment.amount, payment.currency, payment.extra["trade_type"]) != (
            fresh.amount,
            fiat,
            trade_type,
        ):
            payment.amount, payment.currency, payment.extra = fresh.amount, fiat, wanted
        return _answered(
            {
                "fiat": payment.currency,
                "trade_type": payment.extra["trade_type"],
                "trade_id": payment.reference,
                "order_id": payment.number,
                "status": _status(payment),
                "amount": payment.amount,
                "actual_amount": payment.extra["actual_amount"],
                "token": WALLET,
                "expiration_time": max(0, payment.extra["expires"] - int(time.time())),
                "payment_url": f"{self.url}/pay/{self._page}/{payment.reference}",
            }
        )

    def _cancel(self, fields: dict[str, Any]) -> Answer:
        payment = self._known(fields.get("trade_id"))
        if _status(payment) != 1:
            raise _refusal(f"当前订单({payment.reference})状态不允许取消")
        payment.status, payment.extra["cancelled"] = "closed", True
        return _answered({"trade_id": payment.reference})

    def _info(self, fields: dict[str, Any]) -> Answer:
        payment = self._known(fields.get("trade_id"))
        return _answered(
            {
                "trade_id": payment.reference,
                "order_id": payment.number,
                "trade_type": payment.extra["trade_type"],
                "status": _status(payment),
                "money": _money(payment),
                "actual_amount": payment.extra["actual_amount"],
                "token": WALLET,
                "fiat": payment.currency,
                "name": payment.extra["name"],
                "expired_at": payment.extra["expires"],
            }
        )

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if event not in _TOLD:
            return None
        fields = {
            "trade_id": payment.reference,
            "order_id": payment.number,
            "amount": Decimal(_money(payment)),
            "actual_amount": payment.extra["actual_amount"],
            "token": WALLET,
            "block_transaction_id": payment.extra["block_transaction_id"] if event == "paid" else payment.reference,
            "status": _TOLD[event],
        }
        body = encode({**fields, "signature": sign(fields, self.token)}).encode()
        headers = {"Content-Type": "application/json", "Powered-By": "https://github.com/v03413/BEpusdt"}
        return Outgoing("POST", payment.notify_url, headers, body)

    def accepted(self, status: int, body: bytes) -> bool:
        return status == 200 and (not self.older or body == b"ok")


def _number() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(18))


def _status(payment: Payment) -> int:
    if payment.extra.get("confirming"):
        return 5
    if payment.extra.get("cancelled") and payment.status == "closed":
        return 4
    return {"open": 1, "closed": 3, "failed": 6}.get(payment.status, 2)


def _money(payment: Payment) -> str:
    return payment.received if payment.status == "paid" else payment.amount


def _answered(data: dict[str, Any]) -> Answer:
    return _json({"status_code": 200, "message": "success", "data": data, "request_id": ""})


def _refusal(message: str) -> Refusal:
    return Refusal(200, {"status_code": 400, "message": message})


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, encode(value).encode(), "application/json; charset=utf-8")


if __name__ == "__main__":
    main(Bepusdt)
