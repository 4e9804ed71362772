"""支付宝 (Alipay), open platform gateway with RSA2 keys: page (PC), wap (mobile browsers) and precreate (a QR code).

Rules of the protocol, each with the page of Alipay's open documents that has it:

- a request is signed SHA256withRSA over its fields, sorted and joined `k=v` with `&`, all but `sign`; `timestamp` is
  Beijing time; what is in no charset of the URL is read as GBK (自行实现签名, 公共请求参数);
- an answer is signed over the text of its `…_response` member as it was sent, a notice over its fields without `sign`
  and `sign_type`, empty ones kept (自行实现验签, 异步返回结果的验签), joined as in a request: nothing is escaped;
- a notice is posted until it is answered `success`, 8 times in 25 hours. Whether `notify_time` stays the same all along
  no page says, so no notice is too old (异步通知说明). The buyer's way back is signed alike, and is no notice;
- a trade is there once the buyer has logged in, or has scanned the code: before that query and close answer
  TRADE_NOT_EXIST, and what ends it is `time_expire` (交易不存在的排查; alipay.trade.precreate);
- TRADE_CLOSED is a trade that nobody paid in time, or that was refunded whole. A notice of a refund has the
  `refund_fee` of all so far, which is `0.00` in others; an answer has `send_pay_date` if the seller ever got the money
  (如何区分全额退款和超时关闭; alipay.trade.query);
- a refund's `code` 10000 means only that it was heard: `fund_change` Y or, where that is N or missing,
  `refund_status` REFUND_SUCCESS of its query is what tells that it is done; asked for again with the same
  `out_request_no` it is sent once, and not before three seconds have passed (alipay.trade.refund,
  alipay.trade.fastpay.refund.query).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from cardshop.adapters.payments import outbound, rsa, wire
from cardshop.adapters.payments.forms import LOCAL, fit, only
from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    TERMINALS,
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
    Terms,
)
from cardshop.ports import Provider

_HOSTS = ("openapi.alipay.com", "openapi-sandbox.dl.alipaydev.com")
_CURRENCY = "CNY"
_MOST = 10_000_000_000  # fen; a merchant's own limit is lower, and the contract's
_BEIJING = timezone(timedelta(hours=8))
_NAME_CHARACTERS = 256
_SIGN_TYPE = "RSA2"
_DONE = "10000"
_NO_TRADE = "ACQ.TRADE_NOT_EXIST"
_WAYS = {"pc": "page", "mobile": "wap"}
_PRODUCTS = {"page": "FAST_INSTANT_TRADE_PAY", "wap": "QUICK_WAP_WAY"}

#: What is closed may have been refunded: `_of_a_notice` and `query_payment` look.
_STATES = {
    "WAIT_BUYER_PAY": EventKind.OPEN,
    "TRADE_SUCCESS": EventKind.PAID,
    "TRADE_FINISHED": EventKind.PAID,
    "TRADE_CLOSED": EventKind.FAILED,
}
#: No refund of this number will ever be made: there is not so much left, it is too late, or Alipay's own advice is to
#: settle it with the buyer. A merchant may pay in (SELLER_BALANCE_NOT_ENOUGH); a frozen trade may thaw.
_REFUSALS = frozenset(
    f"ACQ.{code}"
    for code in (
        "BUYER_ENABLE_STATUS_FORBID",
        "BUYER_ERROR",
        "BUYER_NOT_EXIST",
        "NOT_ALLOW_PARTIAL_REFUND",
        "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
        "REASON_TRADE_REFUND_FEE_ERR",
        "REFUND_AMT_NOT_EQUAL_TOTAL",
        "REFUND_FEE_ERROR",
        "TRADE_HAS_CLOSE",
        "TRADE_HAS_FINISHED",
        "TRADE_NOT_ALLOW_REFUND",
        "TRADE_STATUS_ERROR",
    )
)

_PATTERNS = {
    "app_id": ("[0-9]{16}", "the application's number, 16 digits"),
    "seller_id": ("2088[0-9]{12}", "the merchant's number (PID), 2088 and 12 digits"),
    "host": (
        r"https://openapi\.alipay\.com|https://openapi-sandbox\.dl\.alipaydev\.com"
        rf"|{LOCAL}",
        "https://openapi.alipay.com or https://openapi-sandbox.dl.alipaydev.com",
    ),
    "method": ("auto|page|wap|precreate", "one of auto, page, wap, precreate"),
}
_DEFAULTS = {"host": "https://openapi.alipay.com", "method": "auto"}
_KEYS = ("private_key", "alipay_public_key")
_NAME = re.compile(r'[ \t\n\r]*("(?:[^"\\]|\\.)*")[ \t\n\r]*:[ \t\n\r]*')
_DECODER = json.JSONDecoder()
_FIELD = re.compile(rb"(?:^|&)[A-Za-z0-9_]+=")

clock = time.time  # tests put their own here


def signed_text(fields: Mapping[str, str]) -> bytes:
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields)).encode()


def member(document: str, name: str) -> str:
    """The text of this member of a JSON object, as it stands there; ValueError if the object has none."""
    at = document.index("{") + 1
    while written := _NAME.match(document, at):
        _, end = _DECODER.raw_decode(document, written.end())
        if json.loads(written[1]) == name:
            return document[written.end() : end]
        at = document.find(",", end) + 1  # 0, where no name is, after the last one
    raise ValueError(f"{name}: not there")


class Alipay(Provider):
    name = "alipay"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        given = {**dict.fromkeys(_KEYS, ""), **_DEFAULTS, **settings}
        only(given, {*_PATTERNS, *_KEYS}, self.name)
        fit(given, _PATTERNS)
        with rsa.setting("private_key", "the application's, PEM or base64, RSA of 2048 bits or more"):
            own = rsa.own(given["private_key"])
        with rsa.setting("alipay_public_key", "Alipay's, PEM or base64, one or two, no certificate"):
            theirs = rsa.theirs(given["alipay_public_key"])
        if own.public_key() in theirs:
            raise InvalidRequest("alipay_public_key: Alipay's, and this is the application's own")
        return given, {"private_key": given.pop("private_key")}

    def terms(self, channel: Channel) -> Terms:
        ways = {terminal: _way(channel, terminal) for terminal in TERMINALS}
        return Terms(amounts={_CURRENCY: (1, _MOST)}, refunds=Refunds.PARTIAL, ways=ways)

    def account(self, channel: Channel) -> str:
        return f"{channel.settings['app_id']} {channel.settings['seller_id']}"

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        way = _way(channel, request.terminal)
        asked = {
            "out_trade_no": request.payment_id,
            "total_amount": request.amount.decimal(),
            "subject": wire.plain_name(request.name).strip()[:_NAME_CHARACTERS] or "order",
            "time_expire": _beijing(request.expires_at / 1000),
        }
        if way == "precreate":
            told = _ask(channel, "alipay.trade.precreate", asked, notify_url=request.notify_url)
            if code := _code(told):
                raise _refusal(code)
            with wire.as_answer():
                _name_checked(told, request.payment_id)
                return PaymentSession(qr_code=wire.text(told, "qr_code"))
        asked["product_code"] = _PRODUCTS[way]
        if way == "wap":
            asked["quit_url"] = request.return_url
        urls = {"notify_url": request.notify_url, "return_url": request.return_url}
        fields = _signed(channel, f"alipay.trade.{way}.pay", asked, urls)
        return PaymentSession(redirect_url=f"{channel.settings['host']}/gateway.do?{urlencode(fields)}")

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        del received_at
        if notice.method != "POST":
            raise InvalidNotice("not posted")
        fields = wire.form(notice)
        if fields.get("sign_type") != _SIGN_TYPE:
            raise InvalidNotice("sign_type")
        told = {name: fields[name] for name in fields.keys() - {"sign", "sign_type"}}
        message = signed_text(told)
        if not _is_alipays(channel, message, fields.get("sign", "")):
            raise InvalidNotice("sign")
        if len(_FIELD.findall(message)) > len(told):  # they are joined unescaped: one could hide in another
            raise InvalidNotice("two fields in one")
        with wire.as_notice():
            if _field(told, "notify_type") != "trade_status_sync":
                return []  # of an agreement, a complaint, another product
            return [_of_a_notice(told)]

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        told = _ask(channel, "alipay.trade.query", {"out_trade_no": payment.payment_id})
        code = _code(told)
        if code == _NO_TRADE:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        if code:
            raise _refusal(code)
        with wire.as_answer():
            _name_checked(told, payment.payment_id)
            kind = _kind(wire.text(told, "trade_status"))
            number, amount = wire.text(told, "trade_no"), _yuan(told.get("total_amount"))
            if kind is EventKind.FAILED and wire.optional_text(told, "send_pay_date"):
                word = RefundWord(RefundState.DONE, total=amount)
                return PaymentEvent(payment.payment_id, EventKind.REFUNDED, None, number, refund=word)
            return PaymentEvent(payment.payment_id, kind, amount if kind is EventKind.PAID else None, number)

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """OPEN if the buyer has not been there yet: then only `time_expire` ends it."""
        code = _code(_ask(channel, "alipay.trade.close", {"out_trade_no": payment.payment_id}))
        if not code:
            return PaymentEvent(payment.payment_id, EventKind.FAILED)
        said = self.query_payment(channel, payment)
        if said.kind is EventKind.OPEN and code != _NO_TRADE:
            raise _refusal(code)  # it can still be paid
        return said

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        asked = {
            "out_trade_no": payment.payment_id,
            "refund_amount": refund.amount.decimal(),
            "out_request_no": refund.refund_id,
        }
        told = _ask(channel, "alipay.trade.refund", asked, repeatable=False)  # not twice within three seconds
        code = _code(told)
        if code and code not in _REFUSALS:
            raise _refusal(code)
        if not code and told.get("fund_change") == "Y":
            with wire.as_answer():
                _name_checked(told, payment.payment_id)
            return RefundWord(RefundState.DONE, refund.refund_id, amount=refund.amount)
        done = self._done(channel, payment, refund)  # this one may be what leaves no more to refund
        return done or RefundWord(RefundState.REFUSED if code else RefundState.PENDING, refund.refund_id)

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        return self._done(channel, payment, refund) or self.refund(channel, payment, refund)

    def _done(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord | None:
        """None if Alipay knows of no such refund, or has not made it."""
        asked = {"out_trade_no": payment.payment_id, "out_request_no": refund.refund_id}
        told = _ask(channel, "alipay.trade.fastpay.refund.query", asked)
        if code := _code(told):
            raise _refusal(code)
        with wire.as_answer():
            if wire.optional_text(told, "refund_status") != "REFUND_SUCCESS":
                return None
            _name_checked(told, payment.payment_id)
            if wire.text(told, "out_request_no") != refund.refund_id:
                raise ValueError("of another refund")
            if _yuan(told.get("refund_amount")) != refund.amount:
                raise ValueError("of another amount")
        return RefundWord(RefundState.DONE, refund.refund_id, amount=refund.amount)


def _way(channel: Channel, terminal: str) -> str:
    method = channel.settings["method"]
    return _WAYS.get(terminal, "precreate") if method == "auto" else method


def _of_a_notice(fields: Mapping[str, str]) -> PaymentEvent:
    if fields.get("charset", "utf-8").lower() != "utf-8":  # it is that of the request, which was ours
        raise ValueError("charset")
    payment_id, number = _field(fields, "out_trade_no"), _field(fields, "trade_no")
    account = f"{_field(fields, 'app_id')} {_field(fields, 'seller_id')}"
    kind, total = _kind(_field(fields, "trade_status")), _yuan(_field(fields, "total_amount"))
    back = _yuan(fields.get("refund_fee") or "0")
    if back.minor:
        made_for = fields.get("out_biz_no", "")
        ours = made_for if re.fullmatch(f"{re.escape(payment_id)}r[0-9]{{2}}", made_for) else None
        word = RefundWord(RefundState.DONE, ours, total=back)
        return PaymentEvent(payment_id, EventKind.REFUNDED, None, number, account, word)
    return PaymentEvent(payment_id, kind, total if kind is EventKind.PAID else None, number, account)


def _kind(status: str) -> EventKind:
    if status not in _STATES:
        raise ValueError("trade_status: not one of the documents'")
    return _STATES[status]


def _field(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise ValueError(f"{name}: none")
    return fields[name]


def _yuan(amount: object) -> Money:
    return Money.parse(wire.decimal_text(amount), _CURRENCY)


def _ask(
    channel: Channel, method: str, asked: Mapping[str, str], *, notify_url: str = "", repeatable: bool = True
) -> dict[str, Any]:
    """What Alipay says, which it has signed, of the payment that was asked for."""
    fields = _signed(channel, method, asked, {"notify_url": notify_url} if notify_url else {})
    content = urlencode({"biz_content": fields.pop("biz_content")}).encode()
    answer = outbound.call(
        "POST",
        f"{channel.settings['host']}/gateway.do?{urlencode(fields)}",
        headers={"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"},
        body=content,
        hosts=_HOSTS,
        repeatable=repeatable,
    )
    if answer.status != 200:
        raise _refusal(f"HTTP {answer.status}")
    whole, name = answer.json(), f"{method.replace('.', '_')}_response"
    with wire.as_answer():
        if name not in whole:  # the gateway's own, which is signed at best under another name
            raise _refusal(_code(wire.part(whole, "error_response")))
        told = wire.part(whole, name)
        if not _is_alipays(channel, member(answer.body.decode(), name).encode(), wire.text(whole, "sign")):
            raise ValueError("sign")
        if (wire.optional_text(told, "out_trade_no") or asked["out_trade_no"]) != asked["out_trade_no"]:
            raise ValueError("of another payment")
    return told


def _signed(channel: Channel, method: str, asked: Mapping[str, str], urls: Mapping[str, str]) -> dict[str, str]:
    fields = {
        "app_id": channel.settings["app_id"],
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": _SIGN_TYPE,
        "timestamp": _beijing(clock()),
        "version": "1.0",
        **urls,
        "biz_content": json.dumps(asked, ensure_ascii=False, separators=(",", ":")),
    }
    return {**fields, "sign": rsa.sign(rsa.own(channel.secrets["private_key"]), signed_text(fields))}


def _is_alipays(channel: Channel, message: bytes, signature: str) -> bool:
    return rsa.signed_by(message, signature, *rsa.theirs(channel.settings["alipay_public_key"]))


def _name_checked(told: Mapping[str, Any], payment_id: str) -> None:
    if wire.text(told, "out_trade_no") != payment_id:
        raise ValueError("of another payment")


def _code(told: Mapping[str, Any]) -> str:
    """Empty for success, else the code of what is wrong."""
    with wire.as_answer():
        code = wire.text(told, "code")
        return "" if code == _DONE else wire.optional_text(told, "sub_code") or code


def _refusal(code: str) -> Unavailable:
    return Unavailable(f"Alipay refused: {code if re.fullmatch('[A-Za-z0-9._ -]{1,64}', code) else 'no known code'}")


def _beijing(at: float) -> str:
    return datetime.fromtimestamp(int(at), _BEIJING).strftime("%Y-%m-%d %H:%M:%S")
