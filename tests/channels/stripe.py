"""The row of Stripe Checkout."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, ClassVar

from cardshop.domain.money import Money
from cardshop.domain.payment import Notice

from simulators import stripe
from simulators.booth import Booth, Outgoing
from tests.channels.subject import Subject, arrived, bent

FORMER = "whsec_before_it_was_rolled"
HEADER = "stripe-signature"


class StripeRow(Subject):
    name = "stripe"
    provider_name = "stripe"
    events = frozenset(
        {
            *("paid", "closed", "failed", "charged_back", "reinstated"),
            *("refunded", "charge_refunded", "refund_refused"),
        }
    )
    absent: ClassVar[dict[str, str]] = {"signtest": "no such probes"}

    @staticmethod
    def account() -> dict[str, object]:
        """Nobody listens where its webhooks go: they are handed over by the test."""
        return {**stripe.new_account(), "webhook_url": "http://127.0.0.1:9/webhooks/stripe"}

    @staticmethod
    def stand(account: dict[str, Any]) -> Booth:
        return stripe.Stripe(account)

    def settings(self) -> dict[str, str]:
        """In the middle of rolling the webhook secret."""
        account = self.booth.account
        secret = f"{account['webhook_secret']} {FORMER}"
        return {"secret_key": account["secret_key"], "webhook_secret": secret, "host": self.booth.url}

    def written(self, amount: Money) -> str:
        return str(amount.minor)

    def forged(self, right: Notice) -> dict[str, Notice]:
        at, signature = _parts(right)
        signed = f"{at}.".encode() + right.body
        secret = self.booth.account["webhook_secret"].encode()
        old = _signed(right, right.body, self.booth.account["webhook_secret"], "1000000000")
        weaker = hmac.new(secret, signed, hashlib.sha1).hexdigest()
        return {
            "bad signature": _with_header(right, f"t={at},v1={signature[::-1]}"),
            "missing signature": bent(right, headers={HEADER: None}),
            "non-ASCII signature": _with_header(right, f"t={at},v1={'签' * 64}"),
            "wrong algorithm": _with_header(right, f"t={at},v1={weaker}"),
            "unknown key": _signed(right, right.body, "whsec_of_somebody_else", at),
            "changed": bent(right, body=right.body.replace(b'"amount_total": 990', b'"amount_total": 991')),
            "another scheme": _with_header(right, f"t={at},v0={signature}"),
            "another time": _with_header(right, f"t={int(at) + 1},v1={signature}"),
            "a time for the signature, and one for the clock": _with_header(right, f"{old.headers[HEADER]},t={at}"),
            "a time for the clock, and one for the signature": _with_header(right, f"t={at},{old.headers[HEADER]}"),
            "no time": _with_header(right, f"v1={signature}"),
            "no key": _signed(right, right.body, "", at),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        at, signature = _parts(right)
        shouting = Outgoing("POST", "", {"STRIPE-SIGNATURE": right.headers[HEADER]}, right.body)
        return {
            "two signatures": _with_header(right, f"t={at},v1={signature[::-1]},v1={signature}"),
            "rotated key": _signed(right, right.body, FORMER, at),
            "header case": arrived(shouting),
        }

    def malformed(self, right: Notice) -> dict[str, Notice]:
        def other(body: bytes) -> Notice:
            return _signed(right, body, self.booth.account["webhook_secret"], _parts(right)[0])

        def without(name: str) -> Callable[[dict[str, Any]], None]:
            return lambda event: event["data"].pop(name)

        return {
            "not text": other(right.body.replace(b"checkout.session.completed", b"checkout.session.completed\xff")),
            "field twice": other(
                right.body.replace(b'"amount_total": 990,', b'"amount_total": 1, "amount_total": 990,')
            ),
            "no payment": other(_changed(right.body, without("object"))),
            "not an amount": other(right.body.replace(b'"amount_total": 990', b'"amount_total": "9.90"')),
        }

    def signed_at(self, number: str, seconds: float) -> Notice | None:
        right = self.notice(number)
        return _signed(right, right.body, self.booth.account["webhook_secret"], str(int(seconds)))

    def of_another_account(self, number: str) -> Notice | None:
        """A live event under a test key."""
        right = self.notice(number)
        body = _changed(right.body, lambda event: event.update(livemode=True))
        return _signed(right, body, self.booth.account["webhook_secret"], _parts(right)[0])

    def in_another_currency(self, number: str) -> Notice | None:
        payment = self.booth.find(number=number)
        assert payment is not None
        payment.currency = "usd"
        return self.notice(number)


def _parts(right: Notice) -> tuple[str, str]:
    """The time and the (first) signature."""
    given = dict(part.split("=", 1) for part in reversed(right.headers[HEADER].split(",")))
    return given["t"], given["v1"]


def _with_header(notice: Notice, value: str) -> Notice:
    return bent(notice, headers={HEADER: value})


def _signed(notice: Notice, body: bytes, secret: str, at: str) -> Notice:
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return bent(notice, headers={HEADER: f"t={at},v1={signature}"}, body=body)


def _changed(body: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    event = json.loads(body)
    change(event)
    return json.dumps(event).encode()


SUBJECTS: list[type[Subject]] = [StripeRow]
