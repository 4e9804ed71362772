"""易支付 (epay), protocol v1: a signed redirect to `submit.php`, a signed notice by GET or POST, queries by `api.php`.

Rules of the protocol (from the platforms' own developer page):

- sign: drop `sign`, `sign_type` and empty values, sort by name, join `k=v` with `&` un-encoded, append the merchant
  key, MD5, lower case;
- only `trade_status=TRADE_SUCCESS` means paid; the notice is answered with a body that contains `success`;
- `money` may be written as PHP prints a float (`9.9`): the sign is over the text, the comparison over the amount.

The sign is weak: request and notice share one key, and values are joined unescaped. So the shop builds `name` and
`return_url` itself, refuses a notice that carries request fields, and asks the provider before it believes a notice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from urllib.parse import parse_qsl, urlencode

import urllib3

from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, Notice, PaymentEvent, PaymentRequest, PaymentSession

_TYPES = ("alipay", "wxpay", "qqpay")
_NAME_BYTES = 127
_UNSAFE_IN_NAME = re.compile(r"[^\w .,()+-]")
_MAX_NOTICE_BYTES = 16 * 1024
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_FIELDS = 64
_PAID = 1
_UNKNOWN = ("-1", "0")  # codes for an order that is not there, as platforms differ: nobody has opened the pay page

_http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5), retries=False, maxsize=4)


def sign(fields: dict[str, str], key: str) -> str:
    """MD5 over the joined fields and the key, as the protocol has it."""
    named = sorted((name, value) for name, value in fields.items() if value and name not in ("sign", "sign_type"))
    joined = "&".join(f"{name}={value}" for name, value in named)
    return hashlib.md5((joined + key).encode(), usedforsecurity=False).hexdigest()


class Epay:
    """`ports.Provider`."""

    name = "epay"
    currencies = frozenset({"CNY"})
    account = "pid"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        public = {
            "url": settings.get("url", "").rstrip("/"),
            "pid": settings.get("pid", ""),
            "type": settings.get("type", "alipay"),
        }
        if not re.fullmatch(r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?(/[\w.\-/]*)?", public["url"]):
            raise InvalidRequest("url: the address before /submit.php, http(s)")
        if not re.fullmatch(r"\w{1,32}", public["pid"], re.ASCII):
            raise InvalidRequest("pid: the merchant number")
        if public["type"] not in _TYPES:
            raise InvalidRequest(f"type: one of {', '.join(_TYPES)}")
        key = settings.get("key", "")
        if not key.strip():
            raise InvalidRequest("key: must not be empty")
        if unknown := settings.keys() - public.keys() - {"key"}:
            raise InvalidRequest(f"{min(unknown)}: not a setting of epay")
        return public, {"key": key}

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        fields = {
            "pid": channel.settings["pid"],
            "type": channel.settings["type"],
            "out_trade_no": request.payment_id,
            "notify_url": request.notify_url,
            "return_url": request.return_url,
            "name": _short_name(request.name),
            "money": request.amount.decimal(),
        }
        signed = {**fields, "sign": sign(fields, channel.secrets["key"]), "sign_type": "MD5"}
        return PaymentSession(redirect_url=f"{channel.settings['url']}/submit.php?{urlencode(signed)}")

    def read_notice(self, channel: Channel, notice: Notice) -> list[PaymentEvent]:
        fields = _fields(notice)
        given = fields.get("sign", "")
        key = channel.secrets.get("key", "")
        if not key or not given.isascii() or not hmac.compare_digest(given, sign(fields, key)):
            raise InvalidNotice("sign")
        if fields.keys() & {"notify_url", "return_url"}:
            raise InvalidNotice("a request's signature, replayed as a notice")
        try:
            amount = Money.parse(fields["money"], "CNY")
            payment_id, account = fields["out_trade_no"], fields["pid"]
        except (KeyError, ValueError) as error:
            raise InvalidNotice("money, out_trade_no or pid") from error
        paid = fields.get("trade_status") == "TRADE_SUCCESS"
        return [PaymentEvent(payment_id, paid, amount, fields.get("trade_no"), account)]

    def query_payment(self, channel: Channel, payment_id: str, currency: str) -> PaymentEvent:
        """Ask `api.php?act=order`. The key is in the URL, as the protocol wants: the URL is never logged."""
        asked = urlencode(
            {
                "act": "order",
                "pid": channel.settings["pid"],
                "key": channel.secrets["key"],
                "out_trade_no": payment_id,
            }
        )
        try:
            answer = _http.request("GET", f"{channel.settings['url']}/api.php?{asked}", redirect=False)
            if answer.status != 200 or len(answer.data) > _MAX_ANSWER_BYTES:
                raise Unavailable("the provider did not answer the query")
            order = json.loads(answer.data)
            if str(order.get("code")) in _UNKNOWN:
                return PaymentEvent(payment_id, False, None, None)
            if str(order.get("code")) != "1":  # a wrong key, say: no word about the payment
                raise Unavailable("the provider did not answer the query")
            if str(order.get("out_trade_no", payment_id)) != payment_id:
                raise Unavailable("the provider answered for another payment")
            paid = int(order["status"]) == _PAID
            amount = Money.parse(str(order["money"]), currency)
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # from None: the error's text holds the URL, and the URL holds the key
            raise Unavailable("the provider did not answer the query") from None
        return PaymentEvent(payment_id, paid, amount, str(order.get("trade_no") or "") or None)

    def close_payment(self, channel: Channel, payment_id: str, currency: str) -> PaymentEvent:
        """The protocol closes nothing: a link that was given out can be paid for ever, and such money comes late."""
        return self.query_payment(channel, payment_id, currency)

    def acknowledge(self, accepted: bool) -> str:
        return "success" if accepted else "fail"


def _fields(notice: Notice) -> dict[str, str]:
    """The notice's fields, each once. Some platforms write `&` as `&amp;` or `;` between them."""
    pairs = list(notice.query)
    if len(pairs) == 1:  # the gateway splits a query at `&` only
        pairs = _pairs_in(f"{pairs[0][0]}={pairs[0][1]}", ";")
    if notice.method == "POST" and notice.body:
        if len(notice.body) > _MAX_NOTICE_BYTES:
            raise InvalidNotice("too large")
        pairs += _pairs(notice.body)
    fields: dict[str, str] = {}
    for written, value in pairs:
        name = written.removeprefix("amp;")
        if name in fields:
            raise InvalidNotice("a field twice")
        fields[name] = value
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("ascii").replace("&amp;", "&")  # a form is percent-encoded
        separator = "&" if "&" in text else ";"
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, separator=separator)
    except ValueError as error:
        raise InvalidNotice("not a form") from error


def _pairs_in(text: str, separator: str) -> list[tuple[str, str]]:
    """The pairs of a text that is decoded already."""
    split = (pair.partition("=") for pair in text.split(separator))
    return [(name, value) for name, _, value in split]


def _short_name(name: str) -> str:
    """The product's name without the characters that mean something to the sign, in 127 bytes."""
    plain = _UNSAFE_IN_NAME.sub(" ", name).strip() or "order"
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore")
