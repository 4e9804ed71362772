"""微信支付: what is sent and believed. The oracle is another SDK's signing and decrypting, which is laxer in places."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import wechatpayv3.utils as oracle  # type: ignore[import-untyped]
from cardshop.adapters.payments import outbound, provider, wechat
from cardshop.adapters.payments.outbound import Answer
from cardshop.adapters.payments.rsa import signed_by
from cardshop.adapters.payments.wechat import WeChat, authorization, sign, unseal
from cardshop.domain.errors import InvalidNotice, InvalidRequest, StaleNotice, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    TERMINALS,
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
    Reply,
)
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpayv3.core import Core  # type: ignore[import-untyped]

from simulators import wechat as simulated
from simulators.booth import Telling, serve
from tests.domain.builders import PAYMENT_ID, PRICE
from tests.functions.samples import sample

REFUND_ID = f"{PAYMENT_ID}r01"
ACCOUNT = "1900000109 wx8888888888888888"
NUMBER = "4200001234202511220000000001"
NOW = 1_763_800_000_000  # milliseconds
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
PAYMENT = Payment(PAYMENT_ID, "wechat", PRICE, PaymentState.OPEN)
ACCEPTED = replace(PAYMENT, state=PaymentState.ACCEPTED, paid=PRICE, provider_ref=NUMBER)
REFUND = Refund(REFUND_ID, Money(400, "CNY"), RefundState.REQUESTED, "operator")
REQUEST = PaymentRequest(
    payment_id=PAYMENT_ID,
    amount=PRICE,
    name="Steam 50 元",
    notify_url="https://shop.example/api/webhooks/wechat",
    return_url="https://shop.example/api/orders/o1/return",
    terminal="pc",
    expires_at=4_000_000_000_999,
    payer=OPENID,
    address="203.0.113.7",
)
PAID = PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, NUMBER, ACCOUNT)
ORDER = {
    "appid": "wx8888888888888888",
    "mchid": "1900000109",
    "out_trade_no": PAYMENT_ID,
    "transaction_id": NUMBER,
    "trade_type": "NATIVE",
    "trade_state": "SUCCESS",
    "trade_state_desc": "支付成功",
    "payer": {"openid": OPENID},
    "amount": {"total": 990, "payer_total": 890, "currency": "CNY", "payer_currency": "CNY"},
}
BACK = {
    "mchid": "1900000109",
    "out_trade_no": PAYMENT_ID,
    "transaction_id": NUMBER,
    "out_refund_no": REFUND_ID,
    "refund_id": "50300000000000000000000000001",
    "refund_status": "SUCCESS",
    "amount": {"total": 990, "refund": 400, "payer_total": 990, "payer_refund": 360},
}


@cache
def account() -> dict[str, Any]:
    return simulated.new_account()


@cache
def theirs() -> simulated.WeChat:
    """WeChat Pay's side, to sign and seal with; not served."""
    return simulated.WeChat(account())


def given_settings(**changed: str) -> dict[str, str]:
    names = ("mchid", "appid", "merchant_serial", "private_key", "api_v3_key")
    return {**{name: account()[name] for name in names}, "wechat_keys": json.dumps(account()["wechat_keys"]), **changed}


def channel(**changed: str) -> Channel:
    return Channel("wechat", "wechat", *WeChat().check_settings(given_settings(**changed)))


# ---- signatures and seals ----


def test_the_documents_example_is_opened() -> None:
    aad, sealed = "Dl56FrqWQJF1t9LtC3vEUsniZKvbqdR8", "FsdXzxryWfKwvLJKf8LG/ToRPTRh8RN9wROC"
    assert unseal("testAPIv3Key0000", "wCq51qZv4Yfg", sealed, aad) == b"Hello World"


KEYS = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)


@given(KEYS, KEYS, st.text("abcXYZ019", min_size=12, max_size=12), st.text(max_size=20), st.text(max_size=200))
def test_a_seal_opens_as_the_oracle_opens_it(key: str, other: str, nonce: str, aad: str, content: str) -> None:
    sealed = base64.b64encode(AESGCM(key.encode()).encrypt(nonce.encode(), content.encode(), aad.encode())).decode()
    assert oracle.aes_decrypt(nonce, sealed, aad, key) == content
    assert unseal(key, nonce, sealed, aad) == content.encode()
    if key != other:
        assert oracle.aes_decrypt(nonce, sealed, aad, other) is None
        assert unseal(other, nonce, sealed, aad) is None


@settings(max_examples=25)
@given(st.text(max_size=100), st.text(max_size=100))
def test_signatures_are_the_oracles_and_the_other_way_round(message: str, other: str) -> None:
    key, public = load_pem_private_key(account()["private_key"].encode(), None), account()["public_key"]
    signature = sign(account()["private_key"], message.encode())
    assert signature == oracle.rsa_sign(key, message)
    verifier = load_pem_public_key(public.encode())
    assert isinstance(verifier, rsa.RSAPublicKey)
    told = f"1\nn\n{message}\n"
    for body in (message, other):
        judged = oracle.rsa_verify("1", "n", body, sign(account()["private_key"], told.encode()), verifier)
        assert judged is signed_by(f"1\nn\n{body}\n".encode(), oracle.rsa_sign(key, told), verifier)


def test_the_authorization_is_the_oracles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wechat, "clock", lambda: NOW / 1000)
    monkeypatch.setattr(time, "time", lambda: NOW / 1000)
    body, target = '{"name":"元"}', "/v3/pay/transactions/native?a=b"
    ours = authorization(channel(), "POST", target, body.encode())
    nonce = dict(re.findall(r'(\w+)="([^"]*)"', ours))["nonce_str"]
    key = load_pem_private_key(account()["private_key"].encode(), None)
    whose = account()["mchid"], account()["merchant_serial"]
    assert ours == oracle.build_authorization(target, "POST", *whose, key, body, nonce)


def lax(**headers: str) -> Any:
    """What the oracle makes of a paid notice with these headers."""
    sdk = object.__new__(Core)
    key_id = account()["signs_with"]
    sdk.__dict__.update(_logger=None, _public_key_id=key_id, _apiv3_key=account()["api_v3_key"])
    sdk.__dict__["_public_key"] = load_pem_public_key(account()["wechat_keys"][key_id].encode())
    notice = told("TRANSACTION.SUCCESS", ORDER, at=NOW / 1000 - 5 * 365 * 86_400)
    return sdk.decrypt_callback({**notice.headers, **headers}, notice.body)


def test_where_the_oracle_is_laxer_the_shop_is_not() -> None:
    assert json.loads(lax()) == ORDER, "five years old"
    with pytest.raises(Exception, match="algorithm"):
        lax(**{"wechatpay-signature-type": ""})
    with pytest.raises(StaleNotice):
        read(told("TRANSACTION.SUCCESS", ORDER, at=NOW / 1000 - 5 * 365 * 86_400))
    notice = told("TRANSACTION.SUCCESS", ORDER)
    del notice.headers["wechatpay-signature-type"]
    assert read(notice) == [PAID], "which its documents do not promise"
    loose = notice.headers["wechatpay-signature"] + "!!!!"
    key = load_pem_public_key(account()["wechat_keys"][account()["signs_with"]].encode())
    words = notice.headers["wechatpay-timestamp"], notice.headers["wechatpay-nonce"], notice.body.decode()
    assert oracle.rsa_verify(*words, loose, key), "whatever is not base64 is passed over"
    with pytest.raises(InvalidNotice):
        read(with_headers(notice, wechatpay_signature=loose))


# ---- settings ----


def pem(key: Any, password: bytes | None = None) -> str:
    sealing = BestAvailableEncryption(password) if password else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing).decode())


def public_pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


CURVE = ec.generate_private_key(ec.SECP256R1())
SHORT = rsa.generate_private_key(65537, 1024)


def test_settings_are_taken_apart_into_public_ones_and_secrets() -> None:
    public, hidden = WeChat().check_settings(given_settings())
    assert hidden == {name: account()[name] for name in ("private_key", "api_v3_key")}
    assert public == {
        "mchid": "1900000109",
        "appid": "wx8888888888888888",
        "merchant_serial": account()["merchant_serial"],
        "wechat_keys": json.dumps(account()["wechat_keys"]),
        "host": "https://api.mch.weixin.qq.com",
        "method": "auto",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("host", "https://api2.mch.weixin.qq.com"), ("host", "http://127.0.0.1:8801"), ("host", "http://localhost:8801")]
    + [("method", method) for method in ("auto", "native", "h5", "jsapi")]
    + [("mchid", "12345678"), ("api_v3_key", f"{'a' * 32} {'b' * 32}")],
)
def test_other_settings_are_taken(name: str, value: str) -> None:
    public, hidden = WeChat().check_settings(given_settings(**{name: value}))
    assert {**public, **hidden}[name] == value


BAD: list[tuple[str, Callable[[], str]]] = [
    ("mchid", lambda: ""),
    ("mchid", lambda: "1234567"),
    ("mchid", lambda: "12345678901"),
    ("mchid", lambda: "１９００００１０９"),
    ("appid", lambda: "wx88888888888888"),
    ("appid", lambda: "ab8888888888888888"),
    ("merchant_serial", lambda: "5157f09efdc096de15ebe81a47057a7200000000"),
    ("host", lambda: "https://api.mch.weixin.qq.com.evil.example"),
    ("host", lambda: "https://apixmch.weixin.qq.com"),
    ("host", lambda: "http://api.mch.weixin.qq.com"),
    ("host", lambda: "https://api.mch.weixin.qq.com/"),
    ("host", lambda: "http://127.0.0.1"),
    ("method", lambda: "app"),
    ("private_key", lambda: ""),
    ("private_key", lambda: "-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----"),
    ("private_key", lambda: str(account()["public_key"])),
    ("private_key", lambda: pem(CURVE)),
    ("private_key", lambda: pem(SHORT)),
    ("private_key", lambda: pem(SHORT, b"password")),
    ("api_v3_key", lambda: ""),
    ("api_v3_key", lambda: "a" * 31),
    ("api_v3_key", lambda: "a" * 33),
    ("api_v3_key", lambda: "元" * 32),
    ("api_v3_key", lambda: " ".join(("a" * 32, "b" * 32, "c" * 32))),
    ("wechat_keys", lambda: ""),
    ("wechat_keys", lambda: "{}"),
    ("wechat_keys", lambda: "[]"),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": 1})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": "no key"})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": pem(SHORT)})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": public_pem(SHORT)})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": public_pem(CURVE)})),
    ("wechat_keys", lambda: json.dumps({"ours": platform_certificate()})),
    ("wechat_keys", lambda: json.dumps({"5157F09EFDC096DE15EBE81A47057A7200000000": platform_certificate()})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": platform_certificate()})),
    ("wechat_keys", lambda: json.dumps({"PUB_KEY_ID_1": account()["public_key"]})),
    ("notify_url", lambda: "https://shop.example"),
]


def platform_certificate() -> str:
    return str(account()["wechat_keys"][account()["certificate_serial"]])


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_setting_is_refused_and_named_first(name: str, value: Callable[[], str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        WeChat().check_settings(given_settings(**{name: value()}))
    assert refused.value.detail.startswith(f"{name}: ")
    assert not value() or value() not in refused.value.detail


def test_a_platform_key_may_be_named_by_its_certificates_serial() -> None:
    serial = account()["certificate_serial"]
    platform = theirs().keys[serial]
    keys = {serial: public_pem(platform)}
    notice = told("TRANSACTION.SUCCESS", ORDER, serial=serial)
    assert WeChat().read_notice(channel(wechat_keys=json.dumps(keys)), notice, NOW) == [PAID]


def test_terms_depend_on_the_way_of_paying() -> None:
    terms = {method: WeChat().terms(channel(method=method)) for method in ("auto", "native", "h5", "jsapi")}
    assert {name: each.payer_on for name, each in terms.items()} == {
        "auto": {"miniapp"},
        "native": set(),
        "h5": set(),
        "jsapi": TERMINALS,
    }
    assert {name: each.terminals for name, each in terms.items()} == {
        "auto": TERMINALS,
        "native": TERMINALS,
        "h5": {"mobile"},
        "jsapi": TERMINALS,
    }
    for each in terms.values():
        assert (set(each.amounts), each.refunds, each.closes, each.weak) == ({"CNY"}, Refunds.PARTIAL, True, False)


def test_it_is_the_provider_of_its_name() -> None:
    assert isinstance(provider("wechat"), WeChat)
    assert WeChat().account(channel()) == ACCOUNT
    assert WeChat().acknowledge() == Reply("", status=204)


# ---- opening a payment ----


@pytest.fixture
def booth() -> Iterator[simulated.WeChat]:
    with serve(simulated.WeChat(account())) as served:
        yield served


def at(booth: simulated.WeChat, **changed: str) -> Channel:
    return channel(host=booth.url, **changed)


def test_a_code_to_scan_on_a_computer(booth: simulated.WeChat) -> None:
    session = WeChat().create_payment(at(booth), REQUEST)
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert session.qr_code == booth.pay_url(payment)
    assert (session.redirect_url, session.form, session.app, session.session_ref) == (None, None, None, None)
    assert (payment.amount, payment.notify_url) == ("990", REQUEST.notify_url)
    assert payment.extra["words"]["description"] == "Steam 50 元"
    assert payment.extra["words"]["time_expire"] == "2096-10-02T15:06:40+08:00"
    assert payment.extra["words"]["amount"] == {"total": 990, "currency": "CNY"}


def test_a_page_to_open_on_a_phone_and_the_way_back(booth: simulated.WeChat) -> None:
    session = WeChat().create_payment(at(booth), replace(REQUEST, terminal="mobile"))
    assert session.redirect_url is not None
    page = urlsplit(session.redirect_url)
    assert parse_qs(page.query)["redirect_url"] == [REQUEST.return_url]
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert parse_qs(page.query)["prepay_id"] == [payment.extra["prepay_id"]]
    assert payment.extra["way"] == "h5"
    assert (session.qr_code, session.form, session.app) == (None, None, None)


def test_a_page_without_a_query_gets_its_own(answers: Answers) -> None:
    answers.are({"h5_url": "https://wx.tenpay.com/page"})
    session = WeChat().create_payment(channel(), replace(REQUEST, terminal="mobile"))
    assert session.redirect_url == f"https://wx.tenpay.com/page?redirect_url={'https%3A%2F%2F'}" + (
        "shop.example%2Fapi%2Forders%2Fo1%2Freturn"
    )
    (sent,) = answers.sent
    assert sent["body"]["scene_info"] == {"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}}


def test_parameters_signed_for_wechats_own_call(booth: simulated.WeChat) -> None:
    session = WeChat().create_payment(at(booth), replace(REQUEST, terminal="miniapp"))
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert session.app is not None
    app = dict(session.app)
    assert app["package"] == f"prepay_id={payment.extra['prepay_id']}"
    assert abs(int(app["timeStamp"]) - time.time()) < 60
    assert (app["appId"], app["signType"]) == ("wx8888888888888888", "RSA")
    key = load_pem_public_key(account()["public_key"].encode())
    words = f"{app['appId']}\n{app['timeStamp']}\n{app['nonceStr']}\n", f"{app['package']}\n"
    assert isinstance(key, rsa.RSAPublicKey)
    assert signed_by("".join(words).encode(), app["paySign"], key)
    assert set(app) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert payment.extra["words"]["payer"] == {"openid": OPENID}


@pytest.mark.parametrize("method", ["native", "h5", "jsapi"])
@pytest.mark.parametrize("terminal", sorted(TERMINALS))
def test_the_way_of_paying_may_be_fixed(booth: simulated.WeChat, method: str, terminal: str) -> None:
    WeChat().create_payment(at(booth, method=method), replace(REQUEST, terminal=terminal))
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.extra["way"] == method


def test_the_same_request_again_is_the_same_payment(booth: simulated.WeChat) -> None:
    first = WeChat().create_payment(at(booth), REQUEST)
    assert WeChat().create_payment(at(booth), REQUEST) == first


def test_another_way_of_paying_under_the_same_number_is_refused(booth: simulated.WeChat) -> None:
    WeChat().create_payment(at(booth), REQUEST)
    with pytest.raises(Unavailable, match="OUT_TRADE_NO_USED"):
        WeChat().create_payment(at(booth), replace(REQUEST, terminal="mobile"))


def test_a_long_name_is_cut_to_what_is_taken(booth: simulated.WeChat) -> None:
    WeChat().create_payment(at(booth), replace(REQUEST, name="卡" * 200))
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.extra["words"]["description"] == "卡" * 127


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"merchant_serial": "A" * 40}, "SIGN_ERROR"),
        ({"mchid": "1900000110"}, "SIGN_ERROR"),
        ({"appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
    ],
)
def test_a_refusal_names_the_providers_code_and_no_secret(
    booth: simulated.WeChat, changed: dict[str, str], code: str
) -> None:
    with pytest.raises(Unavailable) as refused:
        WeChat().create_payment(at(booth, **changed), REQUEST)
    assert refused.value.detail == f"WeChat Pay refused: {code}"


# ---- answers ----


class Answers:
    """What WeChat Pay answers next, each signed now; what was asked is in `sent`."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._next: list[Answer] = []

    def are(self, *bodies: dict[str, Any] | bytes, status: int = 200) -> None:
        for body in bodies:
            self.add(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def add(self, status: int, body: bytes, **headers: str) -> None:
        signed = {name.lower(): value for name, value in theirs().signature(body).items()}
        self._next.append(Answer(status, {**signed, **headers}, body))

    def call(self, method: str, url: str, **given: Any) -> Answer:
        body = json.loads(given["body"]) if given.get("body") else None
        self.sent.append({"method": method, "url": url, "body": body, "headers": given["headers"]})
        assert given["hosts"] == ("api.mch.weixin.qq.com", "api2.mch.weixin.qq.com")
        return self._next.pop(0)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    scripted = Answers()
    monkeypatch.setattr(outbound, "call", scripted.call)
    return scripted


def create() -> object:
    return WeChat().create_payment(channel(), REQUEST)


def query() -> object:
    return WeChat().query_payment(channel(), PAYMENT)


def close() -> object:
    return WeChat().close_payment(channel(), PAYMENT)


def refund() -> object:
    return WeChat().refund(channel(), ACCEPTED, REFUND)


def query_refund() -> object:
    return WeChat().query_refund(channel(), ACCEPTED, REFUND)


REFUNDED_NOW = {**BACK, "status": "SUCCESS", "amount": {**BACK["amount"], "currency": "CNY"}}  # type: ignore[dict-item]
CALLS: dict[Callable[[], object], tuple[int, bytes]] = {
    create: (200, b'{"code_url":"weixin://wxpay/bizpayurl?pr=x"}'),
    query: (200, json.dumps(ORDER).encode()),
    close: (204, b""),
    refund: (200, json.dumps(REFUNDED_NOW).encode()),
    query_refund: (200, json.dumps(REFUNDED_NOW).encode()),
}


@pytest.mark.parametrize("ask", CALLS, ids=lambda ask: ask.__name__)
def test_an_answer_is_believed_only_with_a_right_signature_of_now(ask: Callable[[], object], answers: Answers) -> None:
    status, body = CALLS[ask]
    answers.add(status, body)
    assert ask() is not None
    stale = theirs().signature(body, at=time.time() - 302)
    early = theirs().signature(body, at=time.time() + 302)
    other = theirs().signature(body, serial=account()["certificate_serial"])
    for headers in (
        {"wechatpay-signature": ""},
        {"wechatpay-signature": "WECHATPAY/SIGNTEST/" + "A" * 320 + "=="},
        {"wechatpay-serial": "5157F09EFDC096DE15EBE81A47057A7200000000"},
        {"wechatpay-signature-type": "WECHATPAY2-SM2-WITH-SM3"},
        {"wechatpay-signature": other["Wechatpay-Signature"]},
        {name.lower(): value for name, value in stale.items()},
        {name.lower(): value for name, value in early.items()},
    ):
        answers.add(status, body, **headers)
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize("ask", CALLS, ids=lambda ask: ask.__name__)
def test_a_changed_answer_is_not_believed(
    ask: Callable[[], object], answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(*asked: Any, **given: Any) -> Answer:
        answer = answers.call(*asked, **given)
        return replace(answer, body=answer.body + b" ")

    answers.add(*CALLS[ask])
    monkeypatch.setattr(outbound, "call", tampered)
    with pytest.raises(Unavailable, match="Wechatpay-Signature"):
        ask()


def test_the_public_key_is_asked_for_and_a_certificate_is_not(answers: Answers) -> None:
    certificate = json.dumps({account()["certificate_serial"]: platform_certificate()})
    signed = theirs().signature(b"", serial=account()["certificate_serial"])
    for keys in (given_settings()["wechat_keys"], certificate):
        answers.add(204, b"", **{name.lower(): value for name, value in signed.items()})
        WeChat().close_payment(channel(wechat_keys=keys), PAYMENT)
    asked = [sent["headers"].get("Wechatpay-Serial") for sent in answers.sent]
    assert asked == [account()["signs_with"], None]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("REFUND", EventKind.REFUNDED),
        ("NOTPAY", EventKind.OPEN),
        ("USERPAYING", EventKind.OPEN),
        ("PAYERROR", EventKind.OPEN),
        ("CLOSED", EventKind.FAILED),
        ("REVOKED", EventKind.FAILED),
    ],
)
def test_an_orders_state_is_read_as_the_documents_have_it(answers: Answers, state: str, kind: EventKind) -> None:
    answers.are({**ORDER, "trade_state": state})
    assert query() == PaymentEvent(PAYMENT_ID, kind, None, NUMBER, ACCOUNT)


def test_a_paid_order_is_paid_with_its_amount(answers: Answers) -> None:
    nameless = {name: value for name, value in ORDER.items() if name != "appid"}
    unpriced = {"total": 990}
    answers.are(ORDER, nameless, {**ORDER, "amount": unpriced})
    assert [query(), query(), query()] == [PAID] * 3
    sent = answers.sent[0]
    where = f"https://api.mch.weixin.qq.com/v3/pay/transactions/out-trade-no/{PAYMENT_ID}?mchid=1900000109"
    assert (sent["method"], sent["url"], sent["body"]) == ("GET", where, None)


@pytest.mark.parametrize(
    "odd",
    [
        {"out_trade_no": f"{PAYMENT_ID[:-2]}02"},
        {"mchid": "1900000110"},
        {"appid": "wx0000000000000000"},
        {"trade_state": "ACCEPT"},
        {"trade_state": None},
        {"transaction_id": None},
        {"amount": None},
        {"amount": {"total": "990", "currency": "CNY"}},
        {"amount": {"total": 0, "currency": "CNY"}},
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(answers: Answers, odd: dict[str, Any]) -> None:
    answers.are({**ORDER, **odd})
    with pytest.raises(Unavailable):
        query()


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST"])
def test_an_unknown_order_is_one_that_nobody_has_opened(answers: Answers, code: str) -> None:
    answers.are({"code": code}, status=404)
    assert query() == PaymentEvent(PAYMENT_ID, EventKind.OPEN)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"code": "RESOURCE_NOT_EXISTS"}),
        (401, {"code": "SIGN_ERROR"}),
        (400, {"code": "ORDER_NOT_EXIST"}),
        (202, {"code": "USERPAYING"}),
        (302, {}),
        (404, b"no JSON"),
    ],
)
def test_other_refusals_are_no_word_about_the_payment(answers: Answers, status: int, body: Any) -> None:
    answers.are(body, status=status)
    with pytest.raises(Unavailable):
        query()


def test_a_refusal_quotes_nothing_but_a_code(answers: Answers) -> None:
    answers.are({"code": "the private key -----BEGIN", "message": "secret"}, status=403)
    with pytest.raises(Unavailable) as refused:
        query()
    assert refused.value.detail == "WeChat Pay refused: HTTP 403"


# ---- against the simulator ----


@pytest.fixture
def opened(booth: simulated.WeChat) -> simulated.WeChat:
    WeChat().create_payment(at(booth), REQUEST)
    return booth


def pay(booth: simulated.WeChat) -> str:
    """The provider's number of it."""
    payment = booth.find(number=PAYMENT_ID)
    assert payment is not None
    assert booth.pay(payment, notify=False)
    return payment.reference


def test_a_payment_is_open_then_paid(opened: simulated.WeChat) -> None:
    assert WeChat().query_payment(at(opened), PAYMENT).kind is EventKind.OPEN
    number = pay(opened)
    said = WeChat().query_payment(at(opened), PAYMENT)
    assert said == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, number, ACCOUNT)


def test_a_payment_that_nobody_opened_is_open(booth: simulated.WeChat) -> None:
    assert WeChat().query_payment(at(booth), PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)
    assert WeChat().close_payment(at(booth), PAYMENT) == PaymentEvent(PAYMENT_ID, EventKind.OPEN)


def test_a_closed_payment_has_failed_however_often_it_is_closed(opened: simulated.WeChat) -> None:
    for _ in range(2):
        assert WeChat().close_payment(at(opened), PAYMENT).kind is EventKind.FAILED
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.status == "closed"


def test_a_payment_paid_while_it_is_closed_is_paid(opened: simulated.WeChat) -> None:
    number = pay(opened)
    said = WeChat().close_payment(at(opened), PAYMENT)
    assert said == PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, number, ACCOUNT)


def test_a_payment_that_would_not_be_closed_can_still_be_paid(answers: Answers) -> None:
    answers.are({"code": "SYSTEM_BUSY"}, status=400)
    answers.are({**ORDER, "trade_state": "NOTPAY"})
    with pytest.raises(Unavailable, match="SYSTEM_BUSY"):
        close()


def test_a_refund_is_pending_then_done_and_sent_once(opened: simulated.WeChat) -> None:
    pay(opened)
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    first = WeChat().refund(at(opened), ACCEPTED, REFUND)
    assert first.provider_ref is not None
    assert first == RefundWord(RefundState.PENDING, REFUND_ID, first.provider_ref, Money(400, "CNY"))
    assert WeChat().refund(at(opened), ACCEPTED, REFUND) == first
    assert WeChat().query_refund(at(opened), ACCEPTED, REFUND) == first
    opened.settle(payment, payment.refunds[REFUND_ID], "done")
    assert WeChat().query_refund(at(opened), ACCEPTED, REFUND) == replace(first, state=RefundState.DONE)
    assert payment.refunded == "400"
    assert WeChat().query_payment(at(opened), PAYMENT).kind is EventKind.REFUNDED


def test_a_refund_that_cannot_reach_the_buyer_is_for_an_operator(opened: simulated.WeChat) -> None:
    pay(opened)
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    WeChat().refund(at(opened), ACCEPTED, REFUND)
    opened.settle(payment, payment.refunds[REFUND_ID], "refused")
    assert WeChat().query_refund(at(opened), ACCEPTED, REFUND).state is RefundState.REFUSED


def test_more_than_is_there_is_refused_for_good(opened: simulated.WeChat) -> None:
    pay(opened)
    word = WeChat().refund(at(opened), ACCEPTED, replace(REFUND, amount=Money(991, "CNY")))
    assert word == RefundWord(RefundState.REFUSED, REFUND_ID)


def test_an_empty_till_is_no_refusal(opened: simulated.WeChat, monkeypatch: pytest.MonkeyPatch) -> None:
    pay(opened)
    monkeypatch.setitem(opened.account, "balance", 0)
    with pytest.raises(Unavailable, match="NOT_ENOUGH"):
        WeChat().refund(at(opened), ACCEPTED, REFUND)
    monkeypatch.delitem(opened.account, "balance")
    assert WeChat().refund(at(opened), ACCEPTED, REFUND).state is RefundState.PENDING


def test_a_refund_that_the_provider_does_not_know_is_asked_for(opened: simulated.WeChat) -> None:
    pay(opened)
    assert WeChat().query_refund(at(opened), ACCEPTED, REFUND).state is RefundState.PENDING
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    assert list(payment.refunds) == [REFUND_ID]


def test_asking_after_a_refund_that_was_made_there_sends_nothing(opened: simulated.WeChat) -> None:
    """WeChat Pay knows it by the number that it was given there, not by ours."""
    pay(opened)
    with pytest.raises(Unavailable, match="RESOURCE_NOT_EXISTS"):
        WeChat().query_refund(at(opened), ACCEPTED, replace(REFUND, by="provider", provider_ref="503"))
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    assert payment.refunds == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "INVALID_REQUEST"), (403, "USER_ACCOUNT_ABNORMAL")],
)
def test_final_refusals_of_a_refund(answers: Answers, status: int, code: str) -> None:
    answers.are({"code": code}, status=status)
    assert refund() == RefundWord(RefundState.REFUSED, REFUND_ID)
    (sent,) = answers.sent
    assert sent["body"] == {
        "out_trade_no": PAYMENT_ID,
        "out_refund_no": REFUND_ID,
        "amount": {"refund": 400, "total": 990, "currency": "CNY"},
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "NOT_ENOUGH"), (404, "RESOURCE_NOT_EXISTS"), (401, "SIGN_ERROR"), (403, "NO_AUTH"), (400, "PARAM_ERROR")],
)
def test_refusals_of_a_refund_that_are_not_final(answers: Answers, status: int, code: str) -> None:
    answers.are({"code": code}, status=status)
    with pytest.raises(Unavailable, match=code):
        refund()


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PROCESSING", RefundState.PENDING),
        ("SUCCESS", RefundState.DONE),
        ("ABNORMAL", RefundState.REFUSED),
        ("CLOSED", RefundState.REFUSED),
    ],
)
def test_a_refunds_state_is_read_as_the_documents_have_it(answers: Answers, status: str, state: RefundState) -> None:
    answers.are({**REFUNDED_NOW, "status": status}, {**REFUNDED_NOW, "status": status})
    expected = RefundWord(state, REFUND_ID, "50300000000000000000000000001", Money(400, "CNY"))
    assert [refund(), query_refund()] == [expected, expected]


@pytest.mark.parametrize(
    "odd",
    [
        {"out_refund_no": f"{PAYMENT_ID}r02"},
        {"out_trade_no": f"{PAYMENT_ID[:-2]}02"},
        {"status": "FAILED"},
        {"refund_id": None},
        {"amount": {"refund": -400}},
    ],
)
def test_an_answer_about_another_refund_is_none(answers: Answers, odd: dict[str, Any]) -> None:
    answers.are({**REFUNDED_NOW, **odd}, {**REFUNDED_NOW, **odd})
    for ask in (refund, query_refund):
        with pytest.raises(Unavailable):
            ask()


# ---- notices ----


def told(
    event_type: str,
    content: dict[str, Any] | bytes,
    *,
    serial: str = "",
    at: float = NOW / 1000,
    key: str | None = None,
) -> Notice:
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    sealer = theirs() if key is None else simulated.WeChat({**account(), "api_v3_key": key})
    resource = sealer.sealed(written, "transaction")
    body = {"id": "n1", "resource_type": "encrypt-resource", "event_type": event_type, "resource": resource}
    return signed(json.dumps(body).encode(), serial=serial, at=at)


def signed(body: bytes, *, serial: str = "", at: float = NOW / 1000) -> Notice:
    headers = theirs().signature(body, serial=serial, at=at)
    return Notice("POST", (), {name.lower(): value for name, value in headers.items()}, body)


def read(notice: Notice, received_at: int = NOW) -> list[PaymentEvent]:
    return WeChat().read_notice(channel(), notice, received_at)


def with_headers(notice: Notice, **changed: str | None) -> Notice:
    headers = {**notice.headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return replace(notice, headers={name: value for name, value in headers.items() if value is not None})


def test_a_paid_notice_is_paid_with_what_was_asked_not_with_what_a_coupon_left() -> None:
    assert read(told("TRANSACTION.SUCCESS", ORDER)) == [PAID]


def test_the_simulators_notice_is_read(opened: simulated.WeChat) -> None:
    number = pay(opened)
    payment = opened.find(number=PAYMENT_ID)
    assert payment is not None
    outgoing = opened.notice(payment, "paid", Telling("n1", time.time(), None))
    assert outgoing is not None
    notice = Notice("POST", (), {name.lower(): value for name, value in outgoing.headers.items()}, outgoing.body)
    assert WeChat().read_notice(channel(), notice, int(time.time() * 1000)) == [replace(PAID, provider_ref=number)]


def test_a_notice_signed_with_either_key_is_taken() -> None:
    assert read(told("TRANSACTION.SUCCESS", ORDER, serial=account()["certificate_serial"])) == [PAID]


def test_while_the_api_key_is_replaced_either_opens() -> None:
    new = secrets.token_hex(16)
    both = channel(api_v3_key=f"{new} {account()['api_v3_key']}")
    for key in (new, account()["api_v3_key"]):
        assert WeChat().read_notice(both, told("TRANSACTION.SUCCESS", ORDER, key=key), NOW) == [PAID]
    with pytest.raises(InvalidNotice, match="another key"):
        read(told("TRANSACTION.SUCCESS", ORDER, key=new))


def test_another_account_or_currency_is_passed_on_for_the_order_to_judge() -> None:
    (event,) = read(told("TRANSACTION.SUCCESS", {**ORDER, "mchid": "1900000110"}))
    assert event.account == "1900000110 wx8888888888888888"
    (event,) = read(told("TRANSACTION.SUCCESS", {**ORDER, "amount": {"total": 990, "currency": "HKD"}}))
    assert event.amount == Money(990, "HKD")
    (event,) = read(told("TRANSACTION.SUCCESS", {**ORDER, "out_trade_no": "somebody else's"}))
    assert event.payment_id == "somebody else's"


@pytest.mark.parametrize(
    ("event", "status", "state"),
    [
        ("REFUND.SUCCESS", "SUCCESS", RefundState.DONE),
        ("REFUND.ABNORMAL", "ABNORMAL", RefundState.REFUSED),
        ("REFUND.CLOSED", "CLOSED", RefundState.REFUSED),
    ],
)
def test_a_refund_of_ours_is_told_by_our_number(event: str, status: str, state: RefundState) -> None:
    word = RefundWord(state, REFUND_ID, "50300000000000000000000000001", Money(400, "CNY"))
    expected = PaymentEvent(PAYMENT_ID, EventKind.REFUNDED, None, NUMBER, ACCOUNT, word)
    assert read(told(event, {**BACK, "refund_status": status})) == [expected]


@pytest.mark.parametrize("number", ["console-1", f"{PAYMENT_ID[:-2]}02r01", f"{PAYMENT_ID}r1", "r01"])
def test_a_refund_made_at_the_provider_is_told_by_its_number(number: str) -> None:
    (event,) = read(told("REFUND.SUCCESS", {**BACK, "out_refund_no": number}))
    assert event.refund == RefundWord(RefundState.DONE, None, "50300000000000000000000000001", Money(400, "CNY"))


def test_events_of_other_products_need_nothing() -> None:
    assert read(signed(b'{"event_type": "COMPLAINT.CREATE", "resource": null}')) == []


@pytest.mark.parametrize("state", ["NOTPAY", "REFUND", "CLOSED"])
def test_a_success_that_is_none_is_asked_for(state: str) -> None:
    (event,) = read(told("TRANSACTION.SUCCESS", {**ORDER, "trade_state": state}))
    assert event == PaymentEvent(PAYMENT_ID, EventKind.ASK, None, NUMBER, ACCOUNT)


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_a_notice_of_these_five_minutes_is_taken(off: int) -> None:
    assert read(told("TRANSACTION.SUCCESS", ORDER, at=NOW / 1000 + off)) == [PAID]


@pytest.mark.parametrize("off", [-301, 301])
def test_an_older_notice_or_one_of_the_future_is_stale(off: int) -> None:
    with pytest.raises(StaleNotice):
        read(told("TRANSACTION.SUCCESS", ORDER, at=NOW / 1000 + off))


def test_a_stale_forgery_is_a_forgery() -> None:
    notice = told("TRANSACTION.SUCCESS", ORDER, at=NOW / 1000 - 301)
    with pytest.raises(InvalidNotice) as refused:
        read(with_headers(notice, wechatpay_signature="AAAA"))
    assert not isinstance(refused.value, StaleNotice)


@pytest.mark.parametrize("name", ["signature", "serial", "timestamp", "nonce"])
@pytest.mark.parametrize("value", [None, "", "签", "\udcff", "-1", "1763800000.5", "\u0661"])
def test_without_its_headers_a_notice_is_refused(name: str, value: str | None) -> None:
    with pytest.raises(InvalidNotice):
        read(with_headers(told("TRANSACTION.SUCCESS", ORDER), **{f"wechatpay_{name}": value}))


def test_a_deliberately_wrong_signature_is_refused() -> None:
    notice = told("TRANSACTION.SUCCESS", ORDER)
    probe = "WECHATPAY/SIGNTEST/" + notice.headers["wechatpay-signature"]
    with pytest.raises(InvalidNotice):
        read(with_headers(notice, wechatpay_signature=probe))


def test_an_unknown_key_is_refused_and_nobody_called(answers: Answers) -> None:
    notice = told("TRANSACTION.SUCCESS", ORDER)
    with pytest.raises(InvalidNotice, match="Serial"):
        read(with_headers(notice, wechatpay_serial="5157F09EFDC096DE15EBE81A47057A7200000000"))
    assert answers.sent == []


def test_a_line_moved_from_the_body_to_the_nonce_is_refused() -> None:
    notice = signed(b"{\n" + told("TRANSACTION.SUCCESS", ORDER).body[1:])
    moved = f"{notice.headers['wechatpay-nonce']}\n{{"
    with pytest.raises(InvalidNotice, match="Nonce"):
        read(with_headers(replace(notice, body=notice.body[2:]), wechatpay_nonce=moved))


RESOURCE = {
    "algorithm": "AEAD_AES_256_GCM",
    "nonce": "wCq51qZv4Yfg",
    "ciphertext": "FsdXzxryWfKwvLJKf8LG",
    "associated_data": "",
}


@pytest.mark.parametrize(
    "odd",
    [
        *({"algorithm": odd} for odd in ("AEAD_SM4_GCM", None)),
        *({"nonce": odd} for odd in ("", "a", None)),
        *({"ciphertext": odd} for odd in ("签", "!", "", None)),
        {"associated_data": 1},
        {},
    ],
)
def test_a_seal_that_cannot_be_opened_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(InvalidNotice):
        read(signed(json.dumps({"event_type": "TRANSACTION.SUCCESS", "resource": {**RESOURCE, **odd}}).encode()))


def test_another_cipher_is_refused_though_the_key_would_fit() -> None:
    body = json.loads(told("TRANSACTION.SUCCESS", ORDER).body)
    body["resource"]["algorithm"] = "AEAD_AES_256_CCM"
    with pytest.raises(InvalidNotice, match="algorithm"):
        read(signed(json.dumps(body).encode()))


@pytest.mark.parametrize("name", ["out_trade_no", "mchid", "transaction_id", "trade_state", "amount"])
@pytest.mark.parametrize("value", [None, 1, [], {}])
def test_content_without_what_it_must_name_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidNotice):
        read(told("TRANSACTION.SUCCESS", {**ORDER, name: value}))


@pytest.mark.parametrize("total", ["990", 9.9, 990.0, True, None, 0, -1])
def test_an_amount_is_a_whole_number_of_fen_above_zero(total: object) -> None:
    with pytest.raises(InvalidNotice):
        read(told("TRANSACTION.SUCCESS", {**ORDER, "amount": {"total": total, "currency": "CNY"}}))
    with pytest.raises(InvalidNotice):
        read(told("REFUND.SUCCESS", {**BACK, "amount": {"refund": total}}))


@pytest.mark.parametrize("name", ["out_trade_no", "mchid", "out_refund_no", "refund_id", "refund_status"])
@pytest.mark.parametrize("value", [None, 1, {}])
def test_a_refund_without_what_it_must_name_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidNotice):
        read(told("REFUND.SUCCESS", {**BACK, name: value}))


RECORDED = {  # who the notices in events/ are from and to: keys of that moment
    "mchid": "1900000109",
    "appid": "wx8888888888888888",
    "api_v3_key": "sample-api-v3-key-of-cardshop-00",
    "wechat_keys": json.dumps(
        {
            "PUB_KEY_ID_0119000001092025112200000000000001": """
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtJdMBhMyuBDgmrnJ4pQI
MBDY/liNO0udw2ZRIHLCAgDQ5paR5bx+1MOacI7VU8VgxhsiKmvAdxOvLn5WgHHz
7Z17qaTb5FOy739aCw+oZg9lscfGR/WuioCbjqmxf+9Wtu+S/ZfbmBwyBMHd79E8
eeZ/6upmj+d8EfW1FFIqHO6GHVapPPGyZ7GaReblXVou4NflBGpoQHFDEjtudZY7
cm9szlqi2FJWepu3pg+7edTrOOxhwDIRgfXcmZaoOxekL91RhCwH9HFwm1S5Zxy+
PD8dhDQMIrG2BXn7V/ChT+2TwqERxqV9uIaAMMDX8teFuNsrM8wMxrnjLA4wbBFi
RwIDAQAB
-----END PUBLIC KEY-----
"""
        }
    ),
}


@pytest.mark.parametrize(
    ("name", "kind", "refund"),
    [
        ("wechat_paid", EventKind.PAID, None),
        ("wechat_refunded", EventKind.REFUNDED, REFUND_ID),
    ],
)
def test_the_recorded_notices_are_genuine(name: str, kind: EventKind, refund: str | None) -> None:
    event = sample(f"receive_notice/{name}")
    headers = {header.lower(): value for header, value in event["headers"].items()}
    notice = Notice("POST", (), headers, base64.b64decode(event["body"]))
    (said,) = WeChat().read_notice(channel(**RECORDED), notice, event["requestContext"]["requestTimeEpoch"])
    assert (said.payment_id, said.kind, said.account) == (PAYMENT_ID, kind, ACCOUNT)
    assert said.amount == (PRICE if kind is EventKind.PAID else None)
    assert (said.refund and said.refund.refund_id) == refund


# ---- whatever comes ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


MISSING = object()


def odd(like: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """This object with one or two of its values made something else, or taken away."""
    within = {name: list(value) for name, value in like.items() if isinstance(value, dict)}
    places = [*((name,) for name in like), *((name, inner) for name, inners in within.items() for inner in inners)]
    changes = st.tuples(st.sampled_from(places), JSON | st.just(MISSING))
    return st.lists(changes, min_size=1, max_size=2).map(lambda made: _changed(like, made))


def _changed(like: dict[str, Any], made: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(like))
    for (*outer, name), value in made:
        place = changed.get(outer[0]) if outer else changed
        if isinstance(place, dict):
            place[name] = value
            if value is MISSING:
                del place[name]
    return changed


HEADERS = ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-signature-type")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


@given(
    st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3),
    st.dictionaries(st.sampled_from(HEADERS), ANY_TEXT | st.just(str(NOW // 1000))),
    st.binary(max_size=60),
)
def test_no_unsigned_notice_is_anything_but_refused(
    query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> None:
    notice = Notice("POST", tuple(query), {**headers, "wechatpay-serial": account()["signs_with"]}, body)
    with pytest.raises(InvalidNotice):
        read(notice)


@given(
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | odd({"event_type": "TRANSACTION.SUCCESS", "resource": RESOURCE}).map(lambda value: json.dumps(value).encode())
)
def test_a_signed_body_of_any_kind_is_read_or_refused(body: bytes) -> None:
    with suppress(InvalidNotice):
        assert read(signed(body)) == []


@given(
    st.sampled_from(["TRANSACTION.SUCCESS", "REFUND.SUCCESS"]),
    st.binary(max_size=60) | (JSON | odd(ORDER) | odd(BACK)).map(lambda value: json.dumps(value).encode()),
)
def test_content_of_any_kind_is_read_or_refused(event: str, content: bytes) -> None:
    try:
        events = read(told(event, content))
    except InvalidNotice:
        return
    assert [each.kind for each in events] in ([EventKind.PAID], [EventKind.ASK], [EventKind.REFUNDED])
    assert all(isinstance(each.payment_id, str) and isinstance(each.account, str) for each in events)


@given(
    st.sampled_from(list(CALLS)),
    st.sampled_from([200, 201, 202, 204, 301, 400, 403, 404]),
    st.binary(max_size=60) | (JSON | odd(ORDER) | odd(REFUNDED_NOW)).map(lambda value: json.dumps(value).encode()),
)
def test_an_answer_of_any_kind_is_read_or_no_answer(ask: Callable[[], object], status: int, body: bytes) -> None:
    scripted = Answers()
    scripted.add(status, body)
    scripted.add(404, b'{"code": "ORDER_NOT_EXIST"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "call", scripted.call)
        try:
            said = ask()
        except Unavailable:
            return
    if isinstance(said, PaymentEvent):
        assert said.payment_id == PAYMENT_ID
        assert not said.paid or said.amount is not None
    elif isinstance(said, RefundWord):
        assert said.refund_id == REFUND_ID
