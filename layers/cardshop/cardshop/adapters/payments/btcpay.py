"""BTCPay Server, the operator's own: an invoice on its checkout page, a signed notice, and the invoice asked for.

Rules of the protocol (Greenfield API: the server's own `/docs`; where that is silent, the server's source):

- requests carry `Authorization: token KEY`, amounts are decimal texts in the invoice's currency. Creating an invoice
  twice makes two, so a payment's are looked for first: `GET invoices?orderId=`, which is `metadata.orderId`;
- `BTCPay-Sig: sha256=HEX` is HMAC-SHA256 over the raw body by the webhook's secret. There is no time to go by: a
  redelivery (`isRedelivery`, `originalDeliveryId`) has the first one's `timestamp`, up to an hour later. A notice
  played again does no harm: it only makes the shop ask, and the payment's own state tells what is done already;
- notices name no amount, and those of old servers no metadata;
- New → Processing (all of it is seen) → Settled (confirmed, as the store's speed policy has it). New → Expired when its
  time is over; Processing → Invalid when the store's monitoring time is over too. Until then more may come in, which
  leaves the status as it is: `afterExpiration`;
- `additionalStatus`: `PaidPartial`, `PaidOver`, `PaidLate`, or `Marked`: set by hand, with `POST …/status`;
- `payment-methods` lists what came in by method, and `(value - fee) × rate` is its worth in the invoice's currency. A
  method's own `totalPaid` is what all of them brought: adding those up counts everything twice;
- coins have a smallest unit, so that the price is rounded up to it. Whoever paid that has paid exactly, not over: `due`
  of the method is 0 then;
- a refund is a pull payment: an offer at a rate to be chosen, for the buyer to claim to an address, some day or never.
  Asked for twice it is two offers, and no notice tells of it. So the shop sends none: it is the operator's task.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cardshop.adapters.clock import clock
from cardshop.adapters.payments import outbound, wire
from cardshop.adapters.payments.forms import LOCAL, fit, only
from cardshop.domain.errors import Confirming, InvalidNotice, Unavailable
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
    Terms,
)
from cardshop.ports import Provider

_URL = rf"(?i)(https://[a-z0-9.-]+(:\d{{1,5}})?|{LOCAL})(/[\w.-]+)*"
_PUBLIC = {
    "url": (_URL, "the server's address, https, without /api/v1"),
    "store_id": ("[0-9A-Za-z]{20,64}", "the store's id, letters and digits"),
    "currencies": ("[A-Z]{3}(,[A-Z]{3}){0,19}", "codes of three capitals, comma-separated: CNY,USD"),
}
_SECRET = {
    "api_key": ("[0-9A-Za-z]{20,128}", "an API key, letters and digits"),
    "webhook_secret": (
        "[!-~]{8,128}( [!-~]{8,128})?",
        "the webhook's secret, 8 characters or more, no blank in it; while it changes two, blank-separated",
    ),
}
_DEFAULTS = {"currencies": "CNY,USD,EUR"}

#: Events of an invoice's fate; what else there is (created, seen, being confirmed) needs nothing.
_FATES = frozenset(
    {
        *("InvoiceSettled", "InvoiceExpired", "InvoiceExpiredPaidPartial", "InvoicePaidAfterExpiration"),
        *("InvoicePaymentSettled", "InvoiceInvalid"),
    }
)
_TEST = "__test__"  # begins the number of an invoice that is none, in what the webhook's page sends to test it

_NUMBER = re.compile(r"[0-9A-Za-z]{1,64}")  # of an invoice: it goes into a path
_DECIMAL = re.compile(r"-?[0-9]{1,29}(\.[0-9]{1,28})?")  # as the server writes one: rates have more digits than money
_CODE = re.compile(r"[a-z-]{1,64}")
_MOST = 10**11  # minor units; the server's own limit has no meaning (2^64)
_NAME_CHARACTERS = 200
_MAX_LIST = 512 * 1024  # bytes: more than a call answers


@dataclass(frozen=True, slots=True)
class _Invoice:
    number: str
    status: str
    additional: str
    amount: Money
    page: str


class BtcPay(Provider):
    name = "btcpay"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        given = {**_DEFAULTS, **settings, "url": settings.get("url", "").rstrip("/")}
        fields = {**_PUBLIC, **_SECRET}
        fit(given, fields)
        only(given, fields, self.name)
        return {field: given[field] for field in _PUBLIC}, {field: given[field] for field in _SECRET}

    def terms(self, channel: Channel) -> Terms:
        currencies = channel.settings["currencies"].split(",")
        return Terms(amounts=dict.fromkeys(currencies, (1, _MOST)), refunds=Refunds.NONE)

    def account(self, channel: Channel) -> str:
        return channel.settings["store_id"]

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        """The invoice that there is, if it was paid or can be; else a new one.

        It ends with the order's window or up to a minute later, never before: its end is the payment's.
        """
        found = self._invoices(channel, request.payment_id)
        alive = [each for status in ("Settled", "Processing", "New") for each in found if each.status == status]
        invoice = alive[0] if alive else self._create(channel, request)
        if invoice.amount != request.amount or not wire.LINK.fullmatch(invoice.page):
            raise Unavailable(f"{self.name}: another amount than asked for in its answer, or no page")
        return PaymentSession(redirect_url=invoice.page, session_ref=invoice.number)

    def _create(self, channel: Channel, request: PaymentRequest) -> _Invoice:
        answer = self._call(
            channel,
            "POST",
            body={
                "amount": request.amount.decimal(),
                "currency": request.amount.currency,
                "metadata": {"orderId": request.payment_id, "itemDesc": request.name[:_NAME_CHARACTERS]},
                "checkout": {
                    "redirectURL": request.return_url,
                    "redirectAutomatically": True,
                    "expirationMinutes": max(1, -(-(request.expires_at - clock()) // 60_000)),
                    "paymentTolerance": 0,  # settled is to mean all of it
                },
            },
            repeatable=False,
        )
        return self._invoice(channel, answer.json(), request.payment_id)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        given = notice.headers.get("btcpay-sig", "")
        secrets = channel.secrets.get("webhook_secret", "").split()
        ours = [f"sha256={hmac.new(secret.encode(), notice.body, 'sha256').hexdigest()}" for secret in secrets]
        if not any(wire.same(given, each) for each in ours):
            raise InvalidNotice("BTCPay-Sig")
        event = wire.body_object(notice)
        with wire.as_notice():
            if wire.text(event, "type") not in _FATES:
                return []
            number, account = wire.text(event, "invoiceId"), wire.text(event, "storeId")
            payment_id = wire.optional_text(event, "metadata", "orderId")
        if number.startswith(_TEST):
            return []
        if not _NUMBER.fullmatch(number):
            raise InvalidNotice("invoiceId")
        return [PaymentEvent(payment_id, _kind(event), provider_ref=number, account=account)]

    def trace(self, channel: Channel, event: PaymentEvent) -> str | None:
        invoice = self._call(channel, "GET", f"/{event.provider_ref}").json()
        try:
            if wire.text(invoice, "id") == event.provider_ref:
                return wire.optional_text(invoice, "metadata", "orderId")
        except ValueError:
            pass
        raise Unavailable(f"{self.name}: no invoice in its answer")

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        return self._said(channel, payment, self._of(channel, payment))

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """Confirming while all of the money is seen and not confirmed: the buyer has done his part, so the order stays
        open with its cards. The store's monitoring time bounds that: then the invoice is settled, or invalid.
        """
        found = self._of(channel, payment)
        if any(each.status == "Processing" for each in found):
            raise Confirming(f"{self.name}: a payment is being confirmed")
        closed = [self._close(channel, payment, each) if each.status == "New" else each for each in found]
        return self._said(channel, payment, closed)

    def _close(self, channel: Channel, payment: Payment, invoice: _Invoice) -> _Invoice:
        answer = self._call(channel, "POST", f"/{invoice.number}/status", body={"status": "Invalid"})
        return self._invoice(channel, answer.json(), payment.payment_id)

    def _said(self, channel: Channel, payment: Payment, invoices: list[_Invoice]) -> PaymentEvent:
        """What the payment's invoices come to: there are two if it was opened twice at the same moment."""
        said = [(each, *self._meaning(channel, each)) for each in invoices]
        paid = [(invoice, received) for invoice, _, received in said if received is not None]
        if paid:
            currencies = {received.currency for _, received in paid}
            if len(currencies) > 1:
                raise Unavailable(f"{self.name}: a payment in two currencies")
            amount = Money(sum(received.minor for _, received in paid), currencies.pop())
            return PaymentEvent(payment.payment_id, EventKind.PAID, amount, paid[0][0].number)
        over = bool(said) and all(kind is EventKind.FAILED for _, kind, _ in said)
        number = said[0][0].number if said else None
        return PaymentEvent(payment.payment_id, EventKind.FAILED if over else EventKind.OPEN, None, number)

    def _meaning(self, channel: Channel, invoice: _Invoice) -> tuple[EventKind, Money | None]:
        """Of one invoice, with what it received once that is final."""
        match invoice.status, invoice.additional:
            case "New" | "Processing", _:
                return EventKind.OPEN, None
            case "Settled", "PaidOver":
                received, _ = self._received(channel, invoice)
                return EventKind.PAID, Money(max(received.minor, invoice.amount.minor), received.currency)
            case "Settled", _:
                return EventKind.PAID, invoice.amount
            case "Expired" | "Invalid", _:
                received, waits = self._received(channel, invoice)
                if waits:
                    return EventKind.OPEN, None
                return (EventKind.PAID, received) if received.minor else (EventKind.FAILED, None)
        raise Unavailable(f"{self.name}: an unknown status in its answer")

    def _received(self, channel: Channel, invoice: _Invoice) -> tuple[Money, bool]:
        """What has come in and is confirmed, rounded down to the minor unit, and whether more waits to be confirmed."""
        methods = _objects(self._call(channel, "GET", f"/{invoice.number}/payment-methods"))
        total, waits, exact = Fraction(), False, False
        try:
            for method in methods:
                for payment in method["payments"]:
                    status = wire.text(payment, "status")
                    waits = waits or status == "Processing"
                    if status == "Settled":
                        total += (_exact(payment, "value") - _exact(payment, "fee")) * _exact(method, "rate")
                        exact = exact or _exact(method, "due") == 0
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(f"{self.name}: its list of payments makes no sense") from None
        asked = invoice.amount
        minor = max(0, math.floor(total * 10 ** exponent(asked.currency)))
        return Money(min(minor, asked.minor) if exact else minor, asked.currency), waits

    def _of(self, channel: Channel, payment: Payment) -> list[_Invoice]:
        """The payment's invoices; none if it was never opened. Unavailable if the one that was is not among them."""
        found = self._invoices(channel, payment.payment_id)
        if payment.session_ref is not None and payment.session_ref not in {each.number for each in found}:
            raise Unavailable(f"{self.name} does not show the payment's invoice")
        return found

    def _invoices(self, channel: Channel, payment_id: str) -> list[_Invoice]:
        answer = self._call(channel, "GET", f"?orderId={payment_id}&includeArchived=true")
        return [self._invoice(channel, each, payment_id) for each in _objects(answer)]

    def _invoice(self, channel: Channel, found: Mapping[str, Any], payment_id: str) -> _Invoice:
        try:
            amount = Money.parse(wire.decimal_text(found.get("amount")), wire.text(found, "currency"))
            named = wire.text(found, "storeId"), wire.text(found, "metadata", "orderId")
            number, page = wire.text(found, "id"), wire.text(found, "checkoutLink")
            invoice = _Invoice(number, wire.text(found, "status"), wire.text(found, "additionalStatus"), amount, page)
        except ValueError:
            raise Unavailable(f"{self.name}: no invoice in its answer") from None
        if named != (self.account(channel), payment_id) or not _NUMBER.fullmatch(number):
            raise Unavailable(f"{self.name} answered for another payment")
        return invoice

    def _call(
        self,
        channel: Channel,
        method: str,
        path: str = "",
        *,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> outbound.Answer:
        """Of the store's invoices; Unavailable, with the server's own code, if it refuses."""
        answer = outbound.call(
            method,
            f"{channel.settings['url']}/api/v1/stores/{channel.settings['store_id']}/invoices{path}",
            headers={"Authorization": f"token {channel.secrets['api_key']}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
            repeatable=repeatable,
        )
        if answer.status == 200:
            return answer
        raise Unavailable(f"{self.name} refused: {answer.status} {_code(answer)}".rstrip())


def _kind(event: Mapping[str, Any]) -> EventKind:
    match event["type"]:
        case "InvoicePaymentSettled" if event.get("afterExpiration") is False:
            return EventKind.OPEN  # its invoice is not over
        case "InvoiceInvalid" if event.get("manuallyMarked") is True:
            return EventKind.OPEN  # by this shop, which knows, or by an operator: the closing asks
    return EventKind.ASK


def _code(answer: outbound.Answer) -> str:
    """The server's name for what is wrong; nothing for a list of bad fields."""
    try:
        code = wire.text(answer.json(), "code")
    except (ValueError, Unavailable):
        return ""
    return code if _CODE.fullmatch(code) else ""


def _objects(answer: outbound.Answer) -> list[dict[str, Any]]:
    """The objects of a list, read as strictly as one."""
    try:
        found = wire.json_object(b'{"all": %b}' % answer.body, _MAX_LIST)["all"]
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Unavailable("the provider's answer is no list")
    return found


def _exact(of: Mapping[str, Any], name: str) -> Fraction:
    written = wire.text(of, name)
    if not _DECIMAL.fullmatch(written):
        raise ValueError("no decimal")
    return Fraction(written)
