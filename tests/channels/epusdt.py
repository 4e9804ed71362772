"""The row of Epusdt, and what BEpusdt's has in common with it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from cardshop.domain.money import Money
from cardshop.domain.payment import Notice

from simulators import epusdt
from simulators.booth import Booth
from simulators.epusdt import decode, encode
from tests.channels.subject import Subject, bent

FORMER = "the-token-before-this"
NONE_NAMED = "a notice names no merchant"
NO_REFUNDS = "the gateway only receives: whoever sends coins back does it from a wallet, and it knows nothing of that"


class Row(Subject):
    sign: Callable[[Mapping[str, Any], str], str]
    absent: ClassVar[dict[str, str]] = {
        "signtest": "no such probes",
        "stale": "no time is signed",
        "two signatures": "a notice has one",
        "header case": "no header is read",
        "wrong account": NONE_NAMED,
        "wrong currency": "a notice names no currency: the amount is in the channel's",
        "refund before paid": NO_REFUNDS,
        "refund event": NO_REFUNDS,
        "refund": NO_REFUNDS,
        "charge back": "what is on a chain is not taken back",
    }

    def settings(self) -> dict[str, str]:
        """In the middle of a change of the token."""
        return {"url": self.booth.url, "token": f"{self.booth.account['token']} {FORMER}"}

    def written(self, amount: Money) -> str:
        text = amount.decimal()
        return text.rstrip("0").rstrip(".") if "." in text else text

    def forged(self, right: Notice) -> dict[str, Notice]:
        fields = _fields(right)
        token = self.booth.account["token"]
        signature = fields["signature"]
        joined = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "signature")
        number = fields["trade_id"]
        within = {name: value for name, value in fields.items() if name not in {"trade_id", "token"}}
        return {
            "bad signature": _sent(right, {**fields, "signature": signature[::-1]}),
            "missing signature": _sent(right, {**fields, "signature": None}),
            "non-ASCII signature": _sent(right, {**fields, "signature": "签" * 32}),
            "wrong algorithm": _sent(
                right, {**fields, "signature": hmac.new(token.encode(), joined.encode(), "sha256").hexdigest()}
            ),
            "unknown key": self._signed(right, fields, "a-token-of-somebody-else"),
            "changed": _sent(right, {**fields, "amount": fields["amount"] + 1}),
            "capitals": _sent(right, {**fields, "signature": signature.upper()}),
            "a number for a signature": _sent(right, {**fields, "signature": 0}),
            "no key": self._signed(right, fields, ""),
            "two fields in one": _sent(right, {**within, "token": f"{fields['token']}&trade_id={number}"}),
            "a nested field": _sent(right, {**fields, "amount": {"amount": fields["amount"]}}),
            "a list": _sent(right, {**fields, "status": [fields["status"]]}),
            "a boolean": _sent(right, {**fields, "status": True}),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        return {"rotated key": self._signed(right, _fields(right), FORMER)}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        fields = _fields(right)
        token = self.booth.account["token"]

        def signed(changes: Mapping[str, Any]) -> Notice:
            return self._signed(right, {**fields, **changes}, token)

        return {
            "not text": bent(right, body=right.body.replace(b'"token":"', b'"token":"\xff')),
            "field twice": bent(right, body=right.body[:-1] + b',"status":2}'),
            "no payment": signed({"order_id": None}),
            "not an amount": signed({"amount": "9.9.0"}),
            "an unknown status": signed({"status": 9}),
            "a number for a payment": signed({"order_id": 1}),
            "no status": signed({"status": None}),
            "no number": signed({"trade_id": ""}),
        }

    def _signed(self, right: Notice, fields: Mapping[str, Any], token: str) -> Notice:
        return _sent(right, {**fields, "signature": type(self).sign(fields, token)})


class EpusdtRow(Row):
    name = "epusdt"
    provider_name = "epusdt"
    sign = staticmethod(epusdt.sign)
    absent: ClassVar[dict[str, str]] = {
        **Row.absent,
        "close": "the gateway cancels no order: its own time ends it",
        "expired after paid": "only money is told",
        "over": "a transfer that is not exactly of the coin amount asked for pays for nothing there",
    }

    @staticmethod
    def account() -> dict[str, object]:
        return epusdt.new_account()

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return epusdt.Epusdt(account)


def _fields(notice: Notice) -> dict[str, Any]:
    fields = decode(notice.body)
    assert fields is not None
    return fields


def _sent(right: Notice, fields: Mapping[str, Any]) -> Notice:
    return bent(right, body=encode({name: value for name, value in fields.items() if value is not None}).encode())


SUBJECTS: list[type[Subject]] = [EpusdtRow]
