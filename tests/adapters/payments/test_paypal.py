"""PayPal: an approval is no money, a capture is; a notice is believed if PayPal's own certificate signed it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cardshop.adapters.payments import outbound, paypal, provider
from cardshop.adapters.payments.outbound import Answer
from cardshop.adapters.payments.paypal import PayPal
from cardshop.domain.errors import InvalidNotice, InvalidRequest, StaleNotice, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentState,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
)
from cardshop.domain.trade import Status
from cardshop.usecases.confirm_payment import Outcome
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import booth as booths
from simulators.booth import serve
from simulators.paypal import CERTIFICATES, SIGNER, issue, new_account, pem
from simulators.paypal import PayPal as Simulator
from tests.channels.paypal import Row
from tests.channels.paypal import settings as saved
from tests.channels.subject import arrived, bent
from tests.channels.till import Till
from tests.domain.builders import PAYMENT_ID

NOTIFY = "https://shop.example/api/webhooks/paypal"
RETURN = "https://shop.example/api/orders/x/return"
PRICE = Money(990, "USD")
DAYS = 86_400  # seconds
REFUND_ID = f"{PAYMENT_ID}r01"
LIVE = "https://api-m.paypal.com"
EXAMPLE = {  # what an operator saves for the real one
    "client_id": "AZDxjDScFpQtjWTOUtWKbyN_bDt4OgqaF4eYXlewfBP4-8aqX3PiV8e1GWU6liB2CUXlkA59kJXE7M6R",
    "client_secret": "EGnHDxD_qRPdaLdZz8iCr8N7_MzF-YHPTkjs6NKYQvQSBngp4PTTVWkPZRbL8sBq",
    "webhook_id": "1JE4291016473214C",
    "merchant_id": "7LFUVCDKGARH4",
}
bounded = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def account() -> dict[str, Any]:
    return new_account(NOTIFY)


@pytest.fixture(scope="module")
def standing(account: dict[str, Any]) -> Iterator[Simulator]:
    with serve(Simulator(account)) as booth:
        yield booth


@pytest.fixture
def there(standing: Simulator) -> Simulator:
    """As if it had just opened."""
    for books in (standing._payments, standing._calls, standing._requests, standing.tokens, paypal._tokens):
        books.clear()
    standing.certificates = dict(standing.account["certificates"])
    return standing


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "pause", lambda _: None)


@pytest.fixture
def uncalled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that anybody calls; nobody answers."""
    called: list[str] = []

    def call(method: str, url: str, **_: Any) -> Answer:
        called.append(url)
        raise Unavailable("nobody answers")

    monkeypatch.setattr(outbound, "call", call)
    return called


def channel_of(there: Simulator, **changed: str) -> Channel:
    public, secrets = PayPal().check_settings({**saved(there), **changed})
    return Channel("paypal", "paypal", public, secrets)


def asked(**changed: Any) -> PaymentRequest:
    expires = int(time.time() * 1000) + 1_800_000
    request = PaymentRequest(PAYMENT_ID, PRICE, "Steam 50 元", NOTIFY, RETURN, "pc", expires)
    return replace(request, **changed)


def opened(there: Simulator, request: PaymentRequest | None = None) -> Payment:
    """A payment that is open there, as its order has it."""
    request = request or asked()
    session = PayPal().create_payment(channel_of(there), request)
    return Payment(request.payment_id, "paypal", request.amount, PaymentState.OPEN, session_ref=session.session_ref)


def books(there: Simulator, payment: Payment) -> booths.Payment:
    found = there.find(number=payment.payment_id)
    assert found is not None
    return found


def captured(there: Simulator) -> Payment:
    """A payment whose money is in."""
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    said = PayPal().query_payment(channel_of(there), payment)
    assert said.paid
    return replace(payment, state=PaymentState.ACCEPTED, paid=said.amount, provider_ref=said.provider_ref)


def refund_of(payment: Payment, amount: Money = PRICE) -> Refund:
    return payment.next_refund(amount, RefundState.REQUESTED, "operator")


def calls(there: Simulator, kind: str) -> int:
    return there._calls[kind]


# ---- settings


def test_the_provider_is_known_by_its_name() -> None:
    assert isinstance(provider("paypal"), PayPal)


def test_settings_are_split_into_public_ones_and_the_secret() -> None:
    public, secrets = PayPal().check_settings(EXAMPLE)
    assert secrets == {"client_secret": EXAMPLE["client_secret"]}
    assert public == {**{name: EXAMPLE[name] for name in EXAMPLE.keys() - secrets.keys()}, "host": LIVE}


@pytest.mark.parametrize(
    "host", [LIVE, "https://api-m.sandbox.paypal.com", "http://127.0.0.1:8801", "http://localhost:1"]
)
def test_a_host_of_paypals_or_a_simulator_is_taken(host: str) -> None:
    public, _ = PayPal().check_settings({**EXAMPLE, "host": host})
    assert public["host"] == host


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", ""),
        ("client_id", "short"),
        ("client_id", f"{EXAMPLE['client_id']}\n"),
        ("client_id", f"{EXAMPLE['client_id']}:x"),
        ("client_secret", ""),
        ("client_secret", " " * 20),
        ("client_secret", f"{EXAMPLE['client_secret']} "),
        ("client_secret", f"{EXAMPLE['client_secret']}é"),
        ("webhook_id", ""),
        ("webhook_id", "1JE4291016473214C 1JE4291016473214D"),
        ("webhook_id", "1JE4|291016473214C"),
        ("merchant_id", ""),
        ("merchant_id", "7lfuvcdkgarh4"),
        ("merchant_id", "merchant@example.com"),
        ("host", ""),
        ("host", "http://api-m.paypal.com"),
        ("host", "https://api-m.paypal.com.example"),
        ("host", "https://api-mxpaypal.com"),
        ("host", "https://127.0.0.1:8801"),
        ("host", "http://127.0.0.1"),
        ("host", "http://127.0.0.1:80@a.example"),
        ("sandbox", "true"),
        ("root_certificate", "x"),
    ],
)
def test_a_bad_setting_is_named_first(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: ") as refusal:
        PayPal().check_settings({**EXAMPLE, name: value})
    assert EXAMPLE["client_secret"] not in str(refusal.value)


@pytest.mark.parametrize("name", EXAMPLE)
def test_a_missing_setting_is_named_first(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        PayPal().check_settings({each: EXAMPLE[each] for each in EXAMPLE if each != name})


def test_an_authority_of_its_own_has_only_a_simulator(account: dict[str, Any]) -> None:
    root = account["root_certificate"]
    here = {**EXAMPLE, "host": "http://127.0.0.1:8801"}
    public, _ = PayPal().check_settings({**here, "root_certificate": f"\n{root}trailing"})
    assert public["root_certificate"] == root
    for bad in ({**EXAMPLE, "root_certificate": root}, {**here, "root_certificate": "-----BEGIN CERTIFICATE-----"}):
        with pytest.raises(InvalidRequest, match=r"^root_certificate: "):
            PayPal().check_settings(bad)


def test_a_private_key_is_refused_where_a_certificate_belongs(account: dict[str, Any]) -> None:
    key = account["intermediate"]["key"]
    for given_pem in (key, account["root_certificate"] + key):
        with pytest.raises(InvalidRequest, match=r"^root_certificate: "):
            PayPal().check_settings({**EXAMPLE, "host": "http://localhost:1", "root_certificate": given_pem})


def test_terms_are_partial_refunds_and_no_currency_that_paypal_writes_otherwise() -> None:
    terms = PayPal().terms(Channel("paypal", "paypal", EXAMPLE, {}))
    assert (terms.refunds, terms.closes, terms.weak) == (Refunds.PARTIAL, False, True)
    assert {"USD", "EUR", "JPY"} <= terms.amounts.keys()
    assert not {"HUF", "TWD", "CNY", "BRL", "INR", "MYR"} & terms.amounts.keys()


def test_the_account_is_the_merchant() -> None:
    assert PayPal().account(Channel("paypal", "paypal", EXAMPLE, {})) == EXAMPLE["merchant_id"]


# ---- opening a payment


def test_an_order_is_opened_with_our_number_in_every_place(there: Simulator) -> None:
    session = PayPal().create_payment(channel_of(there), asked())
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert (session.session_ref, session.redirect_url) == (payment.reference, there.pay_url(payment))
    assert payment.extra["unit"] == {
        "reference_id": PAYMENT_ID,
        "custom_id": PAYMENT_ID,
        "invoice_id": PAYMENT_ID,
        "description": "Steam 50 元",
        "amount": {"currency_code": "USD", "value": "9.90"},
    }
    assert payment.return_url == RETURN


def test_what_the_buyer_is_shown_is_to_pay_now_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = scripted(monkeypatch, {"POST /v2/checkout/orders": order("PAYER_ACTION_REQUIRED")})
    PayPal().create_payment(live(), asked())
    ((method, url, headers, body),) = [each for each in sent if each[1].endswith("/orders")]
    assert (method, url, headers["PayPal-Request-Id"]) == ("POST", f"{LIVE}/v2/checkout/orders", PAYMENT_ID)
    assert body["intent"] == "CAPTURE"
    assert body["payment_source"]["paypal"]["experience_context"] == {
        "user_action": "PAY_NOW",
        "shipping_preference": "NO_SHIPPING",
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
        "return_url": RETURN,
        "cancel_url": RETURN,
    }


def test_opening_it_again_opens_it_once(there: Simulator) -> None:
    first, again = (PayPal().create_payment(channel_of(there), asked()) for _ in range(2))
    assert first == again


def test_of_an_order_that_is_known_the_page_is_asked_for(there: Simulator) -> None:
    session = PayPal().create_payment(channel_of(there), asked())
    again = PayPal().create_payment(channel_of(there), asked(session_ref=session.session_ref))
    assert again == session
    assert (calls(there, "create"), calls(there, "query")) == (1, 1)


def test_an_approved_order_keeps_a_page_where_another_card_can_be_chosen(there: Simulator) -> None:
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    session = PayPal().create_payment(channel_of(there), asked(session_ref=payment.session_ref))
    assert session.redirect_url == f"{there.url}/checkoutnow?token={payment.session_ref}"


def test_there_is_no_page_for_what_is_over(there: Simulator) -> None:
    payment = captured(there)
    request = asked(session_ref=payment.session_ref)
    with pytest.raises(Unavailable, match="over"):
        PayPal().create_payment(channel_of(there), request)
    books(there, payment).status = "closed"
    with pytest.raises(Unavailable, match="INVALID_RESOURCE_ID"):
        PayPal().create_payment(channel_of(there), request)


def test_a_long_name_is_cut_to_what_paypal_takes(there: Simulator) -> None:
    opened(there, asked(name="名" * 500))
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.extra["unit"]["description"] == "名" * 127


def test_yen_have_no_decimals(there: Simulator) -> None:
    payment = opened(there, asked(amount=Money(990, "JPY")))
    assert books(there, payment).amount == "990"


def test_a_refusal_names_paypals_code_and_no_secret(there: Simulator) -> None:
    with pytest.raises(Unavailable, match="CURRENCY_NOT_SUPPORTED"):
        PayPal().create_payment(channel_of(there), asked(amount=Money(990, "KWD")))
    wrong = channel_of(there, client_secret="a-secret-of-somebody-else")
    with pytest.raises(Unavailable, match="invalid_client") as refusal:
        PayPal().create_payment(wrong, asked())
    assert "somebody" not in str(refusal.value)


@pytest.mark.parametrize("href", ["javascript:alert(1)", "http://www.paypal.com/checkoutnow?token=1", ""])
def test_a_page_that_is_no_https_address_is_shown_to_nobody(href: str, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [{"rel": "payer-action", "href": href}]
    scripted(monkeypatch, {"POST /v2/checkout/orders": order("PAYER_ACTION_REQUIRED", links=links)})
    with pytest.raises(Unavailable):
        PayPal().create_payment(live(), asked())


# ---- tokens


def test_one_token_serves_many_calls(there: Simulator) -> None:
    payment = opened(there)
    for _ in range(3):
        PayPal().query_payment(channel_of(there), payment)
    assert calls(there, "token") == 1


def test_a_token_is_given_up_a_minute_before_it_ends(there: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    payment, now = opened(there), time.time()
    for later, tokens in ((32_400 - 70, 1), (32_400 - 50, 2)):
        monkeypatch.setattr(paypal, "clock", lambda later=later: now + later)
        PayPal().query_payment(channel_of(there), payment)
        assert calls(there, "token") == tokens


def test_a_token_that_is_refused_is_replaced_once(there: Simulator) -> None:
    payment = opened(there)
    there.tokens.clear()
    assert PayPal().query_payment(channel_of(there), payment).kind is EventKind.OPEN
    assert calls(there, "token") == 2


def test_who_is_refused_with_a_fresh_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Answer(401, {}, b'{"error": "invalid_token"}')
    sent = scripted(monkeypatch, {"GET /v2/checkout/orders/5O190127TN364715T": refused})
    with pytest.raises(Unavailable, match="invalid_token"):
        PayPal().query_payment(live(), PAID_THERE)
    assert [url for _, url, _, _ in sent if "orders" in url] == [f"{LIVE}/v2/checkout/orders/5O190127TN364715T"] * 2


def test_another_secret_has_a_token_of_its_own(there: Simulator) -> None:
    opened(there)
    with pytest.raises(Unavailable):
        PayPal().create_payment(channel_of(there, client_secret="a-secret-of-somebody-else"), asked())


def test_tokens_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, {"POST /v2/checkout/orders": order("PAYER_ACTION_REQUIRED")})
    for number in range(100):
        channel = replace(live(), secrets={"client_secret": f"secret-number-{number:05}"})
        PayPal().create_payment(channel, asked())
    assert len(paypal._tokens) <= 32


# ---- asking for a payment


def test_nobody_can_have_paid_what_was_never_opened(uncalled: list[str]) -> None:
    payment = Payment(PAYMENT_ID, "paypal", PRICE, PaymentState.OPEN)
    assert PayPal().query_payment(live(), payment) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)
    assert uncalled == []


def test_an_approved_order_is_captured_when_it_is_asked_for(there: Simulator) -> None:
    payment = opened(there)
    assert PayPal().query_payment(channel_of(there), payment).kind is EventKind.OPEN
    there.pay(books(there, payment), notify=False)
    said = PayPal().query_payment(channel_of(there), payment)
    capture = books(there, payment).extra["capture"]
    assert said == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, capture, there.merchant_id)
    assert PayPal().query_payment(channel_of(there), payment) == said
    assert (books(there, payment).status, calls(there, "capture")) == ("paid", 1)


def test_closing_captures_nothing(there: Simulator) -> None:
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    said = PayPal().close_payment(channel_of(there), payment)
    assert (said.kind, calls(there, "capture")) == (EventKind.OPEN, 0)


def test_closing_what_was_captured_says_so(there: Simulator) -> None:
    payment = captured(there)
    said = PayPal().close_payment(channel_of(there), payment)
    assert (said.paid, said.amount) == (True, PRICE)


def test_after_a_declined_card_the_buyer_chooses_another(there: Simulator) -> None:
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    books(there, payment).extra["declines"] = 1
    assert PayPal().query_payment(channel_of(there), payment).kind is EventKind.OPEN
    there.pay(books(there, payment), notify=False)
    assert PayPal().query_payment(channel_of(there), payment).paid


def test_a_capture_carries_no_request_id_that_would_repeat_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v2/checkout/orders/5O190127TN364715T"
    answers = {f"GET {path}": order("APPROVED"), f"POST {path}/capture": order("COMPLETED")}
    sent = scripted(monkeypatch, answers)
    assert PayPal().query_payment(live(), PAID_THERE).paid
    (headers,) = [headers for _, url, headers, _ in sent if url.endswith("/capture")]
    assert "PayPal-Request-Id" not in headers


def test_money_that_is_pending_is_not_in(there: Simulator) -> None:
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    books(there, payment).extra["holds"] = True
    for _ in range(2):
        assert PayPal().query_payment(channel_of(there), payment).kind is EventKind.OPEN
    there.release(books(there, payment))
    assert PayPal().query_payment(channel_of(there), payment).paid


def test_whoever_captured_it_first_it_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v2/checkout/orders/5O190127TN364715T"
    gets = iter([order("APPROVED"), order("COMPLETED")])
    scripted(
        monkeypatch, {f"GET {path}": lambda: next(gets), f"POST {path}/capture": issue_of("ORDER_ALREADY_CAPTURED")}
    )
    assert PayPal().query_payment(live(), PAID_THERE).amount == PRICE


@pytest.mark.parametrize(
    ("issue", "kind"),
    [
        ("INSTRUMENT_DECLINED", EventKind.OPEN),
        ("ORDER_NOT_APPROVED", EventKind.OPEN),
        ("PAYER_ACTION_REQUIRED", EventKind.OPEN),
        ("MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED", EventKind.OPEN),
        ("DUPLICATE_INVOICE_ID", None),  # so its money may be in, by another order
        ("PAYEE_ACCOUNT_RESTRICTED", None),
    ],
)
def test_a_refused_capture_is_not_paid_only_if_paypal_says_so(
    issue: str, kind: EventKind | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v2/checkout/orders/5O190127TN364715T"
    scripted(monkeypatch, {f"GET {path}": order("APPROVED"), f"POST {path}/capture": issue_of(issue)})
    if kind is None:
        with pytest.raises(Unavailable, match=issue):
            PayPal().query_payment(live(), PAID_THERE)
    else:
        assert PayPal().query_payment(live(), PAID_THERE).kind is kind


@pytest.mark.parametrize(
    ("status", "capture", "kind"),
    [
        ("CREATED", "", EventKind.OPEN),
        ("SAVED", "", EventKind.OPEN),
        ("PAYER_ACTION_REQUIRED", "", EventKind.OPEN),
        ("VOIDED", "", EventKind.FAILED),
        ("COMPLETED", "COMPLETED", EventKind.PAID),
        ("COMPLETED", "PARTIALLY_REFUNDED", EventKind.PAID),
        ("COMPLETED", "PENDING", EventKind.OPEN),
        ("COMPLETED", "REFUNDED", EventKind.REFUNDED),
        ("COMPLETED", "DECLINED", EventKind.FAILED),
        ("COMPLETED", "FAILED", EventKind.FAILED),
    ],
)
def test_an_order_is_read_as_paypal_means_it(
    status: str, capture: str, kind: EventKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, {"GET /v2/checkout/orders/5O190127TN364715T": order(status, capture)})
    said = PayPal().query_payment(live(), PAID_THERE)
    assert (said.kind, said.amount) == (kind, PRICE if kind is EventKind.PAID else None)
    assert (said.refund is not None) == (kind is EventKind.REFUNDED)


def test_an_order_that_nobody_approved_in_time_is_over(there: Simulator) -> None:
    payment = opened(there)
    books(there, payment).status = "closed"
    assert PayPal().query_payment(channel_of(there), payment) == PaymentEvent(PAYMENT_ID, EventKind.FAILED)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {}, b"<html>not here</html>"),
        Answer(404, {}, b'{"name": "NOT_FOUND"}'),
        Answer(403, {}, b'{"name": "NOT_AUTHORIZED"}'),
        Answer(200, {}, b"{}"),
        Answer(302, {}, b"{}"),
    ],
)
def test_any_other_answer_is_no_word_about_the_payment(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, {"GET /v2/checkout/orders/5O190127TN364715T": answer})
    with pytest.raises(Unavailable):
        PayPal().query_payment(live(), PAID_THERE)


@pytest.mark.parametrize("name", ["reference_id", "custom_id", "invoice_id"])
def test_an_order_of_another_payment_is_neither_captured_nor_believed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(order("APPROVED").body)
    told["purchase_units"][0][name] = f"{PAYMENT_ID[:-2]}02"
    path = "/v2/checkout/orders/5O190127TN364715T"
    sent = scripted(monkeypatch, {f"GET {path}": Answer(200, {}, json.dumps(told).encode())})
    with pytest.raises(Unavailable, match="another payment"):
        PayPal().query_payment(live(), PAID_THERE)
    assert not [url for _, url, _, _ in sent if url.endswith("/capture")]


# ---- an approval in the shop


def test_an_approval_delivers_while_the_order_waits_for_it(there: Simulator) -> None:
    till = Till(Row(there), PRICE)
    order = till.ordered()
    assert till.says(till.pays(order), "approved") == [Outcome.ACCEPTED]
    assert till.order(order).status is Status.DELIVERED


def test_an_approval_that_nobody_told_of_is_found_by_asking(there: Simulator) -> None:
    till = Till(Row(there), PRICE)
    order = till.ordered()
    till.pays(order)
    (said,) = till.ask(order).paid
    assert (said.amount, calls(there, "capture")) == (PRICE, 1)


def test_an_approval_of_an_order_that_is_closed_takes_no_money(there: Simulator) -> None:
    till = Till(Row(there), PRICE)
    order = till.ordered()
    number = till.pays(order)
    assert till.closes(order).status is Status.CLOSED
    assert till.says(number, "approved") == [Outcome.WAITING]
    assert till.says(number, "closed") == [Outcome.WAITING], "PayPal's own books decide"
    assert (till.order(order).status, calls(there, "capture")) == (Status.CLOSED, 0)


# ---- refunds


def test_a_refund_is_sent_once_under_our_number(there: Simulator) -> None:
    payment = captured(there)
    refund = refund_of(payment)
    word = PayPal().refund(channel_of(there), payment, refund)
    assert (word.state, word.refund_id, word.amount) == (RefundState.DONE, REFUND_ID, PRICE)
    assert PayPal().refund(channel_of(there), payment, refund) == word
    (made,) = books(there, payment).refunds.values()
    assert made.refund_id == REFUND_ID
    assert books(there, payment).extra["asked"][REFUND_ID] == {"custom_id": REFUND_ID, "invoice_id": REFUND_ID}


def test_a_refund_in_part_leaves_the_rest(there: Simulator) -> None:
    payment = captured(there)
    PayPal().refund(channel_of(there), payment, refund_of(payment, Money(100, "USD")))
    assert books(there, payment).refunded == "1.00"
    assert PayPal().query_payment(channel_of(there), payment).paid


@pytest.mark.parametrize(("ends", "state"), [("done", RefundState.DONE), ("refused", RefundState.REFUSED)])
def test_a_refund_that_takes_time_is_followed(ends: str, state: RefundState, there: Simulator) -> None:
    payment, channel = captured(there), channel_of(there)
    books(there, payment).extra["refunds"] = "pending"
    word = PayPal().refund(channel, payment, refund_of(payment))
    assert word.state is RefundState.PENDING
    known = replace(refund_of(payment), state=RefundState.PENDING, provider_ref=word.provider_ref)
    assert PayPal().query_refund(channel, payment, known) == word
    there.settle(books(there, payment), books(there, payment).refunds[REFUND_ID], ends)
    assert PayPal().query_refund(channel, payment, known) == replace(word, state=state)


def test_a_refund_whose_number_is_not_known_is_asked_for_again(there: Simulator) -> None:
    payment, channel = captured(there), channel_of(there)
    word = PayPal().refund(channel, payment, refund_of(payment))
    assert PayPal().query_refund(channel, payment, refund_of(payment)) == word
    assert len(books(there, payment).refunds) == 1


@pytest.mark.parametrize(
    ("issue", "final"),
    [
        ("CAPTURE_FULLY_REFUNDED", True),
        ("REFUND_AMOUNT_EXCEEDED", True),
        ("REFUND_TIME_LIMIT_EXCEEDED", True),
        ("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK", True),
        ("REFUND_FAILED_INSUFFICIENT_FUNDS", False),
        ("PENDING_CAPTURE", False),
        ("TRANSACTION_DISPUTED", False),
        ("PAYEE_ACCOUNT_RESTRICTED", False),
        ("DUPLICATE_INVOICE_ID", False),  # it may have been sent
    ],
)
def test_only_what_will_never_change_refuses_a_refund(issue: str, final: bool, there: Simulator) -> None:
    payment = captured(there)
    books(there, payment).extra["refund_issue"] = issue
    if final:
        word = PayPal().refund(channel_of(there), payment, refund_of(payment))
        assert word == RefundWord(RefundState.REFUSED, REFUND_ID)
    else:
        with pytest.raises(Unavailable, match=issue):
            PayPal().refund(channel_of(there), payment, refund_of(payment))
    assert books(there, payment).refunds == {}


@pytest.mark.parametrize("reference", [None, "", "a/../b", "capture of the order"])
def test_without_the_captures_number_nothing_is_sent(reference: str | None, uncalled: list[str]) -> None:
    payment = replace(PAID_THERE, provider_ref=reference)
    with pytest.raises(Unavailable):
        PayPal().refund(live(), payment, refund_of(payment))
    assert uncalled == []


@pytest.mark.parametrize(
    "changed",
    [
        {"custom_id": f"{PAYMENT_ID}r02"},
        {"amount": {"currency_code": "USD", "value": "9.89"}},
        {"amount": {"currency_code": "EUR", "value": "9.90"}},
        {"status": "SOMETHING"},
        {"id": "../1"},
    ],
)
def test_an_answer_that_is_not_of_this_refund_is_none(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    amount = {"currency_code": "USD", "value": "9.90"}
    right = {"id": "1JU08902781691411", "status": "COMPLETED", "custom_id": REFUND_ID, "amount": amount}
    path = "POST /v2/payments/captures/3C679366HH908993F/refund"
    scripted(monkeypatch, {path: Answer(201, {}, json.dumps(right).encode())})
    word = PayPal().refund(live(), PAID_THERE, refund_of(PAID_THERE))
    assert word == RefundWord(RefundState.DONE, REFUND_ID, "1JU08902781691411", PRICE)
    scripted(monkeypatch, {path: Answer(201, {}, json.dumps(right | changed).encode())})
    with pytest.raises(Unavailable):
        PayPal().refund(live(), PAID_THERE, refund_of(PAID_THERE))


# ---- notices: what they say


def tell(there: Simulator, event: str, refund: booths.Refund | None = None) -> Notice:
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    outgoing = there.notice(payment, event, booths.Telling("n-1", time.time(), refund))
    assert outgoing is not None
    return arrived(outgoing)


def signed(there: Simulator, body: bytes, *, at: float | None = None, **how: Any) -> Notice:
    headers = there.signature(body, identity="n-1", at=time.time() if at is None else at, **how)
    return Notice("POST", (), {name.lower(): value for name, value in headers.items()}, body)


def changed(there: Simulator, notice: Notice, change: Callable[[dict[str, Any]], object]) -> Notice:
    told = json.loads(notice.body)
    change(told["resource"])
    return signed(there, json.dumps(told).encode())


def read(there: Simulator, notice: Notice, *, at: float | None = None, **settings: str) -> list[PaymentEvent]:
    received = int((time.time() if at is None else at) * 1000)
    return PayPal().read_notice(channel_of(there, **settings), notice, received)


def test_an_approval_is_asked_about_and_never_money(there: Simulator) -> None:
    payment = opened(there)
    there.pay(books(there, payment), notify=False)
    (event,) = read(there, tell(there, "approved"))
    assert event == PaymentEvent(PAYMENT_ID, EventKind.ASK, account=there.merchant_id)


def test_a_capture_is_money(there: Simulator) -> None:
    payment = captured(there)
    (event,) = read(there, tell(there, "paid"))
    assert event == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, payment.provider_ref, there.merchant_id)


def test_a_capture_without_an_amount_leaves_it_to_be_asked(there: Simulator) -> None:
    captured(there)
    (event,) = read(there, changed(there, tell(there, "paid"), lambda capture: capture.pop("amount")))
    assert (event.kind, event.amount) == (EventKind.PAID, None)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("pending", EventKind.OPEN),
        ("failed", EventKind.FAILED),
        ("closed", EventKind.FAILED),
        ("charged_back", EventKind.CHARGED_BACK),
        ("reversed", EventKind.CHARGED_BACK),
        ("reinstated", EventKind.REINSTATED),
        ("dispute_lost", EventKind.CHARGED_BACK),
    ],
)
def test_other_events_are_what_paypal_means_by_them(event: str, kind: EventKind, there: Simulator) -> None:
    captured(there)
    (told,) = read(there, tell(there, event))
    assert (told.payment_id, told.kind, told.amount) == (PAYMENT_ID, kind, None)


def test_a_dispute_has_a_number_when_it_is_opened_and_when_it_is_won(there: Simulator) -> None:
    captured(there)
    opened, won, lost = (read(there, tell(there, each))[0] for each in ("charged_back", "reinstated", "dispute_lost"))
    assert opened.dispute is not None
    assert (won.dispute, lost.dispute) == (opened.dispute, None)


def test_a_denied_capture_is_a_failure_too(there: Simulator) -> None:
    captured(there)
    body = tell(there, "failed").body.replace(b"CAPTURE.DECLINED", b"CAPTURE.DENIED")
    (told,) = read(there, signed(there, body))
    assert told.kind is EventKind.FAILED


@pytest.mark.parametrize("outcome", ["RESOLVED_WITH_PAYOUT", "NONE", "SOMETHING"])
def test_an_outcome_that_names_no_winner_changes_nothing(outcome: str, there: Simulator) -> None:
    captured(there)
    notice = changed(there, tell(there, "reinstated"), lambda it: it["dispute_outcome"].update(outcome_code=outcome))
    assert read(there, notice) == []


@pytest.mark.parametrize("outcome", ["CANCELED_BY_BUYER", "DENIED"])
def test_a_dispute_that_came_to_nothing_is_over(outcome: str, there: Simulator) -> None:
    captured(there)
    notice = changed(there, tell(there, "reinstated"), lambda it: it["dispute_outcome"].update(outcome_code=outcome))
    (event,) = read(there, notice)
    assert event.kind is EventKind.REINSTATED


@pytest.mark.parametrize("name", ["CHECKOUT.ORDER.COMPLETED", "CUSTOMER.DISPUTE.UPDATED", "BILLING.PLAN.CREATED"])
def test_an_event_that_needs_nothing_says_nothing(name: str, there: Simulator) -> None:
    assert read(there, signed(there, json.dumps({"event_type": name}).encode())) == []


def test_a_refund_of_ours_is_told_by_its_number(there: Simulator) -> None:
    payment = captured(there)
    word = PayPal().refund(channel_of(there), payment, refund_of(payment, Money(100, "USD")))
    (event,) = read(there, tell(there, "refunded", books(there, payment).refunds[REFUND_ID]))
    assert event == PaymentEvent(
        PAYMENT_ID,
        EventKind.REFUNDED,
        provider_ref=payment.provider_ref,
        refund=replace(word, total=Money(100, "USD")),
    )


def test_a_refund_made_by_hand_there_is_told_by_what_has_gone_back(there: Simulator) -> None:
    payment = captured(there)
    for number in ("first", "second"):
        made = there.refund(books(there, payment), number, "1.00")
    (event,) = read(there, tell(there, "refunded", made))
    assert event.payment_id == PAYMENT_ID
    assert event.refund is not None
    assert (event.refund.refund_id, event.refund.provider_ref) == (None, made.reference.upper()[:17])
    assert (event.refund.amount, event.refund.total) == (Money(100, "USD"), Money(200, "USD"))


@pytest.mark.parametrize(
    ("status", "state"),
    [("PENDING", RefundState.PENDING), ("FAILED", RefundState.REFUSED), ("CANCELLED", RefundState.REFUSED)],
)
def test_a_refund_that_is_not_done_is_told_as_it_is(status: str, state: RefundState, there: Simulator) -> None:
    payment = captured(there)
    made = there.refund(books(there, payment), "by-hand", "9.90")
    (event,) = read(there, changed(there, tell(there, "refunded", made), lambda it: it.update(status=status)))
    assert event.refund is not None
    assert event.refund.state is state


def unnamed(resource: dict[str, Any]) -> None:
    for holder in (resource, *resource.get("disputed_transactions", ())):
        for name in ("custom_id", "invoice_id", "custom", "invoice_number"):
            holder.pop(name, None)


@pytest.mark.parametrize("event", ["refunded", "reversed", "charged_back"])
def test_what_names_only_the_capture_is_traced(event: str, there: Simulator) -> None:
    payment = captured(there)
    made = there.refund(books(there, payment), "by-hand", "9.90") if event == "refunded" else None
    (told,) = read(there, changed(there, tell(there, event, made), unnamed))
    assert (told.payment_id, told.provider_ref) == (None, payment.provider_ref)
    assert PayPal().trace(channel_of(there), told) == PAYMENT_ID


def test_what_nobody_knows_is_traced_to_nothing(there: Simulator, uncalled: list[str]) -> None:
    assert PayPal().trace(live(), PaymentEvent(None, EventKind.CHARGED_BACK)) is None
    assert uncalled == []


def test_a_capture_that_is_not_there_is_traced_to_nothing(there: Simulator) -> None:
    event = PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref="3C679366HH908993F")
    assert PayPal().trace(channel_of(there), event) is None


@pytest.mark.parametrize(
    ("event", "change"),
    [
        ("paid", lambda it: it.update(amount={"currency_code": "usd", "value": "9.90"})),
        ("paid", lambda it: it.update(amount={"currency_code": "USD", "value": "-9.90"})),
        ("paid", lambda it: it.update(amount={"currency_code": "USD", "value": "9.901"})),
        ("paid", lambda it: it.update(amount={"currency_code": "USD", "value": 9.9})),
        ("paid", lambda it: it.update(amount=[])),
        ("paid", lambda it: it.update(id="../x")),
        ("paid", lambda it: it.update(custom_id=1)),
        ("paid", unnamed),
        ("approved", lambda it: it.update(purchase_units=[])),
        ("approved", lambda it: it.update(purchase_units=["x"])),
        ("approved", lambda it: unnamed(it["purchase_units"][0])),
        ("reversed", lambda it: it.update(links=[], id="?")),
        ("charged_back", lambda it: it.pop("disputed_transactions")),
        ("charged_back", lambda it: it["disputed_transactions"][0].pop("seller_transaction_id")),
    ],
)
def test_a_rightly_signed_notice_that_makes_no_sense_is_refused(
    event: str, change: Callable[[dict[str, Any]], object], there: Simulator
) -> None:
    captured(there)
    with pytest.raises(InvalidNotice):
        read(there, changed(there, tell(there, event), change))


# ---- notices: whose they are

PLAIN = b'{"event_type": "CHECKOUT.ORDER.COMPLETED"}'


@pytest.mark.parametrize("off", [-3 * DAYS - 299, -DAYS, -301, 0, 299])
def test_a_notice_may_be_as_old_as_its_retries(off: float, standing: Simulator) -> None:
    now = int(time.time())
    assert read(standing, signed(standing, PLAIN, at=now + off), at=now) == []


@pytest.mark.parametrize("off", [-3 * DAYS - 301, -30 * DAYS, 301, DAYS])
def test_a_notice_that_no_retry_explains_is_stale(off: float, standing: Simulator) -> None:
    now = int(time.time())
    with pytest.raises(StaleNotice):
        read(standing, signed(standing, PLAIN, at=now + off), at=now)


@pytest.mark.parametrize(
    "sent", ["", "now", "2025-11-22T08:26:40", "2025-13-22T08:26:40Z", "2025-11-22 08:26:40Z", "٢٠٢٥-11-22T08:26:40Z"]
)
def test_a_time_that_is_none_is_refused(sent: str, standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, bent(signed(standing, PLAIN), headers={"paypal-transmission-time": sent}))


def test_a_notice_for_another_webhook_is_refused(standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, signed(standing, PLAIN), webhook_id="1JE4291016473214C")


def test_another_body_is_refused(standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, bent(signed(standing, PLAIN), body=PLAIN.replace(b"COMPLETED", b"APPROVED")))


@pytest.mark.parametrize("name", ["id", "time", "sig"])
def test_every_part_of_a_transmission_is_wanted(name: str, standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, bent(signed(standing, PLAIN), headers={f"paypal-transmission-{name}": None}))


@pytest.mark.parametrize("algorithm", [None, "", "SHA1withRSA", "sha256withrsa", "SHA256withECDSA", "none"])
def test_one_algorithm_is_taken(algorithm: str | None, standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, bent(signed(standing, PLAIN), headers={"paypal-auth-algo": algorithm}))


@pytest.mark.parametrize("name", ["transmission-id", "transmission-time", "transmission-sig", "cert-url"])
@pytest.mark.parametrize("text", ["签", "\ud800", "\n", " ", "A" * 10_000])
def test_a_header_that_is_no_such_thing_is_refused(name: str, text: str, standing: Simulator) -> None:
    right = signed(standing, PLAIN)
    with pytest.raises(InvalidNotice):
        read(standing, bent(right, headers={f"paypal-{name}": right.headers[f"paypal-{name}"] + text}))


def test_a_large_notice_is_refused_though_it_is_signed(standing: Simulator) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, signed(standing, PLAIN + b" " * 70_000))


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.a.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@a.example/v1/notifications/certs/CERT-1",
        "https://a.example\\@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/../webhooks/1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
        "https://api.paypal.com/v1/oauth2/token",
        "http://127.0.0.1:8801/v1/notifications/certs/CERT-1",
        "http://169.254.169.254/v1/notifications/certs/CERT-1",
        "file:///v1/notifications/certs/CERT-1",
        "",
    ],
)
def test_a_certificate_is_fetched_from_paypal_only(url: str, standing: Simulator, uncalled: list[str]) -> None:
    notice = bent(signed(standing, PLAIN), headers={"paypal-cert-url": url})
    with pytest.raises(InvalidNotice):
        PayPal().read_notice(live(), notice, int(time.time() * 1000))
    assert uncalled == []


def test_a_certificate_is_fetched_once(account: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    ask = outbound.call

    def call(method: str, url: str, **how: Any) -> Answer:
        fetched.append(url)
        return ask(method, url, **how)

    monkeypatch.setattr(outbound, "call", call)
    with serve(Simulator(account)) as booth:
        for _ in range(3):
            assert read(booth, signed(booth, PLAIN)) == []
        assert fetched == [f"{booth.url}{CERTIFICATES}/{booth.signs_with}"]


def test_a_certificate_that_is_kept_still_ends(standing: Simulator) -> None:
    assert read(standing, signed(standing, PLAIN)) == []
    later = time.time() + 400 * DAYS
    with pytest.raises(InvalidNotice, match="not PayPal's"):
        read(standing, signed(standing, PLAIN, at=later), at=later)


def test_a_certificate_that_nobody_serves_now_is_no_forgery(account: dict[str, Any]) -> None:
    """PayPal is to send it again: a 5xx, not a 4xx."""
    with serve(Simulator(account)) as booth:
        notice, channel = signed(booth, PLAIN), channel_of(booth)
    with pytest.raises(Unavailable):
        PayPal().read_notice(channel, notice, int(time.time() * 1000))


def between(account: dict[str, Any]) -> tuple[x509.Certificate, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    given_pem = account["intermediate"]
    certificate = x509.load_pem_x509_certificate(given_pem["certificate"].encode())
    return certificate, load_pem_private_key(given_pem["key"].encode(), None)


@pytest.mark.parametrize(
    "wrong",
    [
        "of another name",
        "of the live name",
        "over",
        "not yet",
        "of nobody",
        "without its issuer",
        "of a wrong issuer",
        "an authority's",
    ],
)
def test_a_certificate_that_is_not_paypals_is_refused(wrong: str, there: Simulator, account: dict[str, Any]) -> None:
    issuer = between(account)
    chain = [issuer[0]]
    match wrong:
        case "of another name":
            made = issue("www.paypal.com", issuer)
        case "of the live name":
            made = issue("messageverificationcerts.paypal.com", issuer)
        case "over":
            made = issue(SIGNER, issuer, days=(-10, -1))
        case "not yet":
            made = issue(SIGNER, issuer, days=(1, 10))
        case "of nobody":
            made, chain = issue(SIGNER), []
        case "without its issuer":
            made, chain = issue(SIGNER, issuer), []
        case "of a wrong issuer":
            made = issue(SIGNER, issue("Simulated Intermediate", authority=True))
        case _:
            made = (issuer[0], issue("x")[1])
    there.certificates["CERT-wrong"] = {"chain": "".join(map(pem, [made[0], *chain])), "key": pem(made[1])}
    with pytest.raises(InvalidNotice, match="not PayPal's certificate"):
        read(there, signed(there, PLAIN, certificate="CERT-wrong"))


def alone(there: Simulator, account: dict[str, Any], issuers: str) -> Notice:
    """Signed by a certificate of PayPal's that comes without its issuer's, and names this address for it."""
    certificate, key = issue(SIGNER, between(account), issuers=issuers)
    name = f"CERT-{certificate.serial_number:x}"
    there.certificates[name] = {"chain": pem(certificate), "key": pem(key)}
    return signed(there, PLAIN, certificate=name)


def test_the_issuers_certificate_is_fetched_where_it_is_missing(there: Simulator, account: dict[str, Any]) -> None:
    assert read(there, alone(there, account, f"{there.url}/intermediate.crt")) == []


def test_an_issuers_certificate_that_is_not_to_be_had_is_no_forgery(there: Simulator, account: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        read(there, alone(there, account, f"{there.url}/another.crt"))


@pytest.mark.parametrize(
    "issuers",
    [
        "http://a.example/intermediate.crt",
        "http://127.0.0.1:1/intermediate.crt",
        "ldap:///intermediate.crt",
        "http://cacerts.digicert.com@a.example/intermediate.crt",
        "http://cacerts.digicert.com/../intermediate.crt?x",
        "intermediate.crt",
    ],
)
def test_an_issuers_certificate_is_fetched_from_digicert_only(
    issuers: str, there: Simulator, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notice, called = alone(there, account, issuers), []
    served = there.certificates[notice.headers["paypal-cert-url"].rpartition("/")[2]]["chain"]

    def call(method: str, url: str, **_: Any) -> Answer:
        called.append(url)
        return Answer(200, {}, served.encode())

    monkeypatch.setattr(outbound, "call", call)
    with pytest.raises(InvalidNotice, match="not PayPal's certificate"):
        read(there, notice)
    assert called == [notice.headers["paypal-cert-url"]]


def test_digicert_is_asked_over_tls_though_certificates_say_http(
    account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = issue(SIGNER, between(account), issuers="http://cacerts.digicert.com/DigiCertEVRSACAG2.crt")
    called: list[tuple[str, Any]] = []

    def call(method: str, url: str, *, hosts: Any) -> Answer:
        called.append((url, hosts))
        return Answer(200, {}, pem(certificate).encode())

    monkeypatch.setattr(outbound, "call", call)
    paypal._certificates(f"https://api.paypal.com{CERTIFICATES}/CERT-alone", "https://cacerts.digicert.com")
    assert called[1:] == [("https://cacerts.digicert.com/DigiCertEVRSACAG2.crt", ("cacerts.digicert.com",))]


def test_an_authority_is_not_trusted_for_being_sent_along(there: Simulator) -> None:
    root = issue("Another Root", authority=True)
    certificate, key = issue(SIGNER, root)
    there.certificates["CERT-own"] = {"chain": pem(certificate) + pem(root[0]), "key": pem(key)}
    with pytest.raises(InvalidNotice, match="not PayPal's certificate"):
        read(there, signed(there, PLAIN, certificate="CERT-own"))


@pytest.mark.parametrize("served", ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "<html>"])
def test_what_is_no_certificate_is_refused(served: str, there: Simulator) -> None:
    there.certificates["CERT-none"] = {"chain": served, "key": there.certificates[there.signs_with]["key"]}
    with pytest.raises(InvalidNotice, match="no certificate"):
        read(there, signed(there, PLAIN, certificate="CERT-none"))


def test_a_chain_without_end_is_refused(there: Simulator) -> None:
    right = there.certificates[there.signs_with]
    there.certificates["CERT-long"] = {**right, "chain": right["chain"] * 5}
    with pytest.raises(InvalidNotice, match="no certificate"):
        read(there, signed(there, PLAIN, certificate="CERT-long"))


def test_a_key_of_another_kind_is_refused(there: Simulator, account: dict[str, Any]) -> None:
    issuer = between(account)
    certificate, _ = issue(SIGNER, issuer, key=issuer[1])  # elliptic
    key = there.certificates[there.signs_with]["key"]
    there.certificates["CERT-elliptic"] = {"chain": pem(certificate) + pem(issuer[0]), "key": key}
    with pytest.raises(InvalidNotice, match="no RSA key"):
        read(there, signed(there, PLAIN, certificate="CERT-elliptic"))


def test_a_simulators_authority_vouches_for_nothing_live(
    account: dict[str, Any], standing: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_live(account, standing, monkeypatch, vouched=False)


def test_what_this_machine_trusts_vouches_for_the_live_certificate(
    account: dict[str, Any], standing: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trusted = tmp_path / "roots.pem"
    trusted.write_text(account["root_certificate"])
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert_live(account, standing, monkeypatch, vouched=True)


def assert_live(
    account: dict[str, Any], standing: Simulator, monkeypatch: pytest.MonkeyPatch, *, vouched: bool
) -> None:
    """A notice of the live PayPal, its certificate vouched for by the simulator's authority."""
    issuer = between(account)
    certificate, key = issue("messageverificationcerts.paypal.com", issuer)
    served = Answer(200, {}, (pem(certificate) + pem(issuer[0])).encode())
    url = f"https://api.paypal.com{CERTIFICATES}/CERT-live-{vouched}"
    called: list[tuple[str, Any]] = []

    def call(method: str, url: str, *, hosts: Any) -> Answer:
        called.append((url, hosts))
        return served

    monkeypatch.setattr(outbound, "call", call)
    paypal._roots.cache_clear()
    public, secrets = PayPal().check_settings({**EXAMPLE, "webhook_id": account["webhook_id"]})
    channel = Channel("paypal", "paypal", public, secrets)
    monkeypatch.setitem(standing.certificates, "CERT-live", {"chain": "", "key": pem(key)})
    notice = bent(signed(standing, PLAIN, certificate="CERT-live"), headers={"paypal-cert-url": url})
    try:
        if vouched:
            assert PayPal().read_notice(channel, notice, int(time.time() * 1000)) == []
        else:
            with pytest.raises(InvalidNotice, match="not PayPal's certificate"):
                PayPal().read_notice(channel, notice, int(time.time() * 1000))
    finally:
        paypal._roots.cache_clear()
    assert called == [(url, ("api.paypal.com",))]


def test_a_machine_without_authorities_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "none.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    paypal._roots.cache_clear()
    with pytest.raises(Unavailable, match="no certificate authority"):
        paypal._roots(None)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the oracle")
def test_a_notice_that_openssl_made_is_believed(there: Simulator, tmp_path: Path) -> None:
    """Keys, chain and signature are OpenSSL's own: nothing of ours or of the simulator's is in them."""

    def openssl(*arguments: str, given: bytes | None = None) -> bytes:
        return subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True, input=given, timeout=60
        ).stdout

    (tmp_path / "leaf.cnf").write_text(
        f"basicConstraints=CA:FALSE\nsubjectAltName=DNS:{SIGNER}\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-batch")
    openssl(*new, "-x509", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Root", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    openssl(*new, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={SIGNER}")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
            "-out", "leaf.pem", "-days", "1", "-extfile", "leaf.cnf")  # fmt: skip
    there.certificates["CERT-openssl"] = {"chain": (tmp_path / "leaf.pem").read_text(), "key": ""}
    sent, body = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), PLAIN
    signature = openssl(
        "dgst", "-sha256", "-sign", "leaf.key",
        given=f"0d1f2e3c-1234|{sent}|{there.account['webhook_id']}|{zlib.crc32(body)}".encode(),
    )  # fmt: skip
    headers = {
        "paypal-transmission-id": "0d1f2e3c-1234",
        "paypal-transmission-time": sent,
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": f"{there.url}{CERTIFICATES}/CERT-openssl",
    }
    root = (tmp_path / "root.pem").read_text()
    assert read(there, Notice("POST", (), headers, body), root_certificate=root) == []
    with pytest.raises(InvalidNotice):
        read(there, Notice("POST", (), headers, body + b" "), root_certificate=root)


# ---- recorded notices

EVENTS = Path(__file__).parents[3] / "events" / "receive_notice"
#: Of the authority, and of the signer, that the recorded notices were made with; their keys are thrown away.
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBmDCCAT2gAwIBAgIUVBU7tdmklLsX9vhFDv8drC/m6J8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOU2ltdWxhdGVkIFJvb3QwHhcNMjUxMDIwMDE0NTA3WhcNNDYx
MTIwMDE0NTA3WjAZMRcwFQYDVQQDDA5TaW11bGF0ZWQgUm9vdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABOB6OV6FqQjV76vGRHg2BoOo1KiB73BrLCA1p8KgN9pl
DFdifTIVgxheCJleW04cejGUPAaojN4ElUbZuTn8WbGjYzBhMA8GA1UdEwEB/wQF
MAMBAf8wHQYDVR0OBBYEFPRyGHoePQoqQwPb0giyIJswyDlFMB8GA1UdIwQYMBaA
FPRyGHoePQoqQwPb0giyIJswyDlFMA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQD
AgNJADBGAiEA1c8W1ofcL7LKTyUYVeC9t1vRXvZl0ZcJToYZlrwleW4CIQCqMjL2
m+KbMr5VjpLvs1h2q6EsFFBJ9Adguh6e+LGplQ==
-----END CERTIFICATE-----
"""
SIGNED_BY = """\
-----BEGIN CERTIFICATE-----
MIICuzCCAmGgAwIBAgIUOim/8ON096DQvueNYwtLLJqeJKYwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOU2ltdWxhdGVkIFJvb3QwHhcNMjUxMDIxMDE0NTA4WhcNMzYx
MTIyMDE0NTA4WjA2MTQwMgYDVQQDDCttZXNzYWdldmVyaWZpY2F0aW9uY2VydHMu
c2FuZGJveC5wYXlwYWwuY29tMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC
AQEA1Gp0NGbpu6icE+b2ot4uJ8DarI1J+b2KEpztfvrSjj/TQM8ccXaAWtCEuxha
/WUdhD/kUTy+BguDXb4M1UbCGDE6V3lZz9Ucs0MYn6RBtzJoc+G8PF6BA+ngedmn
e10jP9zcPaunmsebxCmS+YbcT1ub3PKCkQQLv/DRt2wEVCzlx9Ws5th4bjl6LmaN
/H01R/LZRJ4NVSHze6fyUaTzauuXbiTf2lC/d9t8sGIWXk7+Y9EoDT0Uy4ATsCoA
ghfbJZMPsoKA4FUY2PnUkEa7WXrJ/5ldXyydiWOr8rGDno4LKVRkGqceosPQV6UB
2emnJmFWupDPco1TfO+8pSTJ/wIDAQABo4GeMIGbMAwGA1UdEwEB/wQCMAAwHQYD
VR0OBBYEFEXbRnhQouhBjvrmnSL5ao5bFygnMB8GA1UdIwQYMBaAFPRyGHoePQoq
QwPb0giyIJswyDlFMDYGA1UdEQQvMC2CK21lc3NhZ2V2ZXJpZmljYXRpb25jZXJ0
cy5zYW5kYm94LnBheXBhbC5jb20wEwYDVR0lBAwwCgYIKwYBBQUHAwEwCgYIKoZI
zj0EAwIDSAAwRQIgFWOoz1h4J5pPkXVJR/LJgVm2I6OQT+4Fn4zh3wbCrOoCIQC3
BNuEE5WOulXyfWNKR24+RVXudyUNUzj5f5v2cr4KOg==
-----END CERTIFICATE-----
"""


@pytest.mark.parametrize("name", ["approved", "paid", "refunded"])
def test_a_recorded_notice_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = json.loads((EVENTS / f"paypal_{name}.json").read_text())
    headers = {each.lower(): value for each, value in recorded["headers"].items()}
    body, at = base64.b64decode(recorded["body"]), recorded["requestContext"]["requestTimeEpoch"]
    monkeypatch.setattr(outbound, "call", lambda *_, **__: Answer(200, {}, SIGNED_BY.encode()))
    here = {**EXAMPLE, "host": "https://api-m.sandbox.paypal.com", "root_certificate": AUTHORITY}
    (event,) = PayPal().read_notice(Channel("paypal", "paypal", here, {}), Notice("POST", (), headers, body), at)
    capture = "3C679366HH908993F"
    assert (
        event
        == {
            "approved": PaymentEvent(PAYMENT_ID, EventKind.ASK, account=EXAMPLE["merchant_id"]),
            "paid": PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, capture, EXAMPLE["merchant_id"]),
            "refunded": PaymentEvent(
                PAYMENT_ID,
                EventKind.REFUNDED,
                provider_ref=capture,
                refund=RefundWord(RefundState.DONE, REFUND_ID, "1JU08902781691411", PRICE, PRICE),
            ),
        }[name]
    )


# ---- whatever comes

names = st.sampled_from(
    [
        *("id", "status", "amount", "currency_code", "value", "custom_id", "invoice_id", "links", "href", "rel"),
        *("purchase_units", "payments", "captures", "payee", "merchant_id", "disputed_transactions", "custom"),
        *("seller_transaction_id", "dispute_outcome", "outcome_code", "seller_payable_breakdown", "details", "issue"),
        *("total_refunded_amount", "access_token", "expires_in", "name", "error", "reference_id", "seller"),
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["9.90", "USD", PAYMENT_ID]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=20,
)
events = st.sampled_from(
    [
        *paypal._CAPTURE_EVENTS,
        *paypal._ORDER_EVENTS,
        *("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"),
        *("CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.RESOLVED"),
    ]
)


@bounded
@given(
    st.dictionaries(
        st.sampled_from([f"paypal-{name}" for name in ("transmission-id", "transmission-time", "transmission-sig")])
        | st.sampled_from(["paypal-auth-algo", "paypal-cert-url"]),
        st.text()
        | st.sampled_from(["SHA256withRSA", "2025-11-22T08:26:40Z", f"https://api.paypal.com{CERTIFICATES}/C"]),
    ),
    st.binary(max_size=60),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
)
def test_whatever_comes_unsigned_is_refused(headers: dict[str, str], body: bytes, query: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidNotice):
        PayPal().read_notice(live(), Notice("POST", tuple(query), headers, body), 1_763_800_000_000)


@bounded
@given(told=st.fixed_dictionaries({"event_type": events, "resource": anything}) | anything)
def test_whatever_is_signed_is_read_or_refused(standing: Simulator, told: Any) -> None:
    try:
        found = read(standing, signed(standing, json.dumps(told).encode()))
    except InvalidNotice:
        return
    assert all(isinstance(event, PaymentEvent) for event in found)


@settings(max_examples=30, deadline=None)
@given(body=st.binary(max_size=40))
def test_whatever_bytes_are_signed_are_read_or_refused(standing: Simulator, body: bytes) -> None:
    with pytest.raises(InvalidNotice):
        read(standing, signed(standing, body))


@bounded
@given(
    status=st.sampled_from([200, 201, 400, 401, 404, 422]),
    body=anything.map(lambda it: json.dumps(it).encode()) | st.binary(max_size=20),
)
def test_whatever_paypal_answers_is_understood_or_unavailable(status: int, body: bytes) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        scripted(monkeypatch, {}, otherwise=Answer(status, {}, body))
        of_a_dispute = PaymentEvent(None, EventKind.CHARGED_BACK, provider_ref="3C679366HH908993F")
        refund = replace(refund_of(PAID_THERE), provider_ref="1JU08902781691411")
        asks: list[Callable[[], object]] = [
            lambda: PayPal().create_payment(live(), asked()),
            lambda: PayPal().create_payment(live(), asked(session_ref="5O190127TN364715T")),
            lambda: PayPal().query_payment(live(), PAID_THERE),
            lambda: PayPal().close_payment(live(), PAID_THERE),
            lambda: PayPal().refund(live(), PAID_THERE, refund),
            lambda: PayPal().query_refund(live(), PAID_THERE, refund),
            lambda: PayPal().trace(live(), of_a_dispute),
        ]
        refusals = []
        for ask in asks:
            try:
                ask()
            except Unavailable as refusal:
                refusals.append(str(refusal))
        assert EXAMPLE["client_secret"] not in "".join(refusals)


# ---- answers by hand

PAID_THERE = Payment(
    PAYMENT_ID,
    "paypal",
    PRICE,
    PaymentState.ACCEPTED,
    paid=PRICE,
    provider_ref="3C679366HH908993F",
    session_ref="5O190127TN364715T",
)


def live() -> Channel:
    public, secrets = PayPal().check_settings(EXAMPLE)
    return Channel("paypal", "paypal", public, secrets)


def order(status: str, capture: str = "COMPLETED", *, links: list[dict[str, str]] | None = None) -> Answer:
    unit: dict[str, Any] = {
        "reference_id": PAYMENT_ID,
        "custom_id": PAYMENT_ID,
        "invoice_id": PAYMENT_ID,
        "payee": {"merchant_id": EXAMPLE["merchant_id"]},
    }
    if status == "COMPLETED":
        amount = {"currency_code": "USD", "value": "9.90"}
        unit["payments"] = {"captures": [{"id": "3C679366HH908993F", "status": capture, "amount": amount}]}
    page = {"rel": "payer-action", "href": "https://www.paypal.com/checkoutnow?token=5O190127TN364715T"}
    told = {"id": "5O190127TN364715T", "status": status, "purchase_units": [unit], "links": links or [page]}
    return Answer(200, {}, json.dumps(told).encode())


def issue_of(issue: str) -> Answer:
    return Answer(422, {}, json.dumps({"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue}]}).encode())


def scripted(
    monkeypatch: pytest.MonkeyPatch,
    answers: Mapping[str, Answer | Callable[[], Answer]],
    otherwise: Answer | None = None,
) -> list[tuple[str, str, dict[str, str], Any]]:
    """PayPal answers so; what it was sent: method, address, headers, JSON."""
    sent: list[tuple[str, str, dict[str, str], Any]] = []
    token = Answer(200, {}, b'{"access_token": "A21AA", "expires_in": 32400}')

    def call(method: str, url: str, *, headers: dict[str, str], body: bytes | None, hosts: Any) -> Answer:
        assert hosts == ("api-m.paypal.com",)
        if url.endswith("/v1/oauth2/token"):
            return token
        sent.append((method, url, headers, json.loads(body) if body else None))
        answer = answers.get(f"{method} {url.removeprefix(LIVE)}", otherwise)
        assert answer is not None, (method, url)
        return answer if isinstance(answer, Answer) else answer()

    monkeypatch.setattr(outbound, "call", call)
    return sent
