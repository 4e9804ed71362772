"""Stripe Checkout: a page at Stripe for each payment, form-encoded calls with a secret key, signed webhooks.

Rules of the protocol, each with the page of Stripe's documents that has it:

- a session is made by one POST and paid on its own `url`; it ends by itself a day later, or when it is expired, which
  only an open one can be (API reference: Checkout Sessions). No `expires_at` is sent: it may not be nearer than half
  an hour, and a request sent again must be the same;
- what stands under an `Idempotency-Key` is answered again for a day, and refused with other parameters (Idempotent
  requests). A refund is therefore looked for before it is asked for: the day may be over;
- `Stripe-Signature: t=…,v1=…[,v1=…][,v0=…]`: HMAC-SHA256 over `t.body`, one v1 for each secret while they are rolled;
  whoever heeds another scheme can be led down to it (Webhooks: Verify webhook signatures manually);
- events come in any order, for three days until a 2xx. A completed session is paid only if its `payment_status` says
  so: with a bank debit the money comes, or fails, later (Fulfill orders);
- amounts are integers of the minor unit, currencies lower case, with a least amount for each (Supported currencies);
- a session's metadata stays with it; its PaymentIntent's is copied to the charge, and to nothing else (Metadata). So
  ours is written on both, and a dispute, which has none, is traced by its PaymentIntent. `client_reference_id` may
  come out of a payment link's address (Payment Links: URL parameters), so a session is known by its metadata alone;
- `charge.refunded` names all that has gone back, `refund.*` one refund (Changelog 2024-10-28). Either may be first, so
  refunds of the shop are told of by their number, and those made at Stripe by the total alone: never counted twice.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from cardshop.adapters.payments import outbound, wire
from cardshop.adapters.payments.forms import LOCAL, only
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    TERMINALS,
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

_VERSION = "2025-03-31.basil"  # since then a session's currency is the one that was asked for
_HOST = "https://api.stripe.com"
_HOSTS = ("api.stripe.com",)
_NAME_CHARACTERS = 250
_REFUNDS_LISTED = 100  # the most that one answer lists

_SECRET_KEY = re.compile(r"(?:sk|rk)_(live|test)_[A-Za-z0-9_]{8,250}")
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,250}")
_CURRENCY = re.compile("[a-z]{3}")
_CODE = re.compile("[a-z_]{1,64}")

#: The least in minor units. What counts is its worth in the currency that the account is paid out in: CNY is not in
#: Stripe's table, and 5 of it are about the highest of the others. Not taken: currencies whose minor unit is another at
#: Stripe than in ISO 4217 (ISK, UGX).
_LEAST = {
    **dict.fromkeys(("AUD", "BRL", "CAD", "CHF", "EUR", "INR", "JPY", "NZD", "SGD", "USD"), 50),
    **dict.fromkeys(("AED", "MYR", "PLN", "RON"), 200),
    **dict.fromkeys(("NOK", "SEK"), 300),
    **dict.fromkeys(("MXN", "THB"), 1000),
    "GBP": 30,
    "DKK": 250,
    "HKD": 400,
    "CNY": 500,
    "CZK": 1500,
    "HUF": 17500,
}
_MOST = 99_999_999  # eight digits
_MOST_HEARD = 10**12

_REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.DONE,
    "failed": RefundState.REFUSED,
    "canceled": RefundState.REFUSED,
}
#: Errors that will be the same tomorrow. Too little in the balance is none of them: the merchant may pay in.
_REFUND_REFUSALS = ("charge_already_refunded", "charge_disputed", "refund_disputed_payment", "amount_too_large")


def sign(secret: str, time: str, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()


class Stripe(Provider):
    name = "stripe"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        key = settings.get("secret_key", "")
        secrets = settings.get("webhook_secret", "").split()
        host = settings.get("host", _HOST)
        if not _SECRET_KEY.fullmatch(key):
            raise InvalidRequest("secret_key: sk_live_…, sk_test_… or a restricted key, rk_…; never the public pk_…")
        if not 1 <= len(secrets) <= 2 or not all(map(_WEBHOOK_SECRET.fullmatch, secrets)):
            raise InvalidRequest("webhook_secret: whsec_…, and while it is rolled the old one after a space")
        if host != _HOST and not re.fullmatch(LOCAL, host):
            raise InvalidRequest(f"host: {_HOST}")
        only(settings, {"secret_key", "webhook_secret", "host"}, self.name)
        return {"host": host}, {"secret_key": key, "webhook_secret": " ".join(secrets)}

    def terms(self, channel: Channel) -> Terms:
        return Terms(
            amounts={currency: (least, _MOST) for currency, least in _LEAST.items()},
            refunds=Refunds.PARTIAL,
            terminals=TERMINALS - {"miniapp"},  # a mini program opens no page of Stripe's
        )

    def account(self, channel: Channel) -> str:
        """`live` or `test`: events do not name the account, but they do say which half of it they are of."""
        key = _SECRET_KEY.fullmatch(channel.secrets["secret_key"])
        return key.group(1) if key else ""

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        if request.session_ref is not None:
            session = _session(channel, request.session_ref, request.payment_id)
        else:
            answer = _call(channel, "POST", "/v1/checkout/sessions", _asked(request), request.payment_id)
            session = _own(answer, request.payment_id)
        with wire.as_answer("stripe"):
            session_ref, status = wire.text(session, "id"), wire.text(session, "status")
            if _money(session, "amount_total") != request.amount:
                raise ValueError("amount_total: another")
            if status == "complete":  # nothing is left to be done there
                return PaymentSession(redirect_url=request.return_url, session_ref=session_ref)
            if status != "open":
                raise Unavailable("stripe: the page has expired, another payment can be opened")
            return PaymentSession(redirect_url=wire.text(session, "url"), session_ref=session_ref)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        _verify(channel.secrets.get("webhook_secret", "").split(), notice, received_at)
        event = wire.body_object(notice)
        with wire.as_notice():
            read = _READERS.get(wire.text(event, "type"))
            said = read(wire.part(event, "data", "object")) if read else None
            return [] if said is None else [replace(said, account=_account(event))]

    def trace(self, channel: Channel, event: PaymentEvent) -> str | None:
        if event.provider_ref is None:
            return None
        answer = _call(channel, "GET", f"/v1/payment_intents/{quote(event.provider_ref, safe='')}")
        if answer.status == 404:
            return None
        intent = _good(answer)
        with wire.as_answer("stripe"):
            if wire.text(intent, "id") != event.provider_ref:
                raise ValueError("id: another PaymentIntent")
            return wire.optional_text(intent, "metadata", "payment_id")

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """Without a number there nobody was ever told where to pay: it is put on the order before that."""
        if payment.session_ref is None:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        return _standing(_session(channel, payment.session_ref, payment.payment_id), payment.payment_id)

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        if payment.session_ref is None:
            return self.query_payment(channel, payment)
        answer = _call(channel, "POST", f"/v1/checkout/sessions/{quote(payment.session_ref, safe='')}/expire")
        if answer.status != 400:
            return _standing(_own(answer, payment.payment_id, payment.session_ref), payment.payment_id)
        session = _session(channel, payment.session_ref, payment.payment_id)  # complete or expired already, it seems
        if session.get("status") == "open":
            raise Unavailable(f"stripe: {_code(answer)}")
        return _standing(session, payment.payment_id)

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        intent = _intent(channel, payment)
        if intent is None:  # no money of it is at Stripe
            return RefundWord(RefundState.REFUSED, refund.refund_id)
        if (there := _found(channel, intent, refund)) is not None:
            return _word(there, refund)
        asked = {
            "payment_intent": intent,
            "amount": str(refund.amount.minor),
            "metadata[refund_id]": refund.refund_id,
            "metadata[payment_id]": payment.payment_id,
        }
        answer = _call(channel, "POST", "/v1/refunds", asked, refund.refund_id)
        if _refused(answer):
            return RefundWord(RefundState.REFUSED, refund.refund_id)
        return _word(_good(answer), refund)

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        if refund.provider_ref is None:
            return self.refund(channel, payment, refund)
        answer = _call(channel, "GET", f"/v1/refunds/{quote(refund.provider_ref, safe='')}")
        return _word(_good(answer), refund)

    def query_total(self, channel: Channel, payment: Payment) -> Money:
        """By its refunds, each of which says what became of it; as in a charge's own total, one under way counts."""
        intent = _intent(channel, payment)
        if intent is None:
            raise Unavailable("stripe: the payment's PaymentIntent is not known")
        there, are_all = _refunds(channel, intent)
        with wire.as_answer("stripe"):
            if not are_all:
                raise ValueError("has_more: refunds that are not listed")
            gone = [_money(each, "amount") for each in there if _refund_state(each) is not RefundState.REFUSED]
            currency = (payment.paid or payment.amount).currency
            if any(each.currency != currency for each in gone):
                raise ValueError("currency: another")
        return Money(sum(each.minor for each in gone), currency)


# ---- calls


def _asked(request: PaymentRequest) -> dict[str, str]:
    item = "line_items[0]"
    return {
        "mode": "payment",
        f"{item}[quantity]": "1",
        f"{item}[price_data][currency]": request.amount.currency.lower(),
        f"{item}[price_data][unit_amount]": str(request.amount.minor),
        f"{item}[price_data][product_data][name]": " ".join(request.name.split())[:_NAME_CHARACTERS] or "order",
        "adaptive_pricing[enabled]": "false",  # what comes in is what was asked for, in its currency
        "success_url": request.return_url,
        "cancel_url": request.return_url,
        "client_reference_id": request.payment_id,  # for the people who look at Stripe's dashboard
        "metadata[payment_id]": request.payment_id,
        "payment_intent_data[metadata][payment_id]": request.payment_id,
    }


def _call(
    channel: Channel, method: str, path: str, fields: Mapping[str, str] | None = None, key: str | None = None
) -> Answer:
    headers = {
        "Authorization": f"Bearer {channel.secrets['secret_key']}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Stripe-Version": _VERSION,
    }
    if key is not None:
        headers["Idempotency-Key"] = key
    url, body = f"{channel.settings['host']}{path}", urlencode(fields or {})
    if method == "GET":
        return outbound.call("GET", f"{url}?{body}" if body else url, headers=headers, hosts=_HOSTS)
    return outbound.call(method, url, headers=headers, body=body.encode(), hosts=_HOSTS)


def _good(answer: Answer) -> dict[str, Any]:
    """What it says; Unavailable, with Stripe's own word for why, if it is a refusal."""
    if answer.status != 200:
        raise Unavailable(f"stripe: {_code(answer)}")
    return answer.json()


def _code(answer: Answer) -> str:
    """Why Stripe refused: its code or, of an error that has none, its kind."""
    error = answer.json().get("error")
    for name in ("code", "type"):
        found = error.get(name) if isinstance(error, dict) else None
        if isinstance(found, str) and _CODE.fullmatch(found):
            return found
    return f"status {answer.status}"


def _session(channel: Channel, session_ref: str, payment_id: str) -> dict[str, Any]:
    answer = _call(channel, "GET", f"/v1/checkout/sessions/{quote(session_ref, safe='')}")
    return _own(answer, payment_id, session_ref)


def _own(answer: Answer, payment_id: str, session_ref: str | None = None) -> dict[str, Any]:
    """The session that an answer is, if it is our payment's, and the one that was asked for."""
    session = _good(answer)
    with wire.as_answer("stripe"):
        if session_ref is not None and session.get("id") != session_ref:
            raise ValueError("id: another session")
        if wire.text(session, "metadata", "payment_id") != payment_id:
            raise ValueError("metadata.payment_id: another payment")
    return session


def _standing(session: dict[str, Any], payment_id: str) -> PaymentEvent:
    """How a session stands, as an answer to a query."""
    with wire.as_answer("stripe"):
        status = wire.text(session, "status")
        if wire.text(session, "payment_status") == "paid":
            amount = _money(session, "amount_total")
            return PaymentEvent(payment_id, EventKind.PAID, amount, wire.optional_text(session, "payment_intent"))
        if status not in ("open", "complete", "expired"):
            raise ValueError("status: unknown")
        return PaymentEvent(payment_id, EventKind.FAILED if status == "expired" else EventKind.OPEN)


def _intent(channel: Channel, payment: Payment) -> str | None:
    """The PaymentIntent that refunds go by: an operator who confirmed by hand may have written anything."""
    if payment.provider_ref is not None and payment.provider_ref.startswith("pi_"):
        return payment.provider_ref
    if payment.session_ref is None:
        return None
    with wire.as_answer("stripe"):
        return wire.optional_text(_session(channel, payment.session_ref, payment.payment_id), "payment_intent")


def _found(channel: Channel, intent: str, refund: Refund) -> dict[str, Any] | None:
    """The refund with our number among those of the PaymentIntent."""
    there, are_all = _refunds(channel, intent)
    with wire.as_answer("stripe"):
        for each in there:
            if wire.optional_text(each, "metadata", "refund_id") == refund.refund_id:
                return each
        if not are_all:
            raise ValueError("has_more: refunds that are not listed")
    return None


def _refunds(channel: Channel, intent: str) -> tuple[list[dict[str, Any]], bool]:
    """The PaymentIntent's refunds, and whether there are no others."""
    query = urlencode({"payment_intent": intent, "limit": _REFUNDS_LISTED})
    listed = _good(_call(channel, "GET", f"/v1/refunds?{query}"))
    with wire.as_answer("stripe"):
        there = listed.get("data")
        if not isinstance(there, list) or not all(isinstance(each, dict) for each in there):
            raise ValueError("data: no list of refunds")
        return there, listed.get("has_more") is False


def _word(there: dict[str, Any], refund: Refund) -> RefundWord:
    with wire.as_answer("stripe"):
        if wire.text(there, "metadata", "refund_id") != refund.refund_id or _money(there, "amount") != refund.amount:
            raise ValueError("another refund")
        return RefundWord(_refund_state(there), refund.refund_id, wire.text(there, "id"), refund.amount)


def _refused(answer: Answer) -> bool:
    """For good. That an amount is more than is left has no code, only the parameter's name."""
    error = answer.json().get("error")
    if not isinstance(error, dict) or error.get("type") != "invalid_request_error":
        return False
    return error.get("code") in _REFUND_REFUSALS or error.get("param") == "amount"


# ---- notices


def _verify(secrets: list[str], notice: Notice, received_at: int) -> None:
    given = [part.partition("=") for part in notice.headers.get("stripe-signature", "").split(",")]
    times = [value for name, _, value in given if name == "t"]
    if len(times) != 1 or not wire.SECONDS.fullmatch(times[0]):
        raise InvalidNotice("stripe-signature: no time")
    expected = [sign(secret, times[0], notice.body) for secret in secrets]
    signatures = [value for name, _, value in given if name == "v1"]
    if not any(wire.same(signature, right) for signature in signatures for right in expected):
        raise InvalidNotice("stripe-signature: none that is right")
    wire.check_age(times[0], received_at, "stripe-signature: too long ago, or in the future")


def _account(event: Mapping[str, Any]) -> str:
    """The half of our own account or, where a platform's webhook is heard, the connected account it happened on."""
    live = event.get("livemode")
    if live is not True and live is not False:
        raise ValueError("livemode: neither true nor false")
    return wire.optional_text(event, "account") or ("live" if live else "test")


def _completed(session: dict[str, Any]) -> PaymentEvent | None:
    payment_id = wire.optional_text(session, "metadata", "payment_id")
    if payment_id is None:  # the account sells in other ways, too
        return None
    if wire.text(session, "payment_status") != "paid":
        return PaymentEvent(payment_id, EventKind.OPEN)
    intent = wire.optional_text(session, "payment_intent")
    if session.get("amount_total") is None:
        return PaymentEvent(payment_id, EventKind.ASK, provider_ref=intent)
    return PaymentEvent(payment_id, EventKind.PAID, _money(session, "amount_total"), intent)


def _over(session: dict[str, Any]) -> PaymentEvent | None:
    payment_id = wire.optional_text(session, "metadata", "payment_id")
    return None if payment_id is None else PaymentEvent(payment_id, EventKind.FAILED)


def _refund_told(refund: dict[str, Any]) -> PaymentEvent | None:
    """A refund of the shop's; without its amount, so that one nobody here asked for is left to the total."""
    payment_id = wire.optional_text(refund, "metadata", "payment_id")
    refund_id = wire.optional_text(refund, "metadata", "refund_id")
    if payment_id is None or refund_id is None:
        return None
    word = RefundWord(_refund_state(refund), refund_id, wire.text(refund, "id"))
    return PaymentEvent(payment_id, EventKind.REFUNDED, refund=word)


def _charge_refunded(charge: dict[str, Any]) -> PaymentEvent | None:
    payment_id = wire.optional_text(charge, "metadata", "payment_id")
    if payment_id is None:
        return None
    word = RefundWord(RefundState.DONE, total=_money(charge, "amount_refunded"))
    return PaymentEvent(payment_id, EventKind.REFUNDED, refund=word)


def _disputed(dispute: dict[str, Any]) -> PaymentEvent | None:
    """An inquiry too, though no money has gone yet: the payer contests it."""
    intent = wire.optional_text(dispute, "payment_intent")
    if intent is None:
        return None
    number = wire.optional_text(dispute, "id")
    return PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref=intent, dispute=number)


def _dispute_closed(dispute: dict[str, Any]) -> PaymentEvent | None:
    said = _disputed(dispute)
    kept = wire.text(dispute, "status") in ("won", "warning_closed")
    if said is None:
        return None
    if kept:
        return replace(said, kind=EventKind.REINSTATED)
    return replace(said, dispute=None)  # lost, whatever was decided before


_READERS: dict[str, Callable[[dict[str, Any]], PaymentEvent | None]] = {
    "checkout.session.completed": _completed,
    "checkout.session.async_payment_succeeded": _completed,
    "checkout.session.async_payment_failed": _over,
    "checkout.session.expired": _over,
    "refund.created": _refund_told,
    "refund.updated": _refund_told,
    "refund.failed": _refund_told,
    "charge.refunded": _charge_refunded,
    "charge.dispute.created": _disputed,
    "charge.dispute.closed": _dispute_closed,
}


def _money(thing: Mapping[str, Any], name: str) -> Money:
    """Minor units, and the thing's currency."""
    minor, currency = wire.integer(thing, name), wire.text(thing, "currency")
    if not 0 <= minor <= _MOST_HEARD or not _CURRENCY.fullmatch(currency):
        raise ValueError(f"{name}: no amount")
    return Money(minor, currency.upper())


def _refund_state(refund: Mapping[str, Any]) -> RefundState:
    status = wire.optional_text(refund, "status") or "pending"
    if status not in _REFUND_STATES:
        raise ValueError("status: unknown")
    return _REFUND_STATES[status]
