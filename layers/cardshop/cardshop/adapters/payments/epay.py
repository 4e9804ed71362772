"""易支付 (epay), protocol v1: a signed redirect to `submit.php`, a signed notice by GET or POST, queries by `api.php`.

Rules of the protocol (from the platforms' own developer page, `doc.html`; where forks differ, from their code):

- sign: drop `sign`, `sign_type` and empty values, sort by name, join `k=v` with `&` un-encoded, append the merchant
  key, MD5, lower case (签名算法);
- only `trade_status=TRADE_SUCCESS` means paid; the answer to a notice has `success` in it (支付结果通知);
- `money` may be written as PHP prints a float (`9.9`): the sign is over the text, the comparison over the amount;
- a query answers `code` 1 and a `status`: 0 unpaid, 1 paid, 2 refunded, 3 frozen (查询单个订单). Platforms write 2 for
  an order that was refunded in part as well, and some add how much, `refundmoney`;
- a refund is of the whole order, and has no number of the merchant's. The page says that `code` 1 is done, forks answer
  0 for it, and many have no such call: so the order's status is what counts (提交订单退款);
- nothing closes an order: a link that was given out can be paid for ever, and such money comes late.

The sign is weak: request and notice share one key, and values are joined unescaped. So the shop builds `name` and
`return_url` itself, refuses a notice that carries request fields or whose values hold other fields, and asks the
provider before it believes a notice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from cardshop.adapters.payments import outbound, wire
from cardshop.adapters.payments.forms import fit, only
from cardshop.domain.errors import InvalidNotice, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
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

AMOUNTS = {"CNY": (1, 10_000_000)}  # fen; the platform's own limits are the merchant's, and no page has them
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SHORT_OF_MONEY = "余额"  # in the words of a refusal: the merchant's balance does not cover it yet
#: Meaning and form of the settings that v1 and v2 have in common.
SETTINGS = {
    "url": (
        r"(https://[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?|http://(127\.0\.0\.1|localhost)(:\d{1,5})?)(/[\w.-]+)*",
        "the platform's address, https, without the page's name",
    ),
    "pid": (r"\w{1,32}", "the merchant number"),
    "type": ("alipay|wxpay|qqpay", "one of alipay, wxpay, qqpay"),
}

_CURRENCY = "CNY"
_NAME_BYTES = 127
_REQUEST_ONLY = frozenset({"notify_url", "return_url"})
_NAME = re.compile(r"\w+")
_ANOTHER_FIELD = re.compile(r"&\w+=")
#: 3 is frozen, 4 (of v2) pre-authorised: the money is not the shop's, and may become so.
_STATES = {
    "0": EventKind.OPEN,
    "1": EventKind.PAID,
    "2": EventKind.REFUNDED,
    "3": EventKind.OPEN,
    "4": EventKind.OPEN,
}
_UNKNOWN = ("-1", "0")  # codes for an order that is not there, as platforms differ: nobody has opened the pay page
_ASKED = ("0", "1")  # codes of a refund that was taken, as platforms differ


def joined(fields: Mapping[str, str]) -> str:
    """The text that is signed."""
    named = sorted((name, value) for name, value in fields.items() if value and name not in ("sign", "sign_type"))
    return "&".join(f"{name}={value}" for name, value in named)


def sign(fields: Mapping[str, str], key: str) -> str:
    """MD5 over the joined fields and the key, as the protocol has it."""
    return hashlib.md5((joined(fields) + key).encode(), usedforsecurity=False).hexdigest()


def order(channel: Channel, request: PaymentRequest) -> dict[str, str]:
    """What both versions ask for a payment with, before it is signed."""
    return {
        "pid": channel.settings["pid"],
        "type": channel.settings["type"],
        "out_trade_no": request.payment_id,
        "notify_url": request.notify_url,
        "return_url": request.return_url,
        "name": _short_name(request.name),
        "money": request.amount.decimal(),
    }


def told(fields: Mapping[str, str]) -> PaymentEvent:
    """What a notice says whose sign is right; InvalidNotice if its text could have been signed as another one."""
    if fields.keys() & _REQUEST_ONLY:
        raise InvalidNotice("a request's signature, replayed as a notice")
    if any(not _NAME.fullmatch(name) or _ANOTHER_FIELD.search(value) for name, value in fields.items()):
        raise InvalidNotice("a field within a field")
    if not fields.get("out_trade_no") or not fields.get("pid"):
        raise InvalidNotice("out_trade_no or pid")
    try:
        amount = money(fields.get("money"))
    except ValueError:
        raise InvalidNotice("money") from None
    kind = EventKind.PAID if fields.get("trade_status") == "TRADE_SUCCESS" else EventKind.OPEN
    return PaymentEvent(fields["out_trade_no"], kind, amount, fields.get("trade_no") or None, fields["pid"])


def answered(answer: Mapping[str, Any], payment: Payment, pid: str) -> PaymentEvent:
    """What the answer to a query says of the payment; Unavailable if it makes no sense, or is of another."""
    kind = _STATES.get(str(answer.get("status")))
    if kind is None:
        raise Unavailable("the provider's answer: status")
    for name, ours in (("out_trade_no", payment.payment_id), ("pid", pid)):
        if str(answer.get(name, ours)) != ours:
            raise Unavailable("the provider answered for another payment")
    try:
        amount = money(answer.get("money"))
        gone = amount if answer.get("refundmoney") is None else money(answer["refundmoney"])
    except ValueError:
        raise Unavailable("the provider's answer: money") from None
    if kind is EventKind.REFUNDED and gone.minor < amount.minor:
        kind = EventKind.PAID  # the money is in, and part of it went back
    number = str(answer.get("trade_no") or "") or None
    return PaymentEvent(payment.payment_id, kind, amount if kind is EventKind.PAID else None, number)


def money(written: object) -> Money:
    """ValueError for anything but an amount."""
    return Money.parse(wire.decimal_text(written), _CURRENCY)


class Epay(Provider):
    name = "epay"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        given = {"type": "alipay", **settings}
        given["url"] = given.get("url", "").rstrip("/")
        fields = {
            **SETTINGS,
            "key": ("[!-~]{1,128}", "the merchant key"),
            "refunds": ("none|whole", "none, or whole where the platform has act=refund"),
        }
        fit({"refunds": Refunds.NONE.value, **given}, fields)
        only(given, fields, "this provider")
        return given, {"key": given.pop("key")}

    def terms(self, channel: Channel) -> Terms:
        refunds = Refunds(channel.settings.get("refunds", Refunds.NONE))
        return Terms(amounts=AMOUNTS, refunds=refunds, closes=False, weak=True)

    def account(self, channel: Channel) -> str:
        return channel.settings["pid"]

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        fields = order(channel, request)
        signed = {**fields, "sign": sign(fields, channel.secrets["key"]), "sign_type": "MD5"}
        return PaymentSession(redirect_url=f"{channel.settings['url']}/submit.php?{urlencode(signed)}")

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        del received_at  # the protocol signs no time
        fields = wire.form(notice)
        key = channel.secrets.get("key", "")
        if not key or not wire.same(fields.get("sign", ""), sign(fields, key)):
            raise InvalidNotice("sign")
        if fields.get("sign_type", "MD5").upper() != "MD5":
            raise InvalidNotice("sign_type")
        return [told(fields)]

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """Ask `api.php?act=order`. The key is in the URL, as the protocol wants: the URL is never logged."""
        asked = {"act": "order", **_identified(channel), "out_trade_no": payment.payment_id}
        answer = outbound.call("GET", f"{channel.settings['url']}/api.php?{urlencode(asked)}")
        if answer.status != 200:
            raise Unavailable("the provider did not answer the query")
        said = answer.json()
        if str(said.get("code")) in _UNKNOWN:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        if str(said.get("code")) != "1":  # a wrong key, say: no word about the payment
            raise Unavailable("the provider did not answer the query")
        return answered(said, payment, channel.settings["pid"])

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        """The order's status says whether it was refunded, before and after: one that was is not asked for again."""
        word = self.query_refund(channel, payment, refund)
        if word.state is RefundState.DONE:
            return word
        asked = {**_identified(channel), "out_trade_no": payment.payment_id, "money": refund.amount.decimal()}
        url = f"{channel.settings['url']}/api.php?act=refund"
        answer = outbound.call("POST", url, headers=FORM, body=urlencode(asked).encode(), repeatable=False)
        said = answer.json() if answer.status == 200 else {}
        word = self.query_refund(channel, payment, refund)
        if word.state is RefundState.DONE or str(said.get("code")) in _ASKED:
            return word
        if "code" not in said or SHORT_OF_MONEY in str(said.get("msg")):
            raise Unavailable("the provider did not take the refund")
        return RefundWord(RefundState.REFUSED, refund.refund_id)

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        kind = self.query_payment(channel, payment).kind
        if kind not in {EventKind.PAID, EventKind.REFUNDED}:
            raise Unavailable("the provider has no money of this payment to send back")
        return RefundWord(RefundState.DONE if kind is EventKind.REFUNDED else RefundState.PENDING, refund.refund_id)


def _identified(channel: Channel) -> dict[str, str]:
    return {"pid": channel.settings["pid"], "key": channel.secrets["key"]}


def _short_name(name: str) -> str:
    """The product's name without the characters that mean something to the sign, in 127 bytes."""
    plain = wire.plain_name(name).strip() or "order"
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore")
