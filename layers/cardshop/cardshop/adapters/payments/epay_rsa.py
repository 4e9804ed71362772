"""易支付 (epay), protocol v2: requests signed by the merchant's RSA key, answers and notices by the platform's.

Rules of the protocol (from the platforms' own developer page, `doc/index.html`, and its PHP SDK):

- sign: v1's text, without arrays as well, SHA256WithRSA, base64; `sign_type` is `RSA` or `SHA256WithRSA` (签名规则);
- every request, answer and notice carries a `timestamp` in Unix seconds, good for 300 s on either side;
- `api/pay/submit` is a page: a signed link, which is dead once its timestamp is too old (页面跳转支付). Instead,
  `api/pay/create` answers a `pay_type` and `pay_info`, by `method`: `web`, whatever suits the `device`, or `jump`,
  always a link (统一下单). Asked again for an unpaid order, both open the same one;
- an answer's `code` is 0 for success, and then it is signed; a failure need not be, and only its `msg` tells which (the
  SDK verifies no other). `msg` is believed in two things: that there is no such order, and no such refund;
- `status` of an order as in v1, and 4 pre-authorised (订单查询);
- refunds go by the merchant's `out_refund_no`, in part too: asked for again, the one of this number goes on (申请退款).
  `code` 0 says that it was taken; what became of it, `refundquery` tells (退款查询): `status` 1 is done. 0 is failed,
  says the page, and the platform's code writes it for one that is on its way: it is asked for again, and then refused;
- `api/pay/close` closes where the way of paying can (关闭订单); the order's status does not show it.

A notice is believed without asking the platform, unlike v1's: what the buyer sees is signed by the merchant's key, so
it is no notice; an answer signed by the platform's names no `trade_status`. Two things remain. The platform signs for
all its merchants with one key, and values are joined unescaped: another merchant's `name` could hold the rest of a
notice to this one, so a value that holds a field is refused. And a notice may be played again for 300 s, which is a
duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from cardshop.adapters.clock import clock
from cardshop.adapters.payments import epay, outbound, rsa, wire
from cardshop.adapters.payments.forms import fit, only
from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
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

_SIGN_TYPE = "RSA"
_SIGN_TYPES = (_SIGN_TYPE, "SHA256WithRSA")
_BLANK = " \t\n\r\0\x0b"  # what PHP trims: a value of nothing else is an empty one
_KEY = "PEM or the base64 of it, RSA of 2048 bits or more"
_FORMS = {
    **epay.SETTINGS,
    "method": ("submit|web|jump", "one of submit, web, jump"),
    "private_key": (r"[\s\S]+", f"the merchant's own, {_KEY}"),
    "platform_key": (r"[\s\S]+", f"the platform's public one, {_KEY}; two while one replaces the other"),
}
_APP = re.compile(r"(weixin|alipays?|mqqapi)://[!-~]+")
_NO_ORDER = re.compile("订单.{0,20}不存在")
_NO_REFUND = re.compile("(退款|订单|记录).{0,20}不存在")
_OFF = "未开启"  # refunds by this interface, by the merchant or by the platform
_REFUND_STATES = {"0": RefundState.PENDING, "1": RefundState.DONE}


def sign(fields: Mapping[str, str], private_key: str) -> str:
    """SHA256WithRSA over the joined fields, base64."""
    return rsa.sign(rsa.own(private_key), _text(fields))


class EpayRsa(Provider):
    name = "epay-rsa"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        given = {"type": "alipay", "method": "submit", **settings}
        given["url"] = given.get("url", "").rstrip("/")
        fit(given, _FORMS)
        only(given, _FORMS, "this provider")
        with rsa.setting("private_key", _FORMS["private_key"][1]):
            own = rsa.own(given["private_key"])
        with rsa.setting("platform_key", _FORMS["platform_key"][1]):
            theirs = rsa.theirs(given["platform_key"])
        if own.public_key() in theirs:
            raise InvalidRequest("platform_key: the platform's public key, not the merchant's own")
        return given, {"private_key": given.pop("private_key")}

    def terms(self, channel: Channel) -> Terms:
        del channel
        return Terms(amounts=epay.AMOUNTS, refunds=Refunds.PARTIAL)

    def account(self, channel: Channel) -> str:
        return channel.settings["pid"]

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        fields = epay.order(channel, request)
        method = channel.settings["method"]
        if method == "submit":
            return PaymentSession(redirect_url=f"{_url(channel, 'submit')}?{urlencode(_signed(channel, fields))}")
        fields |= {"method": method, "device": "mobile" if request.terminal == "mobile" else "pc"}
        if request.address:
            fields["clientip"] = request.address
        said = _succeeded(_ask(channel, "create", fields))
        return _session(said)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        fields = wire.form(notice)
        _verify(channel, fields, received_at)
        return [epay.told(fields)]

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        said = _ask(channel, "query", {"out_trade_no": payment.payment_id})
        if _failed(said) and _NO_ORDER.search(_words(said)):
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        return epay.answered(_succeeded(said), payment, channel.settings["pid"])

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """OPEN where the way of paying cannot be closed: such money comes late, if it comes."""
        closed = not _failed(_ask(channel, "close", {"out_trade_no": payment.payment_id}))
        said = self.query_payment(channel, payment)
        return replace(said, kind=EventKind.FAILED) if closed and said.kind is EventKind.OPEN else said

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        """Asked again, the platform goes on with the refund of this number that it has."""
        word = _look_up(channel, payment, refund)
        if word is not None and word.state in {RefundState.DONE, RefundState.REFUSED}:
            return word
        asked = {
            "out_trade_no": payment.payment_id,
            "out_refund_no": refund.refund_id,
            "money": refund.amount.decimal(),
        }
        said = _ask(channel, "refund", asked, repeatable=False)
        word = _look_up(channel, payment, refund) or RefundWord(RefundState.PENDING, refund.refund_id)
        if word.state is RefundState.DONE or not _failed(said):
            return word
        if epay.SHORT_OF_MONEY in _words(said):
            raise Unavailable("the merchant's balance at the provider is too low")
        return replace(word, state=RefundState.REFUSED)


def _url(channel: Channel, call: str) -> str:
    return f"{channel.settings['url']}/api/pay/{call}"


def _signed(channel: Channel, fields: Mapping[str, str]) -> dict[str, str]:
    timed = {**fields, "timestamp": str(clock() // 1000)}
    return {**timed, "sign": sign(timed, channel.secrets["private_key"]), "sign_type": _SIGN_TYPE}


def _ask(channel: Channel, call: str, fields: Mapping[str, str], *, repeatable: bool = True) -> dict[str, Any]:
    """The answer to a signed call: a success is the platform's own word, a failure may be anybody's on its host."""
    asked = _signed(channel, {"pid": channel.settings["pid"], **fields})
    url, body = _url(channel, call), urlencode(asked).encode()
    answer = outbound.call("POST", url, headers=epay.FORM, body=body, repeatable=repeatable)
    said = answer.json()
    if answer.status != 200 or "code" not in said:
        raise Unavailable("the provider did not answer the call")
    if not _failed(said):
        try:
            _verify(channel, {name: _as_php(value) for name, value in said.items()}, clock())
        except InvalidNotice as error:
            raise Unavailable(f"the provider's answer: {error}") from None
    return said


def _failed(said: Mapping[str, Any]) -> bool:
    return _as_php(said.get("code")) != "0"


def _words(said: Mapping[str, Any]) -> str:
    return _as_php(said.get("msg"))


def _succeeded(said: dict[str, Any]) -> dict[str, Any]:
    if _failed(said):
        code = _as_php(said.get("code"))
        raise Unavailable(f"the provider refused: code {code if re.fullmatch('-?[0-9]{1,6}', code) else 'unknown'}")
    return said


def _session(said: Mapping[str, Any]) -> PaymentSession:
    kind, content = _as_php(said.get("pay_type")), said.get("pay_info")
    if isinstance(content, str):  # an array would not be signed
        if kind == "qrcode" and content:
            return PaymentSession(qr_code=content)
        if (kind == "jump" and wire.LINK.fullmatch(content)) or (kind == "urlscheme" and _APP.fullmatch(content)):
            return PaymentSession(redirect_url=content)
    raise Unavailable("the provider's answer: pay_type and pay_info that a shop cannot show")


def _look_up(channel: Channel, payment: Payment, refund: Refund) -> RefundWord | None:
    """What the platform has of a refund by its number; None if it has none."""
    said = _ask(channel, "refundquery", {"out_refund_no": refund.refund_id})
    if _failed(said) and _NO_REFUND.search(_words(said)):
        return None
    if _failed(said) and _OFF in _words(said):
        return RefundWord(RefundState.REFUSED, refund.refund_id)
    state = _REFUND_STATES.get(_as_php(_succeeded(said).get("status")))
    try:
        amount = refund.amount if said.get("money") is None else epay.money(said["money"])
    except ValueError:
        raise Unavailable("the provider's answer: money") from None
    named = _as_php(said.get("out_refund_no")), _as_php(said.get("out_trade_no")) or payment.payment_id, amount
    if state is None or named != (refund.refund_id, payment.payment_id, refund.amount):
        raise Unavailable("the provider answered for another refund")
    return RefundWord(state, refund.refund_id, _as_php(said.get("refund_no")) or None, amount)


def _verify(channel: Channel, fields: Mapping[str, str], now: int) -> None:
    """InvalidNotice or StaleNotice unless the platform signed this within five minutes of `now` (milliseconds)."""
    if fields.get("sign_type", _SIGN_TYPE) not in _SIGN_TYPES:
        raise InvalidNotice("sign_type")
    keys = rsa.theirs(channel.settings["platform_key"])
    if not rsa.signed_by(_text(fields), fields.get("sign", ""), *keys):
        raise InvalidNotice("sign")
    signed = fields.get("timestamp", "")
    if not wire.SECONDS.fullmatch(signed):
        raise InvalidNotice("timestamp")
    wire.check_age(signed, now, "timestamp")


def _text(fields: Mapping[str, str]) -> bytes:
    return epay.joined({name: value for name, value in fields.items() if value.strip(_BLANK)}).encode()


def _as_php(value: object) -> str:
    """A JSON value as PHP writes it into the text that is signed: nothing for null, false and arrays."""
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value) if isinstance(value, str | int | Decimal) else ""
