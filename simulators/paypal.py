"""A simulated PayPal: orders with the intent to capture, their page, refunds, disputes, signed notices.

Written from PayPal's API reference (Orders v2, Payments v2, Disputes v1, Webhooks v1). Kept to here:

- calls want a token (``POST /v1/oauth2/token``, HTTP Basic); refusals have PayPal's error object and issue codes;
- an order's and a refund's POST want a ``PayPal-Request-Id``, and the same one again answers what there is;
- paying on the page only approves. The money comes in with ``POST …/capture``, once; ``CHECKOUT.ORDER.APPROVED`` tells
  that it is time. ``extra["declines"]`` says how often the card is declined at that, ``extra["holds"]`` that the money
  stays pending until `release`. An order that is ``closed`` is not found any more;
- a refund inherits the order's ``custom_id`` and ``invoice_id`` unless it brings its own; an ``invoice_id`` refunds
  once. ``extra["refunds"]`` is the status that refunds get at first, ``extra["refund_issue"]`` why there will be none;
- a notice is signed by the certificate that it names, which is served here with its intermediate (and that also by
  itself, ``/intermediate.crt``); a retry, up to 25 in three days, has the transmission id and time of the first try.

``account`` is what ``new_account()`` makes: the REST app, the merchant, the webhook, and an authority with certificates
by name, of which ``signs_with`` is the one for notices. Where notices go is ``webhook_url``, said there or, as at
PayPal, by ``POST /v1/notifications/webhooks``.

Events besides the usual: ``approved``, ``pending``, ``reversed`` (PayPal took the money back), ``dispute_lost``;
``closed`` is a reversed approval. Amounts in the books are decimals as PayPal writes them.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from simulators.booth import Answer, Booth, Outgoing, Payment, Refund, Refusal, Request, Telling, main

SIGNER = "messageverificationcerts.sandbox.paypal.com"
CERTIFICATES = "/v1/notifications/certs"
WITHOUT_DECIMALS = ("HUF", "JPY", "TWD")
CURRENCIES = re.compile(
    "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|ILS|JPY|MXN|MYR|NOK|NZD|PHP|PLN|SEK|SGD|THB|TWD|USD"
)
REFUND_STATUSES = {"pending": "PENDING", "done": "COMPLETED", "refused": "FAILED"}
DISPUTES = {
    "charged_back": ("CUSTOMER.DISPUTE.CREATED", None),
    "reinstated": ("CUSTOMER.DISPUTE.RESOLVED", "RESOLVED_SELLER_FAVOUR"),
    "dispute_lost": ("CUSTOMER.DISPUTE.RESOLVED", "RESOLVED_BUYER_FAVOUR"),
}
CAPTURED = {
    "paid": ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED"),
    "pending": ("PAYMENT.CAPTURE.PENDING", "PENDING"),
    "failed": ("PAYMENT.CAPTURE.DECLINED", "DECLINED"),
}
_TOKEN_SECONDS = 32_400
_RETRIES = 25

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


# An authority


def issue(
    name: str,
    by: tuple[x509.Certificate, Key] | None = None,
    *,
    authority: bool = False,
    days: tuple[float, float] = (-1, 365),
    key: Key | None = None,
    issuers: str = "",
) -> tuple[x509.Certificate, Key]:
    """A certificate made out to this name, valid from so many days from now to so many, and its key.

    `issuers`: the address that it names for its issuer's certificate.
    """
    own: Key = key or (ec.generate_private_key(ec.SECP256R1()) if authority else rsa.generate_private_key(65537, 2048))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, own)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority:
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if issuers:
        where = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuers)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    return builder.sign(signer, SHA256()), own


def pem(thing: x509.Certificate | Key) -> str:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM).decode()
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def new_account(webhook_url: str = "") -> dict[str, Any]:
    root = issue("Simulated Root", authority=True)
    between = issue("Simulated Intermediate", root, authority=True)
    certificates = {}
    for _ in range(2):
        certificate, key = issue(SIGNER, between)
        name = f"CERT-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
        certificates[name] = {"chain": pem(certificate) + pem(between[0]), "key": pem(key)}
    return {
        "client_id": f"A{secrets.token_urlsafe(59)}",
        "client_secret": f"E{secrets.token_urlsafe(59)}",
        "merchant_id": "".join(secrets.choice("23456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(13)),
        "webhook_id": _number(),
        "webhook_url": webhook_url,
        "root_certificate": pem(root[0]),
        "intermediate": {"certificate": pem(between[0]), "key": pem(between[1])},
        "certificates": certificates,
        "signs_with": min(certificates),
    }


class PayPal(Booth):
    name = "paypal"
    retries = (3 * 86_400 / _RETRIES,) * _RETRIES

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.certificates: dict[str, dict[str, str]] = dict(account["certificates"])
        self.signs_with: str = account["signs_with"]
        self.webhook_url: str = account["webhook_url"]
        self.merchant_id: str = account["merchant_id"]
        self.tokens: dict[str, float] = {}  # to when each is good
        self._requests: dict[tuple[str, str], str] = {}  # (path, PayPal-Request-Id) → number of what it made

    def handle(self, request: Request) -> Answer:
        match request.method, request.path.split("/")[1:]:
            case "POST", ["v1", "oauth2", "token"]:
                return self._token(request)
            case "GET", ["v1", "notifications", "certs", name] if name in self.certificates:
                return Answer(200, self.certificates[name]["chain"].encode(), "application/x-x509-ca-cert")
            case "GET", ["intermediate.crt"]:  # as an authority serves it
                between = x509.load_pem_x509_certificate(self.account["intermediate"]["certificate"].encode())
                return Answer(200, between.public_bytes(Encoding.DER), "application/pkix-cert")
            case "POST", ["v1", "notifications", "webhooks"]:
                self._admit("webhook", request)
                self.webhook_url = str(request.json()["url"])
                return Answer(201, {"id": self.account["webhook_id"], **request.json()})
            case method, ["v2", "checkout", "orders", *rest]:
                return self._orders(request, [method, *rest])
            case method, ["v2", "payments", *rest]:
                return self._payments_v2(request, [method, *rest])
        raise _unknown()

    def _orders(self, request: Request, wanted: list[str]) -> Answer:
        match wanted:
            case ["POST"]:
                self._admit("create", request)
                return self._create(request)
            case ["GET", number]:
                self._admit("query", request)
                return Answer(200, self._whole(self._ordered(number)))
            case ["POST", number, "capture"]:
                self._admit("capture", request)
                payment = self._ordered(number)
                self.capture(payment)
                return self._shown(request, 201, self._whole(payment))
        raise _unknown()

    def _payments_v2(self, request: Request, wanted: list[str]) -> Answer:
        match wanted:
            case ["GET", "captures", number]:
                self._admit("query", request)
                return Answer(200, self._capture(self._captured(number)))
            case ["POST", "captures", number, "refund"]:
                self._admit("refund", request)
                return self._refund(request, self._captured(number))
            case ["GET", "refunds", number]:
                self._admit("refund_query", request)
                for payment in self._payments.values():
                    for refund in payment.refunds.values():
                        if _short(refund) == number:
                            return Answer(200, self._refunded(payment, refund))
        raise _unknown()

    # Who calls

    def _token(self, request: Request) -> Answer:
        self.check_outage("token")
        client = f"{self.account['client_id']}:{self.account['client_secret']}"
        if request.headers.get("authorization") != f"Basic {base64.b64encode(client.encode()).decode()}":
            raise Refusal(401, {"error": "invalid_client", "error_description": "Client Authentication failed"})
        if request.form() != {"grant_type": "client_credentials"}:
            raise Refusal(400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"})
        token = f"A21AA{secrets.token_urlsafe(64)}"
        self.tokens[token] = time.time() + _TOKEN_SECONDS
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS})

    def _admit(self, kind: str, request: Request) -> None:
        self.check_outage(kind)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.tokens.get(token, 0) < time.time():
            raise Refusal(401, {"error": "invalid_token", "error_description": "Token signature verification failed"})
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            raise _refusal(415, "UNSUPPORTED_MEDIA_TYPE")

    def _asked_before(self, request: Request) -> str | None:
        """The number of what this very request has made already."""
        key = request.headers.get("paypal-request-id", "")
        if not re.fullmatch("[!-~]{1,108}", key):
            raise _refusal(400, "INVALID_REQUEST", "PAYPAL_REQUEST_ID_REQUIRED")
        return self._requests.get((request.path, key))

    def _note_request(self, request: Request, made: str) -> None:
        self._requests[request.path, request.headers["paypal-request-id"]] = made

    def _shown(self, request: Request, status: int, whole: dict[str, Any]) -> Answer:
        if request.headers.get("prefer") == "return=representation":
            return Answer(status, whole)
        return Answer(status, {name: whole[name] for name in ("id", "status", "links")})

    # Orders

    def _create(self, request: Request) -> Answer:
        if (before := self._asked_before(request)) is not None:
            return self._shown(request, 200, self._whole(self._ordered(before)))
        asked = request.json()
        try:
            (unit,) = asked["purchase_units"]
            context = asked["payment_source"]["paypal"]["experience_context"]
            number, amount = unit["invoice_id"], unit["amount"]
            if asked["intent"] != "CAPTURE" or context["user_action"] not in ("PAY_NOW", "CONTINUE"):
                raise ValueError
            for name, most in {"reference_id": 256, "custom_id": 255, "invoice_id": 127, "description": 127}.items():
                if not 0 < len(unit[name]) <= most:
                    raise _refusal(400, "INVALID_REQUEST", "INVALID_STRING_LENGTH")
            if not all(re.match("https?://", context[name]) for name in ("return_url", "cancel_url")):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise _refusal(400, "INVALID_REQUEST", "MISSING_REQUIRED_PARAMETER") from None
        _check_amount(amount)
        payment = self.open(
            Payment(
                number=number,
                amount=amount["value"],
                currency=amount["currency_code"],
                return_url=context["return_url"],
                reference=_number(),
                extra={"unit": unit, "capture": _number(), "created": _written_time(time.time()), "asked": {}},
            )
        )
        self._note_request(request, payment.reference)
        return self._shown(request, 201, self._whole(payment))

    def _ordered(self, number: str) -> Payment:
        payment = self.find(reference=number)
        if payment is None or payment.status == "closed":
            raise _unknown()
        return payment

    def _captured(self, number: str) -> Payment:
        for payment in self._payments.values():
            if payment.extra["capture"] == number:
                return payment
        raise _unknown()

    def pay(self, payment: Payment, received: str | None = None, notify: bool = True) -> bool:
        """The buyer approves. `received`: what the capture will bring, if not the amount."""
        if payment.status != "open" or payment.extra.get("approved") or payment.extra.get("pending"):
            return False
        payment.extra |= {"approved": True, "received": received, "notify": notify}
        if notify:
            self.tell(payment, "approved")
        return True

    def capture(self, payment: Payment) -> None:
        if payment.status != "open" or payment.extra.get("pending"):
            raise _refusal(422, "UNPROCESSABLE_ENTITY", "ORDER_ALREADY_CAPTURED")
        if not payment.extra.get("approved"):
            raise _refusal(422, "UNPROCESSABLE_ENTITY", "ORDER_NOT_APPROVED")
        if payment.extra.get("declines", 0) > 0:
            payment.extra |= {"declines": payment.extra["declines"] - 1, "approved": False}
            raise _refusal(422, "UNPROCESSABLE_ENTITY", "INSTRUMENT_DECLINED")
        if payment.extra.get("holds"):
            payment.extra["pending"] = True
            if payment.extra["notify"]:
                self.tell(payment, "pending")
        else:
            self.release(payment)

    def release(self, payment: Payment) -> None:
        """The money is there."""
        payment.extra["pending"] = False
        super().pay(payment, payment.extra["received"], payment.extra["notify"])

    def way_back(self, payment: Payment) -> str:
        return f"{payment.return_url}?token={payment.reference}&PayerID={self.merchant_id[::-1]}"

    def _whole(self, payment: Payment) -> dict[str, Any]:
        status, captured = {
            "paid": ("COMPLETED", "COMPLETED"),
            "failed": ("COMPLETED", "DECLINED"),
            "refunded": ("COMPLETED", "REFUNDED"),
            "charged_back": ("COMPLETED", "REFUNDED"),
        }.get(payment.status, ("PAYER_ACTION_REQUIRED", ""))
        if payment.status == "open" and payment.extra.get("pending"):
            status, captured = "COMPLETED", "PENDING"
        elif payment.status == "open" and payment.extra.get("approved"):
            status = "APPROVED"
        elif payment.status == "paid" and Decimal(payment.refunded):
            captured = "PARTIALLY_REFUNDED"
        unit = self._unit(payment)
        if captured:
            capture = self._capture(payment, captured)
            unit["payments"] = {"captures": [{name: capture[name] for name in capture if name != "payee"}]}
        here = f"{self.url}/v2/checkout/orders/{payment.reference}"
        links = [{"href": here, "rel": "self", "method": "GET"}]
        if status == "PAYER_ACTION_REQUIRED":
            links.append({"href": self.pay_url(payment), "rel": "payer-action", "method": "GET"})
        if status == "APPROVED":
            links.append({"href": f"{here}/capture", "rel": "capture", "method": "POST"})
        return {
            "id": payment.reference,
            "intent": "CAPTURE",
            "status": status,
            "payment_source": {"paypal": {}},
            "purchase_units": [unit],
            "create_time": payment.extra["created"],
            "links": links,
        }

    def _unit(self, payment: Payment) -> dict[str, Any]:
        return {**payment.extra["unit"], "amount": self._money(payment, payment.amount), "payee": self._payee()}

    def _payee(self) -> dict[str, str]:
        return {"email_address": "merchant@business.example.com", "merchant_id": self.merchant_id}

    def _money(self, payment: Payment, value: str) -> dict[str, str]:
        return {"currency_code": payment.currency, "value": value}

    def _capture(self, payment: Payment, status: str = "COMPLETED") -> dict[str, Any]:
        here = f"{self.url}/v2/payments/captures/{payment.extra['capture']}"
        received = payment.extra.get("received") or payment.amount if payment.received == "0" else payment.received
        return {
            "id": payment.extra["capture"],
            "status": status,
            "amount": self._money(payment, received),
            "final_capture": True,
            "custom_id": payment.extra["unit"]["custom_id"],
            "invoice_id": payment.extra["unit"]["invoice_id"],
            "seller_protection": {"status": "NOT_ELIGIBLE"},
            "supplementary_data": {"related_ids": {"order_id": payment.reference}},
            "payee": self._payee(),
            "create_time": payment.extra["created"],
            "links": [
                {"href": here, "rel": "self", "method": "GET"},
                {"href": f"{here}/refund", "rel": "refund", "method": "POST"},
                {"href": f"{self.url}/v2/checkout/orders/{payment.reference}", "rel": "up", "method": "GET"},
            ],
        }

    # Refunds

    def _refund(self, request: Request, payment: Payment) -> Answer:
        if (before := self._asked_before(request)) is not None:
            return self._shown(request, 200, self._refunded(payment, payment.refunds[before]))
        asked = request.json()
        left = Decimal(payment.received) - sum(
            Decimal(each.amount) for each in payment.refunds.values() if each.status != "refused"
        )
        amount = asked.get("amount") or self._money(payment, f"{left:f}")
        if "amount" in asked:
            _check_amount(amount)
        numbers = {name: asked[name] for name in ("custom_id", "invoice_id") if name in asked}
        refunded = [each["invoice_id"] for each in payment.extra["asked"].values() if "invoice_id" in each]
        issue_of = {
            "PENDING_CAPTURE": payment.status == "open",
            "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK": payment.status == "charged_back",
            "REFUND_CAPTURE_CURRENCY_MISMATCH": amount["currency_code"] != payment.currency,
            "DUPLICATE_INVOICE_ID": numbers.get("invoice_id") in refunded,
            "CAPTURE_FULLY_REFUNDED": left <= 0,
            "REFUND_AMOUNT_EXCEEDED": Decimal(amount["value"]) > left,
            payment.extra.get("refund_issue"): True,
        }
        if why := next((issue for issue, is_so in issue_of.items() if is_so and issue), None):
            raise _refusal(422, "UNPROCESSABLE_ENTITY", why)
        number = numbers.get("custom_id") or request.headers["paypal-request-id"]
        payment.extra["asked"][number] = numbers
        self._note_request(request, number)
        status, notify = payment.extra.get("refunds", "done"), payment.extra.get("notify", True)
        refund = self.refund(payment, number, amount["value"], status=status, notify=notify)
        return self._shown(request, 201, self._refunded(payment, refund))

    def _refunded(self, payment: Payment, refund: Refund) -> dict[str, Any]:
        here = f"{self.url}/v2/payments"
        unit = payment.extra["unit"]
        own = payment.extra["asked"].get(refund.refund_id, {})
        return {
            "id": _short(refund),
            "status": REFUND_STATUSES[refund.status],
            "amount": self._money(payment, refund.amount),
            **{name: own.get(name, unit[name]) for name in ("custom_id", "invoice_id")},
            "seller_payable_breakdown": {
                "gross_amount": self._money(payment, refund.amount),
                "total_refunded_amount": self._money(payment, payment.refunded),
            },
            "links": [
                {"href": f"{here}/refunds/{_short(refund)}", "rel": "self", "method": "GET"},
                {"href": f"{here}/captures/{payment.extra['capture']}", "rel": "up", "method": "GET"},
            ],
        }

    # Notices

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        told = self._told(payment, event, telling.refund)
        if told is None or not self.webhook_url:
            return None
        name, kind, resource = told
        body = json.dumps(
            {
                "id": f"WH-{telling.id}",
                "event_version": "1.0",
                "resource_version": "2.0",
                "create_time": _written_time(telling.at),
                "event_type": name,
                "resource_type": kind,
                "resource": resource,
            }
        ).encode()
        headers = self.signature(body, identity=telling.id, at=telling.at)
        return Outgoing("POST", self.webhook_url, {"Content-Type": "application/json", **headers}, body)

    def _told(self, payment: Payment, event: str, refund: Refund | None) -> tuple[str, str, dict[str, Any]] | None:
        if event in CAPTURED:
            name, status = CAPTURED[event]
            return name, "capture", self._capture(payment, status)
        if event in DISPUTES:
            name, outcome = DISPUTES[event]
            return name, "dispute", self._dispute(payment, outcome)
        if event == "reversed":
            event, refund = "PAYMENT.CAPTURE.REVERSED", Refund("reversal", payment.received, "done")
        elif event == "refunded":
            event = "PAYMENT.CAPTURE.REFUNDED"
        elif event == "approved":
            return "CHECKOUT.ORDER.APPROVED", "checkout-order", self._whole(payment)
        elif event == "closed":
            unit = {name: payment.extra["unit"][name] for name in ("reference_id", "custom_id", "invoice_id")}
            reversal = {"order_id": payment.reference, "purchase_units": [unit], "payment_source": {"paypal": {}}}
            return "CHECKOUT.PAYMENT-APPROVAL.REVERSED", "checkout-order", reversal
        return (event, "refund", self._refunded(payment, refund)) if refund and event.startswith("PAYMENT.") else None

    def _dispute(self, payment: Payment, outcome: str | None) -> dict[str, Any]:
        unit = payment.extra["unit"]
        return {
            "dispute_id": f"PP-D-{payment.reference}",
            "disputed_transactions": [
                {
                    "seller_transaction_id": payment.extra["capture"],
                    "invoice_number": unit["invoice_id"],
                    "custom": unit["custom_id"],
                    "gross_amount": self._money(payment, payment.received),
                    "seller": {"merchant_id": self.merchant_id, "name": "Merchant"},
                }
            ],
            "reason": "UNAUTHORISED",
            "status": "RESOLVED" if outcome else "OPEN",
            **({"dispute_outcome": {"outcome_code": outcome}} if outcome else {}),
        }

    def signature(
        self,
        body: bytes,
        *,
        identity: str,
        at: float,
        certificate: str = "",
        digest: HashAlgorithm | None = None,
    ) -> dict[str, str]:
        """The headers of a notice of this body, sent first at this moment (Unix seconds)."""
        name, sent = certificate or self.signs_with, _written_time(at)
        key = _key(self.certificates[name]["key"])
        transmission = str(uuid.uuid5(uuid.NAMESPACE_OID, identity))
        signed = f"{transmission}|{sent}|{self.account['webhook_id']}|{zlib.crc32(body)}".encode()
        proof = key.sign(signed, padding.PKCS1v15(), digest or SHA256())
        return {
            "PAYPAL-TRANSMISSION-ID": transmission,
            "PAYPAL-TRANSMISSION-TIME": sent,
            "PAYPAL-TRANSMISSION-SIG": base64.b64encode(proof).decode(),
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-CERT-URL": f"{self.url}{CERTIFICATES}/{name}",
        }


@lru_cache(maxsize=16)
def _key(written: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(written.encode(), None)  # takes a while: it is checked
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _check_amount(amount: Any) -> None:
    currency, value = amount.get("currency_code"), amount.get("value")
    if not isinstance(currency, str) or not CURRENCIES.fullmatch(currency):
        raise _refusal(422, "UNPROCESSABLE_ENTITY", "CURRENCY_NOT_SUPPORTED")
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        raise _refusal(400, "INVALID_REQUEST", "INVALID_PARAMETER_SYNTAX")
    decimals = value.partition(".")[2]
    if currency in WITHOUT_DECIMALS and decimals:
        raise _refusal(422, "UNPROCESSABLE_ENTITY", "DECIMALS_NOT_SUPPORTED")
    if len(decimals) > 2:
        raise _refusal(422, "UNPROCESSABLE_ENTITY", "DECIMAL_PRECISION")
    if not Decimal(value):
        raise _refusal(422, "UNPROCESSABLE_ENTITY", "CANNOT_BE_ZERO_OR_NEGATIVE")


def _refusal(status: int, name: str, issue: str = "") -> Refusal:
    told: dict[str, Any] = {"name": name, "message": "See the details.", "debug_id": secrets.token_hex(6)}
    return Refusal(status, {**told, "details": [{"issue": issue, "description": "…"}]} if issue else told)


def _unknown() -> Refusal:
    return _refusal(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")


def _number() -> str:
    """As PayPal numbers things."""
    return "".join(secrets.choice("0123456789ABCDEFGHJKLMNPRSTUVWXY") for _ in range(17))


def _short(refund: Refund) -> str:
    return refund.reference.upper()[:17]


def _written_time(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main(PayPal)
