"""易支付: what the shop sends is signed as the protocol has it; what it gets is believed if the platform signed it."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit
from urllib.request import urlopen

import pytest
from cardshop.adapters.payments import outbound, provider
from cardshop.adapters.payments.epay import Epay, sign
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
    RefundState,
    RefundWord,
    Reply,
)
from hypothesis import given
from hypothesis import strategies as st

from simulators.epay.server import EpayServer
from tests.adapters.payments.platform import Platform, running
from tests.domain.builders import NOW, PAYMENT_ID, PRICE, texts

KEY = "merchant-key"
CHANNEL = Channel("epay", "epay", {"url": "https://pay.example", "pid": "1001", "type": "alipay"}, {"key": KEY})
FIELDS = {
    "pid": "1001",
    "trade_no": "2025112216264012345",
    "out_trade_no": PAYMENT_ID,
    "type": "alipay",
    "name": "Steam 50 元",
    "money": "9.90",
    "trade_status": "TRADE_SUCCESS",
}
PAID = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "2025112216264012345", "1001")
PAYMENT = Payment(PAYMENT_ID, "epay", PRICE, PaymentState.OPEN)


def signed(key: str = KEY, /, **changed: str) -> dict[str, str]:
    fields = FIELDS | changed
    return {**fields, "sign": sign(fields, key), "sign_type": "MD5"}


def by_get(fields: dict[str, str]) -> Notice:
    """As the gateway hands a query over: decoded."""
    return Notice("GET", tuple(fields.items()), {}, b"")


def by_post(fields: dict[str, str], separator: str = "&") -> Notice:
    body = separator.join(f"{name}={quote(value)}" for name, value in fields.items())
    return Notice("POST", (), {"content-type": "application/x-www-form-urlencoded"}, body.encode())


def read(notice: Notice, channel: Channel = CHANNEL) -> PaymentEvent:
    (event,) = Epay().read_notice(channel, notice, NOW)
    return event


# ---- signatures ----


def test_the_signature_is_the_protocols() -> None:
    """The platforms' own example."""
    fields = dict(
        parse_qsl(
            "money=1.00&name=VIP会员&out_trade_no=20160806151343349&pid=1001"
            "&trade_no=20160806151343349021&trade_status=TRADE_SUCCESS&type=alipay"
        )
    )
    assert sign(fields, "testkey") == "809a85a83630d1ab1c17b9ed4efa8356"


def test_empty_fields_and_the_signature_itself_are_not_signed() -> None:
    assert sign({**FIELDS, "param": "", "sign": "x", "sign_type": "MD5"}, KEY) == sign(FIELDS, KEY)


# ---- opening a payment ----


def request(name: str) -> PaymentRequest:
    return PaymentRequest(
        payment_id=PAYMENT_ID,
        amount=PRICE,
        name=name,
        notify_url="https://shop.example/webhooks/epay",
        return_url="https://shop.example/r",
        terminal="pc",
        expires_at=NOW,
    )


def asked(name: str) -> dict[str, str]:
    """The fields of the redirect for a product of this name."""
    session = Epay().create_payment(CHANNEL, request(name))
    assert session.redirect_url is not None
    address, _, query = session.redirect_url.partition("?")
    assert address == "https://pay.example/submit.php"
    return dict(parse_qsl(query, strict_parsing=True))


def test_the_redirect_is_signed_and_names_the_payment() -> None:
    fields = asked("Steam 50 元")
    assert fields.pop("sign") == sign(fields, KEY)
    assert fields == {
        "pid": "1001",
        "type": "alipay",
        "out_trade_no": PAYMENT_ID,
        "notify_url": "https://shop.example/webhooks/epay",
        "return_url": "https://shop.example/r",
        "name": "Steam 50 元",
        "money": "9.90",
        "sign_type": "MD5",
    }


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_no_product_name_breaks_the_signature_open(name: str) -> None:
    """The signed text joins values unescaped: nothing in a name may look like another field."""
    fields = asked(name)
    assert fields["name"]
    assert len(fields["name"].encode()) <= 127
    assert not set("&=;#?%\0\n") & set(fields["name"])
    assert fields["sign"] == sign(fields, KEY)


def test_a_long_name_is_cut_between_two_characters() -> None:
    assert asked("元" * 100)["name"] == "元" * 42


# ---- reading a notice ----


@pytest.mark.parametrize("carry", [by_get, by_post])
def test_a_genuine_notice_is_read(carry: Callable[[dict[str, str]], Notice]) -> None:
    assert read(carry(signed())) == PAID


@pytest.mark.parametrize(("money", "minor"), [("9.9", 990), ("1", 100), ("12.3", 1230), ("0.01", 1), ("9.90", 990)])
def test_an_amount_is_read_however_php_prints_it(money: str, minor: int) -> None:
    assert read(by_post(signed(money=money))).amount == Money(minor, "CNY")


@pytest.mark.parametrize("separator", ["&amp;", ";"])
def test_a_form_is_read_however_php_joins_it(separator: str) -> None:
    assert read(by_post(signed(), separator)) == PAID


def test_a_query_is_read_when_php_joins_it_by_entities() -> None:
    """The gateway splits at `&`, which leaves `amp;` before each name but the first."""
    first, *rest = signed().items()
    assert read(Notice("GET", (first, *((f"amp;{name}", value) for name, value in rest)), {}, b"")) == PAID


def test_a_query_is_read_when_php_joins_it_by_semicolons() -> None:
    """The gateway does not split at `;`, so it all comes as the first field's value."""
    name, _, rest = ";".join(f"{name}={value}" for name, value in signed().items()).partition("=")
    assert read(Notice("GET", ((name, rest),), {}, b"")) == PAID


@pytest.mark.parametrize("status", ["TRADE_CLOSED", "trade_success", "WAIT_BUYER_PAY", ""])
def test_only_trade_success_means_paid(status: str) -> None:
    assert read(by_get(signed(trade_status=status))).kind is EventKind.OPEN


def test_a_notice_for_another_merchant_is_read_with_that_merchants_name() -> None:
    assert read(by_get(signed(pid="1002"))).account == "1002"


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in signed().items() if name not in names}


SIGNATURE = signed()["sign"]
FORGERIES = {
    "another key": by_post(signed("another-key")),
    "an empty key": by_post(signed("")),
    "another amount": by_post({**signed(), "money": "0.01"}),
    "another order": by_post({**signed(), "out_trade_no": "z" * 28}),
    "a field added": by_post({**signed(), "param": "x"}),
    "no sign": by_post(without("sign")),
    "an empty sign": by_post({**signed(), "sign": ""}),
    "a sign in capitals": by_post({**signed(), "sign": SIGNATURE.upper()}),
    "a sign cut short": by_post({**signed(), "sign": SIGNATURE[:31]}),
    "a sign that is not ASCII": by_post({**signed(), "sign": "é" * 32}),
    "the sign twice in the form": Notice("POST", (), {}, by_post(signed()).body + f"&sign={SIGNATURE}".encode()),
    "the sign twice in the query": Notice("GET", (*signed().items(), ("sign", SIGNATURE)), {}, b""),
    "a field in query and form": Notice("POST", (("money", "9.90"),), {}, by_post(signed()).body),
    "a field twice, once as an entity": Notice("GET", (*signed().items(), ("amp;money", "9.90")), {}, b""),
    "another algorithm": by_post({**signed(), "sign_type": "RSA"}),
    "a field within a name": by_get(signed(**{"name=x&out_trade_no": "y"})),
    "a field within a field": by_post(signed(name="x&out_trade_no=y")),
    "a request's notify_url": by_post(signed(notify_url="https://shop.example/webhooks/epay")),
    "a request's return_url": by_post(signed(return_url="https://shop.example/r")),
    "no money": by_post({**(rest := without("money", "sign")), "sign": sign(rest, KEY)}),
    "no order": by_post({**(rest := without("out_trade_no", "sign")), "sign": sign(rest, KEY)}),
    "an empty order": by_post(signed(out_trade_no="")),
    "an empty merchant": by_post(signed(pid="")),
    "no merchant": by_post({**(rest := without("pid", "sign")), "sign": sign(rest, KEY)}),
    "no decimal": by_post(signed(money="9,90")),
    "a negative amount": by_post(signed(money="-9.90")),
    "an amount in exponents": by_post(signed(money="1e3")),
    "not UTF-8": Notice("POST", (), {}, b"\xff\xfe" + by_post(signed()).body),
    "percent-encoded, not UTF-8": Notice("POST", (), {}, by_post(signed()).body.replace(b"Steam", b"%ff%fe")),
    "too many fields": Notice("POST", (), {}, b"&".join(b"a%d=1" % number for number in range(65))),
    "too large": Notice("POST", (), {}, by_post(signed(param="x" * 66_000)).body),
    "nothing": Notice("POST", (), {}, b""),
    "a form by GET": Notice("GET", (), {}, by_post(signed()).body),
    "JSON": Notice("POST", (), {}, json.dumps(signed()).encode()),
}


@pytest.mark.parametrize("forgery", list(FORGERIES))
def test_a_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(InvalidNotice):
        read(FORGERIES[forgery])


@pytest.mark.parametrize("secrets", [{}, {"key": ""}])
def test_a_channel_without_a_key_believes_nobody(secrets: dict[str, str]) -> None:
    with pytest.raises(InvalidNotice):
        read(by_post(signed("")), Channel("epay", "epay", {"pid": "1001"}, secrets))


def test_the_browsers_own_redirect_is_no_notice() -> None:
    """The buyer sees the signed request. Sent back to the webhook, it must not count as a payment."""
    with pytest.raises(InvalidNotice):
        read(by_get(asked("Steam 50 元")))


names = st.sampled_from([*FIELDS, "sign", "sign_type", "amp;money", "notify_url", ""]) | texts
pairs = st.lists(st.tuples(names, st.text(st.characters(exclude_categories=["Cs"]), max_size=12)), max_size=12)


@given(
    st.sampled_from(["GET", "POST", "PUT"]), pairs, st.binary(max_size=200) | pairs.map(lambda p: urlencode(p).encode())
)
def test_whatever_comes_is_refused_as_a_notice_and_nothing_else(
    method: str, query: list[tuple[str, str]], body: bytes
) -> None:
    with pytest.raises(InvalidNotice):
        Epay().read_notice(CHANNEL, Notice(method, tuple(query), {}, body), NOW)


@given(st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"]), max_size=12)), st.booleans())
def test_whatever_is_signed_is_read_or_refused_and_nothing_else(fields: dict[str, str], whole: bool) -> None:
    fields = (FIELDS if whole else {}) | fields
    fields = {**fields, "sign": sign(fields, KEY)}
    try:
        event = read(by_get(fields))
    except InvalidNotice:
        return
    assert event.payment_id == fields["out_trade_no"]
    assert event.paid == (fields["trade_status"] == "TRADE_SUCCESS" if "trade_status" in fields else False)


# ---- asking the platform ----


def at(url: str) -> Channel:
    return Channel("epay", "epay", {**CHANNEL.settings, "url": url}, CHANNEL.secrets)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr(outbound, "pause", lambda _: None)
    with running() as platform:
        yield platform


def ask(channel: Channel) -> PaymentEvent:
    return Epay().query_payment(channel, PAYMENT)


def test_the_platform_is_asked_for_the_payment_with_the_merchants_key(platform: Platform) -> None:
    platform.says(code=1, status=1, money="9.90", trade_no="T1", out_trade_no=PAYMENT_ID)
    assert ask(at(platform.url)) == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "T1")
    (asked_for,) = platform.asked
    assert urlsplit(asked_for).path == "/api.php"
    assert parse_qs(urlsplit(asked_for).query) == {
        "act": ["order"],
        "pid": ["1001"],
        "key": [KEY],
        "out_trade_no": [PAYMENT_ID],
    }


@pytest.mark.parametrize(
    ("said", "kind", "amount"),
    [
        ({"code": "1", "status": "1", "money": 9.9}, EventKind.PAID, PRICE),  # PHP, loosely typed
        ({"code": 1, "status": 1, "money": 10}, EventKind.PAID, Money(1000, "CNY")),
        ({"code": 1, "status": 0, "money": "9.90"}, EventKind.OPEN, None),
        ({"code": 1, "status": 2, "money": "9.90"}, EventKind.REFUNDED, None),
        ({"code": 1, "status": 2, "money": "9.90", "refundmoney": "9.9"}, EventKind.REFUNDED, None),
        ({"code": 1, "status": 2, "money": "9.90", "refundmoney": "9.89"}, EventKind.PAID, PRICE),  # in part
        ({"code": 1, "status": 3, "money": "9.90"}, EventKind.OPEN, None),  # frozen
    ],
)
def test_only_status_one_means_paid(
    platform: Platform, said: dict[str, object], kind: EventKind, amount: Money | None
) -> None:
    platform.says(**said)
    assert ask(at(platform.url)) == PaymentEvent(PAYMENT_ID, kind, amount, None)


@pytest.mark.parametrize("code", [-1, "-1", 0])
def test_a_payment_the_platform_does_not_know_is_not_paid(platform: Platform, code: int | str) -> None:
    platform.says(code=code, status=1, money="9.90", msg="订单号不存在")
    assert ask(at(platform.url)) == PaymentEvent(PAYMENT_ID, EventKind.OPEN, None, None)


ANSWERS: dict[str, tuple[int, bytes | None]] = {
    "nothing": (200, b""),
    "not JSON": (200, b"<html>maintenance</html>"),
    "not UTF-8": (200, b'{"code": 1, "msg": "\xff"}'),
    "a list": (200, b"[1]"),
    "a word": (200, b'"success"'),
    "null": (200, b"null"),
    "a wrong key": (200, b'{"code": -3, "msg": "no"}'),
    "no code": (200, b'{"status": 1, "money": "9.90"}'),
    "no status": (200, b'{"code": 1, "money": "9.90"}'),
    "no money": (200, b'{"code": 1, "status": 1}'),
    "no number": (200, b'{"code": 1, "status": "paid", "money": "9.90"}'),
    "no amount": (200, b'{"code": 1, "status": 1, "money": null}'),
    "a wrong refund": (200, b'{"code": 1, "status": 2, "money": "9.90", "refundmoney": "some"}'),
    "a wrong amount": (200, b'{"code": 1, "status": 1, "money": "-9.90"}'),
    "another merchant": (200, b'{"code": 1, "status": 1, "money": "9.90", "pid": 1002}'),
    "no status of the protocol": (200, b'{"code": 1, "status": 5, "money": "9.90"}'),
    "another payment": (200, b'{"code": 1, "status": 1, "money": "9.90", "out_trade_no": "another"}'),
    "too much": (200, b'{"code": 1, "status": 1, "money": "9.90", "msg": "%s"}' % (b"x" * 300_000)),
    "brackets without end": (200, b"[" * 60_000),
    "an error": (500, b'{"code": 1, "status": 1, "money": "9.90"}'),
    "a redirect": (302, b'{"code": 1, "status": 1, "money": "9.90"}'),
    "a hang-up": (200, None),
}


def told(error: BaseException) -> str:
    """Everything an error and the errors behind it could write into a log."""
    seen: list[BaseException] = []
    behind: list[BaseException | None] = [error]
    while behind:
        each = behind.pop()
        if each is not None and each not in seen:
            seen.append(each)
            behind += [each.__cause__, each.__context__]
    return "".join(traceback.format_exception(error)) + "".join(f"{each} {each!r} {each.args}" for each in seen)


@pytest.mark.parametrize("answer", list(ANSWERS))
def test_an_answer_that_is_none_is_unavailable_and_keeps_the_key(platform: Platform, answer: str) -> None:
    platform.status, platform.answer = ANSWERS[answer]
    with pytest.raises(Unavailable) as unavailable:
        ask(at(platform.url))
    assert KEY not in told(unavailable.value)
    # Followed nowhere else, and asked again only where nobody answered.
    assert {urlsplit(asked_for).path for asked_for in platform.asked} == {"/api.php"}
    assert len(platform.asked) == (3 if answer in {"an error", "a hang-up"} else 1)


def test_a_platform_that_cannot_be_reached_is_unavailable_and_keeps_the_key() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers here
        with pytest.raises(Unavailable) as unavailable:
            ask(at(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert KEY not in told(unavailable.value)


@pytest.mark.parametrize("said", [{"code": 1, "status": 1}, {"code": 1, "status": 0}, {"code": -1}])
def test_closing_a_payment_answers_what_the_platform_says_of_it(platform: Platform, said: dict[str, object]) -> None:
    """The protocol closes nothing: whoever has paid is told of all the same, and whoever pays later pays late."""
    platform.says(money="9.90", **said)
    closed = Epay().close_payment(at(platform.url), PAYMENT)
    assert closed == ask(at(platform.url))
    assert closed.paid == (said.get("status") == 1)


def test_closing_at_a_platform_that_does_not_answer_is_unavailable_and_keeps_the_key(platform: Platform) -> None:
    """An order that may have been paid is not to be closed."""
    platform.answer = None
    with pytest.raises(Unavailable) as unavailable:
        Epay().close_payment(at(platform.url), PAYMENT)
    assert KEY not in told(unavailable.value)


# ---- refunds ----

UNPAID, IS_PAID, IS_REFUNDED, FROZEN = (
    json.dumps({"code": 1, "status": status, "money": "9.90"}).encode() for status in range(4)
)
SETTLED = replace(PAYMENT, state=PaymentState.ACCEPTED, paid=PRICE)
REFUND = SETTLED.next_refund(PRICE, RefundState.REQUESTED, "operator")
DONE, PENDING, REFUSED = (
    RefundWord(state, REFUND.refund_id) for state in (RefundState.DONE, RefundState.PENDING, RefundState.REFUSED)
)


def refund(platform: Platform) -> RefundWord:
    return Epay().refund(at(platform.url), SETTLED, REFUND)


@pytest.mark.parametrize("code", [0, 1, "1", -1])
def test_a_refund_is_done_once_the_platform_has_the_order_refunded(platform: Platform, code: int | str) -> None:
    """Whatever its answer means: forks differ."""
    platform.answers = [IS_PAID, json.dumps({"code": code, "msg": "…"}).encode(), IS_REFUNDED]
    assert refund(platform) == DONE
    assert [urlsplit(each).path + "?" + urlsplit(each).query[:10] for each in platform.asked] == [
        "/api.php?act=order&",
        "/api.php?act=refund",
        "/api.php?act=order&",
    ]
    (posted,) = platform.posted
    assert dict(parse_qsl(posted.decode(), strict_parsing=True)) == {
        "pid": "1001",
        "key": KEY,
        "out_trade_no": PAYMENT_ID,
        "money": "9.90",
    }


def test_an_order_that_is_refunded_is_not_asked_for_again(platform: Platform) -> None:
    platform.answer = IS_REFUNDED
    assert refund(platform) == DONE
    assert Epay().query_refund(at(platform.url), SETTLED, REFUND) == DONE
    assert platform.posted == []


@pytest.mark.parametrize("code", [0, 1])
def test_a_refund_that_was_taken_and_is_not_there_yet_is_pending(platform: Platform, code: int) -> None:
    platform.answers = [IS_PAID, json.dumps({"code": code}).encode(), IS_PAID, IS_PAID]
    assert refund(platform) == PENDING
    assert Epay().query_refund(at(platform.url), SETTLED, REFUND) == PENDING
    assert len(platform.posted) == 1


def test_a_refund_that_the_platform_will_not_make_is_refused(platform: Platform) -> None:
    platform.answers = [IS_PAID, '{"code": -1, "msg": "该通道不支持退款"}'.encode(), IS_PAID]
    assert refund(platform) == REFUSED


@pytest.mark.parametrize(
    "answers",
    [
        [UNPAID],
        [FROZEN],
        [b'{"code": -1}'],
        [b'{"code": -3}'],
        [IS_PAID, b"<html>"],
        [IS_PAID, b"{}", IS_PAID],
        [IS_PAID, '{"code": -1, "msg": "商户余额不足"}'.encode(), IS_PAID],
        [IS_PAID, b'{"code": 0}', b""],
        [IS_PAID, b'{"code": 0}', UNPAID],
    ],
)
def test_a_refund_that_nothing_sure_is_known_of_is_asked_for_later(platform: Platform, answers: list[bytes]) -> None:
    platform.answers = answers
    with pytest.raises(Unavailable) as unavailable:
        refund(platform)
    assert KEY not in told(unavailable.value)
    assert platform.answers == []
    assert len(platform.posted) <= 1


def test_a_refund_is_asked_for_once_where_the_platform_does_not_answer(platform: Platform) -> None:
    platform.answers = [IS_PAID]
    platform.answer = None
    with pytest.raises(Unavailable) as unavailable:
        refund(platform)
    assert KEY not in told(unavailable.value)
    assert len(platform.posted) == 1


@given(st.lists(st.binary(max_size=40) | st.sampled_from([IS_PAID, IS_REFUNDED, b'{"code": 0}']), max_size=3))
def test_whatever_is_answered_to_a_refund_is_a_word_or_unavailable(answers: list[bytes]) -> None:
    given_out = [outbound.Answer(200, {}, answer) for answer in [IS_PAID, *answers, b"", b""]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "call", lambda *_, **__: given_out.pop(0))
        try:
            word = Epay().refund(CHANNEL, SETTLED, REFUND)
        except Unavailable:
            return
    assert word in (DONE, PENDING, REFUSED)


def test_the_simulated_platform_refunds_an_order_once(tmp_path: Path) -> None:
    """The program of `make demo`, by its own interface."""
    server = EpayServer(0, tmp_path, {"1001": KEY})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        channel = at(server.url)
        session = Epay().create_payment(channel, request("Steam 50 元"))
        assert session.redirect_url is not None
        assert Epay().query_payment(channel, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)
        urlopen(session.redirect_url, timeout=5).close()
        urlopen(f"{server.url}/_control/payments/{PAYMENT_ID}", b'{"status": 1}', timeout=5).close()
        assert Epay().query_payment(channel, PAYMENT).amount == PRICE
        assert Epay().refund(channel, SETTLED, REFUND) == DONE
        assert Epay().refund(channel, SETTLED, REFUND) == DONE
        assert Epay().query_payment(channel, PAYMENT).kind is EventKind.REFUNDED
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_platform_sends_back_what_the_channel_says_it_does() -> None:
    assert Epay().terms(CHANNEL).refunds is Refunds.NONE
    able = replace(CHANNEL, settings={**CHANNEL.settings, "refunds": "whole"})
    assert Epay().terms(able).refunds is Refunds.WHOLE
    assert (Epay().terms(able).weak, Epay().terms(able).closes) == (True, False)


# ---- settings ----

SETTINGS = {"url": "https://pay.example/", "pid": "1001", "type": "wxpay", "key": KEY}


def test_settings_are_split_into_public_ones_and_the_key() -> None:
    public, secrets = Epay().check_settings(SETTINGS)
    assert public == {"url": "https://pay.example", "pid": "1001", "type": "wxpay"}
    assert secrets == {"key": KEY}
    assert Epay().check_settings({**SETTINGS, "refunds": "whole"})[0] == {**public, "refunds": "whole"}
    assert Epay().check_settings({k: v for k, v in SETTINGS.items() if k != "type"})[0]["type"] == "alipay"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            ("url", bad)
            for bad in ("", "pay.example", "ftp://pay.example", "http://pay.example", "https://pay.example/?a=1")
        ],
        *[("url", bad) for bad in ("http://127.0.0.1.pay.example", "http://localhost@pay.example", "https://")],
        *[("url", bad) for bad in ("https://user:pass@pay.example", "https://pay.example#x", "https://pay example")],
        *[("pid", bad) for bad in ("", "10 01", "1001&key=x", "１００１", "1" * 33)],
        *[("type", bad) for bad in ("", "ALIPAY", "bank")],
        *[("key", bad) for bad in ("", " ", "\t\n", "a b", "密钥")],
        *[("refunds", bad) for bad in ("", "partial", "yes")],
        ("secret", "x"),
    ],
)
def test_a_bad_setting_is_named_and_not_repeated(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: ") as refused:
        Epay().check_settings({**SETTINGS, field: value})
    assert KEY not in str(refused.value)


def test_epay_is_a_provider_and_anything_else_is_none() -> None:
    assert provider("epay").name == "epay"
    assert provider("epay").acknowledge() == Reply("success", "text/plain", 200)
    with pytest.raises(InvalidRequest, match="epay"):
        provider("nonesuch")
