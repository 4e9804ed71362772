"""Two payment providers in this process, behind their real protocols: Stripe, and an epay platform that refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from cardshop.adapters.payments import outbound

from faults.clock import MINUTE, SKEW, Skewed, clock
from simulators import booth, stripe
from simulators.booth import Booth, Outgoing, Payment, Request, Telling
from tests.channels import epay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.platform import Platform

EPAY_HOST, STRIPE_HOST = "pay.example.com", "api.stripe.com"
_OUTAGE = 10 * MINUTE
_TAKES = 0.1  # seconds a call takes
_TIMES_OUT = 5.0
_account = {"secret_key": "sk_test_0123456789abcdef", "webhook_secret": "whsec_0123456789abcdef"}


class _Here(Booth):
    """Notices are due on the platform's own clock."""

    platform: Platform

    def _queue(self, wait: float, payment: Payment, event: str, telling: Telling) -> None:
        self.platform.at(wait, lambda: self._attempt(payment, event, telling))

    def _attempt(self, payment: Payment, event: str, telling: Telling) -> None:
        queue = self.platform.queues["NoticesQueue"]
        before, tried = queue.sent, len(self.attempts(payment.number))
        super()._attempt(payment, event, telling)
        accepted = any(each.accepted for each in self.attempts(payment.number)[tried:])
        if accepted and event == "paid" and queue.sent == before:
            self.platform.complaints.append(f"the notice of {payment.number} was acknowledged, and is not in the queue")


class Stripe(_Here, stripe.Stripe):
    pass


class Epay(_Here, epay.Epay):
    retries = (15, 30, 60, 180, 1800, 1800, 3600)


class Providers:
    """What a function reaches when it calls out, and where notices come from."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.stripe = Stripe({**_account, "webhook_url": "https://shop.example/api/webhooks/stripe"}, time_scale=1)
        self.epay = Epay({}, time_scale=1)
        self._hosts: dict[str, Booth] = {STRIPE_HOST: self.stripe, EPAY_HOST: self.epay}
        self._dark: dict[str, int] = {}
        self._time = Skewed()
        for each in (self.stripe, self.epay):
            each.platform = platform
            each.url = f"https://{EPAY_HOST if each is self.epay else 'checkout.stripe.com'}"
        vars(booth).update(time=self._time, _send=self._send)
        vars(stripe).update(time=self._time)
        vars(outbound).update(_ask=self._ask)

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """By channel, what an operator saves."""
        return {
            "stripe": {"provider": "stripe", **_account},
            "epay": {
                "provider": "epay",
                "url": f"https://{EPAY_HOST}",
                "pid": epay.PID,
                "key": epay.KEY,
                "refunds": "whole",
            },
            "epay-by-hand": {"provider": "epay", "url": f"https://{EPAY_HOST}", "pid": epay.PID, "key": epay.KEY},
        }

    @property
    def payments(self) -> dict[str, Payment]:
        """What has been paid, by our number of it."""
        return {**self.stripe._payments, **self.epay._payments}

    def begin(self) -> None:
        match self._platform.plan.at("the providers' clock", "provider-ahead", "provider-behind"):
            case "provider-ahead":
                self._time.ahead = SKEW
            case "provider-behind":
                self._time.ahead = -SKEW

    def set_their_clock(self) -> None:
        """Right again: what a provider whose clock is off says in notices alone is never heard."""
        self._time.ahead = 0

    def opened(self, url: str) -> tuple[Booth, Payment]:
        """The payment that this page is for, once the buyer has come there."""
        parts = urlsplit(url)
        if parts.path.startswith("/_pay/"):
            there = self.stripe.find(reference=parts.path.rpartition("/")[2])
            assert there is not None
            return self.stripe, there
        answer = self.epay.answer(_request("GET", url, {}, None))
        assert answer.status == 200, answer
        payment = self.epay.find(number=dict(parse_qsl(parts.query))["out_trade_no"])
        assert payment is not None
        return self.epay, payment

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> outbound.Answer | None:
        """One try of a function to reach one; None if nobody answers."""
        host = urlsplit(url).netloc
        there = self._hosts[host]
        invocation = self._platform.invocation
        assert invocation is not None
        invocation.alive()
        clock.wait(_TAKES)
        if self._dark.get(host, 0) > clock.now:
            clock.wait(_TIMES_OUT)
            return None
        writes = method == "POST"
        kinds = ["crash-before"] if invocation.untold else []
        kinds += ["lost", "flaky", "down"]
        if writes:
            kinds += ["crash-after", "mute"]
        path = urlsplit(url).path
        wrong = self._platform.plan.at(f"{invocation.function}: {there.name} {method} {path}", *kinds)
        self._platform.plan.calls += 1
        invocation.untold = writes
        if wrong == "crash-before":
            raise invocation.stop("Lambda.Unknown")
        if wrong == "flaky":
            return outbound.Answer(503, {}, b"")
        if wrong in {"down", "mute"}:
            self._dark[host] = clock.now + _OUTAGE * 1000
        if wrong == "down":
            clock.wait(_TIMES_OUT)
            return None
        answer = there.answer(_request(method, url, headers, body))
        if wrong == "crash-after":
            raise invocation.stop("Runtime.ExitError")
        if wrong in {"lost", "mute"}:
            clock.wait(_TIMES_OUT)
            return None
        content, _ = answer.content()
        return outbound.Answer(answer.status, {name.lower(): each for name, each in answer.headers.items()}, content)

    def _send(self, outgoing: Outgoing) -> tuple[int, bytes]:
        answer = self._platform.call(outgoing.method, outgoing.url, outgoing.headers, outgoing.body)
        if answer.status == 504:
            raise TimeoutError
        return answer.status, answer.text.encode()


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Request:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    named = {name.lower(): value for name, value in headers.items()}
    return Request(method, target, parts.path, query, named, body or b"")


def sent_back(payment: Payment) -> int:
    """Minor units that went back, or are about to."""
    return sum(_minor(each.amount) for each in payment.refunds.values() if each.status != "refused")


def received(payment: Payment) -> int:
    return _minor(payment.received)


def _minor(amount: str) -> int:
    """Stripe's books are in minor units, an epay platform's in yuan."""
    whole, point, part = amount.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0")) if point else int(whole)
