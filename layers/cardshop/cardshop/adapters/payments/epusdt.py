"""Epusdt, the self-hosted USDT gateway (`assimon/epusdt`): a JSON order, a signed JSON notice, a status to ask for.

Rules of the protocol (from the project's `wiki/API.md`, and its source where that says more):

- sign: drop `signature` and empty values, sort by name, join `k=v` with `&` un-encoded, append the token, MD5, lower
  case. The gateway signs what it has parsed, so a number is signed as Go prints a float: `42` of `42.00`, `9.9` of
  `9.90` (`util/sign`: `FormatFloat(v, 'f', -1, 64)`);
- `amount` is a JSON number of yuan, above 0.01 (`model/request`); `order_id` has at most 32 characters;
- an order number is taken once: again it is `status_code` 10002, and nothing tells its `trade_id` or its page;
- a buyer has to send exactly `actual_amount` of the coin before the gateway's own time is over: a transfer is looked
  up by wallet and amount, and another amount is nobody's (`task_service`). Only then is the status 2;
- a notice comes when it is paid, and again until the body is `ok`, five times; `amount` is what was asked, in yuan;
- `GET /pay/check-status/{trade_id}` answers the number and the status, neither signed nor with an amount.

One token signs both ways and values are joined unescaped, so the gateway is asked before a notice is believed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from cardshop.adapters.payments import outbound, wire
from cardshop.adapters.payments.forms import LOCAL, fit, only
from cardshop.domain.errors import InvalidNotice, PaymentSpent, Unavailable
from cardshop.domain.money import Money, exponent
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Refunds,
    Reply,
    Terms,
)
from cardshop.ports import Provider

Fields = Mapping[str, str | int | Decimal]
JSON = {"Content-Type": "application/json"}

_URL = rf"(https://[A-Za-z0-9.-]+(:\d{{1,5}})?|{LOCAL})(/[\w.-]+)*"
_TOKENS = "[!-~]{8,128}( [!-~]{8,128})?"
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")  # the gateway's number of an order: it goes into a path
_TAKEN = 10002
_MOST = 99_999  # of the currency's own unit: BEpusdt's own limit (`payment_max_amount`); Epusdt names none


class Epusdt(Provider):
    name = "epusdt"

    #: Settings with the values they may have, the first one unless said otherwise.
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"currency": ("CNY",)}
    states: ClassVar[Mapping[str, EventKind]] = {"1": EventKind.OPEN, "2": EventKind.PAID, "3": EventKind.FAILED}
    least = 2  # minor units
    closes = False

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        first = {field: allowed[0] for field, allowed in self.choices.items()}
        choices = {
            field: ("|".join(map(re.escape, allowed)), f"one of {', '.join(allowed)}")
            for field, allowed in self.choices.items()
        }
        given = {**first, **settings, "url": settings.get("url", "").rstrip("/")}
        fields = {
            "url": (_URL, "the gateway's address, what stands before /api/v1, https"),
            **choices,
            "token": (_TOKENS, "the API token, 8 characters or more; while it changes two, the new one first"),
        }
        fit(given, fields)
        only(given, fields, self.name)
        return given, {"token": given.pop("token")}

    def terms(self, channel: Channel) -> Terms:
        currency = channel.settings["currency"]
        amounts = {currency: (self.least, _MOST * 10 ** exponent(currency))}
        return Terms(amounts=amounts, refunds=Refunds.NONE, closes=self.closes, weak=True)

    def account(self, channel: Channel) -> str:
        return ""

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        """PaymentSpent if the answer to an earlier try got lost: nothing tells which order it was."""
        if request.session_ref is not None:
            page = f"{channel.settings['url']}/pay/checkout-counter/{request.session_ref}"
            return PaymentSession(redirect_url=page, session_ref=request.session_ref)
        return self._create(channel, request, {})

    def _create(self, channel: Channel, request: PaymentRequest, more: Fields) -> PaymentSession:
        order: Fields = {
            "order_id": request.payment_id,
            "amount": Decimal(request.amount.decimal()),
            "notify_url": request.notify_url,
            "redirect_url": request.return_url,
        }
        opened = self._content(self._ask(channel, "create-transaction", {**order, **more}))
        try:
            page, session_ref = wire.text(opened, "payment_url"), wire.text(opened, "trade_id")
            amount = Money.parse(wire.decimal_text(opened.get("amount")), request.amount.currency)
            named = wire.text(opened, "order_id"), amount
        except ValueError:
            raise Unavailable(f"{self.name}: no order in its answer") from None
        # What the status means later rests on this: it is this order's, of this amount.
        if named != (request.payment_id, request.amount):
            raise Unavailable(f"{self.name}: another order in its answer")
        if not wire.LINK.fullmatch(page) or not _NUMBER.fullmatch(session_ref):
            raise Unavailable(f"{self.name}: no page or no number in its answer")
        return PaymentSession(redirect_url=page, session_ref=session_ref)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        fields = wire.body_object(notice)
        tokens = channel.secrets.get("token", "").split()
        try:
            given = wire.text(fields, "signature")
            ours = [self.sign(fields, token) for token in tokens]
        except ValueError:
            raise InvalidNotice("no signature, or a field that is neither text nor number") from None
        if not any(wire.same(given, each) for each in ours):
            raise InvalidNotice("signature")
        # Two fields in one would have the same signature. Nothing that the gateway sends has an ampersand.
        if any(isinstance(value, str) and "&" in value for value in fields.values()):
            raise InvalidNotice("a field within a field")
        try:
            payment_id, number = wire.text(fields, "order_id"), wire.text(fields, "trade_id")
            amount = Money.parse(wire.decimal_text(fields.get("amount")), channel.settings["currency"])
            kind = self.states[self._text(fields.get("status"))]
        except (ValueError, KeyError):
            raise InvalidNotice("order_id, trade_id, amount or status") from None
        if not payment_id or not number:
            raise InvalidNotice("an empty order_id or trade_id")
        return [PaymentEvent(payment_id, kind, amount if kind is EventKind.PAID else None, number)]

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        number = payment.session_ref
        if number is None:  # its order, if there is one, was never shown to anybody
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        answer = outbound.call("GET", f"{channel.settings['url']}/pay/check-status/{number}")
        kind = self._state(self._content(answer.json()), number)
        # No amount is told, and none is needed: 2 is written only when exactly the coin amount that was worked out
        # from ours has come in, which `_create` compared.
        return PaymentEvent(payment.payment_id, kind, payment.amount if kind is EventKind.PAID else None, number)

    def acknowledge(self) -> Reply:
        return Reply("ok")

    def sign(self, fields: Mapping[str, object], token: str) -> str:
        """MD5 over the joined fields and the token; ValueError if a field is neither text nor a plain number."""
        texts = {name: self._text(value) for name, value in fields.items() if name != "signature"}
        joined = "&".join(f"{name}={texts[name]}" for name in sorted(texts) if texts[name])
        return hashlib.md5((joined + token).encode(), usedforsecurity=False).hexdigest()

    def _text(self, value: object) -> str:
        """A field as the gateway signs it."""
        if value is None or isinstance(value, str):
            return value or ""
        return self._number(wire.decimal_text(value))

    def _number(self, plain: str) -> str:
        """A plain decimal as Go prints that float. Fewer than 16 digits come through its float unharmed."""
        return plain.rstrip("0").rstrip(".") if "." in plain else plain

    def _ask(self, channel: Channel, action: str, fields: Fields) -> dict[str, Any]:
        """The gateway's answer to a signed order call. Its numbers are written just as they are signed."""
        signed = {**fields, "signature": self.sign(fields, channel.secrets["token"].split()[0])}
        written = {
            name: json.dumps(value) if isinstance(value, str) else self._text(value) for name, value in signed.items()
        }
        body = "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in written.items()) + "}"
        url = f"{channel.settings['url']}/api/v1/order/{action}"
        return outbound.call("POST", url, headers=JSON, body=body.encode()).json()

    def _content(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What is in the envelope; Unavailable, naming the gateway's code, if it refuses."""
        try:
            code = wire.integer(answer, "status_code")
            if code == 200:
                return wire.part(answer, "data")
        except ValueError:
            raise Unavailable(f"{self.name}: its answer makes no sense") from None
        if code == _TAKEN:
            raise PaymentSpent(f"{self.name} has had an order of this number")
        raise Unavailable(f"{self.name} refused, status_code {code}")

    def _state(self, order: dict[str, Any], number: str) -> EventKind:
        """The state of an order that the gateway shows, if it is this one."""
        try:
            if wire.text(order, "trade_id") == number:
                return self.states[self._text(order.get("status"))]
        except (ValueError, KeyError):
            raise Unavailable(f"{self.name}: no status in its answer") from None
        raise Unavailable(f"{self.name} answered for another order")
