"""A simulated Stripe, as far as Checkout goes: sessions, their page, refunds, signed events.

Written from Stripe's API reference and its pages on webhooks, idempotent requests and refunds. Kept to here:

- a wrong key is 401, an unknown parameter or a wrong one 400, an unknown object 404, each with Stripe's error object;
- an answer stands under its `Idempotency-Key`; the same key with other parameters is refused;
- a session is open, complete or expired. It has a `url` only while it is open, a PaymentIntent only once it is paid,
  and stays complete and paid when the money has gone back. Only an open one can be expired, which is told;
- a PaymentIntent's metadata is on its charge, a refund's and a session's only on themselves, a dispute has none;
- events are signed with every webhook secret (two while they are rolled), and, in test mode, with a `v0` that says
  nothing. Tries go on for three days.

``account``: ``{"secret_key", "webhook_secret", "webhook_url"?}``; live or test as the key is. Where the events go is
said there, or as at Stripe by ``POST /v1/webhook_endpoints`` (``url``, ``enabled_events[]``), or by `webhook_url`.

Events besides the usual: ``awaiting`` (complete, the money is on its way), ``async_paid``, ``charge_refunded`` (the
total; ``refunded`` is that too, but for a refund asked for through the API), ``dispute_lost``. Amounts in the books
are minor units. Of a payment, ``extra["refunds"]`` is the status that its refunds get at first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from simulators.booth import Answer, Booth, Outgoing, Payment, Refund, Refusal, Request, Telling, main

API_VERSION = "2025-03-31.basil"
LEAST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "hkd": 400, "sgd": 50, "cny": 400, "aud": 50, "cad": 50}
_ITEM = "line_items[0]"
_WANTED = {
    "mode": "payment",
    f"{_ITEM}[quantity]": "[1-9][0-9]{0,5}",
    f"{_ITEM}[price_data][currency]": "[a-z]{3}",
    f"{_ITEM}[price_data][unit_amount]": "[0-9]{1,8}",
    f"{_ITEM}[price_data][product_data][name]": ".{1,250}",
    "success_url": r"https?://\S{1,4900}",
}
_ALLOWED = {
    "cancel_url": r"https?://\S{1,4900}",
    "client_reference_id": ".{1,200}",
    "adaptive_pricing[enabled]": "true|false",
    "expires_at": "[0-9]{10}",
}
_EVENTS = re.compile(r"enabled_events\[[0-9]*\]")
_METADATA = re.compile(r"(payment_intent_data\[metadata\]|metadata)\[([^][]{1,40})\]")
_SESSION_EVENTS = {
    "paid": ("completed", "complete", "paid"),
    "awaiting": ("completed", "complete", "unpaid"),
    "async_paid": ("async_payment_succeeded", "complete", "paid"),
    "failed": ("async_payment_failed", "complete", "unpaid"),
    "closed": ("expired", "expired", "unpaid"),
}
_DISPUTE_EVENTS = {
    "charged_back": ("created", "needs_response"),
    "dispute_lost": ("closed", "lost"),
    "reinstated": ("closed", "won"),
}
_REFUND_EVENTS = {"refund_created": "created", "refund_done": "updated", "refund_refused": "failed"}
_STATUSES = {"pending": "pending", "done": "succeeded", "refused": "failed"}


def new_account() -> dict[str, Any]:
    return {
        "secret_key": f"sk_test_{secrets.token_hex(24)}",
        "webhook_secret": f"whsec_{secrets.token_hex(16)}",
    }


def signature_header(secrets_: list[str], body: bytes, at: int) -> str:
    signed = f"{at}.".encode() + body
    rights = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets_]
    return ",".join([f"t={at}", *(f"v1={right}" for right in rights)])


class Stripe(Booth):
    name = "stripe"
    retries = (300, 1800, 7200, 18000, 36000, 43200, 43200, 43200, 43200)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.secret_key: str = account["secret_key"]
        self.webhook_secrets: list[str] = account["webhook_secret"].split()
        self.webhook_url: str = account.get("webhook_url", "")
        self.live = "_live_" in self.secret_key
        self._answered: dict[str, tuple[str, bytes, Answer]] = {}

    def handle(self, request: Request) -> Answer:
        self._authorized(request)
        path = request.path.split("/")[1:]
        if request.method == "GET" and path[:1] == ["v1"]:
            self.check_outage("query")
            return Answer(200, self._read(request, path[1:]))
        match request.method, path:
            case "POST", ["v1", "checkout", "sessions"]:
                self.check_outage("create")
                return self._once(request, self._create)
            case "POST", ["v1", "checkout", "sessions", reference, "expire"]:
                self.check_outage("close")
                return self._expire(self._known(reference))
            case "POST", ["v1", "refunds"]:
                self.check_outage("refund")
                return self._once(request, self._refund)
            case "POST", ["v1", "webhook_endpoints"]:
                return self._endpoint(request)
        raise _nothing(request)

    def _read(self, request: Request, path: list[str]) -> dict[str, Any]:
        match path:
            case ["checkout", "sessions", reference]:
                return self._session(self._known(reference))
            case ["payment_intents", intent]:
                return self._payment_intent(self._of_intent(intent))
            case ["refunds"]:
                return self._refunds(request)
            case ["refunds", reference]:
                return self._known_refund(reference)
        raise _nothing(request)

    def _authorized(self, request: Request) -> None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            given = base64.b64decode(given).decode(errors="replace").partition(":")[0]
        if not given:
            raise _refusal(401, "You did not provide an API key.")
        if not hmac.compare_digest(given.encode(), self.secret_key.encode()):
            raise _refusal(401, f"Invalid API Key provided: {given[:8]}****")

    def _once(self, request: Request, act: Callable[[dict[str, str]], Answer]) -> Answer:
        """A refusal of the parameters is raised before anything stands under the key."""
        key = request.headers.get("idempotency-key", "")
        if len(key) > 255:
            raise _refusal(400, "Idempotency keys may be at most 255 characters long.")
        if key in self._answered:
            path, body, answer = self._answered[key]
            if (path, body) != (request.path, request.body):
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                raise Refusal(400, {"error": {"type": "idempotency_error", "message": message}})
            return Answer(answer.status, answer.body, headers={"Idempotent-Replayed": "true"})
        answer = act(request.form())
        if key:
            self._answered[key] = request.path, request.body, answer
        return answer

    # Sessions

    def _create(self, form: dict[str, str]) -> Answer:
        _checked(form, _WANTED, _ALLOWED)
        now = int(time.time())
        currency = form[f"{_ITEM}[price_data][currency]"]
        amount = int(form[f"{_ITEM}[price_data][unit_amount]"]) * int(form[f"{_ITEM}[quantity]"])
        if amount < LEAST.get(currency, 1):
            raise _refusal(400, "The Checkout Session's total amount due is too small.", "amount_too_small")
        expires_at = int(form.get("expires_at", now + 86400))
        if not now + 1800 <= expires_at <= now + 86400:
            raise _refusal(400, "The `expires_at` timestamp must be 30 minutes to 24 hours away.", param="expires_at")
        reference = f"cs_{self._mode}_{secrets.token_hex(29)}"
        number = form.get("client_reference_id", "")
        payment = Payment(
            number if number and self.find(number=number) is None else reference,
            str(amount),
            currency,
            return_url=form["success_url"],
            reference=reference,
            extra={
                "client_reference_id": number or None,
                "metadata": _metadata(form, "metadata"),
                "intent_metadata": _metadata(form, "payment_intent_data[metadata]"),
                "payment_intent": f"pi_{secrets.token_hex(12)}",
                "charge": f"ch_{secrets.token_hex(12)}",
                "created": now,
                "expires_at": expires_at,
                "asked": {},  # refunds asked for through the API: their metadata, by number
            },
        )
        return Answer(200, self._session(self.open(payment)))

    @property
    def _mode(self) -> str:
        return "live" if self.live else "test"

    def _known(self, reference: str) -> Payment:
        payment = self.find(reference=reference)
        if payment is None:
            raise _refusal(404, f"No such checkout.session: {reference}", "resource_missing", "session")
        return payment

    def _session(self, payment: Payment, status: str = "", payment_status: str = "") -> dict[str, Any]:
        extra = payment.extra
        status = status or {"open": "open", "closed": "expired"}.get(payment.status, "complete")
        payment_status = payment_status or ("unpaid" if payment.status in ("open", "closed", "failed") else "paid")
        return {
            "id": payment.reference,
            "object": "checkout.session",
            "amount_subtotal": int(payment.amount),
            # Nobody can pay another amount there: they differ only where a test has bent the books.
            "amount_total": int(
                payment.amount if payment_status != "paid" or payment.received == "0" else payment.received
            ),
            "client_reference_id": extra["client_reference_id"],
            "created": extra["created"],
            "currency": payment.currency,
            "expires_at": extra["expires_at"],
            "livemode": self.live,
            "metadata": extra["metadata"],
            "mode": "payment",
            "payment_intent": extra["payment_intent"] if status == "complete" else None,
            "payment_status": payment_status,
            "status": status,
            "success_url": payment.return_url,
            "url": self.pay_url(payment) if status == "open" else None,
        }

    def _expire(self, payment: Payment) -> Answer:
        session = self._session(payment)
        if session["status"] != "open":
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of `{session['status']}`."
            )
            raise _refusal(400, message)
        payment.status = "closed"
        self.tell(payment, "closed")
        return Answer(200, self._session(payment))

    # PaymentIntents, charges, refunds

    def _of_intent(self, intent: str) -> Payment:
        for payment in self._payments.values():
            if payment.extra["payment_intent"] == intent and payment.status not in ("open", "closed"):
                return payment
        raise _refusal(404, f"No such payment_intent: '{intent}'", "resource_missing", "intent")

    def _payment_intent(self, payment: Payment) -> dict[str, Any]:
        return {
            "id": payment.extra["payment_intent"],
            "object": "payment_intent",
            "amount": int(payment.amount),
            "currency": payment.currency,
            "latest_charge": payment.extra["charge"],
            "livemode": self.live,
            "metadata": payment.extra["intent_metadata"],
            "status": "requires_payment_method" if payment.status == "failed" else "succeeded",
        }

    def _refund(self, form: dict[str, str]) -> Answer:
        _checked(form, {"payment_intent": "pi_.{1,200}"}, {"amount": "[1-9][0-9]{0,11}", "reason": "[a-z_]+"})
        payment = self._of_intent(form["payment_intent"])
        metadata = _metadata(form, "metadata")
        left = int(payment.received) - sum(
            int(each.amount) for each in payment.refunds.values() if each.status != "refused"
        )
        amount = int(form.get("amount", left))
        if payment.status == "charged_back":
            return _error(400, "The charge has been charged back; cannot issue a refund.", "charge_disputed")
        if payment.status == "refunded":
            return _error(400, "The charge has already been refunded.", "charge_already_refunded")
        if payment.status != "paid":
            return _error(400, "This PaymentIntent does not have a successful charge to refund.")
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            return _error(400, message, param="amount")
        number = metadata.get("refund_id", "")
        if not number or number in payment.refunds:
            number = secrets.token_hex(12)
        status = payment.extra.get("refunds", "done")
        refund = self.refund(payment, number, str(amount), status=status)
        payment.extra["asked"][number] = metadata
        self.tell(payment, "refund_created", refund)
        self.tell(payment, "charge_refunded", refund)
        return Answer(200, self._refund_object(payment, refund))

    def _refund_object(self, payment: Payment, refund: Refund) -> dict[str, Any]:
        return {
            "id": f"re_{refund.reference}",
            "object": "refund",
            "amount": int(refund.amount),
            "charge": payment.extra["charge"],
            "currency": payment.currency,
            "metadata": payment.extra["asked"].get(refund.refund_id, {}),
            "payment_intent": payment.extra["payment_intent"],
            "status": _STATUSES[refund.status],
        }

    def _refunds(self, request: Request) -> dict[str, Any]:
        payment = self._of_intent(request.query.get("payment_intent", ""))
        limit = int(request.query.get("limit", "10"))
        newest = [self._refund_object(payment, each) for each in reversed(payment.refunds.values())]
        return {"object": "list", "url": "/v1/refunds", "data": newest[:limit], "has_more": len(newest) > limit}

    def _known_refund(self, reference: str) -> dict[str, Any]:
        for payment in self._payments.values():
            for refund in payment.refunds.values():
                if f"re_{refund.reference}" == reference:
                    return self._refund_object(payment, refund)
        raise _refusal(404, f"No such refund: '{reference}'", "resource_missing", "refund")

    # Events

    def _endpoint(self, request: Request) -> Answer:
        form = request.form()
        if not re.fullmatch(r"https?://\S+", form.get("url", "")) or not any(map(_EVENTS.fullmatch, form)):
            raise _refusal(400, "Missing required param: url, enabled_events.", "parameter_missing")
        self.webhook_url = form["url"]
        endpoint = {"id": f"we_{secrets.token_hex(12)}", "object": "webhook_endpoint", "url": self.webhook_url}
        return Answer(200, {**endpoint, "secret": self.webhook_secrets[0], "livemode": self.live, "status": "enabled"})

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        told = self._told(payment, event, telling.refund)
        if told is None or not self.webhook_url:
            return None
        kind, thing = told
        body = json.dumps(
            {
                "id": f"evt_{telling.id}",
                "object": "event",
                "api_version": API_VERSION,
                "created": int(telling.at),
                "data": {"object": thing},
                "livemode": self.live,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": kind,
            },
            indent=2,
            ensure_ascii=False,
        ).encode()
        header = signature_header(self.webhook_secrets, body, int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": header if self.live else f"{header},v0={secrets.token_hex(32)}",
        }
        return Outgoing("POST", self.webhook_url, headers, body)

    def _told(self, payment: Payment, event: str, refund: Refund | None) -> tuple[str, dict[str, Any]] | None:
        if event == "refunded" and refund is not None and refund.refund_id in payment.extra["asked"]:
            event = "refund_done"
        if event in _SESSION_EVENTS:
            kind, status, payment_status = _SESSION_EVENTS[event]
            return f"checkout.session.{kind}", self._session(payment, status, payment_status)
        if event in _DISPUTE_EVENTS:
            kind, status = _DISPUTE_EVENTS[event]
            return f"charge.dispute.{kind}", self._dispute(payment, status)
        if event in _REFUND_EVENTS and refund is not None:
            return f"refund.{_REFUND_EVENTS[event]}", self._refund_object(payment, refund)
        return ("charge.refunded", self._charge(payment)) if event in ("refunded", "charge_refunded") else None

    def _charge(self, payment: Payment) -> dict[str, Any]:
        return {
            "id": payment.extra["charge"],
            "object": "charge",
            "amount": int(payment.received),
            "amount_refunded": int(payment.refunded),
            "currency": payment.currency,
            "livemode": self.live,
            "metadata": payment.extra["intent_metadata"],
            "payment_intent": payment.extra["payment_intent"],
            "refunded": payment.received == payment.refunded,
            "status": "succeeded",
        }

    def _dispute(self, payment: Payment, status: str) -> dict[str, Any]:
        return {
            "id": f"du_{payment.extra['charge'][3:]}",
            "object": "dispute",
            "amount": int(payment.received),
            "charge": payment.extra["charge"],
            "currency": payment.currency,
            "livemode": self.live,
            "metadata": {},
            "payment_intent": payment.extra["payment_intent"],
            "reason": "fraudulent",
            "status": status,
        }


def _checked(form: dict[str, str], wanted: dict[str, str], allowed: dict[str, str]) -> None:
    for name in wanted:
        if name not in form:
            raise _refusal(400, f"Missing required param: {name}.", "parameter_missing", name)
    for name, value in form.items():
        pattern = {**wanted, **allowed}.get(name)
        if pattern is None and _METADATA.fullmatch(name):
            pattern = ".{0,500}"
        if pattern is None:
            raise _refusal(400, f"Received unknown parameter: {name}", "parameter_unknown", name)
        if not re.fullmatch(pattern, value):
            raise _refusal(400, f"Invalid {name}", param=name)


def _metadata(form: dict[str, str], prefix: str) -> dict[str, str]:
    found = ((_METADATA.fullmatch(name), value) for name, value in form.items())
    return {match[2]: value for match, value in found if match and match[1] == prefix}


def _problem(message: str, code: str = "", param: str = "") -> dict[str, Any]:
    told = {"type": "invalid_request_error", "message": message, "code": code, "param": param}
    return {"error": {name: value for name, value in told.items() if value}}


def _refusal(status: int, message: str, code: str = "", param: str = "") -> Refusal:
    return Refusal(status, _problem(message, code, param))


def _nothing(request: Request) -> Refusal:
    return _refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")


def _error(status: int, message: str, code: str = "", param: str = "") -> Answer:
    """A refusal that an endpoint came to after its parameters were good: it stands under the key."""
    return Answer(status, _problem(message, code, param))


if __name__ == "__main__":
    main(Stripe)
