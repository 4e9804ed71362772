"""Epusdt: what is signed as Go prints it, whose word is believed, and what an answer that names no amount is worth."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cardshop.adapters.payments import outbound, provider
from cardshop.adapters.payments.epusdt import Epusdt
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, PaymentSpent, Unavailable
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
    Refunds,
    Reply,
)
from hypothesis import given
from hypothesis import strategies as st

from simulators import epusdt as simulated
from simulators.booth import serve
from simulators.epusdt import encode
from tests.functions.samples import sample

TOKEN = "epusdt_password_xasddawqe"  # the document's own
NUMBER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
TRADE = "202203271648380592218340"
SETTINGS = {"url": "https://pay.shop.example", "token": TOKEN}

epusdt = Epusdt()

FIELDS: dict[str, Any] = {
    "trade_id": TRADE,
    "order_id": NUMBER,
    "amount": Decimal("9.9"),
    "actual_amount": Decimal("1.5469"),
    "token": simulated.WALLET,
    "block_transaction_id": "123333333321232132131",
    "status": 2,
}


def channel(**settings: str) -> Channel:
    public, secrets = epusdt.check_settings({**SETTINGS, **settings})
    return Channel("usdt", "epusdt", public, secrets)


def request(**changes: Any) -> PaymentRequest:
    asked = PaymentRequest(
        payment_id=NUMBER,
        amount=Money(990, "CNY"),
        name="Steam 充值卡 50 元 & Gift <Card>",
        notify_url="https://shop.example/api/webhooks/usdt",
        return_url="https://shop.example/api/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e/return",
        terminal="pc",
        expires_at=1_800_000_000_000,
    )
    return replace(asked, **changes)


def payment(session_ref: str | None = TRADE) -> Payment:
    return Payment(NUMBER, "usdt", Money(990, "CNY"), PaymentState.OPEN, session_ref=session_ref)


def notice(body: bytes) -> Notice:
    return Notice("POST", (), {"content-type": "application/json"}, body)


def signed(fields: dict[str, Any], token: str = TOKEN) -> Notice:
    return notice(encode({**fields, "signature": simulated.sign(fields, token)}).encode())


def read(given: Notice, **settings: str) -> list[PaymentEvent]:
    return epusdt.read_notice(channel(**settings), given, 0)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[simulated.Epusdt]:
    monkeypatch.setattr(outbound, "pause", lambda _: None)
    with serve(simulated.Epusdt({"token": TOKEN})) as booth:
        yield booth


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of the calls to the gateway."""
    bodies: list[bytes] = []
    call = outbound.call

    def heard(*args: Any, **kwargs: Any) -> Answer:
        bodies.append(kwargs["body"])
        return call(*args, **kwargs)

    monkeypatch.setattr(outbound, "call", heard)
    return bodies


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Whatever is asked is answered so."""

    def answer(body: Any, status: int = 200) -> None:
        data = body if isinstance(body, bytes) else encode(body).encode()
        monkeypatch.setattr(outbound, "call", lambda *_, **__: Answer(status, {}, data))

    return answer


def test_the_documents_own_example_is_signed_as_it_says() -> None:
    fields = {
        "order_id": "20220201030210321",
        "amount": Decimal("42.00"),
        "notify_url": "http://example.com/notify",
        "redirect_url": "http://example.com/redirect",
        "signature": "left out",
        "name": "",
        "rate": None,
    }
    assert epusdt.sign(fields, TOKEN) == "1cd4b52df5587cfb1968b0c0c6e156cd"


@pytest.mark.parametrize(
    ("number", "as_go_prints_it"),
    [("42.00", "42"), ("9.90", "9.9"), ("0.10", "0.1"), ("100", "100"), ("1000000.50", "1000000.5"), ("0", "0")],
)
def test_a_number_is_signed_as_go_prints_a_float(number: str, as_go_prints_it: str) -> None:
    assert epusdt.sign({"amount": Decimal(number)}, TOKEN) == epusdt.sign({"amount": as_go_prints_it}, TOKEN)


def test_settings_are_told_apart_from_secrets() -> None:
    public, secrets = epusdt.check_settings({**SETTINGS, "url": "https://pay.shop.example/usdt/"})
    assert public == {"url": "https://pay.shop.example/usdt", "currency": "CNY"}
    assert secrets == {"token": TOKEN}
    assert provider("epusdt").name == "epusdt"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", "pay.shop.example"),
        ("url", "http://pay.shop.example"),
        ("url", "HTTP://127.0.0.1:8801"),
        ("url", "http://127.0.0.1.shop.example:80"),
        ("url", "https://somebody@pay.shop.example"),
        ("url", "https://pay.shop.example/?a=b"),
        ("url", "https://pay.shop.example/a b"),
        ("url", "https://pay.shop.example\n"),
        ("currency", ""),
        ("currency", "USD"),
        ("currency", "cny"),
        ("token", ""),
        ("token", "  "),
        ("token", "123234"),
        ("token", "令" * 8),
        ("token", f"{TOKEN} {TOKEN} {TOKEN}"),
        ("token", f"{TOKEN}\n"),
        ("pid", "1000"),
    ],
)
def test_a_bad_setting_is_named(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        epusdt.check_settings({**SETTINGS, field: value})
    assert refused.value.detail.startswith(f"{field}:")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8801", "http://localhost:8801", "https://10.0.0.1:8443/gateway"])
def test_a_gateway_may_stand_on_this_machine_or_on_any_port(url: str) -> None:
    assert channel(url=url).settings["url"] == url


def test_it_takes_yuan_sends_nothing_back_and_is_asked_before_it_is_believed() -> None:
    terms = epusdt.terms(channel())
    assert terms.amounts == {"CNY": (2, 9_999_900)}
    assert (terms.refunds, terms.closes, terms.weak) == (Refunds.NONE, False, True)
    assert epusdt.account(channel()) == ""
    assert epusdt.acknowledge() == Reply("ok")


# ---- to pay


def test_a_payment_is_an_order_at_the_gateway(gateway: simulated.Epusdt) -> None:
    session = epusdt.create_payment(channel(url=gateway.url), request())
    order = gateway.find(number=NUMBER)
    assert order is not None
    assert session == PaymentSession(
        redirect_url=f"{gateway.url}/pay/checkout-counter/{order.reference}", session_ref=order.reference
    )
    assert (order.amount, order.notify_url, order.return_url) == ("9.9", request().notify_url, request().return_url)


@pytest.mark.parametrize(("minor", "written"), [(990, "9.9"), (4200, "42"), (10, "0.1"), (9_999_900, "99999")])
def test_the_amount_is_a_number_of_just_the_text_that_is_signed(
    minor: int, written: str, gateway: simulated.Epusdt, sent: list[bytes]
) -> None:
    epusdt.create_payment(channel(url=gateway.url), request(amount=Money(minor, "CNY")))
    assert f'"amount": {written},'.encode() in sent[0]


def test_an_amount_below_the_smallest_of_coins_is_refused_there(gateway: simulated.Epusdt) -> None:
    with pytest.raises(Unavailable, match="10004"):
        epusdt.create_payment(channel(url=gateway.url), request(amount=Money(2, "CNY")))


def test_a_payment_that_is_open_already_is_paid_on_its_own_page(gateway: simulated.Epusdt) -> None:
    first = epusdt.create_payment(channel(url=gateway.url), request())
    gateway._outage["all"] = True
    assert epusdt.create_payment(channel(url=gateway.url), request(session_ref=first.session_ref)) == first


def test_an_order_whose_answer_got_lost_is_spent(gateway: simulated.Epusdt) -> None:
    epusdt.create_payment(channel(url=gateway.url), request())
    with pytest.raises(PaymentSpent):
        epusdt.create_payment(channel(url=gateway.url), request())


def test_the_new_one_of_two_tokens_signs(gateway: simulated.Epusdt) -> None:
    assert epusdt.create_payment(channel(url=gateway.url, token=f"{TOKEN} the-one-before"), request()).session_ref
    with pytest.raises(Unavailable, match="status_code 401") as refused:
        epusdt.create_payment(channel(url=gateway.url, token=f"the-one-before {TOKEN}"), request())
    assert "the-one-before" not in refused.value.detail


def test_a_gateway_that_is_down_says_nothing(gateway: simulated.Epusdt) -> None:
    gateway._outage["all"] = True
    for ask in (
        lambda: epusdt.create_payment(channel(url=gateway.url), request()),
        lambda: epusdt.query_payment(channel(url=gateway.url), payment()),
    ):
        with pytest.raises(Unavailable):
            ask()


OPENED = {"trade_id": TRADE, "order_id": NUMBER, "amount": Decimal("9.9"), "payment_url": "https://pay.example/pay/1"}


def test_an_amount_in_the_answer_may_be_text(answered: Callable[[Any], None]) -> None:
    answered({"status_code": 200, "data": {**OPENED, "amount": "9.90"}})
    assert epusdt.create_payment(channel(), request()).session_ref == TRADE


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "m5qk7c2xj3zv6n4wtyb2hdgl5e02"},
        {"order_id": None},
        {"amount": Decimal("9.89")},
        {"amount": "9.901"},
        {"amount": None},
        {"amount": True},
        {"trade_id": ""},
        {"trade_id": 1},
        {"trade_id": "../../admin"},
        {"payment_url": None},
        {"payment_url": "javascript:alert(1)"},
        {"payment_url": "https://pay.example/pay/1\r\nX: y"},
    ],
)
def test_an_answer_about_anything_but_this_order_is_none(
    changes: dict[str, Any], answered: Callable[[Any], None]
) -> None:
    answered({"status_code": 200, "data": {**OPENED, **changes}})
    with pytest.raises(Unavailable):
        epusdt.create_payment(channel(), request())


# ---- the notice


def test_a_notice_of_money_names_the_payment_the_amount_and_the_gateways_number() -> None:
    assert read(signed(FIELDS)) == [PaymentEvent(NUMBER, EventKind.PAID, Money(990, "CNY"), TRADE)]


@pytest.mark.parametrize(
    ("status", "kind"), [(1, EventKind.OPEN), ("1", EventKind.OPEN), (3, EventKind.FAILED), (2, EventKind.PAID)]
)
def test_a_status_is_what_the_document_says(status: object, kind: EventKind) -> None:
    (event,) = read(signed({**FIELDS, "status": status}))
    assert (event.kind, event.amount) == (kind, Money(990, "CNY") if kind is EventKind.PAID else None)


@pytest.mark.parametrize("amount", [Decimal("9.90"), "9.9", "9.90", Decimal("99e-1")])
def test_equal_amounts_are_equal_however_they_are_written(amount: object) -> None:
    fields = {**FIELDS, "amount": amount}
    body = encode({**fields, "signature": simulated.sign(fields, TOKEN)})
    assert read(notice(body.encode()))[0].amount == Money(990, "CNY")


def test_during_a_change_of_the_token_both_are_taken() -> None:
    for token in (TOKEN, "the-one-before"):
        assert read(signed(FIELDS, token), token=f"{TOKEN} the-one-before")
    with pytest.raises(InvalidNotice):
        read(signed(FIELDS, "the-one-before"))


def test_a_channel_without_its_secret_takes_nothing() -> None:
    bare = Channel("usdt", "epusdt", {"url": "https://pay.shop.example", "currency": "CNY"}, {})
    with pytest.raises(InvalidNotice):
        epusdt.read_notice(bare, signed(FIELDS, ""), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": None},
        {"order_id": 1},
        {"order_id": ""},
        {"trade_id": None},
        {"trade_id": ""},
        {"trade_id": 1},
        {"amount": None},
        {"amount": ""},
        {"amount": "9.9.0"},
        {"amount": "-9.9"},
        {"amount": "9,9"},
        {"amount": Decimal("9.901")},
        {"status": None},
        {"status": 0},
        {"status": 4},
        {"status": "paid"},
        {"status": Decimal("2.5")},
        {"token": "T&amount=1"},
    ],
)
def test_a_signed_notice_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidNotice):
        read(signed({**FIELDS, **changes}))


@pytest.mark.parametrize("value", ["{}", "[2]", "true", "-2", "2e99", "NaN"])
def test_a_field_that_cannot_be_signed_is_refused(value: str) -> None:
    body = encode({**FIELDS, "signature": simulated.sign(FIELDS, TOKEN)}).replace('"status":2', f'"status":{value}')
    with pytest.raises(InvalidNotice):
        read(notice(body.encode()))


def test_two_fields_joined_in_one_have_the_same_signature_and_are_refused() -> None:
    joined = {**FIELDS, "block_transaction_id": f"x&order_id={NUMBER}"}
    right = signed({**FIELDS, "block_transaction_id": "x"})
    del joined["order_id"]
    forged = signed(joined)
    assert json.loads(forged.body)["signature"] == json.loads(right.body)["signature"]
    assert read(right)
    with pytest.raises(InvalidNotice):
        read(forged)
    more = {**FIELDS, "block_transaction_id": "x&extra=1"}
    with pytest.raises(InvalidNotice):
        read(signed(more))


def test_the_request_of_an_order_is_no_notice_of_it(gateway: simulated.Epusdt, sent: list[bytes]) -> None:
    """One token signs both ways."""
    epusdt.create_payment(channel(url=gateway.url), request())
    with pytest.raises(InvalidNotice, match="order_id, trade_id, amount or status"):
        read(notice(sent[0]))


@given(st.binary(max_size=300), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_noise_is_an_invalid_notice(body: bytes, query: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidNotice):
        epusdt.read_notice(channel(), Notice("POST", tuple(query), {}, body), 0)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(0, 10**25) | st.decimals(0, 10**9, places=4)
FLAT = st.none() | TEXTS | NUMBERS
NAMES = st.sampled_from(list(FIELDS)) | TEXTS


@given(st.dictionaries(NAMES, FLAT, max_size=10), st.booleans())
def test_whatever_is_rightly_signed_is_read_or_refused(changes: dict[str, Any], from_right: bool) -> None:
    fields = {**FIELDS, **changes} if from_right else changes
    try:
        events = read(signed(fields))
    except InvalidNotice:
        return
    assert [event.payment_id for event in events] == [fields["order_id"]]


@given(st.recursive(FLAT | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner)))
def test_whatever_stands_in_a_field_is_read_or_refused(value: Any) -> None:
    def plain(each: object) -> str:
        return str(each)

    body = json.dumps({**FIELDS, "status": value, "signature": "0" * 32}, default=plain).encode()
    with pytest.raises(InvalidNotice):
        read(notice(body))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("receive_notice/epusdt_paid", EventKind.PAID), ("receive_notice/epusdt_waiting", EventKind.OPEN)],
)
def test_the_recorded_notices_are_right(name: str, kind: EventKind) -> None:
    (event,) = read(recorded(name))
    assert (event.payment_id, event.kind) == ("m5qk7c2xj3zv6n4wtyb2hdgl5e01", kind)


def recorded(name: str) -> Notice:
    """A notice that stands in `events/`, signed with the document's token."""
    event = sample(name)
    headers = {key.lower(): value for key, value in event["headers"].items()}
    return Notice(event["httpMethod"], (), headers, base64.b64decode(event["body"]))


# ---- the query


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("open", PaymentEvent(NUMBER, EventKind.OPEN)),
        ("paid", PaymentEvent(NUMBER, EventKind.PAID, Money(990, "CNY"))),
        ("closed", PaymentEvent(NUMBER, EventKind.FAILED)),
    ],
)
def test_the_gateway_is_asked_by_its_own_number(status: str, event: PaymentEvent, gateway: simulated.Epusdt) -> None:
    session = epusdt.create_payment(channel(url=gateway.url), request())
    order = gateway.find(number=NUMBER)
    assert order is not None
    order.status = status
    for ask in (epusdt.query_payment, epusdt.close_payment):
        assert ask(channel(url=gateway.url), payment(session.session_ref)) == replace(
            event, provider_ref=order.reference
        )


def test_an_order_that_nobody_was_told_of_is_unpaid_and_nobody_is_asked(gateway: simulated.Epusdt) -> None:
    said = epusdt.query_payment(channel(url=gateway.url), payment(None))
    assert said == PaymentEvent(NUMBER, EventKind.OPEN)
    assert not gateway._calls


def test_a_gateway_that_has_forgotten_the_order_has_said_nothing_of_it(gateway: simulated.Epusdt) -> None:
    with pytest.raises(Unavailable, match="10008"):
        epusdt.query_payment(channel(url=gateway.url), payment("202203271648380592218341"))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"Not Found",
        b"[]",
        {},
        {"status_code": "200", "data": {"trade_id": TRADE, "status": 2}},
        {"status_code": 200},
        {"status_code": 200, "data": []},
        {"status_code": 200, "data": {"status": 2}},
        {"status_code": 200, "data": {"trade_id": "202203271648380592218341", "status": 2}},
        {"status_code": 200, "data": {"trade_id": TRADE}},
        {"status_code": 200, "data": {"trade_id": TRADE, "status": 4}},
        {"status_code": 200, "data": {"trade_id": TRADE, "status": True}},
        {"status_code": 400, "data": {"trade_id": TRADE, "status": 2}},
        {"trade_id": TRADE, "status": 2},
    ],
)
def test_an_odd_answer_is_no_answer(answer: Any, answered: Callable[[Any], None]) -> None:
    answered(answer)
    with pytest.raises(Unavailable):
        epusdt.query_payment(channel(), payment())


JSONS = st.recursive(FLAT | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner))


@given(JSONS, JSONS, st.sampled_from([200, 400, 500]))
def test_no_answer_breaks_anything(data: Any, more: Any, code: int) -> None:
    def plain(each: object) -> str:
        return str(each)

    body = json.dumps({"status_code": code, "data": data, "more": more}, default=plain).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outbound, "call", lambda *_, **__: Answer(200, {}, body))
        for ask in (
            lambda: epusdt.query_payment(channel(), payment()),
            lambda: epusdt.create_payment(channel(), request()),
        ):
            with pytest.raises(Unavailable):
                ask()
