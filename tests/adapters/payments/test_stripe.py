"""Stripe Checkout: whose word is believed, what an event comes to, and what is sent back once and no more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stripe as sdk
from cardshop.adapters.payments import outbound, provider
from cardshop.adapters.payments.outbound import Answer
from cardshop.adapters.payments.stripe import Stripe, sign
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
    PaymentState,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
    Reply,
)
from hypothesis import given
from hypothesis import strategies as st
from stripe.params.checkout import SessionCreateParams

from simulators import stripe as simulated
from simulators.booth import serve
from tests.domain.builders import NOW, PAYMENT_ID, PRICE, delivered
from tests.functions.samples import sample

SECRET_KEY = "sk_test_51Nq8mJ2eZvKYlo2C"
SECRET = "whsec_test_secret"
SETTINGS = {"secret_key": SECRET_KEY, "webhook_secret": SECRET}
SESSION, INTENT, REFUND = "cs_test_a1b2c3", "pi_3MtwBwLkdIwHu7ix", "re_1Nispe2eZvKYlo2C"
REFUND_ID = f"{PAYMENT_ID}r01"
OURS = {"payment_id": PAYMENT_ID}

stripe = Stripe()


def channel(**settings: str) -> Channel:
    public, secrets = stripe.check_settings({**SETTINGS, **settings})
    return Channel("stripe", "stripe", public, secrets)


def request(**changes: Any) -> PaymentRequest:
    asked = PaymentRequest(
        payment_id=PAYMENT_ID,
        amount=PRICE,
        name="Steam 充值卡 50 元 & Gift <Card>",
        notify_url="https://shop.example/api/webhooks/stripe",
        return_url="https://shop.example/api/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e/return",
        terminal="pc",
        expires_at=NOW + 1_800_000,
    )
    return replace(asked, **changes)


def payment(session_ref: str | None = SESSION, provider_ref: str | None = INTENT) -> Payment:
    state = PaymentState.ACCEPTED if provider_ref else PaymentState.OPEN
    return Payment(PAYMENT_ID, "stripe", PRICE, state, PRICE, provider_ref, session_ref)


def refund(minor: int = 990, provider_ref: str | None = None, refund_id: str = REFUND_ID) -> Refund:
    return Refund(refund_id, Money(minor, "CNY"), RefundState.REQUESTED, "operator", provider_ref)


def session(**changes: Any) -> dict[str, Any]:
    paid = {
        "id": SESSION,
        "object": "checkout.session",
        "amount_total": 990,
        "currency": "cny",
        "metadata": OURS,
        "payment_intent": INTENT,
        "payment_status": "paid",
        "status": "complete",
        "url": None,
    }
    return {**paid, **changes}


def refund_object(**changes: Any) -> dict[str, Any]:
    metadata = {**OURS, "refund_id": REFUND_ID}
    done = {"id": REFUND, "object": "refund", "amount": 990, "currency": "cny", "payment_intent": INTENT}
    return {**done, "metadata": metadata, "status": "succeeded", **changes}


def event(kind: str, thing: Any, **changes: Any) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": kind, "livemode": False, "data": {"object": thing}, **changes}


def signed(body: bytes | dict[str, Any], secret: str = SECRET, at: str = str(NOW // 1000)) -> Notice:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Notice("POST", (), {"stripe-signature": f"t={at},v1={sign(secret, at, data)}"}, data)


def read(notice: Notice, received_at: int = NOW, **settings: str) -> list[PaymentEvent]:
    return stripe.read_notice(channel(**settings), notice, received_at)


@pytest.fixture
def booth(monkeypatch: pytest.MonkeyPatch) -> Iterator[simulated.Stripe]:
    monkeypatch.setattr(outbound, "pause", lambda _: None)
    with serve(simulated.Stripe(SETTINGS)) as served:
        yield served


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, str]]]:
    """Whatever is asked is answered so, one answer after the other, the last for ever; what was asked is kept."""

    def answer(*answers: Any) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def call(method: str, url: str, **_: Any) -> Answer:
            found = answers[min(len(asked), len(answers) - 1)]
            asked.append((method, url))
            status, body = found if isinstance(found, tuple) else (200, found)
            return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())

        monkeypatch.setattr(outbound, "call", call)
        return asked

    return answer


# ---- settings


def test_the_provider_is_found_by_its_name_beside_the_package_of_the_same_name() -> None:
    assert type(provider("stripe")) is Stripe
    assert sdk.Webhook is not None


def test_settings_are_kept_apart_from_secrets() -> None:
    public, secrets = stripe.check_settings(SETTINGS)
    assert public == {"host": "https://api.stripe.com"}
    assert secrets == {"secret_key": SECRET_KEY, "webhook_secret": SECRET}


@pytest.mark.parametrize(
    "good",
    [
        {"secret_key": "rk_live_0123456789"},
        {"host": "http://127.0.0.1:8801"},
        {"host": "http://localhost:8801"},
        {"webhook_secret": f"  {SECRET}\n whsec_the_older_one "},
    ],
)
def test_other_good_settings(good: dict[str, str]) -> None:
    public, secrets = stripe.check_settings({**SETTINGS, **good})
    assert {**public, **secrets}.keys() == {"host", "secret_key", "webhook_secret"}
    assert secrets["webhook_secret"] in (SECRET, f"{SECRET} whsec_the_older_one")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("secret_key", ""),
        ("secret_key", "pk_live_0123456789"),
        ("secret_key", "sk_0123456789"),
        ("secret_key", "sk_org_live_0123456789"),
        ("secret_key", "sk_test_short"),
        ("secret_key", f"{SECRET_KEY}\n"),
        ("secret_key", "sk_test_密钥密钥密钥密钥"),
        ("webhook_secret", ""),
        ("webhook_secret", "  "),
        ("webhook_secret", "test_secret"),
        ("webhook_secret", "whsec_short"),
        ("webhook_secret", f"{SECRET} whsec_the_second whsec_the_third"),
        ("host", ""),
        ("host", "http://api.stripe.com"),
        ("host", "https://api.stripe.com.evil.example"),
        ("host", "https://api.stripe.com/"),
        ("host", "http://127.0.0.1:8801/v1"),
        ("currency", "usd"),
    ],
)
def test_a_bad_setting_is_named_first(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        stripe.check_settings({**SETTINGS, field: value})
    assert refused.value.detail.startswith(f"{field}: ")
    assert not value.strip() or value.strip() not in refused.value.detail


@pytest.mark.parametrize("missing", SETTINGS)
def test_a_missing_setting_is_named(missing: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{missing}: "):
        stripe.check_settings({name: value for name, value in SETTINGS.items() if name != missing})


def test_terms_and_account() -> None:
    terms = stripe.terms(channel())
    assert {name: terms.amounts[name][0] for name in ("USD", "GBP", "HKD", "JPY", "CNY")} == {
        "USD": 50,
        "GBP": 30,
        "HKD": 400,
        "JPY": 50,
        "CNY": 500,
    }
    assert {most for _, most in terms.amounts.values()} == {99_999_999}
    assert (terms.refunds, terms.closes, terms.weak) == (Refunds.PARTIAL, True, False)
    assert terms.terminals == {"pc", "mobile", "api"}
    assert stripe.account(channel()) == "test"
    assert stripe.account(channel(secret_key="rk_live_0123456789")) == "live"
    assert stripe.acknowledge() == Reply()


# ---- the signature


def test_the_signature_of_the_vector() -> None:
    body = b'{"id":"evt_1","type":"checkout.session.completed"}'
    expected = "bfcb160317277f672467770c8d4c4adb91c8bde69c80639e104b79ce94253bda"
    assert sign("whsec_test_secret", "1760000000", body) == expected


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_official_package_and_ours_believe_each_other(text: str) -> None:
    body = json.dumps(event("payout.paid", {"description": text}), ensure_ascii=False)
    theirs = sdk.WebhookSignature.generate_signature_header(body, SECRET, NOW // 1000)
    assert read(Notice("POST", (), {"stripe-signature": theirs}, body.encode())) == []
    ours = signed(body.encode()).headers["stripe-signature"]
    assert sdk.WebhookSignature.verify_header(body, ours, SECRET)


PAID = event("checkout.session.completed", session())
RIGHT = signed(PAID)
AT, V1 = (part.split("=")[1] for part in RIGHT.headers["stripe-signature"].split(","))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        f"t={AT}",
        f"v1={V1}",
        f"t={AT},v0={V1}",
        f"t={AT},v1={V1[:-1]}",
        f"t={AT},v1={V1.upper()}",
        f"t={AT},v1=",
        f"t={AT},v1={'签' * 64}",
        f"t={AT},v1={V1[:-1]}\udc80",
        f"t={AT}, v1={V1}",
        f"t={AT},t={AT},v1={V1}",
        f"t=1,t={AT},v1={V1}",
        f"t= {AT},v1={V1}",
        f"t={'١' * 10},v1={V1}",
        f"t=-{AT},v1={V1}",
        f"t={'9' * 5000},v1={V1}",
        f"t={AT};v1={V1}",
    ],
)
def test_a_signature_that_is_not_right_is_refused(header: str) -> None:
    with pytest.raises(InvalidNotice):
        read(replace(RIGHT, headers={"stripe-signature": header}))


@pytest.mark.parametrize("algorithm", [hashlib.sha1, hashlib.md5, hashlib.sha512])
def test_another_algorithm_is_refused(algorithm: Callable[..., Any]) -> None:
    other = hmac.new(SECRET.encode(), f"{AT}.".encode() + RIGHT.body, algorithm).hexdigest()
    with pytest.raises(InvalidNotice):
        read(replace(RIGHT, headers={"stripe-signature": f"t={AT},v1={other}"}))


def test_no_header_another_secret_or_another_body_is_refused() -> None:
    for notice in (
        replace(RIGHT, headers={}),
        signed(PAID, "whsec_of_somebody_else"),
        signed(PAID, ""),
        replace(RIGHT, body=RIGHT.body + b" "),
    ):
        with pytest.raises(InvalidNotice):
            read(notice)


def test_a_channel_without_a_secret_believes_nobody() -> None:
    with pytest.raises(InvalidNotice):
        stripe.read_notice(Channel("stripe", "stripe", {}, {"secret_key": SECRET_KEY}), signed(PAID, ""), NOW)


def test_any_of_the_signatures_may_be_right_and_other_schemes_do_not_matter() -> None:
    (said,) = read(replace(RIGHT, headers={"stripe-signature": f"t={AT},v1={'0' * 64},v1={V1},v0={'1' * 64}"}))
    assert said.paid


@pytest.mark.parametrize("secret", [SECRET, "whsec_the_older_one"])
def test_both_secrets_are_good_while_they_are_rolled(secret: str) -> None:
    (said,) = read(signed(PAID, secret), webhook_secret=f"{SECRET} whsec_the_older_one")
    assert said.paid


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_a_fresh_notice_is_heard(off: int) -> None:
    assert read(RIGHT, NOW + off * 1000)[0].paid


@pytest.mark.parametrize("off", [-300_001, -301_000, 300_001, 301_000, 10**12])
def test_a_stale_notice_is_refused_and_so_is_one_of_the_future(off: int) -> None:
    with pytest.raises(StaleNotice):
        read(RIGHT, NOW + off)


def test_a_forged_notice_is_not_stale_but_forged() -> None:
    with pytest.raises(InvalidNotice) as refused:
        read(signed(PAID, "whsec_of_somebody_else"), NOW + 10**9)
    assert not isinstance(refused.value, StaleNotice)


# ---- events

REFUNDED = EventKind.REFUNDED


@pytest.mark.parametrize(
    ("kind", "thing", "said"),
    [
        ("checkout.session.completed", session(), (EventKind.PAID, PRICE, INTENT, None)),
        ("checkout.session.completed", session(payment_status="unpaid"), (EventKind.OPEN, None, None, None)),
        (
            "checkout.session.completed",
            session(payment_status="no_payment_required"),
            (EventKind.OPEN, None, None, None),
        ),
        ("checkout.session.completed", session(amount_total=None), (EventKind.ASK, None, INTENT, None)),
        (
            "checkout.session.completed",
            session(amount_total=50, currency="jpy", payment_intent=None),
            (EventKind.PAID, Money(50, "JPY"), None, None),
        ),
        ("checkout.session.async_payment_succeeded", session(), (EventKind.PAID, PRICE, INTENT, None)),
        (
            "checkout.session.async_payment_failed",
            session(payment_status="unpaid"),
            (EventKind.FAILED, None, None, None),
        ),
        ("checkout.session.expired", session(status="expired"), (EventKind.FAILED, None, None, None)),
        *(
            (kind, refund_object(status=status), (REFUNDED, None, None, RefundWord(state, REFUND_ID, REFUND)))
            for kind, status, state in (
                ("refund.created", "pending", RefundState.PENDING),
                ("refund.created", None, RefundState.PENDING),
                ("refund.updated", "requires_action", RefundState.PENDING),
                ("refund.updated", "succeeded", RefundState.DONE),
                ("refund.updated", "canceled", RefundState.REFUSED),
                ("refund.failed", "failed", RefundState.REFUSED),
            )
        ),
        (
            "charge.refunded",
            {"id": "ch_1", "amount": 990, "amount_refunded": 400, "currency": "cny", "metadata": OURS},
            (REFUNDED, None, None, RefundWord(RefundState.DONE, total=Money(400, "CNY"))),
        ),
    ],
)
def test_what_an_event_comes_to(kind: str, thing: dict[str, Any], said: tuple[Any, Any, Any, Any]) -> None:
    what, amount, provider_ref, word = said
    expected = PaymentEvent(PAYMENT_ID, what, amount, provider_ref, "test", word)
    assert read(signed(event(kind, thing))) == [expected]


@pytest.mark.parametrize(
    ("kind", "status", "what", "number"),
    [
        ("charge.dispute.created", "needs_response", EventKind.CHARGED_BACK, "du_1"),
        ("charge.dispute.created", "warning_needs_response", EventKind.CHARGED_BACK, "du_1"),
        ("charge.dispute.closed", "lost", EventKind.CHARGED_BACK, None),
        ("charge.dispute.closed", "prevented", EventKind.CHARGED_BACK, None),
        ("charge.dispute.closed", "won", EventKind.REINSTATED, "du_1"),
        ("charge.dispute.closed", "warning_closed", EventKind.REINSTATED, "du_1"),
    ],
)
def test_a_dispute_names_only_the_payment_intent_and_itself(
    kind: str, status: str, what: EventKind, number: str | None
) -> None:
    dispute = {
        "id": "du_1",
        "amount": 990,
        "currency": "cny",
        "payment_intent": INTENT,
        "metadata": {},
        "status": status,
    }
    said = PaymentEvent(None, what, provider_ref=INTENT, account="test", dispute=number)
    assert read(signed(event(kind, dispute))) == [said]


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("payment_intent.succeeded", {"id": INTENT, "metadata": OURS}),
        ("charge.dispute.funds_withdrawn", {"payment_intent": INTENT}),
        ("checkout.session.completed", session(metadata={})),
        ("checkout.session.completed", session(metadata=None, client_reference_id=PAYMENT_ID)),
        ("checkout.session.expired", session(metadata={"order": "17"})),
        ("refund.created", refund_object(metadata={})),
        ("refund.updated", refund_object(metadata=OURS)),
        ("charge.refunded", {"amount_refunded": 990, "currency": "cny", "metadata": {}}),
        ("charge.dispute.created", {"payment_intent": None, "charge": "ch_1", "status": "needs_response"}),
        ("charge.dispute.closed", {"payment_intent": None, "charge": "ch_1", "status": "won"}),
    ],
)
def test_what_is_not_the_shops_is_acknowledged_and_comes_to_nothing(kind: str, thing: dict[str, Any]) -> None:
    """An account may sell in other ways, too: a payment link lets its buyer choose the client_reference_id."""
    assert read(signed(event(kind, thing))) == []


@pytest.mark.parametrize(
    ("changes", "account"),
    [({}, "test"), ({"livemode": True}, "live"), ({"account": "acct_1032D82eZvKYlo2C"}, "acct_1032D82eZvKYlo2C")],
)
def test_an_event_tells_whose_it_is(changes: dict[str, Any], account: str) -> None:
    (said,) = read(signed({**PAID, **changes}))
    assert said.account == account


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'\xef\xbb\xbf{"type": "payout.paid"}',
        b'{"type": "payout.paid", "type": "payout.paid"}',
        b'{"type": NaN}',
        b'{"type": "\\ud800"}',
        b"[" * 5000,
        json.dumps({**PAID, "pad": " " * 70_000}).encode(),
        *(
            json.dumps(broken).encode()
            for broken in (
                {**PAID, "type": None},
                {**PAID, "type": ["checkout.session.completed"]},
                {**PAID, "data": None},
                {**PAID, "data": []},
                {**PAID, "data": {}},
                {**PAID, "data": {"object": SESSION}},
                {**PAID, "livemode": None},
                {**PAID, "livemode": 0},
                {**PAID, "livemode": "false"},
                {**PAID, "account": 7},
                event("checkout.session.completed", session(metadata=[])),
                event("checkout.session.completed", session(metadata={"payment_id": 7})),
                event("checkout.session.completed", session(payment_status=None)),
                event("checkout.session.completed", session(payment_intent={"id": INTENT})),
                event("checkout.session.expired", session(metadata={"payment_id": {}})),
                event("refund.updated", refund_object(status="lost")),
                event("refund.updated", refund_object(id=None)),
                event("refund.updated", refund_object(status=7)),
                event("charge.refunded", {"metadata": OURS, "currency": "cny"}),
                event("charge.dispute.closed", {"payment_intent": INTENT, "status": None}),
                event("charge.dispute.created", {"payment_intent": 7}),
            )
        ),
    ],
)
def test_a_signed_notice_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidNotice):
        read(signed(body))


@pytest.mark.parametrize(
    "changes",
    [{"amount_total": value} for value in ("990", 9.9, 990.0, True, -1, 10**13, [990], "9.90")]
    + [{"currency": value} for value in (None, "", "CNY", "cn", "cnyy", "元元元", 156)],
)
def test_what_is_no_amount_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidNotice):
        read(signed(event("checkout.session.completed", session(**changes))))


@given(st.binary(), st.dictionaries(st.sampled_from(["stripe-signature", "host"]), st.text(), max_size=2))
def test_noise_is_an_invalid_notice(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidNotice):
        read(Notice("POST", (("a", "b"),), headers, body))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
noise = st.recursive(
    scalars, lambda within: st.lists(within, max_size=3) | st.dictionaries(st.text(max_size=8), within, max_size=3)
)
words = st.sampled_from(
    [
        None,
        7,
        True,
        "",
        PAYMENT_ID,
        REFUND_ID,
        INTENT,
        "paid",
        "unpaid",
        "succeeded",
        "open",
        "won",
        "cny",
        990,
        OURS,
        {},
    ]
)
things = st.dictionaries(
    st.sampled_from(
        [
            *("id", "metadata", "payment_status", "status", "payment_intent", "amount_total", "amount"),
            *("amount_refunded", "currency", "url", "data", "has_more", "error"),
        ]
    ),
    words | noise | st.just({**OURS, "refund_id": REFUND_ID}),
)
kinds = st.sampled_from(
    [
        *("checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_failed"),
        *("refund.created", "refund.updated", "charge.refunded", "charge.dispute.created", "charge.dispute.closed"),
    ]
)


@given(noise | st.builds(event, kinds, things | noise) | st.builds(event, kinds, things, livemode=noise, account=noise))
def test_a_signed_notice_of_anything_is_refused_or_read(value: Any) -> None:
    with suppress(InvalidNotice):
        assert isinstance(read(signed(json.dumps(value).encode())), list)


@pytest.mark.parametrize(
    ("name", "kind", "payment_id"),
    [
        ("stripe_paid", EventKind.PAID, PAYMENT_ID),
        ("stripe_refunded", EventKind.REFUNDED, PAYMENT_ID),
        ("stripe_charged_back", EventKind.CHARGED_BACK, None),
    ],
)
def test_the_recorded_notices_are_right(name: str, kind: EventKind, payment_id: str | None) -> None:
    recorded = sample(f"receive_notice/{name}")
    headers = {key.lower(): value for key, value in recorded["headers"].items()}
    notice = Notice("POST", (), headers, base64.b64decode(recorded["body"]))
    (said,) = read(notice, recorded["requestContext"]["requestTimeEpoch"])
    assert (said.kind, said.payment_id) == (kind, payment_id)


# ---- refunds told of in more than one way


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("first", ["charge", "refund"])
@pytest.mark.parametrize("ours", [True, False])
def test_a_refund_told_of_by_itself_and_by_the_charge_is_counted_once(ours: bool, first: str, whole: bool) -> None:
    minor = 990 if whole else 300
    order = delivered()
    if ours:
        asked = order.payments[0].next_refund(Money(minor, "CNY"), RefundState.REQUESTED, "operator")
        order = order.refund_noted(order.payments[0], asked, NOW, order.last_change.actor)
    metadata = {**OURS, "refund_id": REFUND_ID} if ours else {}
    told = [
        event("refund.created", refund_object(amount=minor, metadata=metadata)),
        event("charge.refunded", {"amount_refunded": minor, "currency": "cny", "metadata": OURS}),
        event("refund.updated", refund_object(amount=minor, metadata=metadata)),
    ]
    for each in sorted(told, key=lambda event: not event["type"].startswith(first)):
        for said in read(signed(each)):
            assert said.refund is not None
            order = order.refund_told(PAYMENT_ID, said.refund, NOW)
    assert [(each.amount.minor, each.state) for each in order.payments[0].refunds] == [(minor, RefundState.DONE)]
    assert order.payments[0].left == 990 - minor


# ---- opening a payment


def test_a_payment_is_a_page_at_stripe(booth: simulated.Stripe) -> None:
    opened = stripe.create_payment(channel(host=booth.url), request())
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    assert opened == PaymentSession(redirect_url=booth.pay_url(there), session_ref=there.reference)
    assert (there.amount, there.currency, there.return_url) == ("990", "cny", request().return_url)
    assert there.extra["metadata"] == there.extra["intent_metadata"] == OURS


def test_what_is_asked_is_what_the_official_package_would_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def call(method: str, url: str, **sent: Any) -> Answer:
        asked.append({"method": method, "url": url, **sent})
        return Answer(200, {}, json.dumps(session(status="open", url="https://checkout.stripe.com/c/pay/x")).encode())

    monkeypatch.setattr(outbound, "call", call)
    stripe.create_payment(channel(), request(name=f"  {'卡' * 300}\n", amount=Money(990, "CNY")))
    (sent,) = asked
    assert (sent["method"], sent["url"]) == ("POST", "https://api.stripe.com/v1/checkout/sessions")
    assert sent["hosts"] == ("api.stripe.com",)
    assert sent["headers"] == {
        "Authorization": f"Bearer {SECRET_KEY}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Idempotency-Key": PAYMENT_ID,
        "Stripe-Version": "2025-03-31.basil",
    }
    fields = dict(httpx.QueryParams(sent["body"].decode()))
    assert {name.partition("[")[0] for name in fields} <= set(SessionCreateParams.__annotations__)
    assert "expires_at" not in fields
    assert fields["adaptive_pricing[enabled]"] == "false"
    assert fields["line_items[0][price_data][product_data][name]"] == "卡" * 250


def test_a_name_of_nothing_is_an_order(booth: simulated.Stripe) -> None:
    assert stripe.create_payment(channel(host=booth.url), request(name=" \n ")).redirect_url


def test_the_same_payment_again_is_the_same_page(booth: simulated.Stripe) -> None:
    first = stripe.create_payment(channel(host=booth.url), request())
    assert stripe.create_payment(channel(host=booth.url), request()) == first
    known = request(session_ref=first.session_ref, name="renamed since")
    assert stripe.create_payment(channel(host=booth.url), known) == first
    assert len(booth._payments) == 1


def test_a_page_that_is_paid_leads_back_and_one_that_expired_is_none(booth: simulated.Stripe) -> None:
    first = stripe.create_payment(channel(host=booth.url), request())
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    booth.pay(there)
    again = stripe.create_payment(channel(host=booth.url), request(session_ref=first.session_ref))
    assert again == PaymentSession(redirect_url=request().return_url, session_ref=first.session_ref)
    there.status = "closed"
    with pytest.raises(Unavailable, match="expired"):
        stripe.create_payment(channel(host=booth.url), request(session_ref=first.session_ref))


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        ({"secret_key": "sk_test_of_somebody_else"}, {}, "invalid_request_error"),
        ({}, {"amount": Money(10, "USD")}, "amount_too_small"),
    ],
)
def test_a_refusal_is_unavailable_and_names_stripes_code(
    booth: simulated.Stripe, settings: dict[str, str], changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(Unavailable) as refused:
        stripe.create_payment(channel(host=booth.url, **settings), request(**changes))
    assert refused.value.detail == f"stripe: {why}"


def test_a_key_used_for_another_request_is_unavailable(booth: simulated.Stripe) -> None:
    stripe.create_payment(channel(host=booth.url), request())
    with pytest.raises(Unavailable, match="idempotency_error"):
        stripe.create_payment(channel(host=booth.url), request(amount=Money(991, "CNY")))


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (301, {}),
        (402, {"error": {"code": "Ωmega <b>", "type": 7}}),
        (400, {"error": "no object"}),
        session(status="open", url=None),
        session(status="open", url="https://checkout.stripe.com/x", amount_total=989),
        session(status="open", url="https://checkout.stripe.com/x", currency="usd"),
        session(status="open", url="https://checkout.stripe.com/x", metadata={"payment_id": "another"}),
        session(status="open", url="https://checkout.stripe.com/x", id=None),
        session(status="paused"),
    ],
)
def test_an_answer_to_opening_that_makes_no_sense_is_none(answered: Callable[..., Any], answer: Any) -> None:
    answered(answer)
    with pytest.raises(Unavailable) as refused:
        stripe.create_payment(channel(), request())
    assert SECRET_KEY not in refused.value.detail
    assert "<" not in refused.value.detail


# ---- asking and closing


def opened(booth: simulated.Stripe) -> Payment:
    return payment(stripe.create_payment(channel(host=booth.url), request()).session_ref, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("open", EventKind.OPEN),
        ("paid", EventKind.PAID),
        ("refunded", EventKind.PAID),
        ("charged_back", EventKind.PAID),
        ("failed", EventKind.OPEN),
        ("closed", EventKind.FAILED),
    ],
)
def test_every_standing_can_be_asked_for(booth: simulated.Stripe, status: str, kind: EventKind) -> None:
    asked = opened(booth)
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    there.status, there.received = status, "990"
    said = stripe.query_payment(channel(host=booth.url), asked)
    paid = kind is EventKind.PAID
    assert said == PaymentEvent(
        PAYMENT_ID, kind, PRICE if paid else None, there.extra["payment_intent"] if paid else None
    )


def test_a_payment_nobody_was_told_of_is_open_and_nobody_is_asked(answered: Callable[..., Any]) -> None:
    asked = answered((500, {}))
    for ask in (stripe.query_payment, stripe.close_payment):
        assert ask(channel(), payment(None, None)) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)
    assert asked == []


def test_closing_ends_the_page(booth: simulated.Stripe) -> None:
    asked = opened(booth)
    for _ in range(2):  # the second time it is closed already
        said = stripe.close_payment(channel(host=booth.url), asked)
        assert said == PaymentEvent(PAYMENT_ID, EventKind.FAILED)
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    assert not booth.pay(there)


def test_what_was_paid_while_closing_is_paid(booth: simulated.Stripe) -> None:
    asked = opened(booth)
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    booth.pay(there)
    said = stripe.close_payment(channel(host=booth.url), asked)
    assert (said.kind, said.amount, said.provider_ref) == (EventKind.PAID, PRICE, there.extra["payment_intent"])


def test_nobody_but_stripe_is_ever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    answers = [session(payment_status="unpaid"), session(), NONE_YET, refund_object()]

    def call(method: str, url: str, *, hosts: Any, **_: Any) -> Answer:
        asked.append((url.startswith("https://api.stripe.com/v1/"), hosts))
        return Answer(200, {}, json.dumps(answers[len(asked) - 1]).encode())

    monkeypatch.setattr(outbound, "call", call)
    stripe.query_payment(channel(), payment())
    stripe.close_payment(channel(), payment())
    stripe.refund(channel(), payment(), refund())
    assert asked == [(True, ("api.stripe.com",))] * len(answers)


def test_a_page_that_could_not_be_closed_is_not_said_to_be(answered: Callable[..., Any]) -> None:
    answered((400, {"error": {"code": "lock_timeout"}}), session(status="open", payment_status="unpaid"))
    with pytest.raises(Unavailable, match="lock_timeout"):
        stripe.close_payment(channel(), payment())


def test_the_session_number_is_a_part_of_the_path_and_no_more(answered: Callable[..., Any]) -> None:
    asked = answered((404, {"error": {"code": "resource_missing"}}))
    for ask in (stripe.query_payment, stripe.close_payment):
        with pytest.raises(Unavailable):
            ask(channel(), payment("../refunds?x="))
    assert {url for _, url in asked} == {
        f"https://api.stripe.com/v1/checkout/sessions/..%2Frefunds%3Fx%3D{end}" for end in ("", "/expire")
    }


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"error": {"type": "invalid_request_error"}}),
        (404, {"error": {"code": "resource_missing"}}),
        (200, b"no JSON"),
        session(id="cs_another"),
        session(metadata={"payment_id": "another"}),
        session(metadata=None),
        session(amount_total=None),
        session(amount_total="990"),
        session(currency=None),
        session(payment_status=None),
        session(payment_status="unpaid", status="lost"),
        session(payment_status="unpaid", status=None),
    ],
)
def test_an_answer_to_a_query_that_makes_no_sense_is_none(answered: Callable[..., Any], answer: Any) -> None:
    answered(answer)
    for ask in (stripe.query_payment, stripe.close_payment):
        with pytest.raises(Unavailable):
            ask(channel(), payment())


def test_a_dispute_is_traced_by_its_payment_intent(booth: simulated.Stripe) -> None:
    opened(booth)
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    booth.pay(there)
    contested = PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref=there.extra["payment_intent"])
    assert stripe.trace(channel(host=booth.url), contested) == PAYMENT_ID
    assert stripe.trace(channel(host=booth.url), replace(contested, provider_ref="pi_unknown")) is None
    assert stripe.trace(channel(host=booth.url), replace(contested, provider_ref=None)) is None


@pytest.mark.parametrize(
    "answer", [(401, {"error": {}}), {"id": "pi_another", "metadata": OURS}, {"id": INTENT, "metadata": [OURS]}]
)
def test_a_trace_that_makes_no_sense_is_none(answered: Callable[..., Any], answer: Any) -> None:
    answered(answer)
    with pytest.raises(Unavailable):
        stripe.trace(channel(), PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref=INTENT))


# ---- refunds


@pytest.fixture
def bought(booth: simulated.Stripe) -> Payment:
    asked = opened(booth)
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    booth.pay(there)
    return replace(asked, state=PaymentState.ACCEPTED, paid=PRICE, provider_ref=there.extra["payment_intent"])


def test_a_refund_goes_by_the_payment_intent_and_only_once(booth: simulated.Stripe, bought: Payment) -> None:
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    first = stripe.refund(channel(host=booth.url), bought, refund(300))
    made = there.refunds[REFUND_ID]
    assert first == RefundWord(RefundState.DONE, REFUND_ID, f"re_{made.reference}", Money(300, "CNY"))
    booth._answered.clear()  # the idempotency key is forgotten after a day
    assert stripe.refund(channel(host=booth.url), bought, refund(300)) == first
    assert stripe.query_refund(channel(host=booth.url), bought, refund(300, first.provider_ref)) == first
    assert stripe.query_refund(channel(host=booth.url), bought, refund(300)) == first
    second = stripe.refund(channel(host=booth.url), bought, refund(690, refund_id=f"{PAYMENT_ID}r02"))
    assert second.state is RefundState.DONE
    assert (len(there.refunds), there.refunded, there.status) == (2, "990", "refunded")


def test_two_who_ask_for_one_refund_at_once_make_one(booth: simulated.Stripe, bought: Payment) -> None:
    """Neither finds it yet, and both ask: the key is the same."""
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    first = stripe.refund(channel(host=booth.url), bought, refund(300))
    there.refunds.clear()  # as it was when the second looked
    assert stripe.refund(channel(host=booth.url), bought, refund(300)) == first
    assert (there.refunded, there.refunds) == ("300", {})


def test_a_refund_of_a_payment_confirmed_by_hand_is_found_by_its_session(
    booth: simulated.Stripe, bought: Payment
) -> None:
    by_hand = replace(bought, provider_ref="seen in the dashboard")
    assert stripe.refund(channel(host=booth.url), by_hand, refund()).state is RefundState.DONE
    assert stripe.refund(channel(), replace(by_hand, session_ref=None), refund()) == RefundWord(
        RefundState.REFUSED, REFUND_ID
    )


def test_a_refund_that_takes_its_time_is_followed(booth: simulated.Stripe, bought: Payment) -> None:
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    there.extra["refunds"] = "pending"
    first = stripe.refund(channel(host=booth.url), bought, refund())
    assert first.state is RefundState.PENDING
    booth.settle(there, there.refunds[REFUND_ID], "refused")
    word = stripe.query_refund(channel(host=booth.url), bought, refund(990, first.provider_ref))
    assert word.state is RefundState.REFUSED


@pytest.mark.parametrize(("status", "received"), [("refunded", "990"), ("charged_back", "990"), ("paid", "989")])
def test_what_stripe_will_not_send_is_refused(
    booth: simulated.Stripe, bought: Payment, status: str, received: str
) -> None:
    """All of it has gone, it is contested, or more is asked for than came in."""
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    there.status, there.received = status, received
    word = stripe.refund(channel(host=booth.url), bought, refund())
    assert word == RefundWord(RefundState.REFUSED, REFUND_ID)
    assert there.refunds == {}


def test_what_has_gone_in_all_is_known_without_what_came_back(booth: simulated.Stripe, bought: Payment) -> None:
    there = booth.find(number=PAYMENT_ID)
    assert there is not None
    assert stripe.query_total(channel(host=booth.url), bought) == Money(0, "CNY")
    stripe.refund(channel(host=booth.url), bought, refund(300))
    booth.refund(there, "made in the dashboard", "200")
    there.extra["refunds"] = "pending"
    stripe.refund(channel(host=booth.url), bought, refund(100, refund_id=f"{PAYMENT_ID}r02"))
    assert stripe.query_total(channel(host=booth.url), bought) == Money(600, "CNY"), "what is under way counts as gone"
    there.refunds[REFUND_ID].status = "refused"
    assert stripe.query_total(channel(host=booth.url), bought) == Money(300, "CNY")
    with pytest.raises(Unavailable):
        stripe.query_total(channel(), replace(bought, provider_ref="seen in the dashboard", session_ref=None))


NONE_YET = {"object": "list", "data": [], "has_more": False}


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": {"type": "invalid_request_error", "code": "insufficient_funds"}}),
        (400, {"error": {"type": "invalid_request_error", "code": "balance_insufficient"}}),
        (400, {"error": {"type": "idempotency_error", "param": "amount"}}),
        (409, {"error": {"type": "invalid_request_error", "code": "idempotency_key_in_use"}}),
        (401, {"error": {"type": "invalid_request_error"}}),
        (404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "param": "payment_intent"}}),
        (400, {"error": None}),
        (400, b"no JSON"),
        refund_object(metadata={**OURS, "refund_id": "another"}),
        refund_object(metadata={}),
        refund_object(amount=989),
        refund_object(currency="usd"),
        refund_object(id=None),
        refund_object(status="lost"),
        refund_object(status=7),
    ],
)
def test_a_refusal_that_is_not_final_or_makes_no_sense_is_no_word(answered: Callable[..., Any], answer: Any) -> None:
    answered(NONE_YET, answer)
    with pytest.raises(Unavailable):
        stripe.refund(channel(), payment(), refund())
    answered(answer)
    with pytest.raises(Unavailable):
        stripe.query_refund(channel(), payment(), refund(990, REFUND))


@pytest.mark.parametrize(
    "listed",
    [
        {"data": None, "has_more": False},
        {"data": ["re_1"], "has_more": False},
        {"data": [refund_object(metadata=7)], "has_more": False},
        {"data": [], "has_more": True},
        {"data": []},
        (500, {}),
    ],
)
def test_no_refund_is_made_where_it_is_not_known_whether_there_is_one(
    answered: Callable[..., Any], listed: Any
) -> None:
    asked = answered(listed)
    with pytest.raises(Unavailable):
        stripe.refund(channel(), payment(), refund())
    assert [method for method, _ in asked] == ["GET"]


@pytest.mark.parametrize(
    "listed",
    [
        {"data": [refund_object(), refund_object(amount=-1)], "has_more": False},
        {"data": [refund_object(), refund_object(currency="usd")], "has_more": False},
        {"data": [refund_object(), refund_object(status="lost")], "has_more": False},
        {"data": [refund_object(), 7], "has_more": False},
        {"data": [refund_object()], "has_more": True},
        {"data": [refund_object()]},
        (500, {}),
    ],
)
def test_a_total_of_what_makes_no_sense_or_is_not_all_is_none(answered: Callable[..., Any], listed: Any) -> None:
    answered(listed)
    with pytest.raises(Unavailable):
        stripe.query_total(channel(), payment())


@given(things | noise, st.sampled_from([200, 400, 404]))
def test_an_answer_of_anything_is_unavailable_or_a_word(value: Any, status: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outbound, "call", lambda *_, **__: Answer(status, {}, json.dumps(value).encode()))
        contested = PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref=INTENT)
        for ask in (
            lambda: stripe.create_payment(channel(), request()),
            lambda: stripe.create_payment(channel(), request(session_ref=SESSION)),
            lambda: stripe.query_payment(channel(), payment()),
            lambda: stripe.close_payment(channel(), payment()),
            lambda: stripe.refund(channel(), payment(), refund()),
            lambda: stripe.refund(channel(), payment(provider_ref="by hand"), refund()),
            lambda: stripe.query_refund(channel(), payment(), refund(990, REFUND)),
            lambda: stripe.query_total(channel(), payment()),
            lambda: stripe.trace(channel(), contested),
        ):
            with suppress(Unavailable):
                ask()


# ---- beside an independent implementation

#: `localstripe`, on this machine only and without its file: its own command listens to every address and keeps one.
_PEER = """
import socket
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda _: None
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
web.run_app(server.app, sock=listening, print=None)
"""


@contextmanager
def localstripe() -> Iterator[str]:
    peer = subprocess.Popen([sys.executable, "-c", _PEER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert peer.stdout is not None
        yield f"http://127.0.0.1:{int(peer.stdout.readline())}"
    finally:
        peer.terminate()
        peer.wait(10)


@contextmanager
def listening() -> Iterator[tuple[str, queue.Queue[Notice]]]:
    heard: queue.Queue[Notice] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put(Notice("POST", (), {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhooks/stripe", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_refund_a_trace_and_a_webhook_at_localstripe() -> None:
    """It has no Checkout Sessions and no idempotency keys: opening, asking and closing cannot be shown there.

    The PaymentIntent is made by its API as Checkout would. Refunds are found by our number, so asking again makes none.
    """
    with localstripe() as url, listening() as (webhook, heard), httpx.Client(base_url=url, trust_env=False) as http:

        def ask(path: str, **fields: str) -> dict[str, Any]:
            answer = http.post(path, data=fields, headers={"Authorization": f"Bearer {SECRET_KEY}"})
            answer.raise_for_status()
            return dict(answer.json()) if answer.content else {}

        ask("/_config/webhooks/shop", url=webhook, secret=SECRET, **{"events[]": "payment_intent.succeeded"})
        card = {
            "card[number]": "4242424242424242",
            "card[exp_month]": "12",
            "card[exp_year]": "2040",
            "card[cvc]": "123",
        }
        method = ask("/v1/payment_methods", type="card", **card)["id"]
        customer = ask("/v1/customers")["id"]
        ask(f"/v1/payment_methods/{method}/attach", customer=customer)
        intent = ask(
            "/v1/payment_intents",
            amount="990",
            currency="cny",
            customer=customer,
            payment_method=method,
            confirm="true",
            **{"metadata[payment_id]": PAYMENT_ID},
        )
        assert intent["status"] == "succeeded"

        here = channel(host=url)
        bought = payment(None, intent["id"])
        assert stripe.trace(here, PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref=intent["id"])) == PAYMENT_ID
        first = stripe.refund(here, bought, refund(300))
        assert (first.state, first.amount) == (RefundState.DONE, Money(300, "CNY"))
        assert stripe.refund(here, bought, refund(300)) == first
        assert stripe.query_refund(here, bought, refund(300, first.provider_ref)) == first
        listed = http.get("/v1/refunds", headers={"Authorization": f"Bearer {SECRET_KEY}"}).json()
        assert [each["id"] for each in listed["data"]] == [first.provider_ref]

        notice = heard.get(timeout=20)
        told = json.loads(notice.body)
        assert told["type"] == "payment_intent.succeeded"
        received_at = told["created"] * 1000
        assert read(notice, received_at) == []
        with pytest.raises(InvalidNotice):
            read(replace(notice, body=notice.body.replace(b"990", b"991")), received_at)
        with pytest.raises(StaleNotice):
            read(notice, received_at + 301_000)
