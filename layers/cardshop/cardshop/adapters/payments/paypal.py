"""PayPal: orders that the buyer approves on PayPal's page and the shop then captures (Orders v2, Payments v2).

Rules of the protocol, each with the document of developer.paypal.com that has it:

- an approved order is no money yet: the merchant captures it, once (Orders v2, `ORDER_ALREADY_CAPTURED`). Nothing
  closes an order; its approval is reversed if it is not captured within three hours (Handle uncaptured payments), and
  an order that is never approved is not found any more (`RESOURCE_NOT_FOUND`);
- `PayPal-Request-Id` makes a POST one request, whose answer is given again: an order's for 6 hours, a refund's for 45
  days (API reference, Idempotency). A capture is sent without: it happens once anyway, and after a card was declined it
  must not hear that answer again;
- `custom_id` and `invoice_id` of an order are in its capture and in what is said of it later; a refund may have its own
  (Payments v2, `refund_request`), a dispute names them `custom` and `invoice_number` (Disputes v1);
- a notice is signed RSA-SHA256 over `transmission id|time|webhook id|CRC-32 of the body` by the certificate it names,
  which is PayPal's if it is fetched there, made out to its message-verification name and vouched for by an authority
  that this machine's TLS trusts (Integrate webhooks; the name is in PayPal's own SDKs). No page says whether it comes
  with its issuer's; PayPal's SDKs bring that of DigiCert along, so here it is fetched from DigiCert if it is missing.
  A CRC-32 is no digest: whoever holds one notice could make others, so PayPal is asked before anything is delivered;
- a notice not answered 2xx comes again, up to 25 times in three days (Integrate webhooks). A retry is the same
  transmission with its first time (as listed by `GET /v1/notifications/webhooks-events`), so a notice may be that old.
  Played again it changes nothing: a payment is settled once;
- HUF, JPY and TWD have no decimals there (Currency codes). ISO gives HUF and TWD two, so they are left out, as are BRL,
  CNY, INR and MYR, which only accounts of that country receive.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import time
import warnings
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from cardshop.adapters.payments import outbound, rsa, wire
from cardshop.adapters.payments.forms import LOCAL, fit, only
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, StaleNotice, Unavailable
from cardshop.domain.money import Money
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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Site:
    """What belongs to one host of the API."""

    certificates: tuple[str, ...]  # hosts that have them
    signer: str  # whom they are made out to
    issuers: str  # where the issuers' are
    pages: str


_LIVE, _SANDBOX = "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"
_SITES = {
    f"https://api-m.{domain}": _Site(
        (f"https://api.{domain}", f"https://api-m.{domain}"),
        f"messageverificationcerts.{domain}",
        "https://cacerts.digicert.com",
        f"https://www.{domain}",
    )
    for domain in ("paypal.com", "sandbox.paypal.com")
}
_CURRENCIES = (
    *("AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "JPY"),
    *("MXN", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "USD"),
)
_MOST = 999_999_999  # minor units; what one account may take is PayPal's to say
_DESCRIPTION = 127  # characters
_ALGORITHM = "SHA256withRSA"
_RETRIES = timedelta(days=3)
_TOLERANCE = timedelta(seconds=300)
_CHAIN = 8  # certificates
_SPARE = 60  # seconds that a token is given up before it ends
_TOKENS = 32

_PATTERNS = {
    "client_id": ("[A-Za-z0-9_-]{16,128}", "of the REST app, 16 to 128 letters, digits, - and _"),
    "webhook_id": ("[A-Za-z0-9]{10,50}", "of the webhook in the REST app, 10 to 50 letters and digits"),
    "merchant_id": ("[2-9A-HJ-NP-Z]{13}", "the account's merchant ID, 13 capitals and digits"),
    "host": (
        f"{re.escape(_LIVE)}|{re.escape(_SANDBOX)}|{LOCAL}",
        f"{_LIVE} or {_SANDBOX}",
    ),
}

_CAPTURE_EVENTS = {
    "PAYMENT.CAPTURE.COMPLETED": EventKind.PAID,
    "PAYMENT.CAPTURE.PENDING": EventKind.OPEN,
    "PAYMENT.CAPTURE.DENIED": EventKind.FAILED,
    "PAYMENT.CAPTURE.DECLINED": EventKind.FAILED,
}
_ORDER_EVENTS = {
    "CHECKOUT.ORDER.APPROVED": EventKind.ASK,
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": EventKind.FAILED,
}
#: How a dispute ends. What is missing (`RESOLVED_WITH_PAYOUT`, `NONE`) does not tell who has the money.
_OUTCOMES = {
    "RESOLVED_SELLER_FAVOUR": EventKind.REINSTATED,
    "CANCELED_BY_BUYER": EventKind.REINSTATED,
    "DENIED": EventKind.REINSTATED,
    "RESOLVED_BUYER_FAVOUR": EventKind.CHARGED_BACK,
    "ACCEPTED": EventKind.CHARGED_BACK,
}
_ORDERS = {
    "CREATED": EventKind.OPEN,
    "SAVED": EventKind.OPEN,
    "PAYER_ACTION_REQUIRED": EventKind.OPEN,
    "APPROVED": EventKind.OPEN,  # no money: an approval ends by itself
    "VOIDED": EventKind.FAILED,
}
_CAPTURES = {
    "COMPLETED": EventKind.PAID,
    "PARTIALLY_REFUNDED": EventKind.PAID,
    "PENDING": EventKind.OPEN,
    "REFUNDED": EventKind.REFUNDED,
    "DECLINED": EventKind.FAILED,
    "FAILED": EventKind.FAILED,
}
_REFUNDS = {
    "COMPLETED": RefundState.DONE,
    "PENDING": RefundState.PENDING,
    "FAILED": RefundState.REFUSED,
    "CANCELLED": RefundState.REFUSED,
}
#: A capture was refused, and the buyer may choose another way to pay on the same page.
_NOT_YET = (
    "INSTRUMENT_DECLINED",
    "ORDER_NOT_APPROVED",
    "PAYER_ACTION_REQUIRED",
    "PAYER_CANNOT_PAY",
    "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED",
)
#: No refund of this number will ever be made. Too little money in the account, a capture or a dispute that is still
#: open, and a locked account are not among them: that changes.
_REFUND_REFUSALS = (
    "CAPTURE_FULLY_REFUNDED",
    "REFUND_AMOUNT_EXCEEDED",
    "REFUND_AMOUNT_TOO_LOW",
    "REFUND_TIME_LIMIT_EXCEEDED",
    "PARTIAL_REFUND_NOT_ALLOWED",
    "MAX_NUMBER_OF_REFUNDS_EXCEEDED",
    "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
    "REFUND_IS_RESTRICTED",
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
)

_ID = re.compile("[A-Za-z0-9-]{1,64}")  # PayPal's own, of anything
_REFUND_ID = re.compile("([a-z2-7]{26}[0-9]{2})r[0-9]{2}")  # ours; it begins with the payment's
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})")

#: What a certificate that was written oddly raises.
_ODD = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

clock = time.time  # tests put their own here
_tokens: dict[tuple[str, str, bytes], tuple[str, float]] = {}  # (host, client, digest of the secret) → token, its end


class PayPal(Provider):
    name = "paypal"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        public = {"host": _LIVE, **settings}
        secret = public.pop("client_secret", "")
        root = public.pop("root_certificate", None)
        fit(public, _PATTERNS)
        if not re.fullmatch("[!-~]{16,256}", secret):
            raise InvalidRequest("client_secret: of the REST app, 16 to 256 characters")
        only(public, _PATTERNS, self.name)
        if root is not None:
            public["root_certificate"] = _checked_root(public["host"], root)
        return public, {"client_secret": secret}

    def terms(self, channel: Channel) -> Terms:
        amounts = dict.fromkeys(_CURRENCIES, (1, _MOST))
        return Terms(amounts=amounts, refunds=Refunds.PARTIAL, closes=False, weak=True)

    def account(self, channel: Channel) -> str:
        return channel.settings["merchant_id"]

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        """Nobody can pay without the shop's capture, so an order needs no end of its own; PayPal has none to set."""
        number = request.payment_id
        if request.session_ref is not None:
            order = _found(_ask(channel, "GET", f"/v2/checkout/orders/{request.session_ref}"))
        else:
            order = _found(_ask(channel, "POST", "/v2/checkout/orders", _asked(request), request_id=number))
        with wire.as_answer():
            _check_ours(order, number)
            reference = _number(order, "id")
            page = _page(_site(channel), order, reference)
        return PaymentSession(redirect_url=page, session_ref=reference)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        _verify(channel, notice, datetime.fromtimestamp(received_at // 1000, UTC))
        told = wire.body_object(notice)
        with wire.as_notice():
            return _events(told)

    def trace(self, channel: Channel, event: PaymentEvent) -> str | None:
        if event.provider_ref is None:
            return None
        answer = _ask(channel, "GET", f"/v2/payments/captures/{event.provider_ref}")
        if _is_unknown(answer):
            return None
        capture = _found(answer)
        with wire.as_answer():
            return _named(capture)

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        return _query(channel, payment, take=True)

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """What the buyer has approved, or still approves, is never captured any more: no money comes of it."""
        return _query(channel, payment, take=False)

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        if not _ID.fullmatch(payment.provider_ref or ""):  # an operator may have written another
            raise Unavailable("the capture of this payment is not known")
        asked = {
            "amount": _written(refund.amount),
            "custom_id": refund.refund_id,
            "invoice_id": refund.refund_id,  # PayPal takes one only once, even when the request's id is forgotten
        }
        path = f"/v2/payments/captures/{payment.provider_ref}/refund"
        answer = _ask(channel, "POST", path, asked, request_id=refund.refund_id)
        if answer.status == 422 and _issue(answer) in _REFUND_REFUSALS:
            return RefundWord(RefundState.REFUSED, refund.refund_id)
        return _refund_answered(answer, payment, refund)

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        if refund.provider_ref is None:
            return self.refund(channel, payment, refund)
        answer = _ask(channel, "GET", f"/v2/payments/refunds/{refund.provider_ref}")
        return _refund_answered(answer, payment, refund)


# ---- settings


def _checked_root(host: str, pem: str) -> str:
    """A simulator's own authority, and nothing else of what the PEM may hold."""
    if host in _SITES:
        raise InvalidRequest("root_certificate: only with a simulator on this machine")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise InvalidRequest("root_certificate: a certificate, PEM") from None
    if "PRIVATE KEY" in pem:
        raise InvalidRequest("root_certificate: a certificate only, never a private key")
    return certificate.public_bytes(Encoding.PEM).decode()


def _site(channel: Channel) -> _Site:
    host = channel.settings["host"]
    return _SITES.get(host) or _Site((host,), _SITES[_SANDBOX].signer, host, host)


# ---- calls


def _ask(
    channel: Channel, method: str, path: str, asked: Mapping[str, Any] | None = None, *, request_id: str | None = None
) -> Answer:
    """An authorized request. Repeatable throughout: PayPal creates, captures and refunds once."""
    for fresh in (False, True):
        headers = {
            "Authorization": f"Bearer {_token(channel, fresh=fresh)}",
            "Content-Type": "application/json",
            "Prefer": "return=representation",
        }
        if request_id is not None:
            headers["PayPal-Request-Id"] = request_id
        body = None if asked is None else json.dumps(asked).encode()
        answer = _call(channel, method, path, headers, body)
        if answer.status != 401:
            return answer
    raise Unavailable(f"PayPal refused: {_issue(answer)}")


def _token(channel: Channel, *, fresh: bool) -> str:
    client, secret = channel.settings["client_id"], channel.secrets["client_secret"]
    key = channel.settings["host"], client, hashlib.sha256(secret.encode()).digest()
    known = _tokens.get(key)
    if known is not None and clock() < known[1] and not fresh:
        return known[0]
    headers = {
        "Authorization": f"Basic {base64.b64encode(f'{client}:{secret}'.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    granted = _found(_call(channel, "POST", "/v1/oauth2/token", headers, b"grant_type=client_credentials"))
    with wire.as_answer():
        token, seconds = wire.text(granted, "access_token"), wire.integer(granted, "expires_in")
    if len(_tokens) >= _TOKENS:
        _tokens.clear()
    _tokens[key] = token, clock() + seconds - _SPARE
    return token


def _call(channel: Channel, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    host = channel.settings["host"]
    return outbound.call(method, host + path, headers=headers, body=body, hosts=(_host(host),))


def _found(answer: Answer) -> dict[str, Any]:
    if answer.status in (200, 201):
        return answer.json()
    raise Unavailable(f"PayPal refused: {_issue(answer)}")


def _issue(answer: Answer) -> str:
    """PayPal's code for why not: of the first detail, of the error, of the token's error."""
    told = answer.json()
    with suppress(ValueError):
        details = _objects(told, "details") if told.get("details") else []
        for said in (wire.optional_text(details[0], "issue") if details else None, told.get("name"), told.get("error")):
            if isinstance(said, str) and re.fullmatch("[A-Za-z_]{1,64}", said):
                return said
    return f"HTTP {answer.status}"


def _is_unknown(answer: Answer) -> bool:
    return answer.status == 404 and answer.json().get("name") == "RESOURCE_NOT_FOUND"


# ---- orders


def _asked(request: PaymentRequest) -> dict[str, Any]:
    number = request.payment_id
    return {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "reference_id": number,
                "custom_id": number,
                "invoice_id": number,
                "description": request.name[:_DESCRIPTION],
                "amount": _written(request.amount),
            }
        ],
        "payment_source": {
            "paypal": {
                "experience_context": {
                    "user_action": "PAY_NOW",
                    "shipping_preference": "NO_SHIPPING",
                    "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",  # no eCheck, which takes days to clear
                    "return_url": request.return_url,
                    "cancel_url": request.return_url,
                }
            }
        },
    }


def _page(site: _Site, order: Mapping[str, Any], reference: str) -> str:
    """Where the buyer approves it. An order that is approved already (say, its card was declined) has no such link."""
    for link in _objects(order, "links"):
        if wire.text(link, "rel") in ("payer-action", "approve"):
            page = wire.text(link, "href")
            if not page.startswith(("https://", f"{site.pages}/")):
                raise ValueError("links: no address of a page")
            return page
    if (status := wire.text(order, "status")) != "APPROVED":
        raise ValueError("links: nothing to approve" if status in _ORDERS else "it is over")
    return f"{site.pages}/checkoutnow?token={reference}"


def _query(channel: Channel, payment: Payment, *, take: bool) -> PaymentEvent:
    if payment.session_ref is None:
        # It is on the order before anybody is told how to pay: without it nobody was, and nobody can have.
        return PaymentEvent(payment.payment_id, EventKind.OPEN)
    path = f"/v2/checkout/orders/{payment.session_ref}"
    answer = _ask(channel, "GET", path)
    if _is_unknown(answer):  # nobody approved it in time
        return PaymentEvent(payment.payment_id, EventKind.FAILED)
    said, approved = _order_read(answer, payment)
    if not (take and approved):
        return said
    answer = _ask(channel, "POST", f"{path}/capture", {})
    if answer.status == 422:
        issue = _issue(answer)
        if issue in _NOT_YET:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        if issue == "ORDER_ALREADY_CAPTURED":
            answer = _ask(channel, "GET", path)
    return _order_read(answer, payment)[0]


def _order_read(answer: Answer, payment: Payment) -> tuple[PaymentEvent, bool]:
    """What an order says of the payment, and whether it waits for the shop to capture it."""
    order = _found(answer)
    with wire.as_answer():
        _check_ours(order, payment.payment_id)
        status = wire.text(order, "status")
        unit = _objects(order, "purchase_units")[0]
        if status != "COMPLETED":
            kind = _known(_ORDERS, status)
            return PaymentEvent(payment.payment_id, kind, account=_payee(unit)), status == "APPROVED"
        capture = _objects(unit, "payments", "captures")[0]  # of an order there is only one
        kind = _known(_CAPTURES, wire.text(capture, "status"))
        amount = _amount(capture, "amount")
        back = RefundWord(RefundState.DONE, total=amount) if kind is EventKind.REFUNDED else None
        received = amount if kind is EventKind.PAID else None
        event = PaymentEvent(payment.payment_id, kind, received, _number(capture, "id"), _payee(unit), back)
        return event, False


def _check_ours(order: Mapping[str, Any], number: str) -> None:
    """Every number of ours that an order has is this payment's, and it has one."""
    unit = _objects(order, "purchase_units")[0]
    named = {wire.optional_text(unit, name) for name in ("reference_id", "custom_id", "invoice_id")}
    if named - {None} != {number}:
        raise ValueError("it is another payment's")


def _refund_answered(answer: Answer, payment: Payment, refund: Refund) -> RefundWord:
    told = _found(answer)
    with wire.as_answer():
        if _named(told) not in (None, refund.refund_id, payment.payment_id):
            raise ValueError("it is another refund's")
        if _amount(told, "amount") != refund.amount:
            raise ValueError("it is of another amount")
        state = _known(_REFUNDS, wire.text(told, "status"))
        return RefundWord(state, refund.refund_id, _number(told, "id"), refund.amount)


# ---- notices


def _verify(channel: Channel, notice: Notice, now: datetime) -> None:
    """InvalidNotice unless PayPal signed it for this webhook, StaleNotice unless a retry of it may come `now`."""
    identity, sent, signature, algorithm, url = (
        notice.headers.get(f"paypal-{name}", "")
        for name in ("transmission-id", "transmission-time", "transmission-sig", "auth-algo", "cert-url")
    )
    site = _site(channel)
    if algorithm != _ALGORITHM:
        raise InvalidNotice("paypal-auth-algo")
    if not re.fullmatch("[!-~]{1,64}", identity):
        raise InvalidNotice("paypal-transmission-id")
    host, path, name = url.partition("/v1/notifications/certs/")
    if host not in site.certificates or not path or not re.fullmatch("[A-Za-z0-9_-]{1,128}", name):
        raise InvalidNotice("paypal-cert-url")
    try:
        base64.b64decode(signature, validate=True)  # before a certificate is fetched for what cannot be one
        if not _TIME.fullmatch(sent):
            raise ValueError("no time")
        age = now - datetime.fromisoformat(sent)
    except (ValueError, OverflowError):
        raise InvalidNotice("paypal-transmission-sig or -time") from None
    if not -_TOLERANCE <= age <= _RETRIES + _TOLERANCE:
        raise StaleNotice("paypal-transmission-time")
    key = _key(_certificates(url, site.issuers), site.signer, channel.settings.get("root_certificate"), now)
    signed = f"{identity}|{sent}|{channel.settings['webhook_id']}|{zlib.crc32(notice.body)}"
    if not rsa.signed_by(signed.encode(), signature, key):
        raise InvalidNotice("paypal-transmission-sig")


@lru_cache(maxsize=16)
def _certificates(url: str, issuers: str) -> tuple[x509.Certificate, ...]:
    """The signer's certificate and those between it and a root. Only for addresses that are PayPal's."""
    answer = outbound.call("GET", url, hosts=(_host(url),))
    try:
        found = x509.load_pem_x509_certificates(answer.body) if answer.status == 200 else []
    except ValueError:
        found = []
    if not 0 < len(found) <= _CHAIN:
        raise InvalidNotice("paypal-cert-url: no certificate is there")
    return tuple(found) if len(found) > 1 else (found[0], *_issuer(found[0], issuers))


def _issuer(certificate: x509.Certificate, issuers: str) -> list[x509.Certificate]:
    """Its issuer's certificate, by the name that it gives. Verified like any other, so anybody may be its carrier."""
    with suppress(x509.ExtensionNotFound, *_ODD):
        told = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        for each in told:
            if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
                host, _, name = str(each.access_location.value).partition("://")[2].partition("/")
                if host == _host(issuers) and re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name):
                    answer = outbound.call("GET", f"{issuers}/{name}", hosts=(host,))
                    if answer.status != 200:  # which is no word about the notice
                        raise Unavailable("the issuer's certificate is not to be had")
                    return [x509.load_der_x509_certificate(answer.body)]
    return []


def _host(url: str) -> str:
    return url.split("/")[2]


def _key(chain: tuple[x509.Certificate, ...], signer: str, root: str | None, now: datetime) -> RSAPublicKey:
    """The public key of a certificate that is the signer's, of this time, and vouched for."""
    try:
        policy = PolicyBuilder().store(_roots(root)).time(now)
        policy.build_server_verifier(x509.DNSName(signer)).verify(chain[0], list(chain[1:]))
        key = chain[0].public_key()
    except (VerificationError, *_ODD):
        raise InvalidNotice("paypal-cert-url: not PayPal's certificate") from None
    if not isinstance(key, RSAPublicKey):
        raise InvalidNotice("paypal-cert-url: no RSA key")
    return key


@lru_cache(maxsize=4)
def _roots(pem: str | None) -> Store:
    """The authorities that this machine's TLS trusts, as every call out does; or only a simulator's own."""
    if pem is not None:
        return Store([x509.load_pem_x509_certificate(pem.encode())])
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old authority's serial number is zero
        for each in ssl.create_default_context().get_ca_certs(binary_form=True):
            with suppress(ValueError):
                found.append(x509.load_der_x509_certificate(each))
    if not found:
        raise Unavailable("this machine knows no certificate authority")
    return Store(found)


def _events(told: Mapping[str, Any]) -> list[PaymentEvent]:
    name = wire.text(told, "event_type")
    found = []
    if name in _CAPTURE_EVENTS:
        found = [_of_a_capture(_CAPTURE_EVENTS[name], wire.part(told, "resource"))]
    elif name in _ORDER_EVENTS:
        unit = _objects(told, "resource", "purchase_units")[0]
        found = [PaymentEvent(_required(_named(unit)), _ORDER_EVENTS[name], account=_payee(unit))]
    elif name == "PAYMENT.CAPTURE.REFUNDED":
        found = [_of_a_refund(wire.part(told, "resource"))]
    elif name == "PAYMENT.CAPTURE.REVERSED":
        resource = wire.part(told, "resource")  # the refund that PayPal made of it, or itself
        reference = _refunded(resource) or _number(resource, "id")
        found = [PaymentEvent(_named(resource), EventKind.CHARGED_BACK, provider_ref=reference)]
    elif name == "CUSTOMER.DISPUTE.CREATED":
        found = _of_a_dispute(EventKind.CHARGED_BACK, wire.part(told, "resource"), opened=True)
    elif name == "CUSTOMER.DISPUTE.RESOLVED":
        kind = _OUTCOMES.get(wire.optional_text(told, "resource", "dispute_outcome", "outcome_code") or "")
        found = _of_a_dispute(kind, wire.part(told, "resource")) if kind else []
    return found


def _of_a_capture(kind: EventKind, capture: Mapping[str, Any]) -> PaymentEvent:
    # PAID without an amount makes the shop ask for it.
    amount = _amount(capture, "amount") if kind is EventKind.PAID and capture.get("amount") is not None else None
    return PaymentEvent(_required(_named(capture)), kind, amount, _number(capture, "id"), _payee(capture))


def _of_a_refund(told: Mapping[str, Any]) -> PaymentEvent:
    """A refund of ours has its number, one that somebody made there the payment's, if any."""
    named, capture = _named(told), _refunded(told)
    ours = _REFUND_ID.fullmatch(named or "")
    breakdown = wire.part(told, "seller_payable_breakdown") if told.get("seller_payable_breakdown") else {}
    word = RefundWord(
        state=_known(_REFUNDS, wire.text(told, "status")),
        refund_id=named if ours else None,
        provider_ref=_number(told, "id"),
        amount=_amount(told, "amount"),
        total=_amount(breakdown, "total_refunded_amount") if breakdown.get("total_refunded_amount") else None,
    )
    payment = ours.group(1) if ours else named
    if payment is None:
        _required(capture)
    return PaymentEvent(payment, EventKind.REFUNDED, provider_ref=capture, refund=word)


def _of_a_dispute(kind: EventKind, told: Mapping[str, Any], *, opened: bool = False) -> list[PaymentEvent]:
    number = wire.optional_text(told, "dispute_id") if opened or kind is EventKind.REINSTATED else None
    return [
        PaymentEvent(
            wire.optional_text(each, "custom") or wire.optional_text(each, "invoice_number") or None,
            kind,
            provider_ref=_number(each, "seller_transaction_id"),
            account=wire.optional_text(each, "seller", "merchant_id"),
            dispute=number,
        )
        for each in _objects(told, "disputed_transactions")
    ]


# ---- what PayPal writes


def _objects(value: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    """The objects at this path, at least one; ValueError for anything else."""
    found = (wire.part(value, *path[:-1]) if path[:-1] else value).get(path[-1])
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise ValueError(f"{'.'.join(path)}: no objects")
    return found


def _number(value: Mapping[str, Any], name: str) -> str:
    """PayPal's own number of something: safe in a path."""
    found = wire.text(value, name)
    if not _ID.fullmatch(found):
        raise ValueError(f"{name}: no number of PayPal's")
    return found


def _named(value: Mapping[str, Any]) -> str | None:
    """The number of ours that it has."""
    return wire.optional_text(value, "custom_id") or wire.optional_text(value, "invoice_id") or None


def _required(named: str | None) -> str:
    if named is None:
        raise ValueError("no number of a payment")
    return named


def _payee(value: Mapping[str, Any]) -> str | None:
    return wire.optional_text(value, "payee", "merchant_id")


def _refunded(refund: Mapping[str, Any]) -> str | None:
    """The capture that a refund is of, which it names by a link."""
    for link in _objects(refund, "links") if refund.get("links") else []:
        found = re.fullmatch("https?://[^/]+/v2/payments/captures/([A-Za-z0-9-]{1,64})", wire.text(link, "href"))
        if found:
            return found.group(1)
    return None


def _known(states: Mapping[str, T], status: str) -> T:
    if status not in states:
        raise ValueError("status: unknown")
    return states[status]


def _written(amount: Money) -> dict[str, str]:
    return {"currency_code": amount.currency, "value": amount.decimal()}


def _amount(value: Mapping[str, Any], name: str) -> Money:
    currency = wire.text(value, name, "currency_code")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ValueError(f"{name}: no currency")
    return Money.parse(wire.text(value, name, "value"), currency)
