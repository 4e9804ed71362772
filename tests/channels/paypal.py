"""PayPal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

from cardshop.domain.payment import Notice
from cryptography.hazmat.primitives.hashes import SHA1

from simulators.booth import Booth, Payment
from simulators.paypal import CERTIFICATES, PayPal, issue, new_account, pem
from tests.channels.subject import Subject, bent
from tests.usecases.fakes import SHOP_URL

DAYS = 86_400  # seconds


class Captured(PayPal):
    """Where what the buyer approves is captured at once: the cases speak of money, not of approval."""

    def pay(self, payment: Payment, received: str | None = None, notify: bool = True) -> bool:
        if not super().pay(payment, received, notify=False):
            return False
        payment.extra["notify"] = notify
        self.capture(payment)
        return True


class Row(Subject):
    name = "paypal"
    provider_name = "paypal"
    currency = "USD"
    events = frozenset({"paid", "failed", "closed", "refunded", "charged_back", "reinstated"})
    absent: ClassVar[dict[str, str]] = {
        "signtest": "no such probes",
        "stale": "a retry has the first try's time for three days: older and future ones are traps of its own",
        "two signatures": "a notice has one signature, and names its certificate",
        "header case": "the gateway hands header names over in lower case",
        "refund undone": "no notice tells of a refund that failed",
        "close": "PayPal closes nothing: what the shop does not capture takes no money",
    }

    def __init__(self, served: Booth) -> None:
        super().__init__(served)
        assert isinstance(served, PayPal)
        self.paypal = served

    @staticmethod
    def account() -> dict[str, object]:
        return new_account(f"{SHOP_URL}/webhooks/paypal")

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return Captured(account)

    def settings(self) -> dict[str, str]:
        return settings(self.paypal)

    def forged(self, right: Notice) -> dict[str, Notice]:
        signature, url = right.headers["paypal-transmission-sig"], right.headers["paypal-cert-url"]
        now = time.time()
        return {
            "bad signature": bent(right, headers={"paypal-transmission-sig": signature[4:] + signature[:4]}),
            "missing signature": bent(right, headers={"paypal-transmission-sig": None}),
            "non-ASCII signature": bent(right, headers={"paypal-transmission-sig": f"签{signature}"}),
            "wrong algorithm": bent(
                self.signed(right.body, digest=SHA1()), headers={"paypal-auth-algo": "SHA1withRSA"}
            ),
            "unknown key": self.signed(right.body, certificate=self._certificate("CERT-nobodys")),
            "changed": bent(right, body=right.body.replace(b'"9.90"', b'"9.91"')),
            "another algorithm's name": bent(right, headers={"paypal-auth-algo": "SHA1withRSA"}),
            "another algorithm under its name": self.signed(right.body, digest=SHA1()),
            "a certificate of another host": bent(
                right, headers={"paypal-cert-url": f"https://a.example{CERTIFICATES}/x"}
            ),
            "a certificate of another path": bent(right, headers={"paypal-cert-url": url.replace("certs", "webhooks")}),
            "a certificate that is not there": bent(right, headers={"paypal-cert-url": f"{url}0"}),
            "of the future": self.signed(right.body, at=now + 310),
            "after its last retry": self.signed(right.body, at=now - 3 * DAYS - 310),
            "another time": bent(right, headers={"paypal-transmission-time": "2025-11-22T08:26:40Z"}),
            "no time": bent(right, headers={"paypal-transmission-time": "1763800000"}),
            "another transmission": bent(right, headers={"paypal-transmission-id": "0d1f2e3c"}),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        (another,) = self.paypal.account["certificates"].keys() - {self.paypal.signs_with}
        return {"rotated key": self.signed(right.body, certificate=another)}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        def without_numbers(capture: dict[str, Any]) -> None:
            del capture["custom_id"], capture["invoice_id"]

        return {
            "not text": self.signed(b"\xff" + right.body),
            "field twice": self.signed(right.body.replace(b"{", b'{"event_type": "X", ', 1)),
            "no payment": self.told(right, without_numbers),
            "not an amount": self.told(right, lambda capture: capture["amount"].update(value="9.90 USD")),
        }

    def of_another_account(self, number: str) -> Notice:
        return self.told(self.notice(number), lambda capture: capture["payee"].update(merchant_id="2222222222222"))

    def in_another_currency(self, number: str) -> Notice:
        payment = self.booth.find(number=number)
        assert payment is not None
        payment.currency = "EUR"
        return self.notice(number)

    def signed(self, body: bytes, *, at: float | None = None, **how: Any) -> Notice:
        headers = self.paypal.signature(body, identity="n-1", at=time.time() if at is None else at, **how)
        return Notice("POST", (), {name.lower(): value for name, value in headers.items()}, body)

    def told(self, right: Notice, change: Callable[[dict[str, Any]], object]) -> Notice:
        """The notice with its resource changed, and signed."""
        event = json.loads(right.body)
        change(event["resource"])
        return self.signed(json.dumps(event).encode())

    def _certificate(self, name: str) -> str:
        """One in PayPal's name that nobody vouches for, served all the same."""
        certificate, key = issue("messageverificationcerts.sandbox.paypal.com")
        self.paypal.certificates[name] = {"chain": pem(certificate), "key": pem(key)}
        return name


def settings(there: PayPal) -> dict[str, str]:
    """What an operator saves for the merchant of this simulator."""
    names = ("client_id", "client_secret", "webhook_id", "merchant_id", "root_certificate")
    return {"host": there.url, **{name: there.account[name] for name in names}}


SUBJECTS: list[type[Subject]] = [Row]
