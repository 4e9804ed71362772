"""The simulated BTCPay Server, seen over HTTP as a shop and a buyer see it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from simulators import btcpay
from simulators.booth import Payment, serve
from tests.simulators.shop import listening

ACCOUNT = {"store_id": "S" * 44, "api_key": "k" * 40, "webhook_secret": "HelloWorld"}
ORDER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
WANTED: dict[str, Any] = {
    "amount": "9.90",
    "currency": "CNY",
    "metadata": {"orderId": ORDER},
    "checkout": {"expirationMinutes": 30, "redirectURL": "https://shop.example/orders/{OrderId}"},
}


@pytest.fixture
def booth() -> Iterator[btcpay.BtcPay]:
    with serve(btcpay.BtcPay(dict(ACCOUNT), time_scale=60_000)) as served:
        yield served


@pytest.fixture
def api(booth: btcpay.BtcPay) -> Iterator[httpx.Client]:
    base = f"{booth.url}/api/v1/stores/{ACCOUNT['store_id']}"
    with httpx.Client(base_url=base, headers={"Authorization": f"token {ACCOUNT['api_key']}"}) as client:
        yield client


def created(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = api.post("/invoices", json=WANTED | changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kept(booth: btcpay.BtcPay) -> Payment:
    found = booth.find(number=ORDER)
    assert found is not None
    return found


def test_the_signature_is_the_protocols() -> None:
    body = b'{"type":"InvoiceSettled","invoiceId":"inv1"}'
    signature = "sha256=9854c68573da666e8cd5dfe3ec92f9fc28ce8f4ff3fbd8fab374dc82a50f6fa1"
    assert btcpay.sign(body, "HelloWorld") == signature


def test_nobody_is_let_in_without_the_key_nor_to_another_store(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    assert httpx.get(f"{api.base_url}invoices").status_code == 401
    refused = api.get("/invoices", headers={"Authorization": f"Bearer {ACCOUNT['api_key']}"})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    other = api.get(f"{booth.url}/api/v1/stores/{'T' * 44}/invoices")
    assert (other.status_code, other.json()["code"]) == (403, "missing-permission")


def test_an_invoice_is_shown_as_it_was_asked_for(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    invoice = created(api)
    assert (invoice["amount"], invoice["currency"], invoice["metadata"]) == ("9.90", "CNY", {"orderId": ORDER})
    assert (invoice["status"], invoice["additionalStatus"]) == ("New", "None")
    assert abs(invoice["expirationTime"] - time.time() - 1800) < 5
    assert api.get(f"/invoices/{invoice['id']}").json() == invoice
    page = httpx.get(invoice["checkoutLink"])
    assert "9.90 CNY" in page.text
    assert api.get("/invoices/unknown").json()["code"] == "invoice-not-found"


def test_the_same_order_again_is_one_more_invoice(api: httpx.Client) -> None:
    first, second = created(api), created(api)
    other = created(api, metadata={"orderId": "another"})
    assert len({first["id"], second["id"], other["id"]}) == 3
    found = api.get("/invoices", params={"orderId": ORDER}).json()
    assert [each["id"] for each in found] == [second["id"], first["id"]], "the newest first"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"amount": "-1"}, "amount"),
        ({"amount": "x"}, "amount"),
        ({"amount": 2**64}, "amount"),
        ({"amount": None}, "amount"),
        ({"currency": "cny"}, "currency"),
        ({"metadata": "none"}, "metadata"),
        ({"checkout": {"expirationMinutes": "30"}}, "checkout.expirationMinutes"),
        ({"checkout": {"expirationMinutes": 0}}, "checkout.expirationMinutes"),
        ({"checkout": {"paymentTolerance": 101}}, "checkout.paymentTolerance"),
    ],
)
def test_what_makes_no_invoice_is_refused_by_its_field(api: httpx.Client, changes: dict[str, Any], path: str) -> None:
    answer = api.post("/invoices", json=WANTED | changes)
    assert answer.status_code == 422
    assert answer.json()[0]["path"] == path


def test_a_currency_without_a_rate_is_refused(api: httpx.Client) -> None:
    answer = api.post("/invoices", json=WANTED | {"currency": "XAU"})
    assert (answer.status_code, answer.json()["code"]) == (400, "generic-error")


def test_a_payment_is_worth_the_price_and_a_bit_of_dust(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    invoice = created(api)
    booth.pay(kept(booth), notify=False)
    chain, lightning = api.get(f"/invoices/{invoice['id']}/payment-methods").json()
    (coins,) = chain["payments"]
    worth = Decimal(coins["value"]) * Decimal(chain["rate"])
    assert Decimal("9.90") <= worth < Decimal("9.91")
    assert (coins["status"], lightning["payments"]) == ("Settled", [])
    assert Decimal(chain["due"]) == 0
    assert lightning["totalPaid"] == chain["totalPaid"] == coins["value"], "of all methods"
    assert Decimal(lightning["paymentMethodPaid"]) == 0


@pytest.mark.parametrize(
    ("received", "extra", "told"),
    [
        (None, {}, "Settled None InvoiceSettled"),
        ("12.00", {}, "Settled PaidOver InvoiceSettled"),
        ("1.00", {}, "Expired PaidPartial InvoiceExpired"),
        (None, {"late": True}, "Expired PaidLate InvoicePaymentSettled"),
        (None, {"confirming": True}, "Processing None InvoiceProcessing"),
    ],
)
def test_what_a_buyer_pays_is_told_as_the_books_have_it(
    booth: btcpay.BtcPay, api: httpx.Client, received: str | None, extra: dict[str, Any], told: str
) -> None:
    created(api)
    kept(booth).extra |= extra
    with listening() as there:
        booth.webhook_url = there.url
        booth.pay(kept(booth), received)
        booth.quiet()
        (notice,) = there.told
    event = notice.json()
    expected = "sha256=" + hmac.new(b"HelloWorld", notice.body, hashlib.sha256).hexdigest()
    assert notice.headers["btcpay-sig"] == expected
    assert event["metadata"] == {"orderId": ORDER}
    assert " ".join((*booth.state(kept(booth)), event["type"])) == told
    assert event["storeId"] == ACCOUNT["store_id"]


@pytest.mark.parametrize(("status", "tries"), [(200, 1), (400, 1), (404, 1), (302, 1), (408, 9), (429, 9), (503, 9)])
def test_a_notice_is_sent_again_after_some_answers_only(
    booth: btcpay.BtcPay, api: httpx.Client, status: int, tries: int
) -> None:
    created(api)
    with listening() as there:
        booth.webhook_url, there.reply = there.url, lambda _: (status, b"")
        booth.pay(kept(booth))
        booth.quiet()
        told = [each.json() for each in there.told]
    assert len(told) == tries
    assert [event["isRedelivery"] for event in told] == [False] + [True] * (tries - 1)
    assert len({event["originalDeliveryId"] for event in told}) == len({event["timestamp"] for event in told}) == 1
    assert len({event["deliveryId"] for event in told}) == tries


def test_a_status_is_set_by_hand_where_the_server_lets_it_be(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    invoice = created(api)
    mark = f"/invoices/{invoice['id']}/status"
    assert api.post(mark, json={"status": "New"}).status_code == 422
    with listening() as there:
        booth.webhook_url = there.url
        closed = api.post(mark, json={"status": "Invalid"}).json()
        booth.quiet()
        (notice,) = there.told
    event = notice.json()
    assert (closed["status"], closed["additionalStatus"]) == ("Invalid", "Marked")
    assert (event["type"], event["manuallyMarked"]) == ("InvoiceInvalid", True)
    assert api.post(mark, json={"status": "Invalid"}).status_code == 422
    assert not booth.pay(kept(booth))
    assert api.post(mark, json={"status": "Settled"}).json()["status"] == "Settled"
    paid = created(api, metadata={"orderId": "paid"})
    there_paid = booth.find(number="paid")
    assert there_paid is not None
    booth.pay(there_paid, notify=False)
    refused = api.post(f"/invoices/{paid['id']}/status", json={"status": "Invalid"})
    assert refused.status_code == 422, "what is settled stays so"


def test_an_invoice_expires_and_cannot_be_paid_then(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    invoice = created(api)
    kept(booth).extra["expires"] = int(time.time()) - 1
    assert not booth.pay(kept(booth))
    assert api.get(f"/invoices/{invoice['id']}").json()["status"] == "Expired"


def test_the_page_is_paid_with_a_mouse_and_leads_back(booth: btcpay.BtcPay, api: httpx.Client) -> None:
    invoice = created(api)
    answer = httpx.post(f"{booth.url}/_pay/{invoice['id']}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"https://shop.example/orders/{ORDER}")
    assert booth.state(kept(booth)) == ("Settled", "None")
