"""The row of BTCPay Server."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, ClassVar

from cardshop.domain.payment import Notice

from simulators import btcpay
from simulators.booth import Booth
from simulators.btcpay import sign
from tests.channels.subject import Subject, bent

FORMER = "the-secret-before-this"
BY_CLAIM = "a refund is an offer that the buyer claims, or not, and no notice tells of it: it is the operator's task"


class BtcPayRow(Subject):
    name = "btcpay"
    provider_name = "btcpay"
    events = frozenset({"paid", "closed", "failed"})
    absent: ClassVar[dict[str, str]] = {
        "signtest": "no such probes: a test of the webhook names an invoice that is none, and is taken for what it is",
        "header case": "the gateway hands header names over in lower case",
        "stale": "no time is signed to go by: a redelivery an hour later has that of the first one",
        "two signatures": "a notice has one",
        "not an amount": "a notice names no amount: the server is asked",
        "refund before paid": BY_CLAIM,
        "refund event": BY_CLAIM,
        "refund": BY_CLAIM,
        "charge back": "what is on a chain is not taken back",
    }

    @staticmethod
    def account() -> dict[str, object]:
        return btcpay.new_account()

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return btcpay.BtcPay(account)

    def settings(self) -> dict[str, str]:
        """In the middle of a change of the webhook's secret."""
        return {
            "url": self.booth.url,
            "store_id": self.booth.account["store_id"],
            "api_key": self.booth.account["api_key"],
            "webhook_secret": f"{self._secret} {FORMER}",
        }

    def forged(self, right: Notice) -> dict[str, Notice]:
        signature = right.headers["btcpay-sig"]
        sha1 = hmac.new(self._secret.encode(), right.body, hashlib.sha1).hexdigest()
        forged = {
            "bad signature": f"sha256={signature.removeprefix('sha256=')[::-1]}",
            "missing signature": None,
            "non-ASCII signature": f"sha256={'签' * 64}",
            "wrong algorithm": f"sha1={sha1}",
            "unknown key": sign(right.body, "a-secret-of-somebody-else"),
            "no key": sign(right.body, ""),
            "both keys as one": sign(right.body, f"{self._secret} {FORMER}"),
            "without its algorithm": signature.removeprefix("sha256="),
            "empty": "",
            "capitals": signature.upper(),
        }
        other = _event(right) | {"metadata": {"orderId": "a" * 26 + "01"}}
        return {
            **{case: bent(right, headers={"btcpay-sig": given}) for case, given in forged.items()},
            "changed": bent(right, body=json.dumps(other).encode()),
            "other spaces": bent(right, body=json.dumps(_event(right)).encode()),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        return {"rotated key": self._signed(right, right.body, FORMER)}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        event = _event(right)
        number = event["invoiceId"].encode()

        def changed(**fields: Any) -> Notice:
            kept = {name: value for name, value in {**event, **fields}.items() if value is not None}
            return self._signed(right, json.dumps(kept).encode())

        return {
            "not text": self._signed(right, right.body.replace(number, b"\xff" + number)),
            "field twice": self._signed(right, right.body.replace(b"{", b'{"type": "InvoiceSettled",', 1)),
            "no payment": changed(invoiceId=None),
            "no store": changed(storeId=None),
            "no type": changed(type=None),
            "a number for a payment": changed(metadata={"orderId": 1}),
            "a list for metadata": changed(metadata=[]),
            "a path for an invoice": changed(invoiceId="../invoices"),
            "no object": self._signed(right, b"[]"),
        }

    def of_another_account(self, number: str) -> Notice | None:
        right = self.notice(number)
        return self._signed(right, json.dumps(_event(right) | {"storeId": "of-somebody-else"}).encode())

    def in_another_currency(self, number: str) -> Notice | None:
        payment = self.booth.find(number=number)
        assert payment is not None
        payment.currency = "EUR"
        return self.notice(number)

    @property
    def _secret(self) -> str:
        secret: str = self.booth.account["webhook_secret"]
        return secret

    def _signed(self, right: Notice, body: bytes, secret: str | None = None) -> Notice:
        return bent(right, headers={"btcpay-sig": sign(body, secret or self._secret)}, body=body)


def _event(notice: Notice) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(notice.body)
    return event


SUBJECTS: list[type[Subject]] = [BtcPayRow]
