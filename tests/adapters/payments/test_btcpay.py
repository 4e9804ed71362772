"""BTCPay Server: what is signed, what is worth asking for, and how much came in, to the unit and not above it."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cardshop.adapters.payments import outbound, provider
from cardshop.adapters.payments.btcpay import BtcPay
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, NotRefundable, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentState,
    Refunds,
    RefundState,
    Reply,
)
from hypothesis import given
from hypothesis import strategies as st

from simulators import booth
from simulators import btcpay as simulated
from simulators.booth import serve
from tests.functions.samples import sample

SECRET = "btcpay-webhook-secret"
STORE = "9CiNzAJqUAwRXqRUBn7NvFwzoDnkaAxtKxDqGFq9Pn3S"
KEY = "f1e2d3c4b5a69788796a5b4c3d2e1f0f1e2d3c4b"
NUMBER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
INVOICE = "7Qp3WdVbJxhK2mTzYnE5Fg"
PRICE = Money(990, "CNY")
SETTINGS = {"url": "https://btcpay.shop.example", "store_id": STORE, "api_key": KEY, "webhook_secret": SECRET}

btcpay = BtcPay()


def channel(**settings: str) -> Channel:
    public, secrets = btcpay.check_settings({**SETTINGS, **settings})
    return Channel("bitcoin", "btcpay", public, secrets)


def request(**changes: Any) -> PaymentRequest:
    asked = PaymentRequest(
        payment_id=NUMBER,
        amount=PRICE,
        name="Steam 充值卡 50 元 & Gift <Card>",
        notify_url="https://shop.example/api/webhooks/bitcoin",
        return_url="https://shop.example/api/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e/return",
        terminal="pc",
        expires_at=int(time.time() * 1000) + 1_800_000,
    )
    return replace(asked, **changes)


def payment(session_ref: str | None = None, **changes: Any) -> Payment:
    return replace(Payment(NUMBER, "bitcoin", PRICE, PaymentState.OPEN, session_ref=session_ref), **changes)


def said(kind: EventKind, amount: Money | None = None, number: str | None = INVOICE) -> PaymentEvent:
    return PaymentEvent(NUMBER, kind, amount, number)


# ---- the server: the simulated one, and one that answers what it is told to


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "pause", lambda _: None)


@pytest.fixture
def server() -> Iterator[simulated.BtcPay]:
    account = {"store_id": STORE, "api_key": KEY, "webhook_secret": SECRET}
    with serve(simulated.BtcPay(account)) as served:
        yield served


@pytest.fixture
def here(server: simulated.BtcPay) -> Channel:
    return channel(url=server.url)


def invoice(status: str = "Settled", additional: str = "None", **changes: Any) -> dict[str, Any]:
    return {
        "id": INVOICE,
        "storeId": STORE,
        "amount": "9.90",
        "currency": "CNY",
        "checkoutLink": f"https://btcpay.shop.example/i/{INVOICE}",
        "status": status,
        "additionalStatus": additional,
        "metadata": {"orderId": NUMBER},
        **changes,
    }


def method(rate: str, *payments: tuple[str, str, str], **changes: Any) -> dict[str, Any]:
    """Each payment as (value, fee, status). `totalPaid` is of all methods: whoever adds those up, counts twice."""
    came = [{"id": "1", "value": value, "fee": fee, "status": status} for value, fee, status in payments]
    return {"rate": rate, "due": "-1", "totalPaid": "1000", "paymentMethodPaid": "1000", "payments": came, **changes}


Say = Callable[..., None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Say:
    """What the server answers to any list of invoices, and to any list of payments."""
    told: dict[str, Answer] = {}

    def call(verb: str, url: str, **_: Any) -> Answer:
        assert verb == "GET"
        return told["payments" if url.endswith("/payment-methods") else "invoices"]

    def say(invoices: Any, payments: Any = None, status: int = 200) -> None:
        for name, body in {"invoices": invoices, "payments": payments}.items():
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            told[name] = Answer(status, {}, data)

    monkeypatch.setattr(outbound, "call", call)
    return say


# ---- settings


def test_it_is_what_btcpay_names() -> None:
    assert isinstance(provider("btcpay"), BtcPay)


def test_settings_are_saved_and_secrets_kept_apart() -> None:
    public, secrets = btcpay.check_settings({**SETTINGS, "url": "https://shop.example:8443/btcpay/"})
    assert public == {"url": "https://shop.example:8443/btcpay", "store_id": STORE, "currencies": "CNY,USD,EUR"}
    assert secrets == {"api_key": KEY, "webhook_secret": SECRET}
    assert btcpay.check_settings({**SETTINGS, "url": "http://127.0.0.1:8801"})[0]["url"] == "http://127.0.0.1:8801"
    assert btcpay.check_settings({**SETTINGS, "webhook_secret": "new-secret old-secret"})[1]["webhook_secret"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("url", value)
            for value in ("", "http://shop.example", "ftp://a", "https://", "https://a/b?c", "https://a b")
        ),
        ("url", "https://shop.example/\n"),
        ("url", "https://user@shop.example"),
        ("url", "http://127.0.0.1.evil.example:80"),
        *(("store_id", value) for value in ("", "short", STORE + "/", "店" * 30, "a" * 65)),
        *(("api_key", value) for value in ("", " " * 40, "short", KEY + "\n", KEY + " " + KEY, "a" * 129)),
        *(("webhook_secret", value) for value in ("", "        ", "short", "a b c", "one-secret two-secret three-one")),
        ("webhook_secret", "密" * 20),
        *(("currencies", value) for value in ("", "cny", "CNY USD", "CNY,", ",CNY", "YUAN", ",".join(["CNY"] * 21))),
        ("storeid", STORE),
        ("webhook_url", "https://shop.example"),
    ],
)
def test_the_bad_setting_is_named_first_and_no_secret_is_quoted(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        btcpay.check_settings({**SETTINGS, field: value})
    assert str(refused.value).startswith(f"{field}: ")
    assert len(value) < 8 or value not in str(refused.value)


@pytest.mark.parametrize("field", ["url", "store_id", "api_key", "webhook_secret"])
def test_every_other_setting_is_needed(field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        btcpay.check_settings({name: value for name, value in SETTINGS.items() if name != field})


def test_the_terms_are_the_stores_currencies_and_no_refunds() -> None:
    terms = btcpay.terms(channel(currencies="JPY,USD"))
    assert terms.amounts == {"JPY": (1, 10**11), "USD": (1, 10**11)}
    assert (terms.refunds, terms.closes, terms.weak) == (Refunds.NONE, True, False)
    assert btcpay.account(channel()) == STORE
    assert btcpay.acknowledge() == Reply("success", "text/plain", 200)
    paid = payment(paid=PRICE)
    refund = paid.next_refund(PRICE, RefundState.REQUESTED, "shop")
    with pytest.raises(NotRefundable):
        btcpay.refund(channel(), paid, refund)


# ---- opening


def test_an_invoice_is_opened_with_the_payments_number_and_ends_with_the_window(
    server: simulated.BtcPay, here: Channel
) -> None:
    session = btcpay.create_payment(here, request())
    there = server.find(number=NUMBER)
    assert there is not None
    assert session.session_ref == there.reference
    assert session.redirect_url == f"{server.url}/i/{there.reference}"
    assert (there.amount, there.currency) == ("9.90", "CNY")
    assert there.return_url == request().return_url
    assert there.extra["metadata"] == {"orderId": NUMBER, "itemDesc": request().name}
    assert time.time() + 1800 <= there.extra["expires"] + 1 <= time.time() + 1861, "never before the window"


@pytest.mark.parametrize(
    ("left_ms", "minutes"), [(1_800_000, 30), (1_800_500, 31), (60_000, 1), (60_001, 2), (10, 1), (-5_000, 1)]
)
def test_the_invoice_ends_at_the_first_full_minute_after_the_window(
    left_ms: int, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def call(verb: str, url: str, *, headers: Any, body: bytes | None, repeatable: bool) -> Answer:
        if verb == "GET":
            return Answer(200, {}, b"[]")
        assert not repeatable, "a second try might be a second invoice"
        asked.append(json.loads(body or b""))
        return Answer(200, {}, json.dumps(invoice("New")).encode())

    monkeypatch.setattr(outbound, "call", call)
    monkeypatch.setattr("cardshop.adapters.payments.btcpay.clock", lambda: 1_763_800_000_000)
    btcpay.create_payment(channel(), request(expires_at=1_763_800_000_000 + left_ms, name="长" * 300))
    assert asked == [
        {
            "amount": "9.90",
            "currency": "CNY",
            "metadata": {"orderId": NUMBER, "itemDesc": "长" * 200},
            "checkout": {
                "redirectURL": request().return_url,
                "redirectAutomatically": True,
                "expirationMinutes": minutes,
                "paymentTolerance": 0,
            },
        }
    ]


@pytest.mark.parametrize("known", [True, False])
def test_the_same_payment_is_opened_once(server: simulated.BtcPay, here: Channel, *, known: bool) -> None:
    first = btcpay.create_payment(here, request())
    other = btcpay.create_payment(here, request(payment_id=NUMBER[:-1] + "2"))
    again = btcpay.create_payment(here, request(session_ref=first.session_ref if known else None))
    assert again == first != other
    assert len(server._payments) == 2


@pytest.mark.parametrize("extra", [{}, {"confirming": True}])
def test_a_paid_one_is_not_opened_again(server: simulated.BtcPay, here: Channel, extra: dict[str, Any]) -> None:
    first = btcpay.create_payment(here, request())
    there = _there(server)
    there.extra |= extra
    server.pay(there, notify=False)
    assert btcpay.create_payment(here, request()) == first


def test_one_that_was_marked_invalid_is_opened_anew_and_both_are_watched(
    server: simulated.BtcPay, here: Channel
) -> None:
    btcpay.create_payment(here, request())
    first = _there(server)
    first.status, first.extra["marked"] = "closed", "Invalid"
    session = btcpay.create_payment(here, request())
    assert session.session_ref not in {None, first.reference}
    assert btcpay.query_payment(here, payment(session.session_ref)).kind is EventKind.OPEN
    first.status, first.received = "paid", "9.90"  # somebody still had the old page
    assert btcpay.query_payment(here, payment(session.session_ref)) == said(EventKind.PAID, PRICE, first.reference)


def test_what_two_invoices_of_one_payment_brought_is_one_sum(server: simulated.BtcPay, here: Channel) -> None:
    btcpay.create_payment(here, request())
    there = _there(server)
    twin = replace(there, number=f"{NUMBER}#2", reference="twin", received="0", extra=dict(there.extra))
    server.open(twin)  # opened at the very same moment
    server.pay(there, notify=False)
    assert btcpay.query_payment(here, payment("twin")) == said(EventKind.PAID, PRICE, there.reference)
    assert btcpay.create_payment(here, request()).session_ref == there.reference, "not the one to be paid once more"
    server.pay(twin, "12.00", notify=False)
    assert btcpay.query_payment(here, payment("twin")) == said(EventKind.PAID, Money(2190, "CNY"), "twin")
    twin.currency = "USD"
    with pytest.raises(Unavailable):
        btcpay.query_payment(here, payment("twin"))


def test_an_answer_that_got_lost_is_found_the_next_time(
    server: simulated.BtcPay, here: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outbound.call

    def call(verb: str, url: str, **asked: Any) -> Answer:
        answer = real(verb, url, **asked)
        if verb == "POST":
            raise Unavailable
        return answer

    monkeypatch.setattr(outbound, "call", call)
    with pytest.raises(Unavailable):
        btcpay.create_payment(here, request())
    assert btcpay.create_payment(here, request()).session_ref == _there(server).reference
    assert len(server._payments) == 1


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        ({"api_key": "0" * 40}, {}, "btcpay refused: 401 unauthenticated"),
        ({"store_id": "a" * 44}, {}, "btcpay refused: 403 missing-permission"),
        ({}, {"amount": Money(990, "XAU")}, "btcpay refused: 400 generic-error"),
        ({}, {"amount": Money(10**30, "CNY")}, "btcpay refused: 422"),
    ],
)
def test_a_refusal_names_the_servers_code_and_nothing_secret(
    here: Channel, settings: dict[str, str], changes: dict[str, Any], why: str
) -> None:
    refused = channel(**{"url": here.settings["url"], **settings})
    with pytest.raises(Unavailable) as unavailable:
        btcpay.create_payment(refused, request(**changes))
    assert str(unavailable.value) == why


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "9.91"},
        {"currency": "USD"},
        {"checkoutLink": "javascript:alert(1)"},
        {"checkoutLink": "https://shop.example/ x"},
        {"id": "../other"},
        {"id": ""},
        {"storeId": "b" * 44},
        {"metadata": {"orderId": NUMBER[:-1] + "2"}},
        {"metadata": {}},
        {"amount": None},
        {"additionalStatus": None},
    ],
)
def test_another_invoice_than_the_one_asked_for_is_no_answer(answers: Say, changes: dict[str, Any]) -> None:
    answers([invoice("New", **changes)])
    with pytest.raises(Unavailable):
        btcpay.create_payment(channel(), request())


# ---- notices


def signed(body: bytes, secret: str = SECRET) -> Notice:
    return Notice("POST", (), {"btcpay-sig": f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"}, body)


def told(kind: str, **fields: Any) -> list[PaymentEvent]:
    event = {"type": kind, "invoiceId": INVOICE, "storeId": STORE, "metadata": {"orderId": NUMBER}, **fields}
    return btcpay.read_notice(channel(), signed(json.dumps(event).encode()), 0)


def recorded(name: str) -> Notice:
    event = sample(f"receive_notice/{name}")
    headers = {header.lower(): value for header, value in event["headers"].items()}
    return Notice("POST", (), headers, base64.b64decode(event["body"]))


def test_the_signature_is_the_protocols() -> None:
    """The vector: hex of HMAC-SHA256, over the body as it is."""
    body = b'{"type":"InvoiceSettled","invoiceId":"inv1"}'
    signature = "sha256=9854c68573da666e8cd5dfe3ec92f9fc28ce8f4ff3fbd8fab374dc82a50f6fa1"
    notice = Notice("POST", (), {"btcpay-sig": signature}, body)
    with pytest.raises(InvalidNotice, match="storeId"):  # rightly signed, and no store in it
        btcpay.read_notice(channel(webhook_secret="HelloWorld"), notice, 0)
    with pytest.raises(InvalidNotice, match="BTCPay-Sig"):
        btcpay.read_notice(channel(webhook_secret="helloWorld"), notice, 0)
    with pytest.raises(InvalidNotice, match="BTCPay-Sig"):
        btcpay.read_notice(channel(webhook_secret="HelloWorld"), replace(notice, body=body + b" "), 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("btcpay_paid", EventKind.ASK), ("btcpay_expired", EventKind.ASK), ("btcpay_paid_late", EventKind.ASK)],
)
def test_a_recorded_notice_is_read(name: str, kind: EventKind) -> None:
    (event,) = btcpay.read_notice(channel(), recorded(name), 0)
    assert event == PaymentEvent(NUMBER, kind, None, INVOICE, STORE)


@pytest.mark.parametrize("digit", range(64))
def test_every_digit_of_the_signature_counts(digit: int) -> None:
    notice = recorded("btcpay_paid")
    algorithm, _, signature = notice.headers["btcpay-sig"].partition("=")
    wrong = f"{signature[:digit]}{'0' if signature[digit] != '0' else '1'}{signature[digit + 1 :]}"
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(channel(), replace(notice, headers={"btcpay-sig": f"{algorithm}={wrong}"}), 0)


def test_a_notice_is_as_good_a_day_later_and_after_the_secret_has_changed() -> None:
    """A redelivery bears the time of the first delivery."""
    rotated = channel(webhook_secret=f"the-new-secret {SECRET}")
    assert btcpay.read_notice(rotated, recorded("btcpay_paid"), 10**15)
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(channel(webhook_secret="the-new-secret"), recorded("btcpay_paid"), 0)


def test_with_no_secret_saved_nothing_is_believed() -> None:
    notice = signed(recorded("btcpay_paid").body, "")
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(replace(channel(), secrets={"webhook_secret": ""}), notice, 0)
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(replace(channel(), secrets={}), notice, 0)


@pytest.mark.parametrize(
    ("kind", "fields", "means"),
    [
        ("InvoiceSettled", {"manuallyMarked": False, "overPaid": False}, EventKind.ASK),
        ("InvoiceSettled", {"manuallyMarked": True}, EventKind.ASK),
        ("InvoiceExpired", {"partiallyPaid": False}, EventKind.ASK),  # there may be another, which is paid
        ("InvoiceExpired", {"partiallyPaid": True}, EventKind.ASK),
        ("InvoiceExpired", {}, EventKind.ASK),
        ("InvoiceExpired", {"partiallyPaid": 0}, EventKind.ASK),
        ("InvoiceExpiredPaidPartial", {}, EventKind.ASK),
        ("InvoicePaidAfterExpiration", {}, EventKind.ASK),
        ("InvoicePaymentSettled", {"afterExpiration": True}, EventKind.ASK),
        ("InvoicePaymentSettled", {"afterExpiration": False}, EventKind.OPEN),
        ("InvoicePaymentSettled", {}, EventKind.ASK),
        ("InvoiceInvalid", {"manuallyMarked": False}, EventKind.ASK),
        ("InvoiceInvalid", {}, EventKind.ASK),
        ("InvoiceInvalid", {"manuallyMarked": True}, EventKind.OPEN),
    ],
)
def test_an_events_flag_says_whether_there_is_something_to_ask(
    kind: str, fields: dict[str, Any], means: EventKind
) -> None:
    assert told(kind, **fields) == [PaymentEvent(NUMBER, means, None, INVOICE, STORE)]


@pytest.mark.parametrize(
    "kind", ["InvoiceCreated", "InvoiceReceivedPayment", "InvoiceProcessing", "PayoutCreated", "SomethingNew", ""]
)
def test_nothing_is_to_be_done_about_other_events(kind: str) -> None:
    assert told(kind) == []


def test_the_webhooks_test_button_is_answered_and_means_nothing() -> None:
    """Sent by the server's own page, with an invoice that is none and no metadata."""
    assert told("InvoiceSettled", invoiceId="__test__2f1d…__test__", metadata=None) == []


@pytest.mark.parametrize("metadata", [None, {}, {"orderId": None}])
def test_a_notice_without_metadata_is_traced_by_its_invoice(
    server: simulated.BtcPay, here: Channel, metadata: Any
) -> None:
    btcpay.create_payment(here, request())
    (event,) = told("InvoiceSettled", invoiceId=_there(server).reference, metadata=metadata)
    assert event.payment_id is None
    assert btcpay.trace(here, event) == NUMBER
    with pytest.raises(Unavailable):
        btcpay.trace(here, replace(event, provider_ref="unknown"))


@pytest.mark.parametrize(
    ("answer", "traced"),
    [
        ({"id": INVOICE, "metadata": {"orderId": "of-another-shop"}}, "of-another-shop"),
        ({"id": INVOICE, "metadata": {}}, None),
        ({"id": INVOICE}, None),
        ({"id": "another", "metadata": {"orderId": NUMBER}}, Unavailable),
        ({"id": INVOICE, "metadata": {"orderId": 7}}, Unavailable),
        ({}, Unavailable),
        ([], Unavailable),
    ],
)
def test_what_the_invoice_says_is_traced(answers: Say, answer: Any, traced: Any) -> None:
    answers(answer)
    event = PaymentEvent(None, EventKind.ASK, provider_ref=INVOICE, account=STORE)
    if traced is Unavailable:
        with pytest.raises(Unavailable):
            btcpay.trace(channel(), event)
    else:
        assert btcpay.trace(channel(), event) == traced


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = ("type", "invoiceId", "storeId", "metadata", "partiallyPaid", "afterExpiration", "manuallyMarked")
_KINDS = ("InvoiceSettled", "InvoiceExpired", "InvoicePaymentSettled", "InvoiceInvalid")
events = st.dictionaries(
    st.sampled_from(_FIELDS),
    json_values | st.sampled_from((*_KINDS, INVOICE, STORE)) | st.fixed_dictionaries({"orderId": json_values}),
)


@given(
    method=st.text(max_size=8),
    query=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4).map(tuple),
    headers=st.dictionaries(st.sampled_from(("btcpay-sig", "content-type")) | st.text(), st.text()),
    body=st.binary(),
)
def test_whatever_comes_in_unsigned_is_refused(
    method: str, query: tuple[tuple[str, str], ...], headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(channel(), Notice(method, query, headers, body), 0)


@given(events | json_values)
def test_whatever_is_signed_is_read_or_refused(content: Any) -> None:
    notice = signed(json.dumps(content).encode())
    try:
        found = btcpay.read_notice(channel(), notice, 0)
    except InvalidNotice:
        return
    assert all(event.provider_ref and event.account is not None for event in found)


@given(st.binary(max_size=200))
def test_whatever_bytes_are_signed_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidNotice):
        btcpay.read_notice(channel(), signed(b"\xff" + body), 0)


# ---- asking: the states


@pytest.mark.parametrize(
    ("status", "payments", "means", "minor"),
    [
        ("New None", [], EventKind.OPEN, None),
        ("New PaidPartial", ["Settled"], EventKind.OPEN, None),
        ("Processing None", ["Processing"], EventKind.OPEN, None),
        ("Processing PaidOver", ["Processing"], EventKind.OPEN, None),
        ("Settled None", ["Settled"], EventKind.PAID, 990),
        ("Settled Marked", [], EventKind.PAID, 990),
        ("Settled PaidOver", ["Settled"] * 3, EventKind.PAID, 1500),
        ("Settled PaidOver", ["Settled", "Settled", "Processing"], EventKind.PAID, 1000),
        ("Settled PaidOver", ["Settled", "Processing"], EventKind.PAID, 990),
        ("Expired None", [], EventKind.FAILED, None),
        ("Expired None", ["Settled"], EventKind.PAID, 500),
        ("Expired PaidPartial", ["Settled"], EventKind.PAID, 500),
        ("Expired PaidPartial", ["Processing"], EventKind.OPEN, None),
        ("Expired PaidPartial", ["Settled", "Processing"], EventKind.OPEN, None),
        ("Expired PaidPartial", ["Invalid"], EventKind.FAILED, None),
        ("Expired PaidLate", ["Settled", "Settled"], EventKind.PAID, 1000),
        ("Expired PaidLate", ["Processing"], EventKind.OPEN, None),
        ("Invalid None", ["Processing"], EventKind.OPEN, None),
        ("Invalid None", ["Invalid"], EventKind.FAILED, None),
        ("Invalid None", ["Settled", "Settled", "Invalid"], EventKind.PAID, 1000),
        ("Invalid Marked", [], EventKind.FAILED, None),
        ("Invalid Marked", ["Settled"], EventKind.PAID, 500),
    ],
)
def test_money_counts_once_it_is_confirmed_and_the_invoice_is_over(
    answers: Say, status: str, payments: list[str], means: EventKind, minor: int | None
) -> None:
    """Each payment is worth 5.00."""
    answers([invoice(*status.split())], [method("500000", *(("0.00001", "0", each) for each in payments))])
    amount = None if minor is None else Money(minor, "CNY")
    assert btcpay.query_payment(channel(), payment(INVOICE)) == said(means, amount)


def test_a_payment_that_was_never_opened_is_open(server: simulated.BtcPay, here: Channel) -> None:
    assert btcpay.query_payment(here, payment()) == said(EventKind.OPEN, None, None)
    assert btcpay.close_payment(here, payment()) == said(EventKind.OPEN, None, None)


def test_a_list_without_the_invoice_we_know_of_is_no_answer(server: simulated.BtcPay, here: Channel) -> None:
    btcpay.create_payment(here, request())
    with pytest.raises(Unavailable):
        btcpay.query_payment(here, payment("another"))
    with pytest.raises(Unavailable):
        btcpay.close_payment(here, payment("another"))
    assert _there(server).status == "open"


def test_one_of_another_currency_is_told_in_that_currency(answers: Say) -> None:
    answers([invoice(currency="EUR")])
    assert btcpay.query_payment(channel(), payment(INVOICE)).amount == Money(990, "EUR")


# ---- asking: the amount, exactly


@pytest.mark.parametrize(
    ("currency", "asked", "methods", "minor"),
    [
        ("CNY", "1.00", [method("700000", ("0.00001415", "0", "Settled"))], 990),  # 9.905
        ("USD", "0.50", [method("100", ("0.00999999999", "0", "Settled"))], 99),  # 0.999999999
        ("USD", "0.50", [method("100", ("0.01", "0.0", "Settled"))], 100),
        ("JPY", "100", [method("15012345.6", ("0.00001", "0", "Settled"))], 150),
        ("BHD", "1.000", [method("37000.5", ("0.0001", "0", "Settled"))], 3700),  # three digits
        ("CNY", "1.00", [method("60000", ("0.0002", "0.00005", "Settled"))], 900),  # the sweeping fee is no part of it
        ("CNY", "1.00", [method("60000", ("0.0002", "-0.0001", "Settled"))], 1800),
        (
            "CNY",
            "1.00",
            [method("700000", ("0.00001", "0", "Settled")), method("600.5", ("0.005", "0", "Settled"))],
            1000,  # 7.00 and 3.0025
        ),
        ("CNY", "1.00", [method("700000"), method("600.5", ("0.005", "0", "Settled"))], 300),
        (
            "CNY",
            "1.00",
            [method("0.5", *[("0.005", "0", "Settled")] * 3, ("0.005", "0", "Invalid"))],
            0,  # 0.0075: it is summed before it is rounded, and still no fen
        ),
        ("CNY", "1.00", [method("1", *[("0.005", "0", "Settled")] * 3)], 1),
        (
            "CNY",
            "1.00",
            [method("24689.1357913579135791357913", ("0.123456789012345678", "0.000000000000000001", "Settled"))],
            123456789012345677 * 246891357913579135791357913 * 100 // 10**40,
        ),
        (
            "CNY",
            "1.00",
            [method("0.0000000000000000000000000001", ("79228162514264337593543950335", "0", "Settled"))],
            792,
        ),
        # Paid to the unit, says the method: that a coin is not divided further is no surplus.
        ("KRW", "990", [method("141234567.89", ("0.00000701", "0", "Settled"), due="0.00000000")], 990),  # 990.05
        ("IDR", "9900.00", [method("1600000000", ("0.00000619", "0", "Settled"), due="0.0")], 990_000),  # 9904.00
        ("IDR", "9900.00", [method("1600000000", ("0.00000619", "0", "Settled"), due="-0.00000001")], 990_400),
        ("IDR", "9900.00", [method("0", due="0"), method("1600000000", ("0.00000619", "0", "Settled"))], 990_400),
        ("CNY", "9.90", [method("700000", ("0.00001", "0", "Settled"), due="0")], 700),  # nor is it more than came
    ],
)
def test_what_came_in_is_worth_what_it_is_and_never_more(
    answers: Say, currency: str, asked: str, methods: list[dict[str, Any]], minor: int
) -> None:
    answers([invoice("Invalid", "None", amount=asked, currency=currency)], methods)
    expected = said(EventKind.PAID, Money(minor, currency)) if minor else said(EventKind.FAILED)
    assert btcpay.query_payment(channel(), payment(INVOICE)) == expected


decimals = st.decimals(0, 10**6, places=8).map("{:f}".format)


def _units(decimal: str) -> int:
    return int(decimal.replace(".", ""))


@given(st.lists(st.tuples(decimals, st.lists(decimals, max_size=3)), max_size=3))
def test_the_sum_is_rounded_down_once(methods: list[tuple[str, list[str]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        listed = [method(rate, *((value, "0", "Settled") for value in values)) for rate, values in methods]
        bodies = {"invoices": [invoice("Expired", "PaidPartial")], "payment-methods": listed}

        def call(verb: str, url: str, **_: Any) -> Answer:
            return Answer(200, {}, json.dumps(bodies[url.partition("?")[0].rpartition("/")[2]]).encode())

        patch.setattr(outbound, "call", call)
        answered = btcpay.query_payment(channel(), payment(INVOICE))
    units = sum(
        int(Decimal(rate).scaleb(8)) * int(Decimal(value).scaleb(8)) for rate, values in methods for value in values
    )
    minor = units * 100 // 10**16
    assert answered == (said(EventKind.PAID, Money(minor, "CNY")) if minor else said(EventKind.FAILED))


@pytest.mark.parametrize(("received", "currency"), [("9.89", "CNY"), ("0.01", "USD"), ("989", "JPY"), ("12.34", "EUR")])
def test_what_the_simulated_buyer_sends_comes_out_to_the_unit(
    server: simulated.BtcPay, here: Channel, received: str, currency: str
) -> None:
    btcpay.create_payment(here, request(amount=Money(990, currency)))
    there = _there(server)
    server.pay(there, received, notify=False)
    assert btcpay.query_payment(here, payment(there.reference)).amount == Money.parse(received, currency)


# ---- asking: answers that make no sense


@pytest.mark.parametrize(
    "methods",
    [
        {},
        [[]],
        [{"rate": "1"}],
        [{"rate": "1", "payments": None}],
        [{"rate": "1", "payments": ["1"]}],
        [{"rate": "1", "payments": {"a": 1}}],
        [method("1e5", ("1", "0", "Settled"))],
        [method("NaN", ("1", "0", "Settled"))],
        [method("1/3", ("1", "0", "Settled"))],
        [method("1", ("1_0", "0", "Settled"))],
        [method("1", ("٣", "0", "Settled"))],
        [method("1", ("1", "", "Settled"))],
        [method("1", ("1" * 30, "0", "Settled"))],
        [method("1", ("1", "0", "Settled")) | {"rate": 1}],
        [method("1", ("1", "0", "Settled"), due=None)],
        [{"rate": "1", "due": "0", "payments": [{"value": "1", "fee": "0"}]}],
        b"[",
        b'[], "all": []',
        b"[]]",
    ],
)
def test_a_list_of_payments_that_makes_no_sense_is_no_answer(answers: Say, methods: Any) -> None:
    answers([invoice("Expired", "PaidPartial")], methods)
    with pytest.raises(Unavailable):
        btcpay.query_payment(channel(), payment(INVOICE))


@pytest.mark.parametrize(
    "invoices",
    [
        {},
        invoice(),
        [[]],
        ["invoice"],
        [None],
        [invoice(), invoice(storeId="b" * 44)],
        [invoice(metadata={"orderId": "another"})],
        [invoice(metadata=None)],
        [invoice(metadata=[])],
        [invoice(status="Paid")],
        [invoice() | {"status": None}],
        [invoice(additionalStatus=None)],
        [invoice(amount="9,90")],
        [invoice(amount="9.901")],
        [invoice(amount=None)],
        [invoice(currency=1)],
        [invoice(id="a/b")],
        b"",
        b"\xff",
    ],
)
def test_a_list_of_invoices_that_makes_no_sense_is_no_answer(answers: Say, invoices: Any) -> None:
    answers(invoices)
    with pytest.raises(Unavailable):
        btcpay.query_payment(channel(), payment(INVOICE))


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 422])
def test_another_status_is_no_answer(answers: Say, status: int) -> None:
    answers([], status=status)
    with pytest.raises(Unavailable):
        btcpay.query_payment(channel(), payment(INVOICE))


odd = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just(INVOICE) | json_values,
        "storeId": st.just(STORE) | json_values,
        "amount": st.just("9.90") | json_values,
        "currency": st.just("CNY") | json_values,
        "checkoutLink": st.just("https://a/") | json_values,
        "status": st.sampled_from(("Expired", "Settled", "Invalid")) | json_values,
        "additionalStatus": st.sampled_from(("None", "PaidOver")) | json_values,
        "metadata": st.just({"orderId": NUMBER}) | json_values,
        "rate": st.just("1.5") | json_values,
        "due": st.just("0") | json_values,
        "payments": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "value": st.just("7") | json_values,
                    "fee": st.just("0") | json_values,
                    "status": st.just("Settled") | json_values,
                },
            ),
            max_size=2,
        )
        | json_values,
    },
)


@given(st.lists(odd, max_size=2) | json_values, st.lists(odd, max_size=2) | json_values)
def test_whatever_is_answered_is_understood_or_no_answer(invoices: Any, methods: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def call(verb: str, url: str, **_: Any) -> Answer:
            body = methods if url.endswith("/payment-methods") else invoices
            return Answer(200, {}, json.dumps(body).encode())

        patch.setattr(outbound, "call", call)
        with suppress(Unavailable):
            amount = btcpay.query_payment(channel(), payment()).amount
            assert amount is None or (amount.minor > 0 and amount.currency)
        with suppress(Unavailable):
            assert btcpay.create_payment(channel(), request()).redirect_url


# ---- closing


def _there(server: simulated.BtcPay) -> booth.Payment:
    found = server.find(number=NUMBER)
    assert found is not None
    return found


def test_closing_an_open_one_marks_it_invalid_and_nobody_can_pay_it(server: simulated.BtcPay, here: Channel) -> None:
    session = btcpay.create_payment(here, request())
    there = _there(server)
    assert btcpay.close_payment(here, payment(session.session_ref)) == said(EventKind.FAILED, None, there.reference)
    assert server.state(there) == ("Invalid", "Marked")
    assert not server.pay(there, notify=False)
    assert btcpay.close_payment(here, payment(session.session_ref)).kind is EventKind.FAILED, "and again"
    assert server._calls["close"] == 1


def test_one_whose_money_is_being_confirmed_is_not_closed(server: simulated.BtcPay, here: Channel) -> None:
    session = btcpay.create_payment(here, request())
    there = _there(server)
    there.extra["confirming"] = True
    server.pay(there, notify=False)
    with pytest.raises(Unavailable):
        btcpay.close_payment(here, payment(session.session_ref))
    assert (server.state(there), server._calls["close"]) == (("Processing", "None"), 0)
    there.extra["confirming"] = False
    assert btcpay.close_payment(here, payment(session.session_ref)) == said(EventKind.PAID, PRICE, there.reference)


@pytest.mark.parametrize(
    ("status", "means", "minor"), [("Settled", EventKind.PAID, 400), ("Processing", EventKind.OPEN, None)]
)
def test_one_that_was_paid_in_part_is_closed_and_the_part_is_told_once_it_is_confirmed(
    server: simulated.BtcPay, here: Channel, status: str, means: EventKind, minor: int | None
) -> None:
    session = btcpay.create_payment(here, request())
    there = _there(server)
    there.received = "4.00"
    there.extra["payments"] = [{"value": f"{simulated.due(Decimal(4), 'CNY'):f}", "status": status}]
    assert server.state(there) == ("New", "PaidPartial")
    amount = None if minor is None else Money(minor, "CNY")
    assert btcpay.close_payment(here, payment(session.session_ref)) == said(means, amount, there.reference)
    assert server.state(there) == ("Invalid", "Marked")
    there.extra["payments"][0]["status"] = "Settled"
    told = btcpay.query_payment(here, payment(session.session_ref))
    assert told == said(EventKind.PAID, Money(400, "CNY"), there.reference)


def test_money_that_comes_after_the_closing_is_told_with_its_amount(server: simulated.BtcPay, here: Channel) -> None:
    session = btcpay.create_payment(here, request())
    btcpay.close_payment(here, payment(session.session_ref))
    there = _there(server)
    there.status, there.received = "paid", "9.90"
    assert btcpay.query_payment(here, payment(session.session_ref)) == said(EventKind.PAID, PRICE, there.reference)


def test_one_that_was_paid_in_the_same_moment_is_asked_for_again(
    server: simulated.BtcPay, here: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses to mark what is settled by now."""
    session = btcpay.create_payment(here, request())
    real = outbound.call

    def call(verb: str, url: str, **asked: Any) -> Answer:
        if verb == "POST":
            server.pay(_there(server), notify=False)
        return real(verb, url, **asked)

    monkeypatch.setattr(outbound, "call", call)
    with pytest.raises(Unavailable, match="422"):
        btcpay.close_payment(here, payment(session.session_ref))
    assert btcpay.close_payment(here, payment(session.session_ref)).paid


def test_both_invoices_of_a_payment_are_closed(server: simulated.BtcPay, here: Channel) -> None:
    btcpay.create_payment(here, request())
    there = _there(server)
    twin = server.open(replace(there, number=f"{NUMBER}#2", reference="twin", extra=dict(there.extra)))
    assert btcpay.close_payment(here, payment("twin")).kind is EventKind.FAILED
    assert {there.status, twin.status} == {"closed"}


@pytest.mark.parametrize("kind", ["query", "close"])
def test_a_server_that_is_down_has_said_nothing(server: simulated.BtcPay, here: Channel, kind: str) -> None:
    session = btcpay.create_payment(here, request())
    server._outage[kind] = True
    with pytest.raises(Unavailable):
        btcpay.close_payment(here, payment(session.session_ref))
    assert _there(server).status == "open"
