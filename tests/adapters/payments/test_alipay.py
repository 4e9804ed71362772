"""支付宝: what the shop sends is signed as the official SDK signs it; what it gets is believed if Alipay signed it."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cardshop.adapters.payments import alipay, outbound, provider
from cardshop.adapters.payments.alipay import Alipay, member, signed_text
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
    Refund,
    Refunds,
    RefundState,
    RefundWord,
)
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import alipay as simulated
from simulators.booth import serve
from tests.domain.builders import PAYMENT_ID, PRICE
from tests.functions.samples import sample
from tests.oracles.alipay import Oracle, official

ACCOUNT = simulated.new_account()
BOOTH = simulated.Alipay(ACCOUNT)  # whose hand signs, wherever nobody has to answer
SETTINGS = {name: ACCOUNT[name] for name in ("app_id", "seller_id", "private_key", "alipay_public_key")}
WHOSE = "2021004100000109 2088102100000109"
NOW = 1_763_800_000  # 2025-11-22 16:26:40 in Beijing
NUMBER = "2025112222001401234567890123"
PAYMENT = Payment(PAYMENT_ID, "alipay", PRICE, PaymentState.OPEN)
REFUND = Refund(f"{PAYMENT_ID}r01", Money(100, "CNY"), RefundState.REQUESTED, "shop")
NOTICE = {
    "gmt_create": "2025-11-22 16:26:30",
    "charset": "utf-8",
    "gmt_payment": "2025-11-22 16:26:38",
    "notify_time": "2025-11-22 16:26:40",
    "subject": "Steam 充值卡 50 元+1",
    "buyer_id": "2088102122524333",
    "body": "",
    "version": "1.0",
    "notify_id": "2025112201222162639012345",
    "fund_bill_list": '[{"amount":"9.90","fundChannel":"ALIPAYACCOUNT"}]',
    "notify_type": "trade_status_sync",
    "out_trade_no": PAYMENT_ID,
    "total_amount": "9.90",
    "trade_status": "TRADE_SUCCESS",
    "trade_no": NUMBER,
    "auth_app_id": "2021004100000109",
    "receipt_amount": "9.90",
    "app_id": "2021004100000109",
    "seller_id": "2088102100000109",
}
BACK = {"gmt_refund": "2025-11-22 17:00:00.631", "out_biz_no": f"{PAYMENT_ID}r01"}


def channel(**changed: str) -> Channel:
    public, secrets = Alipay().check_settings({**SETTINGS, **changed})
    return Channel("alipay", "alipay", public, secrets)


CHANNEL = channel()


def told(**changed: str) -> dict[str, str]:
    return {**NOTICE, **changed}


def posted(fields: dict[str, str]) -> Notice:
    return Notice("POST", (), {}, urlencode(fields).encode())


def read(fields: dict[str, str], at: Channel = CHANNEL) -> list[PaymentEvent]:
    return Alipay().read_notice(at, posted(fields), NOW * 1000)


def heard(**changed: str) -> PaymentEvent:
    (event,) = read(BOOTH.signed(told(**changed)))
    return event


def refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidNotice):
        read(fields)


# ---- the official SDK


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with official(ACCOUNT) as asked:
        yield asked


def test_a_request_is_signed_as_the_official_sdk_signs_it(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alipay, "clock", lambda: NOW)
    ours = page()
    asked = json.loads(ours["biz_content"])
    named = ("format", "timestamp", "notify_url", "return_url")
    theirs = oracle("request", method="alipay.trade.page.pay", fields={name: ours[name] for name in named}, asked=asked)
    assert ours == theirs


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
forms = st.dictionaries(texts.filter(lambda name: name not in {"sign", "sign_type", ""}), texts, min_size=1, max_size=5)
plain = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz_"), min_size=1, max_size=12)  # as Alipay names its fields


@settings(max_examples=60)
@given(st.dictionaries(plain, texts, min_size=1, max_size=5), st.data())
def test_a_notice_is_believed_whenever_the_official_sdk_believes_it(
    oracle: Oracle, changes: dict[str, str], data: st.DataObject
) -> None:
    fields = BOOTH.signed(told(**changes))
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(fields.keys() - {"sign_type"})))
        fields[name] = data.draw(texts)
    assert oracle("notice", fields=fields) == (objection(fields) != "sign")


def objection(fields: dict[str, str]) -> str:
    try:
        read(fields)
    except InvalidNotice as error:
        return error.detail
    return ""


# ---- the text of an answer

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab{}[]",:\\/ 元\n"sign"'), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
spaces = st.text(st.sampled_from(" \t\r\n"), max_size=2)


@given(st.dictionaries(texts, values, min_size=1, max_size=5), spaces, st.booleans(), st.booleans(), st.data())
def test_a_member_is_found_as_it_is_written(
    document: dict[str, Any], space: str, ascii_only: bool, slashes: bool, data: st.DataObject
) -> None:
    written = {}
    for name, value in document.items():
        text = json.dumps(value, ensure_ascii=ascii_only, indent=data.draw(st.none() | st.just(1)))
        written[name] = text.replace("/", "\\/") if slashes else text
    pairs = (f"{space}{json.dumps(name)}{space}:{space}{text}{space}" for name, text in written.items())
    whole = f"{space}{{{','.join(pairs)}}}{space}"
    assert json.loads(whole) == document
    for name, text in written.items():
        assert member(whole, name) == text
    with pytest.raises(ValueError, match="not there"):
        member(whole, "no such name, as it is too long")


def test_an_empty_object_has_no_member() -> None:
    with pytest.raises(ValueError, match="not there"):
        member("{}", "a")


# ---- settings


def test_settings_are_told_apart() -> None:
    public, secrets = Alipay().check_settings(SETTINGS)
    assert secrets == {"private_key": ACCOUNT["private_key"]}
    assert public == {
        "app_id": "2021004100000109",
        "seller_id": "2088102100000109",
        "alipay_public_key": ACCOUNT["alipay_public_key"],
        "host": "https://openapi.alipay.com",
        "method": "auto",
    }


def pem(key: rsa.RSAPrivateKey, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> str:
    sealed = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, sealed).decode()


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def bare(text: str) -> str:
    return "".join(text.split("-----")[2].split())


def owned(name: str) -> rsa.RSAPrivateKey:
    key = load_der_private_key(base64.b64decode(ACCOUNT[name]), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


OWN, ALIPAYS, NEXT = owned("private_key"), owned("alipay_private_key"), owned("next_alipay_private_key")
SMALL = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("written", [str, bare, lambda text: f"\n{text}\n"], ids=["PEM", "base64", "with lines around"])
def test_a_private_key_may_be_written_in_many_ways(
    monkeypatch: pytest.MonkeyPatch, form: PrivateFormat, written: Callable[[str], str]
) -> None:
    monkeypatch.setattr(alipay, "clock", lambda: NOW)
    assert page(channel(private_key=written(pem(OWN, form)))) == page()


@pytest.mark.parametrize(
    "written",
    [
        public_pem(ALIPAYS),
        bare(public_pem(ALIPAYS)),
        ALIPAYS.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
        f"{public_pem(NEXT)}{public_pem(ALIPAYS)}",
        f"{bare(public_pem(NEXT))} {bare(public_pem(ALIPAYS))}",
        f"{bare(public_pem(NEXT))}\n{public_pem(ALIPAYS)}",
    ],
)
def test_alipays_key_may_be_written_in_many_ways_and_be_two(written: str) -> None:
    assert len(read(BOOTH.signed(NOTICE), channel(alipay_public_key=written))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("app_id", ""),
        ("app_id", "202100410000010"),
        ("app_id", "2021004100000109\n"),
        ("seller_id", "2188102100000109"),
        ("seller_id", "208810210000010x"),
        ("host", "https://openapi.alipay.com.evil.example"),
        ("host", "https://openapi.alipay.com/gateway.do"),
        ("host", "http://openapi.alipay.com"),
        ("host", "http://localhost"),
        ("method", "app"),
        ("method", ""),
        ("private_key", ""),
        ("private_key", " "),
        ("private_key", "MIIE"),
        ("private_key", "签"),
        ("private_key", public_pem(OWN)),
        ("private_key", pem(OWN, password=b"secret")),
        ("private_key", pem(SMALL)),
        ("private_key", pem(OWN) + pem(ALIPAYS)),
        ("private_key", pem(OWN) + "and more"),
        ("private_key", f"{bare(pem(OWN))[:40]}!{bare(pem(OWN))[40:]}"),
        ("private_key", CURVE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()),
        ("alipay_public_key", ""),
        ("alipay_public_key", pem(ALIPAYS)),
        ("alipay_public_key", public_pem(SMALL)),
        ("alipay_public_key", public_pem(CURVE)),
        ("alipay_public_key", public_pem(ed25519.Ed25519PrivateKey.generate())),
        ("alipay_public_key", public_pem(OWN)),
        ("alipay_public_key", f"{public_pem(ALIPAYS)}{public_pem(OWN)}"),
        ("alipay_public_key", public_pem(ALIPAYS) * 3),
        ("alipay_public_key", f"{public_pem(ALIPAYS)}{public_pem(SMALL)}"),
        ("key", "x"),
    ],
)
def test_a_bad_setting_is_named_first_and_never_quoted(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: ") as caught:
        Alipay().check_settings({**SETTINGS, name: value})
    assert len(value) < 20 or value not in caught.value.detail


@pytest.mark.parametrize("name", ["app_id", "seller_id", "private_key", "alipay_public_key"])
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        Alipay().check_settings({each: SETTINGS[each] for each in SETTINGS if each != name})


@pytest.mark.parametrize("host", ["https://openapi-sandbox.dl.alipaydev.com", "http://127.0.0.1:8801"])
def test_another_host_may_be_set(host: str) -> None:
    assert Alipay().check_settings({**SETTINGS, "host": host})[0]["host"] == host


def test_a_channel_takes_yuan_and_sends_back_in_parts() -> None:
    terms = provider("alipay").terms(CHANNEL)
    assert (terms.amounts, terms.refunds) == ({"CNY": (1, 10_000_000_000)}, Refunds.PARTIAL)
    assert (terms.closes, terms.weak, terms.payer_on) == (True, False, frozenset())
    assert Alipay().account(CHANNEL) == WHOSE
    assert Alipay().acknowledge().body == "success"


# ---- opening a payment


def request(terminal: str = "pc", **changed: Any) -> PaymentRequest:
    asked = PaymentRequest(
        payment_id=PAYMENT_ID,
        amount=PRICE,
        name="Steam 充值卡 50 元",
        notify_url="https://shop.example/webhooks/alipay",
        return_url="https://shop.example/orders/1/return",
        terminal=terminal,
        expires_at=(NOW + 1800) * 1000,
    )
    return replace(asked, **changed)


def page(at: Channel = CHANNEL, terminal: str = "pc", **changed: Any) -> dict[str, str]:
    """The fields of the page's address."""
    session = Alipay().create_payment(at, request(terminal, **changed))
    assert session.redirect_url is not None
    address, _, query = session.redirect_url.partition("?")
    assert address == "https://openapi.alipay.com/gateway.do"
    return dict(parse_qsl(query, strict_parsing=True))


def test_the_page_of_a_pc_is_an_address_with_everything_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alipay, "clock", lambda: NOW + 0.9)
    fields = page()
    assert json.loads(fields.pop("biz_content")) == {
        "out_trade_no": PAYMENT_ID,
        "total_amount": "9.90",
        "subject": "Steam 充值卡 50 元",
        "time_expire": "2025-11-22 16:56:40",
        "product_code": "FAST_INSTANT_TRADE_PAY",
    }
    assert len(base64.b64decode(fields.pop("sign"))) == 256
    assert fields == {
        "app_id": "2021004100000109",
        "method": "alipay.trade.page.pay",
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": "2025-11-22 16:26:40",
        "version": "1.0",
        "notify_url": "https://shop.example/webhooks/alipay",
        "return_url": "https://shop.example/orders/1/return",
    }


def test_a_phone_has_its_own_page() -> None:
    fields = page(terminal="mobile")
    asked = json.loads(fields["biz_content"])
    assert fields["method"] == "alipay.trade.wap.pay"
    assert (asked["product_code"], asked["quit_url"]) == ("QUICK_WAP_WAY", "https://shop.example/orders/1/return")


def test_a_channel_may_be_set_to_one_way_of_paying() -> None:
    assert page(channel(method="wap"))["method"] == "alipay.trade.wap.pay"
    assert page(channel(method="page"), "mobile")["method"] == "alipay.trade.page.pay"


@given(st.text(max_size=300))
def test_a_name_has_no_character_that_alipay_refuses(name: str) -> None:
    subject = json.loads(page(name=name)["biz_content"])["subject"]
    assert 0 < len(subject) <= 256
    assert not set("/=&<>\"'\0\n") & set(subject)


def test_a_long_name_is_cut() -> None:
    assert json.loads(page(name="元" * 300)["biz_content"])["subject"] == "元" * 256


# ---- reading a notice


def test_money_that_is_in() -> None:
    expected = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, NUMBER, WHOSE)
    assert heard() == expected
    assert heard(trade_status="TRADE_FINISHED") == expected
    assert heard(refund_fee="0.00") == expected, "as many notices of a payment have it"
    assert heard(refund_fee="") == expected
    assert heard(total_amount="9.9") == expected
    assert heard(**{"a-field.of tomorrow": "1 & 2 = 3"}) == expected


def test_a_trade_that_waits_tells_nothing() -> None:
    assert heard(trade_status="WAIT_BUYER_PAY") == PaymentEvent(PAYMENT_ID, EventKind.OPEN, None, NUMBER, WHOSE)


@pytest.mark.parametrize("more", [{}, {"refund_fee": "0.00"}])
def test_a_trade_that_nobody_paid_has_failed(more: dict[str, str]) -> None:
    event = heard(trade_status="TRADE_CLOSED", gmt_close="2025-11-22 17:00:00", **more)
    assert event == PaymentEvent(PAYMENT_ID, EventKind.FAILED, None, NUMBER, WHOSE)


@pytest.mark.parametrize(("status", "back"), [("TRADE_CLOSED", 990), ("TRADE_SUCCESS", 100), ("TRADE_FINISHED", 100)])
@pytest.mark.parametrize(
    ("number", "ours"),
    [(f"{PAYMENT_ID}r01", True), (f"{PAYMENT_ID}r1", False), (f"x{PAYMENT_ID}r01", False), ("HZ01RF001", False)],
)
def test_a_refund_is_told_by_all_that_went_back(status: str, back: int, number: str, ours: bool) -> None:
    amount = Money(back, "CNY")
    event = heard(trade_status=status, refund_fee=amount.decimal(), **{**BACK, "out_biz_no": number})
    word = RefundWord(RefundState.DONE, number if ours else None, total=amount)
    assert event == PaymentEvent(PAYMENT_ID, EventKind.REFUNDED, None, NUMBER, WHOSE, word)


def test_a_refund_made_there_names_no_number() -> None:
    event = heard(refund_fee="1.00")
    assert event.refund == RefundWord(RefundState.DONE, None, total=Money(100, "CNY"))


def test_what_is_of_no_trade_needs_nothing() -> None:
    assert read(BOOTH.signed({"notify_type": "dut_user_sign", "app_id": ACCOUNT["app_id"]})) == []


def test_another_merchants_notice_says_whose_it_is() -> None:
    assert heard(app_id="2021004100000110").account == "2021004100000110 2088102100000109"
    assert heard(seller_id="2088102100000110").account == "2021004100000109 2088102100000110"


@pytest.mark.parametrize(
    "name", ["notify_type", "out_trade_no", "trade_no", "total_amount", "trade_status", "app_id", "seller_id"]
)
def test_a_notice_that_lacks_something_is_refused(name: str) -> None:
    refused(BOOTH.signed({each: NOTICE[each] for each in NOTICE if each != name}))
    refused(BOOTH.signed({**NOTICE, name: ""}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total_amount", "9,90"),
        ("total_amount", "-9.90"),
        ("total_amount", "9.901"),
        ("total_amount", "1e1"),
        ("refund_fee", "x"),
        ("trade_status", "TRADE_PENDING"),
        ("trade_status", "trade_success"),
        ("charset", "gbk"),
    ],
)
def test_a_notice_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    refused(BOOTH.signed(told(**{name: value})))


def test_the_charset_may_be_written_in_capitals_or_left_out() -> None:
    assert heard(charset="UTF-8").paid
    (event,) = read(BOOTH.signed({each: NOTICE[each] for each in NOTICE if each != "charset"}))
    assert event.paid


@pytest.mark.parametrize("kind", ["RSA", "MD5", "rsa2", ""])
def test_another_kind_of_signature_is_refused(kind: str) -> None:
    refused({**BOOTH.signed(NOTICE), "sign_type": kind})


def test_a_signature_with_more_in_it_is_none() -> None:
    fields = BOOTH.signed(NOTICE)
    for sign in (f"{fields['sign']}!", f" {fields['sign']}", f"{fields['sign'][:8]}\n{fields['sign'][8:]}", "签"):
        refused({**fields, "sign": sign})


def test_a_signature_over_the_sign_type_is_not_a_notices() -> None:
    signature = BOOTH.signature(signed_text({**NOTICE, "sign_type": "RSA2"}).decode())
    refused({**NOTICE, "sign_type": "RSA2", "sign": signature})


@pytest.mark.parametrize(
    ("name", "value"), [("receipt_amount", "9.90&refund_fee=1.00"), ("receipt_amount=9.90&refund_fee", "1.00")]
)
def test_no_field_hides_in_another(name: str, value: str) -> None:
    """The signed text stays the same, and a notice of a refund would pass for one of the payment."""
    fields = BOOTH.signed(told(refund_fee="1.00"))
    hidden = {each: fields[each] for each in fields if each not in {"receipt_amount", "refund_fee"}} | {name: value}
    texts = [signed_text({each: of[each] for each in of if not each.startswith("sign")}) for of in (fields, hidden)]
    assert texts[0] == texts[1]
    assert objection(hidden) == "two fields in one"


def test_a_notice_is_posted() -> None:
    fields = BOOTH.signed(NOTICE)
    with pytest.raises(InvalidNotice):
        Alipay().read_notice(CHANNEL, Notice("GET", tuple(fields.items()), {}, b""), NOW * 1000)
    with pytest.raises(InvalidNotice):
        Alipay().read_notice(CHANNEL, Notice("PUT", (), {}, urlencode(fields).encode()), NOW * 1000)


def test_a_field_in_the_address_is_one_that_alipay_did_not_sign() -> None:
    notice = replace(posted(BOOTH.signed(NOTICE)), query=(("extra", "1"),))
    with pytest.raises(InvalidNotice):
        Alipay().read_notice(CHANNEL, notice, NOW * 1000)


def test_the_buyers_way_back_is_no_notice() -> None:
    """It is signed with the same key and names the payment as paid for: any buyer holds one of his own."""
    back = {"method": "alipay.trade.page.pay.return", "timestamp": "2025-11-22 16:26:40"}
    kept = ("charset", "out_trade_no", "total_amount", "trade_no", "auth_app_id", "version", "app_id", "seller_id")
    refused(BOOTH.signed({**{name: NOTICE[name] for name in kept}, **back}))


RECORDED = """
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2pO4qJ1KpHUpivSx0L8I
+m+QS6fGCHTNbF6hm+gs2xEqVMKOV/IOxcV6BZpWfOsUg3wqCByTTanhEFMSF4T1
4Sc+SAXBOlwfTzVaLHDoeSoG5RqKhvVeXlvNA3mDh6x4iHELNyVyKVHPLZqomj0Z
fQYfXbVhkNVoQHMsFGZLojQ+b4ZxNzTnLU+jPZrnjXGiqHSj70/5l6GU8fLFgML1
bgzyZErzAsunBL9Z6QKgjjtuxW82XuEyCdzVv22nh+gOLaUNXSnbEThb+SE6nRb/
x9AWcVsb6HXGId+XF09JuW4aTiH07qCXOcJjyKMwXQha+DjJbrb/qKMKyTan8Z95
dwIDAQAB
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("paid", EventKind.PAID), ("refunded", EventKind.REFUNDED), ("closed", EventKind.FAILED)],
)
def test_the_recorded_notices_are_genuine(name: str, kind: EventKind) -> None:
    event = sample(f"receive_notice/alipay_{name}")
    notice = Notice(event["httpMethod"], (), {}, base64.b64decode(event["body"]))
    (said,) = Alipay().read_notice(channel(alipay_public_key=RECORDED), notice, NOW * 1000)
    assert (said.payment_id, said.kind, said.account) == (PAYMENT_ID, kind, WHOSE)
    assert (said.refund and said.refund.total) == (PRICE if kind is EventKind.REFUNDED else None)


@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2),
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="ignore")),
)
def test_nobody_elses_words_are_believed(
    method: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(InvalidNotice):
        Alipay().read_notice(CHANNEL, Notice(method, tuple(query), headers, body), NOW * 1000)


@given(forms, st.sets(st.sampled_from(sorted(NOTICE)), max_size=3))
def test_whatever_alipay_signs_is_read_or_refused(changes: dict[str, str], without: set[str]) -> None:
    fields = {name: value for name, value in told(**changes).items() if name not in without}
    with suppress(InvalidNotice):
        assert len(read(BOOTH.signed(fields))) <= 1


names = ["refund_fee", "out_biz_no", "trade_status", "total_amount", "out_trade_no", "notify_type"]
words = texts | st.sampled_from(["", "0", "0.00", "9.90", "TRADE_CLOSED", "TRADE_SUCCESS", f"{PAYMENT_ID}r01", "."])


@given(st.dictionaries(st.sampled_from(names), words, max_size=4))
def test_whatever_a_field_says_is_read_or_refused(changes: dict[str, str]) -> None:
    with suppress(InvalidNotice):
        for event in read(BOOTH.signed(told(**changes))):
            assert (event.kind is EventKind.REFUNDED) == (event.refund is not None)
            assert event.paid == (event.amount is not None)


# ---- at Alipay's


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[simulated.Alipay]:
    monkeypatch.setattr(outbound, "pause", lambda _: None)
    with serve(simulated.Alipay(dict(ACCOUNT))) as booth:
        yield booth


@pytest.fixture
def at(there: simulated.Alipay) -> Channel:
    return channel(host=there.url)


def open_there(at: Channel, terminal: str = "miniapp", **changed: Any) -> str:
    """Opened, not seen by the buyer; where it is paid."""
    asked = request(terminal, expires_at=int(time.time() + 1800) * 1000, **changed)
    session = Alipay().create_payment(at, asked)
    way = session.qr_code or session.redirect_url
    assert way is not None
    return way


def seen(way: str) -> None:
    with urllib.request.urlopen(way, timeout=5) as answer:
        assert "9.90" in answer.read().decode()


def paid_there(there: simulated.Alipay, at: Channel) -> Payment:
    open_there(at)
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert there.pay(payment, notify=False)
    return replace(PAYMENT, state=PaymentState.ACCEPTED, paid=PRICE, provider_ref=payment.reference)


def test_a_code_is_opened_scanned_and_paid(there: simulated.Alipay, at: Channel) -> None:
    ask = Alipay().query_payment
    assert ask(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN), "nobody opened it"
    code = open_there(at)
    assert ask(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN), "nobody has scanned it"
    seen(code)
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert ask(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN, None, payment.reference)
    there.pay(payment, notify=False)
    paid = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, payment.reference)
    assert ask(at, PAYMENT) == paid
    there.pay(payment, notify=False)
    assert ask(at, PAYMENT) == paid


@pytest.mark.parametrize(("terminal", "method"), [("pc", "page"), ("mobile", "wap")])
def test_a_page_is_opened_by_whoever_goes_there(
    there: simulated.Alipay, at: Channel, terminal: str, method: str
) -> None:
    way = open_there(at, terminal)
    assert there.find(number=PAYMENT_ID) is None
    seen(way)
    assert Alipay().query_payment(at, PAYMENT).kind is EventKind.OPEN
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.return_url == "https://shop.example/orders/1/return"
    assert f"alipay.trade.{method}.pay" in way


@pytest.mark.parametrize("terminal", ["miniapp", "api", "pc", "mobile"])
def test_a_payment_asked_for_again_is_opened_once(there: simulated.Alipay, at: Channel, terminal: str) -> None:
    for _ in range(2):
        way = open_there(at, terminal)
        seen(way)
    assert list(there._payments) == [PAYMENT_ID]


def test_nobody_pays_after_the_window(there: simulated.Alipay, at: Channel) -> None:
    """Its end is told in Beijing time: eight hours off and it could be paid until tonight, or never."""
    for ends, paid in ((-2, False), (60, True)):
        number = f"{PAYMENT_ID[:-2]}{ends % 100:02d}"
        Alipay().create_payment(at, request("api", payment_id=number, expires_at=int((time.time() + 3600) * 1000)))
        payment = there.find(number=number)
        assert payment is not None
        fields = page(expires_at=int((time.time() + ends) * 1000))
        payment.extra["until"] = json.loads(fields["biz_content"])["time_expire"]
        assert there.pay(payment, notify=False) is paid
        assert payment.status == ("paid" if paid else "closed")


def test_what_is_closed_there_nobody_pays(there: simulated.Alipay, at: Channel) -> None:
    seen(open_there(at))
    for _ in range(2):
        assert Alipay().close_payment(at, PAYMENT).kind is EventKind.FAILED
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert not there.pay(payment, notify=False)
    assert Alipay().query_payment(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.FAILED, None, payment.reference)
    with pytest.raises(Unavailable, match=r"ACQ\.TRADE_HAS_CLOSE"):
        open_there(at)


def test_what_the_buyer_has_not_seen_cannot_be_closed(at: Channel) -> None:
    assert Alipay().close_payment(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)
    open_there(at)
    assert Alipay().close_payment(at, PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)


def test_what_is_paid_is_not_closed(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    said = Alipay().close_payment(at, PAYMENT)
    assert said == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, paid.provider_ref)


def test_a_refund_is_made_once_however_often_it_is_asked_for(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    done = RefundWord(RefundState.DONE, REFUND.refund_id, amount=REFUND.amount)
    assert [Alipay().refund(at, paid, REFUND) for _ in range(3)] == [done] * 3
    assert Alipay().query_refund(at, paid, REFUND) == done
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    assert (payment.refunded, len(payment.refunds)) == ("1.00", 1)
    assert Alipay().query_payment(at, paid).paid, "a part of it only"


def test_all_of_it_goes_back_in_parts(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    rest = replace(REFUND, refund_id=f"{PAYMENT_ID}r02", amount=Money(890, "CNY"))
    assert Alipay().refund(at, paid, REFUND).state is RefundState.DONE
    assert Alipay().refund(at, paid, rest).state is RefundState.DONE
    assert Alipay().refund(at, paid, rest).state is RefundState.DONE, "the trade is closed by now"
    word = RefundWord(RefundState.DONE, total=PRICE)
    said = PaymentEvent(PAYMENT_ID, EventKind.REFUNDED, None, paid.provider_ref, refund=word)
    assert Alipay().query_payment(at, paid) == said


def test_a_refund_that_takes_its_time_is_followed(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    there.account["slow"] = True
    pending = RefundWord(RefundState.PENDING, REFUND.refund_id)
    assert Alipay().refund(at, paid, REFUND) == pending
    assert Alipay().query_refund(at, paid, REFUND) == pending
    payment = there.find(number=PAYMENT_ID)
    assert payment is not None
    there.settle(payment, payment.refunds[REFUND.refund_id], "done")
    before = there._calls["refund"]
    assert Alipay().query_refund(at, paid, REFUND).state is RefundState.DONE
    assert there._calls["refund"] == before, "what is done is not asked for again"


def test_a_refund_that_was_never_heard_of_is_asked_for_by_its_query(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    assert Alipay().query_refund(at, paid, REFUND).state is RefundState.DONE


def test_more_than_is_left_is_refused_for_good(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    for amount in (Money(991, "CNY"), PRICE):
        asked = replace(REFUND, refund_id=f"{PAYMENT_ID}r{amount.minor % 89:02d}", amount=amount)
        expected = RefundState.DONE if amount == PRICE else RefundState.REFUSED
        assert Alipay().refund(at, paid, asked).state is expected
    assert Alipay().refund(at, paid, REFUND) == RefundWord(RefundState.REFUSED, REFUND.refund_id), "it is closed"


def test_an_empty_account_may_be_filled(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    there.account["balance"] = 0
    with pytest.raises(Unavailable, match=r"ACQ\.SELLER_BALANCE_NOT_ENOUGH"):
        Alipay().refund(at, paid, REFUND)
    del there.account["balance"]
    assert Alipay().refund(at, paid, REFUND).state is RefundState.DONE


def test_a_refund_of_another_amount_is_no_answer(there: simulated.Alipay, at: Channel) -> None:
    paid = paid_there(there, at)
    Alipay().refund(at, paid, REFUND)
    for ask in (Alipay().refund, Alipay().query_refund):
        with pytest.raises(Unavailable):
            ask(at, paid, replace(REFUND, amount=Money(200, "CNY")))


def test_a_refund_is_not_sent_again_at_once(there: simulated.Alipay, at: Channel) -> None:
    """Refunds of one trade are three seconds apart; a query may be tried again."""
    paid = paid_there(there, at)
    there._outage["all"] = True
    with pytest.raises(Unavailable):
        Alipay().refund(at, paid, REFUND)
    assert there._calls["refund"] == 1
    with pytest.raises(Unavailable):
        Alipay().query_payment(at, paid)
    assert there._calls["query"] == 3


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"app_id": "2021004100000110"}, "isv.invalid-app-id"),
        ({"private_key": ACCOUNT["next_alipay_private_key"]}, "isv.invalid-signature"),
    ],
)
def test_a_refusal_is_named_by_its_code_alone(there: simulated.Alipay, changed: dict[str, str], code: str) -> None:
    at = channel(host=there.url, **changed)
    for ask in (
        open_there,
        lambda at: Alipay().query_payment(at, PAYMENT),
        lambda at: Alipay().close_payment(at, PAYMENT),
    ):
        with pytest.raises(Unavailable) as caught:
            ask(at)
        assert caught.value.detail == f"Alipay refused: {code}"


def test_an_answer_that_another_key_signed_is_none(there: simulated.Alipay) -> None:
    paid_there(there, channel(host=there.url))
    stranger = channel(host=there.url, alipay_public_key=ACCOUNT["next_alipay_public_key"])
    with pytest.raises(Unavailable, match="sign"):
        Alipay().query_payment(stranger, PAYMENT)


# ---- answers that are none

QUERIED = {
    "code": "10000",
    "msg": "Success",
    "out_trade_no": PAYMENT_ID,
    "total_amount": "9.90",
    "trade_no": NUMBER,
    "trade_status": "TRADE_SUCCESS",
}


def written(name: str, told: object, *, sign_first: bool = False, **changed: Any) -> bytes:
    """An answer as Alipay signs it."""
    text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    members = [
        f'"alipay_trade_{name}_response": {text}',
        f'"sign":{json.dumps(changed.get("sign", BOOTH.signature(text)))}',
    ]
    return f"{{{','.join(reversed(members) if sign_first else members)}}}".encode()


def answered(monkeypatch: pytest.MonkeyPatch, *bodies: bytes, status: int = 200) -> None:
    """Alipay answers with these, one after the other, and then with the last."""
    left = list(bodies)
    monkeypatch.setattr(
        outbound, "call", lambda *_, **__: Answer(status, {}, left.pop(0) if len(left) > 1 else left[0])
    )


def queried(monkeypatch: pytest.MonkeyPatch, body: bytes, status: int = 200) -> PaymentEvent:
    answered(monkeypatch, body, status=status)
    return Alipay().query_payment(CHANNEL, PAYMENT)


def test_an_answer_is_believed_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    paid = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, NUMBER)
    assert queried(monkeypatch, written("query", QUERIED)) == paid
    assert queried(monkeypatch, written("query", QUERIED, sign_first=True)) == paid
    assert queried(monkeypatch, written("query", json.dumps({**QUERIED, "note": 'a}"sign":"/\\'}, indent=2))) == paid
    assert queried(monkeypatch, written("query", {**QUERIED, "total_amount": 9.9})) == paid
    assert queried(monkeypatch, written("query", {**QUERIED, "trade_status": "TRADE_FINISHED"})) == paid


@pytest.mark.parametrize(
    ("send_pay_date", "kind"), [("2025-11-22 16:26:38", EventKind.REFUNDED), ("", EventKind.FAILED)]
)
def test_a_closed_trade_was_refunded_if_the_seller_ever_had_the_money(
    monkeypatch: pytest.MonkeyPatch, send_pay_date: str, kind: EventKind
) -> None:
    told = {**QUERIED, "trade_status": "TRADE_CLOSED", "send_pay_date": send_pay_date}
    event = queried(monkeypatch, written("query", told))
    assert (event.kind, event.amount) == (kind, None)
    assert event.refund == (RefundWord(RefundState.DONE, total=PRICE) if kind is EventKind.REFUNDED else None)


RIGHT = written("query", QUERIED)


@pytest.mark.parametrize(
    "body",
    [
        RIGHT.replace(b"9.90", b"0.01"),
        RIGHT.replace(b'"msg": "Success"', b'"msg":"Success"'),
        RIGHT.replace(b"_query_", b"_close_"),
        written("query", QUERIED, sign=""),
        written("query", QUERIED, sign=None),
        written("query", QUERIED, sign="签"),
        written("query", QUERIED, sign=BOOTH.signature("{}")),
        written("query", {**QUERIED, "out_trade_no": f"{PAYMENT_ID[:-2]}02"}),
        written("query", {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "out_trade_no": "another"}),
        b'{"alipay_trade_query_response": {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}}',
        b'{"error_response": {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}}',
        *(
            written("query", {each: QUERIED[each] for each in QUERIED if each != name})
            for name in QUERIED
            if name != "msg"
        ),
        written("query", {**QUERIED, "code": 10000}),
        written("query", {**QUERIED, "trade_status": "TRADE_PENDING"}),
        written("query", {**QUERIED, "total_amount": "9.9O"}),
        written("query", {**QUERIED, "total_amount": None}),
        written("query", {**QUERIED, "trade_no": 1}),
        written("query", {"code": "20000", "sub_code": "isp.unknow-error"}),
        written("query", {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}),
        written("query", '"c2VhbGVk"'),
        b"[]",
        b"",
        b"<html>",
        "{}".encode("utf-16"),
    ],
)
def test_a_query_that_is_not_answered_is_never_unpaid(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with pytest.raises(Unavailable):
        queried(monkeypatch, body)


def test_an_answer_by_another_status_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="HTTP 302"):
        queried(monkeypatch, RIGHT, 302)


def test_a_code_of_no_known_form_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable) as caught:
        queried(monkeypatch, written("query", {"code": "40004", "sub_code": "<script>"}))
    assert caught.value.detail == "Alipay refused: no known code"


def test_a_trade_that_waits_and_is_not_closed_can_still_be_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = written("close", {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"})
    waiting = written("query", {**QUERIED, "trade_status": "WAIT_BUYER_PAY"})
    answered(monkeypatch, failing, waiting)
    with pytest.raises(Unavailable, match=r"ACQ\.SYSTEM_ERROR"):
        Alipay().close_payment(CHANNEL, PAYMENT)


def test_a_trade_that_was_made_and_paid_while_it_was_closed_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, written("close", {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}), RIGHT)
    assert Alipay().close_payment(CHANNEL, PAYMENT).paid


NOTHING = written("fastpay_refund_query", {"code": "10000", "msg": "Success"})
MADE = {
    "code": "10000",
    "out_trade_no": PAYMENT_ID,
    "out_request_no": REFUND.refund_id,
    "refund_amount": "1.00",
    "refund_status": "REFUND_SUCCESS",
}


@pytest.mark.parametrize(
    "code",
    [
        *("BUYER_ENABLE_STATUS_FORBID", "BUYER_ERROR", "BUYER_NOT_EXIST"),
        *("NOT_ALLOW_PARTIAL_REFUND", "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND", "TRADE_NOT_ALLOW_REFUND"),
        *("REASON_TRADE_REFUND_FEE_ERR", "REFUND_AMT_NOT_EQUAL_TOTAL", "REFUND_FEE_ERROR"),
        *("TRADE_HAS_CLOSE", "TRADE_HAS_FINISHED", "TRADE_STATUS_ERROR"),
    ],
)
def test_a_refusal_is_believed_only_once_the_refund_is_known_not_to_be_made(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    failing = written("refund", {"code": "40004", "sub_code": f"ACQ.{code}"})
    answered(monkeypatch, failing, NOTHING)
    assert Alipay().refund(CHANNEL, PAYMENT, REFUND).state is RefundState.REFUSED
    answered(monkeypatch, failing, written("fastpay_refund_query", MADE))
    assert Alipay().refund(CHANNEL, PAYMENT, REFUND).state is RefundState.DONE
    answered(monkeypatch, failing, b"")
    with pytest.raises(Unavailable):
        Alipay().refund(CHANNEL, PAYMENT, REFUND)


@pytest.mark.parametrize(
    "code", ["SYSTEM_ERROR", "SELLER_BALANCE_NOT_ENOUGH", "REASON_TRADE_BEEN_FREEZEN", "TRADE_NOT_EXIST"]
)
def test_a_refund_that_may_still_be_made_is_not_given_up(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    answered(monkeypatch, written("refund", {"code": "40004", "sub_code": f"ACQ.{code}"}), NOTHING)
    with pytest.raises(Unavailable, match=code):
        Alipay().refund(CHANNEL, PAYMENT, REFUND)


@pytest.mark.parametrize("change", [{"fund_change": "N"}, {}])
def test_a_refund_that_was_heard_is_not_made_yet(monkeypatch: pytest.MonkeyPatch, change: dict[str, str]) -> None:
    heard = written("refund", {"code": "10000", "out_trade_no": PAYMENT_ID, "refund_fee": "1.00", **change})
    answered(monkeypatch, heard, NOTHING)
    assert Alipay().refund(CHANNEL, PAYMENT, REFUND).state is RefundState.PENDING


def test_a_refund_must_be_of_our_payment(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, written("refund", {"code": "10000", "fund_change": "Y"}))
    with pytest.raises(Unavailable):
        Alipay().refund(CHANNEL, PAYMENT, REFUND)


@pytest.mark.parametrize(
    "changed",
    [
        {"out_trade_no": None},
        {"out_request_no": f"{PAYMENT_ID}r02"},
        {"out_request_no": None},
        {"refund_amount": "1.01"},
        {"refund_amount": None},
        {"refund_status": 1},
    ],
)
def test_a_refunds_query_must_be_of_this_refund(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]) -> None:
    answered(monkeypatch, written("fastpay_refund_query", {**MADE, **changed}))
    with pytest.raises(Unavailable):
        Alipay().query_refund(CHANNEL, PAYMENT, REFUND)


@pytest.mark.parametrize("told", [{}, {"qr_code": 1}, {"out_trade_no": "another"}, {"out_trade_no": None}])
def test_a_code_must_be_of_our_payment(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    whole = {
        "code": "10000",
        "out_trade_no": PAYMENT_ID,
        **({"qr_code": "https://qr.alipay.com/x"} if told else {}),
        **told,
    }
    answered(monkeypatch, written("precreate", whole))
    with pytest.raises(Unavailable):
        Alipay().create_payment(CHANNEL, request("api"))


answers = st.dictionaries(
    st.sampled_from(
        [*QUERIED, "sub_code", "fund_change", "refund_status", "out_request_no", "refund_amount", "qr_code"]
    ),
    st.sampled_from([*QUERIED.values(), *MADE.values(), "40004", "ACQ.TRADE_NOT_EXIST", "Y", "ACQ.BUYER_ERROR"])
    | values,
)


@settings(max_examples=200)
@given(st.sampled_from(["query", "close", "refund", "fastpay_refund_query", "precreate"]), answers, st.booleans())
def test_whatever_alipay_answers_has_a_meaning_or_none(name: str, told: dict[str, Any], signed: bool) -> None:
    body = written(name, told) if signed else json.dumps({f"alipay_trade_{name}_response": told, "sign": told}).encode()
    asks: dict[str, Callable[[], object]] = {
        "query": lambda: Alipay().query_payment(CHANNEL, PAYMENT),
        "close": lambda: Alipay().close_payment(CHANNEL, PAYMENT),
        "refund": lambda: Alipay().refund(CHANNEL, PAYMENT, REFUND),
        "fastpay_refund_query": lambda: Alipay().query_refund(CHANNEL, PAYMENT, REFUND),
        "precreate": lambda: Alipay().create_payment(CHANNEL, request("api")),
    }
    with pytest.MonkeyPatch.context() as patched, suppress(Unavailable):
        answered(patched, body)
        assert asks[name]() is not None


def test_no_other_host_is_ever_asked() -> None:
    strange = replace(CHANNEL, settings={**CHANNEL.settings, "host": "https://openapi.alipay.com.invalid"})
    with pytest.raises(Unavailable, match="not one of its own"):
        Alipay().query_payment(strange, PAYMENT)


def test_no_error_quotes_a_key(there: simulated.Alipay, at: Channel) -> None:
    there._outage["all"] = True
    with pytest.raises(Unavailable) as caught:
        Alipay().query_payment(at, PAYMENT)
    assert urlsplit(there.url).netloc not in str(caught.value)
    assert "sign" not in str(caught.value)
