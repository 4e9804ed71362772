"""A simulated BTCPay Server with one store: Greenfield invoices in any currency it has a rate for, paid in bitcoin.

Written from the server's own `/docs` (Greenfield API) and, where that is silent, from its source. Kept to here:

- `Authorization: token KEY`, else 401; another store 403; bad fields are a list of `{path, message}` with 422;
- creating an invoice is never idempotent: the same `metadata.orderId` again is one more invoice;
- bitcoin is divided into 8 digits: what is due is rounded up, so what comes in is worth a bit more than the price, and
  whatever is below a unit of bitcoin is no over-payment;
- a notice is signed over its body by the webhook's secret, and goes to the address in the webhook's settings; after
  silence, a 5xx, 408 or 429 it is sent again, as a redelivery with the first one's time;
- `POST …/status` marks what is not settled, however it stands, and that is told as well.

The books' ``received`` is in the invoice's currency. ``extra``: ``confirming`` (it is seen and not confirmed), ``late``
(it came after the expiry), ``marked`` (Settled or Invalid, by hand), ``expires``, and ``payments``, in place of the one
that is worked out from ``received``: ``[{"method"?, "value", "fee"?, "status"?}]``, in bitcoin.

``account``: ``{"store_id", "api_key", "webhook_secret", "webhook_url"?}``; nothing is told while there is no address.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal, InvalidOperation, localcontext
from typing import Any

from simulators.booth import Answer, Booth, Outgoing, Payment, Refund, Refusal, Request, Telling, main

RATES = {
    "CNY": Decimal("701204.402515723270440251572"),
    "EUR": Decimal("90123.45"),
    "JPY": Decimal("15012345.6"),
    "KRW": Decimal("141234567.89"),
    "USD": Decimal("98765.43"),
}
DIGITS = {"JPY": 0, "KRW": 0}
METHODS = ("BTC-CHAIN", "BTC-LN")
SATOSHI = Decimal("0.00000001")
_MONITORED = 86_400  # seconds after the expiry
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LARGEST = 2**64 - 1


def new_account() -> dict[str, Any]:
    return {"store_id": _name(44), "api_key": secrets.token_hex(20), "webhook_secret": _name(27)}


def sign(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def due(amount: Decimal, currency: str) -> Decimal:
    """In bitcoin."""
    with localcontext(prec=60):
        return (amount / RATES[currency]).quantize(SATOSHI, ROUND_UP)


class BtcPay(Booth):
    name = "btcpay"
    retries = (10, 60, 600, 600, 600, 600, 600, 600)

    def __init__(self, account: dict[str, Any], *, time_scale: float = 60.0) -> None:
        super().__init__(account, time_scale=time_scale)
        self.store_id: str = account["store_id"]
        self.api_key: str = account["api_key"]
        self.webhook_secret: str = account["webhook_secret"]
        self.webhook_url: str = account.get("webhook_url", "")
        self.webhook_id = _name(22)

    # The API

    def handle(self, request: Request) -> Answer:
        match request.method, request.path.split("/")[1:]:
            case "GET", ["i", number]:
                payment = self._found(number)
                return Answer(200, self.pay_page(payment), headers={"Referrer-Policy": "no-referrer"})
            case method, ["api", "v1", "stores", store, "invoices", *more]:
                self._let_in(request, store)
                return self._invoices(method, more, request)
        raise Refusal(404, {"code": "endpoint-not-found", "message": "There is no such endpoint"})

    def _let_in(self, request: Request, store: str) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"token {self.api_key}".encode()):
            raise _refusal(401, "unauthenticated", "Authentication is required for accessing this endpoint")
        if store != self.store_id:
            raise _refusal(403, "missing-permission", "Insufficient API Permissions on this store")

    def _invoices(self, method: str, more: list[str], request: Request) -> Answer:
        match method, more:
            case "POST", []:
                self.check_outage("create")
                return Answer(200, self._shown(self._create(request.json())))
            case "GET", []:
                self.check_outage("query")
                wanted = request.query.get("orderId")
                newest = [each for each in reversed(self._payments.values()) if wanted in {None, _order_id(each)}]
                return Answer(200, [self._shown(each) for each in newest])
            case "GET", [number]:
                self.check_outage("query")
                return Answer(200, self._shown(self._found(number)))
            case "GET", [number, "payment-methods"]:
                self.check_outage("query")
                return Answer(200, self._methods(self._found(number)))
            case "POST", [number, "status"]:
                self.check_outage("close")
                return Answer(200, self._shown(self._mark(self._found(number), request.json())))
        raise Refusal(404, {"code": "endpoint-not-found", "message": "There is no such endpoint"})

    def _create(self, wanted: dict[str, Any]) -> Payment:
        metadata, checkout = wanted.get("metadata") or {}, wanted.get("checkout") or {}
        if not isinstance(metadata, dict) or not isinstance(checkout, dict):
            raise _bad("metadata", "checkout")
        minutes, tolerance = checkout.get("expirationMinutes", 15), checkout.get("paymentTolerance", 0)
        currency, back = wanted.get("currency", "USD"), checkout.get("redirectURL") or ""
        amount = _decimal(wanted.get("amount"))
        wrong = {
            "amount": amount is None or not 0 <= amount <= _LARGEST,
            "currency": not isinstance(currency, str) or not re.fullmatch("[A-Z]{3,5}", currency),
            "checkout.expirationMinutes": type(minutes) is not int or minutes < 1,
            "checkout.paymentTolerance": type(tolerance) not in (int, float) or not 0 <= tolerance <= 100,
            "checkout.redirectURL": not isinstance(back, str),
        }
        if any(wrong.values()):
            raise _bad(*(path for path, is_wrong in wrong.items() if is_wrong))
        if currency not in RATES:
            raise _refusal(400, "generic-error", f"No payment method is available: no rate for {currency}")
        assert amount is not None
        order_id = metadata.get("orderId") or ""
        again = sum(_order_id(each) == order_id for each in self._payments.values())
        return self.open(
            Payment(
                number=f"{order_id}#{again + 1}" if again or not order_id else order_id,
                amount=f"{amount.quantize(Decimal(1).scaleb(-DIGITS.get(currency, 2)), ROUND_HALF_EVEN):f}",
                currency=currency,
                return_url=back,
                reference=_name(22),
                extra={"metadata": metadata, "made": int(time.time()), "expires": int(time.time()) + 60 * minutes},
            )
        )

    def _mark(self, payment: Payment, wanted: dict[str, Any]) -> Payment:
        status, now = wanted.get("status"), self.state(payment)
        if (status not in ("Settled", "Invalid") or status == now[0]) or (now[0] == "Settled" and now[1] != "Marked"):
            raise _bad("status")
        payment.extra["marked"] = status
        if payment.status == "open":
            payment.status = "paid" if status == "Settled" else "closed"
        self.tell(payment, "paid" if status == "Settled" else "closed")
        return payment

    # The books

    def pay(self, payment: Payment, received: str | None = None, notify: bool = True) -> bool:
        self.state(payment)
        return super().pay(payment, received, notify)

    def way_back(self, payment: Payment) -> str:
        known = {"{OrderId}": _order_id(payment) or "", "{InvoiceId}": payment.reference}
        return re.sub("|".join(map(re.escape, known)), lambda found: known[found[0]], payment.return_url)

    def state(self, payment: Payment) -> tuple[str, str]:
        """Status and additional status, by what the books have; one that is open expires when its time is over."""
        if payment.status == "open" and time.time() > payment.extra["expires"]:
            payment.status = "closed"
        if marked := payment.extra.get("marked"):
            return marked, "Marked"
        received, asked = Decimal(payment.received), Decimal(payment.amount)
        short, over = received < asked, received > asked
        match payment.status:
            case "open":
                return "New", "PaidPartial" if received else "None"
            case "closed":
                return "Expired", "PaidPartial" if received else "None"
            case "failed":
                return "Invalid", "None"
        if short or payment.extra.get("late"):
            return "Expired", "PaidPartial" if short else "PaidLate"
        return "Processing" if payment.extra.get("confirming") else "Settled", "PaidOver" if over else "None"

    def payments(self, payment: Payment) -> list[dict[str, Any]]:
        """What has come in, in bitcoin."""
        received = Decimal(payment.received)
        worked_out = [{"value": f"{due(received, payment.currency):f}"}] if received else []
        status = "Processing" if payment.extra.get("confirming") else "Settled"
        given = payment.extra.get("payments", worked_out)
        return [{"method": METHODS[0], "fee": "0.0", "status": status, **each} for each in given]

    def _found(self, number: str) -> Payment:
        payment = self.find(reference=number)
        if payment is None:
            raise _refusal(404, "invoice-not-found", "The invoice was not found")
        return payment

    def _shown(self, payment: Payment) -> dict[str, Any]:
        status, additional = self.state(payment)
        return {
            "id": payment.reference,
            "storeId": self.store_id,
            "amount": payment.amount,
            "paidAmount": payment.received,
            "currency": payment.currency,
            "type": "Standard",
            "checkoutLink": f"{self.url}/i/{payment.reference}",
            "createdTime": payment.extra["made"],
            "expirationTime": payment.extra["expires"],
            "monitoringExpiration": payment.extra["expires"] + _MONITORED,
            "status": status,
            "additionalStatus": additional,
            "archived": False,
            "metadata": payment.extra["metadata"],
            "checkout": {"redirectURL": payment.return_url, "paymentMethods": list(METHODS)},
        }

    def _methods(self, payment: Payment) -> list[dict[str, Any]]:
        came = self.payments(payment)
        with localcontext(prec=60):
            counted = [each for each in came if each["status"] != "Invalid"]
            paid, fees = _sum(counted, "value"), _sum(counted, "fee")
            asked = due(Decimal(payment.amount), payment.currency) + fees
            return [
                {
                    "paymentMethodId": method,
                    "currency": "BTC",
                    "activated": True,
                    "destination": f"bc1q{payment.reference.lower()}",
                    "rate": f"{RATES[payment.currency]:f}",
                    "paymentMethodPaid": f"{_sum([each for each in counted if each['method'] == method], 'value'):f}",
                    "totalPaid": f"{paid:f}",
                    "due": f"{asked - paid:f}",
                    "amount": f"{asked:f}",
                    "payments": [_coins(payment, each) for each in came if each["method"] == method],
                }
                for method in METHODS
            ]

    # The notices

    def tell(self, payment: Payment, event: str, refund: Refund | None = None) -> None:
        if self.webhook_url:
            super().tell(payment, event, refund)

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        told = self._event(payment, event)
        if told is None:
            return None
        again = telling.attempt > 0
        fields = {
            "deliveryId": f"{telling.id}-{telling.attempt}" if again else telling.id,
            "webhookId": self.webhook_id,
            "originalDeliveryId": telling.id,
            "isRedelivery": again,
            "type": told.pop("type"),
            "timestamp": int(telling.at),
            "storeId": self.store_id,
            "invoiceId": payment.reference,
            "metadata": payment.extra["metadata"],
            **told,
        }
        body = json.dumps(fields, indent=2, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "BTCPay-Sig": sign(body, self.webhook_secret)}
        return Outgoing("POST", self.webhook_url, headers, body)

    def _event(self, payment: Payment, event: str) -> dict[str, Any] | None:
        status, additional = self.state(payment)
        by_hand, over = additional == "Marked", additional == "PaidOver"
        if event == "paid" and status == "Expired" and additional == "PaidPartial":
            return {"type": "InvoiceExpired", "partiallyPaid": True}
        if event == "closed" and status == "Invalid":
            event = "failed"
        after = status in ("Expired", "Invalid")
        if event == "paid" and (after or status == "Processing"):
            event = "confirmed" if after else "processing"
        coins: dict[str, Any] = {"afterExpiration": after}
        if came := self.payments(payment):
            coins |= {"paymentMethodId": came[-1]["method"], "payment": _coins(payment, came[-1])}
        events: dict[str, dict[str, Any]] = {
            "created": {"type": "InvoiceCreated"},
            "received": {"type": "InvoiceReceivedPayment", **coins},
            "processing": {"type": "InvoiceProcessing", "overPaid": over},
            "confirmed": {"type": "InvoicePaymentSettled", **coins},
            "paid": {"type": "InvoiceSettled", "manuallyMarked": by_hand, "overPaid": over},
            "closed": {"type": "InvoiceExpired", "partiallyPaid": additional == "PaidPartial"},
            "failed": {"type": "InvoiceInvalid", "manuallyMarked": by_hand},
        }
        return events.get(event)

    def gives_up(self, status: int) -> bool:
        return status not in (0, 408, 429) and status < 500


def _order_id(payment: Payment) -> str | None:
    order_id: str | None = payment.extra["metadata"].get("orderId")
    return order_id


def _coins(payment: Payment, came: dict[str, Any]) -> dict[str, Any]:
    shown = {name: came[name] for name in ("value", "fee", "status")}
    return {"id": f"{payment.reference}-{came['value']}", "receivedDate": payment.extra["made"], **shown}


def _sum(payments: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(each[name]) for each in payments), Decimal())


def _name(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _decimal(given: object) -> Decimal | None:
    try:
        value = Decimal(given) if isinstance(given, str | int) and not isinstance(given, bool) else Decimal("NaN")
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _refusal(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"code": code, "message": message})


def _bad(*paths: str) -> Refusal:
    wrong = [{"path": path, "message": f"The value of {path} is not valid"} for path in paths]
    return Refusal(422, json.dumps(wrong).encode())


if __name__ == "__main__":
    main(BtcPay)
