"""易支付 v2: the merchant's key signs what the shop sends; what it gets is believed if the platform's signed it."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from cardshop.adapters.payments import epay_rsa, outbound, provider
from cardshop.adapters.payments.epay_rsa import EpayRsa
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
    Refunds,
    RefundState,
    RefundWord,
    Reply,
)
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from simulators import booth
from simulators import epay_rsa as simulated
from tests.adapters.payments.platform import Platform, running
from tests.domain.builders import NOW, PAYMENT_ID, PRICE, texts

ACCOUNT = simulated.new_account()
OWN, PLATFORM = ACCOUNT["merchant_private_key"], ACCOUNT["platform_private_key"]
NEXT_PRIVATE, NEXT_PUBLIC = simulated.new_keys()
SETTINGS = {
    "url": "https://pay.example/",
    "pid": "1001",
    "private_key": OWN,
    "platform_key": ACCOUNT["platform_public_key"],
}
CHANNEL = Channel("epay", "epay-rsa", *EpayRsa().check_settings(SETTINGS))
PAYMENT = Payment(PAYMENT_ID, "epay", PRICE, PaymentState.OPEN)
SETTLED = replace(PAYMENT, state=PaymentState.ACCEPTED, paid=PRICE)
REFUND = SETTLED.next_refund(PRICE, RefundState.REQUESTED, "operator")
REQUEST = PaymentRequest(
    payment_id=PAYMENT_ID,
    amount=PRICE,
    name="Steam 50 元 & more",
    notify_url="https://shop.example/webhooks/epay",
    return_url="https://shop.example/r",
    terminal="pc",
    expires_at=NOW,
    address="203.0.113.7",
)
FIELDS = {
    "pid": "1001",
    "trade_no": "2025112216264012345",
    "out_trade_no": PAYMENT_ID,
    "type": "alipay",
    "trade_status": "TRADE_SUCCESS",
    "name": "Steam 50 元",
    "money": "9.9",
    "timestamp": str(NOW // 1000),
}
PAID = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "2025112216264012345", "1001")
EVENTS = Path(__file__).parents[3] / "events" / "receive_notice"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "pause", lambda _: None)


def signed(key: str = PLATFORM, /, **changed: str) -> dict[str, str]:
    fields = FIELDS | changed
    return {**fields, "sign": simulated.sign(fields, key), "sign_type": "RSA"}


def by_get(fields: dict[str, str]) -> Notice:
    return Notice("GET", tuple(fields.items()), {}, b"")


def read(notice: Notice, received_at: int = NOW, channel: Channel = CHANNEL) -> PaymentEvent:
    (event,) = EpayRsa().read_notice(channel, notice, received_at)
    return event


def at(url: str, **settings: str) -> Channel:
    return replace(CHANNEL, settings={**CHANNEL.settings, "url": url, **settings})


# ---- opening a payment


def test_the_redirect_is_signed_and_names_the_payment_and_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epay_rsa, "clock", lambda: NOW)
    session = EpayRsa().create_payment(CHANNEL, REQUEST)
    assert session.redirect_url is not None
    address, _, query = session.redirect_url.partition("?")
    assert address == "https://pay.example/api/pay/submit"
    fields = dict(parse_qsl(query, strict_parsing=True))
    assert simulated.signed_by(fields, ACCOUNT["merchant_public_key"])
    assert fields.pop("sign")
    assert fields == {
        "pid": "1001",
        "type": "alipay",
        "out_trade_no": PAYMENT_ID,
        "notify_url": "https://shop.example/webhooks/epay",
        "return_url": "https://shop.example/r",
        "name": "Steam 50 元   more",
        "money": "9.90",
        "timestamp": str(NOW // 1000),
        "sign_type": "RSA",
    }


@pytest.mark.parametrize(
    ("method", "terminal", "way"),
    [("web", "pc", "qr_code"), ("web", "mobile", "redirect_url"), ("jump", "pc", "redirect_url")],
)
def test_a_payment_is_created_by_a_call_where_the_channel_says_so(
    stand: simulated.EpayRsa, method: str, terminal: str, way: str
) -> None:
    channel = at(stand.url, method=method)
    session = EpayRsa().create_payment(channel, replace(REQUEST, terminal=terminal))
    there = stand.find(number=PAYMENT_ID)
    assert there is not None
    assert {name: value for name, value in asdict(session).items() if value} == {way: stand.pay_url(there)}
    assert EpayRsa().create_payment(channel, replace(REQUEST, terminal=terminal)) == session, "asked again, it is that"


def test_a_call_that_is_refused_tells_the_code_and_nothing_else(stand: simulated.EpayRsa) -> None:
    with pytest.raises(Unavailable, match=r"code -4$"):
        EpayRsa().create_payment(at(stand.url, method="web"), replace(REQUEST, address=None))


@pytest.mark.parametrize(
    ("kind", "content", "session"),
    [
        ("qrcode", "https://qr.example/x", PaymentSession(qr_code="https://qr.example/x")),
        ("jump", "https://pay.example/x", PaymentSession(redirect_url="https://pay.example/x")),
        ("urlscheme", "weixin://dl/business/?t=x", PaymentSession(redirect_url="weixin://dl/business/?t=x")),
        ("qrcode", "", None),
        ("jump", "javascript:alert(1)", None),
        ("jump", "https://pay.example/ x", None),
        ("urlscheme", "https://pay.example/x", None),
        ("html", "<form></form>", None),
        ("jsapi", {"appId": "wx"}, None),
        ("jump", ["https://pay.example/x"], None),
    ],
)
def test_only_what_a_shop_can_show_is_a_session(
    platform: Platform, kind: str, content: object, session: PaymentSession | None
) -> None:
    answers(platform, code=0, pay_type=kind, pay_info=content)
    channel = at(platform.url, method="web")
    if session is not None:
        assert EpayRsa().create_payment(channel, REQUEST) == session
    else:
        with pytest.raises(Unavailable):
            EpayRsa().create_payment(channel, REQUEST)


# ---- reading a notice


def test_a_genuine_notice_is_read() -> None:
    assert read(by_get(signed())) == PAID
    body = urlencode(signed()).encode()
    assert read(Notice("POST", (), {}, body)) == PAID
    assert read(by_get({**signed(), "sign_type": "SHA256WithRSA"})) == PAID
    assert read(by_get({**signed(), "param": "", "buyer": " "})) == PAID, "what is blank is not signed"
    assert read(by_get(signed(trade_status="TRADE_CLOSED"))).kind is EventKind.OPEN
    assert read(by_get(signed(pid="1002"))).account == "1002"


def test_either_key_signs_while_the_platform_changes_it() -> None:
    both = at("https://pay.example", platform_key=f"{ACCOUNT['platform_public_key']} {NEXT_PUBLIC}")
    assert read(by_get(signed()), channel=both) == PAID
    assert read(by_get(signed(NEXT_PRIVATE)), channel=both) == PAID
    with pytest.raises(InvalidNotice):
        read(by_get(signed(NEXT_PRIVATE)))


@pytest.mark.parametrize("off", [-300_000, 0, 300_000])
def test_a_notice_of_the_last_or_next_five_minutes_is_fresh(off: int) -> None:
    assert read(by_get(signed()), NOW // 1000 * 1000 + off) == PAID


@pytest.mark.parametrize("off", [-300_001, 300_001])
def test_an_older_one_is_stale(off: int) -> None:
    with pytest.raises(StaleNotice):
        read(by_get(signed()), NOW // 1000 * 1000 + off)


SIGNATURE = signed()["sign"]
FORGERIES = {
    "another key": signed(NEXT_PRIVATE),
    "the merchant's own key": signed(OWN),
    "another amount": {**signed(), "money": "0.01"},
    "another time": {**signed(), "timestamp": str(NOW // 1000 + 1)},
    "a field added": {**signed(), "param": "x"},
    "no sign": FIELDS,
    "an empty sign": {**FIELDS, "sign": ""},
    "a sign that is not ASCII": {**FIELDS, "sign": "签" * 40},
    "a sign that is no base64": {**FIELDS, "sign": SIGNATURE[:-1] + "!"},
    "another algorithm": {**signed(), "sign_type": "MD5"},
    "no time": signed(timestamp=""),
    "no number for a time": signed(timestamp="1e9"),
    "a time beyond all": signed(timestamp="9" * 13),
    "a request": signed(notify_url="https://shop.example/webhooks/epay"),
    "no order": signed(out_trade_no=""),
    "no merchant": signed(pid=""),
    "no money": signed(money=""),
    "no decimal": signed(money="9,90"),
}


@pytest.mark.parametrize("forgery", list(FORGERIES))
def test_a_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(InvalidNotice):
        read(by_get(FORGERIES[forgery]))


def test_the_browsers_own_redirect_is_no_notice(stand: simulated.EpayRsa) -> None:
    session = EpayRsa().create_payment(at(stand.url), REQUEST)
    assert session.redirect_url is not None
    sent = dict(parse_qsl(session.redirect_url.partition("?")[2]))
    with pytest.raises(InvalidNotice):
        read(by_get({**sent, "trade_status": "TRADE_SUCCESS"}))


def test_what_another_merchant_had_signed_is_no_notice_to_this_one() -> None:
    """One key signs for all: a neighbour pays himself for something with a telling name, and reads it otherwise."""
    name = f"x&out_trade_no={PAYMENT_ID}&pid=1001&timestamp={NOW // 1000}&trade_no=1&trade_status=TRADE_SUCCESS&type=a"
    theirs = FIELDS | {"pid": "2002", "name": name, "out_trade_no": "zz", "money": "9.90"}
    rest = simulated.text(theirs).decode().partition("&type=a&")[2]
    regrouped = {
        "money": "9.90",
        "name": "x",
        "out_trade_no": PAYMENT_ID,
        "pid": "1001",
        "timestamp": str(NOW // 1000),
        "trade_no": "1",
        "trade_status": "TRADE_SUCCESS",
        "type": f"a&{rest}",
    }
    assert simulated.text(regrouped) == simulated.text(theirs)
    assert simulated.signed_by({**regrouped, "sign": simulated.sign(theirs, PLATFORM)}, ACCOUNT["platform_public_key"])
    with pytest.raises(InvalidNotice, match="within"):
        read(by_get({**regrouped, "sign": simulated.sign(theirs, PLATFORM)}))


def test_the_protocols_text_is_signed() -> None:
    """The text of the platforms' own example, as v1 signs it too."""
    text = (
        "money=1.00&name=VIP会员&out_trade_no=20160806151343349&pid=1001"
        "&trade_no=20160806151343349021&trade_status=TRADE_SUCCESS&type=alipay"
    )
    fields = dict(parse_qsl(text))
    key = load_der_private_key(base64.b64decode(OWN), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    by_the_book = key.sign(text.encode(), PKCS1v15(), SHA256())
    assert epay_rsa.sign({**fields, "param": " ", "sign_type": "RSA"}, OWN) == base64.b64encode(by_the_book).decode()


RECORDED_BY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAraY/r1+qehdDt2acr4O3RgU4LV0ymv5KsjVwMG8ApMlyry3W3z/u4Tdu"
    "v+T81/UpHzEcQM/Yfep8SPH9AqA0Z8y0zYn9HjLU5cSWjaqg5W/WN7FKLNZ8NYlJAWINpufGhhAL95rXQ/2y+++U0jk5XuVyqDAz"
    "CI7DbgqhOANKwf7uaRNo/OK14C0ARs3CAxgPszh/BEZMzSH9oX9KRJ9k1BfmaRY6hJuykr20W1r+Jea0EoBRrGItixXHkUIQSz32"
    "2nU1btw5C4gpAUf3cGDS+6cVqPVl/RQNJsuxB0rTGVGXL4F8Z3m7wv4HzBOYO/LHJVua683lkRrptpPLDrGnwQIDAQAB"
)


@pytest.mark.parametrize(("name", "kind"), [("paid", EventKind.PAID), ("closed", EventKind.OPEN)])
def test_a_recorded_notice_is_read(name: str, kind: EventKind) -> None:
    """Signed by OpenSSL's own program."""
    recorded = json.loads((EVENTS / f"epay_rsa_{name}.json").read_text())
    query = tuple((recorded["queryStringParameters"] or {}).items())
    notice = Notice(recorded["httpMethod"], query, {}, base64.b64decode(recorded["body"] or ""))
    channel = at("https://pay.example", platform_key=RECORDED_BY)
    said = read(notice, recorded["requestContext"]["requestTimeEpoch"], channel)
    assert (said.payment_id, said.kind, said.amount, said.account) == (PAYMENT_ID, kind, PRICE, "1001")


names = st.sampled_from([*FIELDS, "sign", "sign_type", "amp;money", "notify_url", ""]) | texts
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
pairs = st.lists(st.tuples(names, words), max_size=12)


@given(
    st.sampled_from(["GET", "POST", "PUT"]), pairs, st.binary(max_size=200) | pairs.map(lambda p: urlencode(p).encode())
)
def test_whatever_comes_is_refused_as_a_notice_and_nothing_else(
    method: str, query: list[tuple[str, str]], body: bytes
) -> None:
    with pytest.raises(InvalidNotice):
        EpayRsa().read_notice(CHANNEL, Notice(method, tuple(query), {}, body), NOW)


@given(st.dictionaries(names, words, max_size=4), st.booleans())
def test_whatever_is_signed_is_read_or_refused_and_nothing_else(fields: dict[str, str], whole: bool) -> None:
    fields = (FIELDS if whole else {}) | fields
    try:
        event = read(by_get({**fields, "sign": simulated.sign(fields, PLATFORM)}))
    except InvalidNotice:
        return
    assert event.payment_id == fields["out_trade_no"]
    assert event.paid == (fields.get("trade_status") == "TRADE_SUCCESS")


# ---- asking the platform


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr(epay_rsa, "clock", lambda: NOW)
    with running() as platform:
        yield platform


@pytest.fixture
def stand() -> Iterator[simulated.EpayRsa]:
    with booth.serve(simulated.EpayRsa(ACCOUNT)) as served:
        yield served


def answer(key: str = PLATFORM, /, **fields: Any) -> bytes:
    timed = {"timestamp": str(NOW // 1000), **fields}
    return json.dumps({**timed, "sign": simulated.sign(timed, key), "sign_type": "RSA"}).encode()


def answers(platform: Platform, **fields: Any) -> None:
    platform.answer = answer(**fields)


def ask(platform: Platform) -> PaymentEvent:
    return EpayRsa().query_payment(at(platform.url), PAYMENT)


def test_the_platform_is_asked_for_the_payment_with_a_signed_call(platform: Platform) -> None:
    answers(platform, code=0, status=1, money="9.90", trade_no="T1", out_trade_no=PAYMENT_ID, pid=1001)
    assert ask(platform) == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "T1")
    assert platform.asked == ["/api/pay/query"]
    fields = dict(parse_qsl(platform.posted[0].decode(), strict_parsing=True))
    assert simulated.signed_by(fields, ACCOUNT["merchant_public_key"])
    assert fields.keys() == {"pid", "out_trade_no", "timestamp", "sign", "sign_type"}
    assert (fields["pid"], fields["out_trade_no"]) == ("1001", PAYMENT_ID)
    assert fields["timestamp"] == str(NOW // 1000)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"status": 0}, EventKind.OPEN),
        ({"status": "1"}, EventKind.PAID),
        ({"status": 2}, EventKind.REFUNDED),
        ({"status": 2, "refundmoney": "9.90"}, EventKind.REFUNDED),
        ({"status": 2, "refundmoney": "1.00"}, EventKind.PAID),
        ({"status": 1, "msg": "订单号不存在"}, EventKind.PAID),  # which counts as the reason of a failure only
        ({"status": 3}, EventKind.OPEN),
        ({"status": 4}, EventKind.OPEN),
        ({"status": 1, "buyer": None, "param": "", "more": [1], "new": True, "old": False}, EventKind.PAID),
    ],
)
def test_a_status_is_the_protocols(platform: Platform, said: dict[str, object], kind: EventKind) -> None:
    plain = {name: value for name, value in said.items() if name not in {"new", "old"}}
    timed = {"timestamp": str(NOW // 1000), "code": 0, "money": "9.90", **plain}
    as_php_signs = timed | ({"new": "1"} if "new" in said else {})
    sign = simulated.sign(as_php_signs, PLATFORM)
    platform.answer = json.dumps({**timed, **said, "sign": sign, "sign_type": "RSA"}).encode()
    expected = PaymentEvent(PAYMENT_ID, kind, PRICE if kind is EventKind.PAID else None, None)
    assert ask(platform) == expected


@pytest.mark.parametrize("msg", ["订单号不存在", "当前订单不存在！", "订单不存在"])
def test_an_order_that_the_platform_does_not_know_is_open(platform: Platform, msg: str) -> None:
    platform.says(code=-1, msg=msg)
    assert ask(platform) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)


GOOD = {"code": 0, "status": 1, "money": "9.90", "out_trade_no": PAYMENT_ID}
STALE = {"timestamp": str(NOW // 1000 - 400)}
ANSWERS: dict[str, tuple[int, bytes]] = {
    "another key": (200, answer(NEXT_PRIVATE, **GOOD)),
    "the merchant's own key": (200, answer(OWN, **GOOD)),
    "no signature": (200, json.dumps(GOOD).encode()),
    "tampered with": (200, answer(**{**GOOD, "status": 0}).replace(b'"status": 0', b'"status": 1')),
    "a field added": (200, answer(**GOOD).replace(b"{", b'{"more": "x", ', 1)),
    "stale": (200, answer(**GOOD, **STALE)),
    "no time": (200, answer(**GOOD, timestamp="")),
    "another payment": (200, answer(**{**GOOD, "out_trade_no": "another"})),
    "another merchant": (200, answer(**GOOD, pid=1002)),
    "no status": (200, answer(code=0, money="9.90")),
    "an unknown status": (200, answer(**{**GOOD, "status": 5})),
    "no money": (200, answer(code=0, status=1)),
    "no amount": (200, answer(**{**GOOD, "money": "-9.90"})),
    "no code": (200, answer(status=1, money="9.90")),
    "a code of another kind": (200, b'{"code": [0], "msg": "\xe8\xae\xa2\xe5\x8d\x95"}'),
    "a wrong key": (200, '{"code": -3, "msg": "RSA签名校验失败"}'.encode()),
    "no such merchant": (200, '{"code": -3, "msg": "商户ID不存在"}'.encode()),
    "an error": (500, answer(**GOOD)),
    "a redirect": (302, answer(**GOOD)),
    "not JSON": (200, b"<html>"),
    "a list": (200, b"[0]"),
    "twice": (200, b'{"code": 0, "code": -1}'),
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_an_answer_that_is_none_is_unavailable(platform: Platform, name: str) -> None:
    platform.status, platform.answer = ANSWERS[name]
    with pytest.raises(Unavailable) as unavailable:
        ask(platform)
    assert OWN not in str(unavailable.value)


def test_an_order_is_open_and_then_paid(stand: simulated.EpayRsa) -> None:
    channel = at(stand.url)
    assert EpayRsa().query_payment(channel, PAYMENT).kind is EventKind.OPEN
    session = EpayRsa().create_payment(channel, REQUEST)
    assert session.redirect_url is not None
    urllib.request.urlopen(session.redirect_url, timeout=5).close()
    there = stand.find(number=PAYMENT_ID)
    assert there is not None
    assert EpayRsa().query_payment(channel, PAYMENT).kind is EventKind.OPEN
    stand.pay(there, notify=False)
    assert EpayRsa().query_payment(channel, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, there.reference)


# ---- closing


@pytest.fixture
def there(stand: simulated.EpayRsa) -> booth.Payment:
    EpayRsa().create_payment(at(stand.url, method="jump"), REQUEST)
    found = stand.find(number=PAYMENT_ID)
    assert found is not None
    return found


def test_a_closed_order_can_be_paid_no_more(stand: simulated.EpayRsa, there: booth.Payment) -> None:
    assert EpayRsa().close_payment(at(stand.url), PAYMENT).kind is EventKind.FAILED
    assert there.status == "closed"
    assert not stand.pay(there, notify=False)
    assert EpayRsa().close_payment(at(stand.url), PAYMENT).kind is EventKind.FAILED, "closing again is no harm"


def test_an_order_that_was_paid_meanwhile_is_not_closed(stand: simulated.EpayRsa, there: booth.Payment) -> None:
    stand.pay(there, notify=False)
    assert EpayRsa().close_payment(at(stand.url), PAYMENT) == PaymentEvent(
        PAYMENT_ID, EventKind.PAID, PRICE, there.reference
    )


def test_an_order_that_cannot_be_closed_stays_open(stand: simulated.EpayRsa, there: booth.Payment) -> None:
    stand.closes = False
    assert EpayRsa().close_payment(at(stand.url), PAYMENT).kind is EventKind.OPEN
    assert there.status == "open"


def test_money_that_came_in_as_the_order_was_closed_counts(platform: Platform) -> None:
    platform.answers = [answer(code=0), answer(code=0, status=1, money="9.90")]
    closed = EpayRsa().close_payment(at(platform.url), PAYMENT)
    assert closed == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE)


def test_an_order_that_nobody_opened_is_open(stand: simulated.EpayRsa) -> None:
    assert EpayRsa().close_payment(at(stand.url), PAYMENT).kind is EventKind.OPEN


# ---- refunds


@pytest.fixture
def paid(stand: simulated.EpayRsa, there: booth.Payment) -> booth.Payment:
    stand.pay(there, notify=False)
    return there


def word(paid: booth.Payment, state: RefundState) -> RefundWord:
    return RefundWord(state, REFUND.refund_id, paid.refunds[REFUND.refund_id].reference, PRICE)


def test_a_refund_is_sent_once(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    channel = at(stand.url)
    for _ in range(2):
        assert EpayRsa().refund(channel, SETTLED, REFUND) == word(paid, RefundState.DONE)
    assert EpayRsa().query_refund(channel, SETTLED, REFUND) == word(paid, RefundState.DONE)
    assert (paid.refunded, len(paid.refunds)) == ("9.90", 1)


def test_parts_of_a_payment_go_back_one_by_one(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    part = Money(400, "CNY")
    first = SETTLED.next_refund(part, RefundState.REQUESTED, "operator")
    second = replace(SETTLED, refunds=(first,)).next_refund(part, RefundState.REQUESTED, "operator")
    for each in (first, first, second):
        assert EpayRsa().refund(at(stand.url), SETTLED, each).state is RefundState.DONE
    assert paid.refunded == "8.00"
    assert EpayRsa().query_payment(at(stand.url), SETTLED).kind is EventKind.PAID, "part of the money is still in"


def test_a_refund_on_its_way_is_followed(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    stand.slow = True
    channel = at(stand.url)
    assert EpayRsa().refund(channel, SETTLED, REFUND) == word(paid, RefundState.PENDING)
    assert EpayRsa().query_refund(channel, SETTLED, REFUND) == word(paid, RefundState.PENDING)
    stand.settle(paid, paid.refunds[REFUND.refund_id], "done")
    assert EpayRsa().query_refund(channel, SETTLED, REFUND) == word(paid, RefundState.DONE)


def test_a_refund_that_failed_there_is_refused(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    stand.slow = True
    EpayRsa().refund(at(stand.url), SETTLED, REFUND)
    stand.settle(paid, paid.refunds[REFUND.refund_id], "refused")
    assert EpayRsa().query_refund(at(stand.url), SETTLED, REFUND) == word(paid, RefundState.REFUSED)


def test_more_than_there_is_is_refused(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    stand.refund(paid, "by-somebody", "9.90")
    assert EpayRsa().refund(at(stand.url), SETTLED, REFUND) == RefundWord(RefundState.REFUSED, REFUND.refund_id)
    assert EpayRsa().query_refund(at(stand.url), SETTLED, REFUND).state is RefundState.REFUSED


def test_a_refund_that_was_never_asked_for_is_asked_for(stand: simulated.EpayRsa, paid: booth.Payment) -> None:
    """The answer to the first call was lost, and so was the call."""
    assert EpayRsa().query_refund(at(stand.url), SETTLED, REFUND) == word(paid, RefundState.DONE)


NONE_THERE = '{"code": -1, "msg": "退款记录不存在"}'.encode()
FOUND = {"code": 0, "out_refund_no": REFUND.refund_id, "refund_no": "R1", "money": "9.9", "status": 1}


def refund(platform: Platform, *said: bytes) -> RefundWord:
    platform.answers, platform.answer = list(said), None
    return EpayRsa().refund(at(platform.url), SETTLED, REFUND)


def test_a_refund_is_asked_for_by_our_numbers(platform: Platform) -> None:
    taken = answer(code=0, refund_no="R1", out_refund_no=REFUND.refund_id)
    done = RefundWord(RefundState.DONE, REFUND.refund_id, "R1", PRICE)
    assert refund(platform, NONE_THERE, taken, answer(**FOUND)) == done
    assert platform.asked == ["/api/pay/refundquery", "/api/pay/refund", "/api/pay/refundquery"]
    fields = dict(parse_qsl(platform.posted[1].decode(), strict_parsing=True))
    assert simulated.signed_by(fields, ACCOUNT["merchant_public_key"])
    assert (fields["out_trade_no"], fields["out_refund_no"], fields["money"]) == (
        PAYMENT_ID,
        REFUND.refund_id,
        "9.90",
    )


def test_a_refund_that_is_done_is_not_asked_for(platform: Platform) -> None:
    assert refund(platform, answer(**FOUND, msg="退款记录不存在")).state is RefundState.DONE, "a word of failures only"
    assert platform.asked == ["/api/pay/refundquery"]


def test_a_refund_that_was_taken_and_is_not_found_is_pending(platform: Platform) -> None:
    assert refund(platform, NONE_THERE, answer(code=0), NONE_THERE).state is RefundState.PENDING


def test_a_platform_that_has_no_refunds_refuses(platform: Platform) -> None:
    assert refund(platform, '{"code": -1, "msg": "商户未开启订单退款API接口"}'.encode()).state is RefundState.REFUSED
    assert platform.asked == ["/api/pay/refundquery"]


@pytest.mark.parametrize(
    "said",
    [
        [b'{"code": -3, "msg": "RSA"}'],
        [NONE_THERE, b""],
        [NONE_THERE, answer(NEXT_PRIVATE, code=0)],
        [NONE_THERE, '{"code": -1, "msg": "商户余额不足"}'.encode(), NONE_THERE],
        [NONE_THERE, b'{"code": -1, "msg": "no"}', b'{"code": -3}'],
        [answer(NEXT_PRIVATE, **FOUND)],
        [answer(**{**FOUND, "out_refund_no": "another"})],
        [answer(**{**FOUND, "money": "9.89"})],
        [answer(**{**FOUND, "money": "some"})],
        [answer(**{**FOUND, "status": 2})],
        [answer(**FOUND, out_trade_no="another")],
        [answer(code=0, status=1)],
    ],
)
def test_a_refund_that_nothing_sure_is_known_of_is_asked_for_later(platform: Platform, said: list[bytes]) -> None:
    with pytest.raises(Unavailable) as unavailable:
        refund(platform, *said)
    assert OWN not in str(unavailable.value)
    assert len(platform.asked) == len(said), "nothing is asked after that"


def test_a_refund_is_asked_for_once_where_the_platform_does_not_answer(platform: Platform) -> None:
    with pytest.raises(Unavailable):
        refund(platform, NONE_THERE)
    assert platform.asked == ["/api/pay/refundquery", "/api/pay/refund"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=5)
    | st.sampled_from(["9.90", "0", "1", PAYMENT_ID, REFUND.refund_id]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
some_answer = st.dictionaries(
    st.sampled_from(["code", "msg", "status", "money", "refundmoney", "out_trade_no", "out_refund_no", "pid"]),
    json_values,
).map(lambda fields: {"code": 0, "timestamp": str(NOW // 1000)} | fields)


@given(st.lists(some_answer.map(lambda fields: (fields, True)) | st.binary(max_size=30), min_size=3, max_size=3))
def test_whatever_is_answered_is_a_word_or_unavailable(said: list[Any]) -> None:
    def body(each: Any) -> bytes:
        if isinstance(each, bytes):
            return each
        fields = {name: "1" if value is True else "" if value is False else value for name, value in each[0].items()}
        return json.dumps({**each[0], "sign": simulated.sign(fields, PLATFORM)}).encode()

    calls: list[Callable[[], object]] = [
        lambda: EpayRsa().refund(CHANNEL, SETTLED, REFUND),
        lambda: EpayRsa().query_refund(CHANNEL, SETTLED, REFUND),
        lambda: EpayRsa().query_payment(CHANNEL, PAYMENT),
        lambda: EpayRsa().close_payment(CHANNEL, PAYMENT),
        lambda: EpayRsa().create_payment(replace(CHANNEL, settings={**CHANNEL.settings, "method": "web"}), REQUEST),
    ]
    for call in calls:
        bodies = [*(body(each) for each in said), b"", b"", b""]
        with pytest.MonkeyPatch.context() as patch, suppress(Unavailable):
            patch.setattr(epay_rsa, "clock", lambda: NOW)
            patch.setattr(outbound, "call", lambda *_, bodies=bodies, **__: outbound.Answer(200, {}, bodies.pop(0)))
            assert isinstance(call(), RefundWord | PaymentEvent | PaymentSession)


# ---- settings


def pem(private: str) -> str:
    key = load_der_private_key(base64.b64decode(private), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def public_pem(public: str) -> str:
    key = load_der_public_key(base64.b64decode(public))
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_settings_are_split_into_public_ones_and_the_merchants_key() -> None:
    public, secrets = EpayRsa().check_settings(SETTINGS)
    assert public == {
        "url": "https://pay.example",
        "pid": "1001",
        "type": "alipay",
        "method": "submit",
        "platform_key": ACCOUNT["platform_public_key"],
    }
    assert secrets == {"private_key": OWN}


def test_keys_are_taken_as_pem_and_as_the_page_shows_them() -> None:
    wrapped = "\r\n".join(OWN[start : start + 64] for start in range(0, len(OWN), 64))
    two = public_pem(ACCOUNT["platform_public_key"]) + public_pem(NEXT_PUBLIC)
    for private in (OWN, wrapped, pem(OWN)):
        for platform_key in (two, f"{ACCOUNT['platform_public_key']} {NEXT_PUBLIC}"):
            given_out = {**SETTINGS, "private_key": private, "platform_key": platform_key}
            channel = Channel("epay", "epay-rsa", *EpayRsa().check_settings(given_out))
            assert read(by_get(signed()), channel=channel) == PAID
            assert read(by_get(signed(NEXT_PRIVATE)), channel=channel) == PAID
            session = EpayRsa().create_payment(channel, REQUEST)
            sent = dict(parse_qsl((session.redirect_url or "").partition("?")[2]))
            assert simulated.signed_by(sent, ACCOUNT["merchant_public_key"])


_weak = rsa.generate_private_key(65537, 1024)
_curve = ec.generate_private_key(ec.SECP256R1())
WEAK = _weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
WEAK_PUBLIC = _weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
CURVE = _curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
CURVE_PUBLIC = _curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
LOCKED = (
    load_der_private_key(base64.b64decode(OWN), None)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    .decode()
)
THREE = " ".join([ACCOUNT["platform_public_key"], NEXT_PUBLIC, simulated.new_keys()[1]])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("url", bad) for bad in ("", "pay.example", "http://pay.example", "https://pay.example/?a=1")],
        *[("pid", bad) for bad in ("", "10 01", "1" * 33)],
        *[("type", bad) for bad in ("", "bank")],
        *[("method", bad) for bad in ("", "jsapi")],
        *[("private_key", bad) for bad in ("", " ", "key", "-----BEGIN", f"{OWN} {OWN}", WEAK, CURVE, LOCKED)],
        *[("private_key", bad) for bad in (ACCOUNT["merchant_public_key"], public_pem(NEXT_PUBLIC))],
        *[("platform_key", bad) for bad in ("", "key", PLATFORM, pem(PLATFORM), WEAK_PUBLIC, CURVE_PUBLIC, THREE)],
        *[("platform_key", bad) for bad in (ACCOUNT["merchant_public_key"], f"{NEXT_PUBLIC} not-a-key")],
        ("key", "x"),
    ],
)
def test_a_bad_setting_is_named_and_not_repeated(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: ") as refused:
        EpayRsa().check_settings({**SETTINGS, field: value})
    assert OWN not in str(refused.value)
    assert value.strip() in ("", "key", "x") or value not in str(refused.value)


def test_it_is_a_provider_that_is_believed_and_sends_parts_back() -> None:
    assert provider("epay-rsa").name == "epay-rsa"
    terms = EpayRsa().terms(CHANNEL)
    assert (terms.refunds, terms.weak, terms.closes) == (Refunds.PARTIAL, False, True)
    assert EpayRsa().account(CHANNEL) == "1001"
    assert EpayRsa().acknowledge() == Reply("success", "text/plain", 200)
