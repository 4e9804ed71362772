"""BEpusdt: where it differs from Epusdt, and both kinds of it that are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from cardshop.adapters.payments import bepusdt as module
from cardshop.adapters.payments import outbound, provider
from cardshop.adapters.payments.bepusdt import Bepusdt
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
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
    Reply,
)
from hypothesis import given
from hypothesis import strategies as st

from simulators import bepusdt as simulated
from simulators.booth import Payment as Order
from simulators.booth import serve
from simulators.epusdt import encode
from tests.adapters.payments.test_epusdt import NUMBER, SETTINGS, TOKEN, notice, recorded
from tests.adapters.payments.test_epusdt import request as yuan

TRADE = "kIcSUOxCklPrwmDWgX"
NOW = 1_760_000_000_000

bepusdt = Bepusdt()

FIELDS: dict[str, Any] = {
    "trade_id": TRADE,
    "order_id": NUMBER,
    "amount": Decimal("9.9"),
    "actual_amount": "1.39",
    "token": simulated.WALLET,
    "block_transaction_id": "12ef6267b42e43959795cf31808d0cc72b3d0a48953ed19c61d4b6665a341d10",
    "status": 2,
}


def channel(**settings: str) -> Channel:
    public, secrets = bepusdt.check_settings({**SETTINGS, **settings})
    return Channel("usdt", "bepusdt", public, secrets)


def request(**changes: Any) -> PaymentRequest:
    return yuan(**{"expires_at": NOW + 1_800_000, **changes})


def payment(session_ref: str | None = TRADE, currency: str = "CNY") -> Payment:
    return Payment(NUMBER, "usdt", Money(990, currency), PaymentState.OPEN, session_ref=session_ref)


def signed(fields: dict[str, Any]) -> Notice:
    return notice(encode({**fields, "signature": simulated.sign(fields, TOKEN)}).encode())


def read(given: Notice, **settings: str) -> list[PaymentEvent]:
    return bepusdt.read_notice(channel(**settings), given, 0)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "clock", lambda: NOW)
    monkeypatch.setattr(outbound, "pause", lambda _: None)


@pytest.fixture
def gateway() -> Iterator[simulated.Bepusdt]:
    with serve(simulated.Bepusdt({"token": TOKEN})) as booth:
        yield booth


@pytest.fixture
def older() -> Iterator[simulated.Bepusdt]:
    """A gateway of before `pay/info`."""
    with serve(simulated.Bepusdt({"token": TOKEN, "older": True})) as booth:
        yield booth


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Whatever is asked is answered so."""

    def answer(body: Any, status: int = 200) -> None:
        data = body if isinstance(body, bytes) else encode(body).encode()
        monkeypatch.setattr(outbound, "call", lambda *_, **__: Answer(status, {}, data))

    return answer


def opened(gateway: simulated.Bepusdt, **changes: Any) -> Order:
    """An order at the gateway, asked for by us."""
    settings = {"url": gateway.url, "currency": changes.get("amount", request().amount).currency}
    session = bepusdt.create_payment(channel(**settings), request(**changes))
    order = gateway.find(number=NUMBER)
    assert order is not None
    assert session.session_ref == order.reference
    return order


def test_the_documents_own_example_is_signed_as_it_says() -> None:
    fields = {
        "order_id": "20220201030210321",
        "amount": 42,
        "notify_url": "http://example.com/notify",
        "redirect_url": "http://example.com/redirect",
        "name": "",
        "address": None,
    }
    assert bepusdt.sign(fields, TOKEN) == "1cd4b52df5587cfb1968b0c0c6e156cd"


@pytest.mark.parametrize(
    ("number", "as_go_prints_it"),
    [
        ("42.00", "42"),
        ("9.90", "9.9"),
        ("0", "0"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("0.0000525", "5.25e-05"),
        ("100000", "100000"),
        ("999999.99", "999999.99"),
        ("1000000", "1e+06"),
        ("1234567.89", "1.23456789e+06"),
        ("12000000000", "1.2e+10"),
    ],
)
def test_a_number_is_signed_as_gos_percent_v_prints_a_float(number: str, as_go_prints_it: str) -> None:
    assert bepusdt.sign({"amount": Decimal(number)}, TOKEN) == bepusdt.sign({"amount": as_go_prints_it}, TOKEN)
    assert simulated.shortest(Decimal(number)) == as_go_prints_it


def test_coin_and_chain_and_currency_have_defaults() -> None:
    assert channel().settings == {"url": SETTINGS["url"], "currency": "CNY", "trade_type": "usdt.trc20"}
    assert channel(currency="JPY", trade_type="usdc.base").settings["trade_type"] == "usdc.base"
    assert provider("bepusdt").name == "bepusdt"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://pay.shop.example"),
        ("currency", "KRW"),
        ("trade_type", "usdt"),
        ("trade_type", "usdt.base"),
        ("token", "123234"),
        ("timeout", "600"),
    ],
)
def test_a_bad_setting_is_named(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bepusdt.check_settings({**SETTINGS, field: value})
    assert refused.value.detail.startswith(f"{field}:")


@pytest.mark.parametrize(
    ("currency", "amounts"), [("CNY", (1, 9_999_900)), ("USD", (1, 9_999_900)), ("JPY", (1, 99_999))]
)
def test_it_takes_the_currency_it_is_set_to_and_closes(currency: str, amounts: tuple[int, int]) -> None:
    terms = bepusdt.terms(channel(currency=currency))
    assert terms.amounts == {currency: amounts}
    assert (terms.refunds, terms.closes, terms.weak) == (Refunds.NONE, True, True)
    assert bepusdt.acknowledge() == Reply("ok")


# ---- to pay


def test_a_payment_is_an_order_of_that_coin_with_the_time_that_is_left(gateway: simulated.Bepusdt) -> None:
    session = bepusdt.create_payment(channel(url=gateway.url, trade_type="usdc.base"), request())
    order = gateway.find(number=NUMBER)
    assert order is not None
    assert session.redirect_url == f"{gateway.url}/pay/checkout/{order.reference}"
    assert (order.amount, order.currency, order.extra["trade_type"]) == ("9.9", "CNY", "usdc.base")
    assert order.extra["name"] == "Steam 充值卡 50 元   Gift  Card"
    assert (order.notify_url, order.return_url) == (request().notify_url, request().return_url)


@pytest.mark.parametrize(("left", "told"), [(-5, 180), (179, 180), (1800, 1800), (3600, 3600), (86_400, 3600)])
def test_the_time_is_within_what_the_gateway_heeds(left: int, told: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def call(*_: Any, body: bytes, **__: Any) -> Answer:
        asked.append(json.loads(body))
        return Answer(200, {}, b'{"status_code": 400}')

    monkeypatch.setattr(outbound, "call", call)
    with pytest.raises(Unavailable):
        bepusdt.create_payment(channel(), request(expires_at=NOW + left * 1000))
    assert asked[0]["timeout"] == told


@pytest.mark.parametrize(("name", "told"), [("&<>", NUMBER), ("卡" * 100, "卡" * 64)])
def test_a_name_is_cut_to_what_the_gateway_keeps(name: str, told: str, gateway: simulated.Bepusdt) -> None:
    assert opened(gateway, name=name).extra["name"] == told


@pytest.mark.parametrize(("amount", "written"), [(Money(1500, "JPY"), "1500"), (Money(1999, "USD"), "19.99")])
def test_other_currencies_are_named(amount: Money, written: str, gateway: simulated.Bepusdt) -> None:
    order = opened(gateway, amount=amount)
    assert (order.amount, order.currency) == (written, amount.currency)


def test_asked_for_again_it_is_the_same_order(gateway: simulated.Bepusdt) -> None:
    """Also where the first answer got lost."""
    first = opened(gateway).reference
    assert opened(gateway).reference == first
    assert opened(gateway, session_ref=first).reference == first
    order = opened(gateway)
    gateway.pay(order, notify=False)
    assert opened(gateway).reference == first
    assert order.status == "paid"


def test_one_whose_time_was_over_is_opened_anew(gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    first, order.status = order.reference, "closed"
    again = opened(gateway, session_ref=first)
    assert (again.reference != first, again.status) == (True, "open")


def test_a_refusal_is_told_by_its_code(gateway: simulated.Bepusdt) -> None:
    with pytest.raises(Unavailable, match="bepusdt refused, status_code 400") as refused:
        bepusdt.create_payment(channel(url=gateway.url, token="somebody-elses"), request())
    assert "somebody" not in refused.value.detail


# ---- the notice


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (1, EventKind.OPEN),
        (2, EventKind.PAID),
        (3, EventKind.FAILED),
        (4, EventKind.FAILED),
        (5, EventKind.OPEN),
        (6, EventKind.FAILED),
    ],
)
def test_a_status_is_what_the_gateway_means_by_it(status: int, kind: EventKind) -> None:
    amount = Money(990, "CNY") if kind is EventKind.PAID else None
    assert read(signed({**FIELDS, "status": status})) == [PaymentEvent(NUMBER, kind, amount, TRADE)]


def test_the_amount_is_in_the_channels_currency() -> None:
    (event,) = read(signed({**FIELDS, "amount": 1500}), currency="JPY")
    assert event.amount == Money(1500, "JPY")


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount", Decimal("1234567.89")), ("actual_amount", Decimal("0.000052")), ("actual_amount", Decimal("1.39"))],
)
def test_numbers_are_written_in_another_way_than_they_are_signed(field: str, value: Decimal) -> None:
    """JSON has `1234567.89` where the signature is over `1.23456789e+06`; older versions tell coins as numbers."""
    right = signed({**FIELDS, field: value})
    assert f'"{field}":{value:f}'.encode() in right.body
    assert read(right)[0].paid


@pytest.mark.parametrize("changes", [{"status": 7}, {"status": ""}, {"order_id": ""}, {"amount": ""}])
def test_a_signed_notice_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidNotice):
        read(signed({**FIELDS, **changes}))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("receive_notice/bepusdt_paid", EventKind.PAID),
        ("receive_notice/bepusdt_waiting", EventKind.OPEN),
        ("receive_notice/bepusdt_expired", EventKind.FAILED),
    ],
)
def test_the_recorded_notices_are_right(name: str, kind: EventKind) -> None:
    (event,) = read(recorded(name))
    assert (event.payment_id, event.kind) == (NUMBER, kind)


@given(st.binary(max_size=200))
def test_noise_is_an_invalid_notice(body: bytes) -> None:
    with pytest.raises(InvalidNotice):
        read(notice(body))


# ---- the query


@pytest.mark.parametrize("currency", ["CNY", "JPY"])
def test_the_gateways_books_name_the_amount(currency: str, gateway: simulated.Bepusdt) -> None:
    order = opened(gateway, amount=Money(990, currency))
    gateway.pay(order, notify=False)
    said = bepusdt.query_payment(channel(url=gateway.url), payment(order.reference, currency))
    assert said == PaymentEvent(NUMBER, EventKind.PAID, Money(990, currency), order.reference)


@pytest.mark.parametrize("which", ["gateway", "older"])
@pytest.mark.parametrize(
    ("status", "extra", "kind"),
    [
        ("open", {}, EventKind.OPEN),
        ("open", {"confirming": True}, EventKind.OPEN),
        ("paid", {}, EventKind.PAID),
        ("closed", {}, EventKind.FAILED),
        ("closed", {"cancelled": True}, EventKind.FAILED),
        ("failed", {}, EventKind.FAILED),
    ],
)
def test_every_status_can_be_asked_for(
    which: str, status: str, extra: dict[str, bool], kind: EventKind, request: pytest.FixtureRequest
) -> None:
    booth: simulated.Bepusdt = request.getfixturevalue(which)
    order = opened(booth)
    order.status, order.received = status, order.amount
    order.extra |= extra
    said = bepusdt.query_payment(channel(url=booth.url), payment(order.reference))
    amount = Money(990, "CNY") if kind is EventKind.PAID else None
    assert said == PaymentEvent(NUMBER, kind, amount, order.reference)


def test_an_older_gateway_shows_its_own_page_and_closes(older: simulated.Bepusdt) -> None:
    session = bepusdt.create_payment(channel(url=older.url), request())
    assert session.redirect_url == f"{older.url}/pay/checkout-counter/{session.session_ref}"
    said = bepusdt.close_payment(channel(url=older.url), payment(session.session_ref))
    assert said.kind is EventKind.FAILED


def test_an_order_that_nobody_was_told_of_is_unpaid_and_nobody_is_asked(gateway: simulated.Bepusdt) -> None:
    for ask in (bepusdt.query_payment, bepusdt.close_payment):
        assert ask(channel(url=gateway.url), payment(None)) == PaymentEvent(NUMBER, EventKind.OPEN)
    assert not gateway._calls


@pytest.mark.parametrize("which", ["gateway", "older"])
def test_a_gateway_that_has_forgotten_the_order_has_said_nothing_of_it(
    which: str, request: pytest.FixtureRequest
) -> None:
    booth: simulated.Bepusdt = request.getfixturevalue(which)
    with pytest.raises(Unavailable, match="status_code 400"):
        bepusdt.query_payment(channel(url=booth.url), payment())


INFO = {"trade_id": TRADE, "order_id": NUMBER, "status": 2, "money": "9.9", "fiat": "CNY"}


@pytest.mark.parametrize(
    "changes",
    [
        {"trade_id": "another"},
        {"order_id": "m5qk7c2xj3zv6n4wtyb2hdgl5e02"},
        {"order_id": None},
        {"status": 7},
        {"status": None},
        {"money": None},
        {"money": "9.901"},
        {"money": "-1"},
        {"fiat": None},
        {"fiat": 1},
    ],
)
def test_an_answer_about_anything_but_this_order_is_none(
    changes: dict[str, Any], answered: Callable[..., None]
) -> None:
    answered({"status_code": 200, "data": INFO})
    assert bepusdt.query_payment(channel(), payment()).paid
    answered({"status_code": 200, "data": {**INFO, **changes}})
    with pytest.raises(Unavailable):
        bepusdt.query_payment(channel(), payment())


def test_money_in_another_currency_is_said_to_be_in_that(answered: Callable[..., None]) -> None:
    answered({"status_code": 200, "data": {**INFO, "fiat": "USD"}})
    assert bepusdt.query_payment(channel(), payment()).amount == Money(990, "USD")


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*INFO, "data", "payment_url"]), inner),
)


@given(JSONS, st.sampled_from([200, 400]), st.sampled_from([200, 404]))
def test_no_answer_breaks_anything(data: Any, code: int, status: int) -> None:
    answers = [{"status_code": code, "data": data}, data]
    with pytest.MonkeyPatch.context() as patched:
        for answer in answers:
            body = json.dumps(answer).encode()
            patched.setattr(outbound, "call", lambda *_, body=body, **__: Answer(status, {}, body))
            for ask in (
                lambda: bepusdt.query_payment(channel(), payment()),
                lambda: bepusdt.close_payment(channel(), payment()),
                lambda: bepusdt.create_payment(channel(), request()),
            ):
                with pytest.raises(Unavailable):
                    ask()


# ---- to close


def test_an_order_that_waits_is_cancelled(gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    said = bepusdt.close_payment(channel(url=gateway.url), payment(order.reference))
    assert said == PaymentEvent(NUMBER, EventKind.FAILED, None, order.reference)
    assert not gateway.pay(order, notify=False)
    assert bepusdt.close_payment(channel(url=gateway.url), payment(order.reference)) == said


def test_one_that_was_paid_meanwhile_is_paid(gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    gateway.pay(order, notify=False)
    said = bepusdt.close_payment(channel(url=gateway.url), payment(order.reference))
    assert (said.paid, said.amount) == (True, Money(990, "CNY"))


def test_money_that_is_on_its_way_is_waited_for(gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    order.extra["confirming"] = True
    with pytest.raises(Unavailable, match="not cancelled"):
        bepusdt.close_payment(channel(url=gateway.url), payment(order.reference))


def test_what_the_gateway_would_not_cancel_is_not_closed(gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    with pytest.raises(Unavailable, match="not cancelled"):
        bepusdt.close_payment(channel(url=gateway.url, token="somebody-elses"), payment(order.reference))
    assert order.status == "open"


@pytest.mark.parametrize("kind", ["close", "query"])
def test_a_gateway_that_is_down_has_closed_nothing(kind: str, gateway: simulated.Bepusdt) -> None:
    order = opened(gateway)
    gateway._outage[kind] = True
    with pytest.raises(Unavailable):
        bepusdt.close_payment(channel(url=gateway.url), payment(order.reference))
    gateway._outage[kind] = False
    assert bepusdt.close_payment(channel(url=gateway.url), payment(order.reference)).kind is EventKind.FAILED
