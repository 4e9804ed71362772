"""微信支付 (WeChat Pay), API v3: native (a QR code), h5 (mobile browsers) and jsapi (inside WeChat).

Rules of the protocol, each with the page of WeChat Pay's merchant documents that has it:

- a request is signed RSA-SHA256 over `METHOD\\npath?query\\ntimestamp\\nnonce\\nbody\\n` (签名生成), an answer (even
  one without a body) and a notice over `timestamp\\nnonce\\nbody\\n` (如何使用微信支付公钥验签);
- `Wechatpay-Serial` names the key: in an answer the one that the request's header asked for, in a notice either, while
  a merchant changes from platform certificates to the public key (如何从平台证书切换成微信支付公钥);
- some signatures, `WECHATPAY/SIGNTEST/…`, are wrong on purpose: to be refused like any other (签名探测);
- a notice's content is sealed with AES-256-GCM under the API v3 key; 200 or 204 without a body means "got it", anything
  else brings it again, 15 times in a day (支付成功回调通知, 退款结果通知);
- an order number belongs to one way of paying and one set of words: asked for again just so it is the same order,
  otherwise it is refused (商户订单号重复). A refund number likewise (申请退款);
- an order's states but SUCCESS, REFUND, NOTPAY and CLOSED are of payment codes only (商户订单号查询订单), and no page
  says that PAYERROR is final. REFUND tells that money went back, not how much of it.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from cardshop.adapters.payments import outbound, rsa, wire
from cardshop.adapters.payments.forms import LOCAL, fit, only
from cardshop.adapters.payments.outbound import Answer
from cardshop.domain.errors import InvalidNotice, InvalidRequest, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    TERMINALS,
    Channel,
    EventKind,
    Notice,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
    Reply,
    Terms,
)
from cardshop.ports import Provider

_SCHEME = "WECHATPAY2-SHA256-RSA2048"
_CIPHER = "AEAD_AES_256_GCM"
_HOSTS = ("api.mch.weixin.qq.com", "api2.mch.weixin.qq.com")
_CURRENCY = "CNY"
_PUBLIC_KEY = "PUB_KEY_ID_"
_MOST = 10_000_000  # fen; WeChat Pay's own limit is the merchant's, and no page has it
_NAME_CHARACTERS = 127
_BEIJING = timezone(timedelta(hours=8))
_ORDERS = "/v3/pay/transactions"
_REFUNDS = "/v3/refund/domestic/refunds"

_PAYMENT_STATES = {
    "SUCCESS": EventKind.PAID,
    "REFUND": EventKind.REFUNDED,
    "NOTPAY": EventKind.OPEN,
    "USERPAYING": EventKind.OPEN,
    "PAYERROR": EventKind.OPEN,
    "CLOSED": EventKind.FAILED,
    "REVOKED": EventKind.FAILED,
}
#: ABNORMAL: the buyer's account cannot take it, and the merchant sends it by hand (发起异常退款).
_REFUND_STATES = {
    "PROCESSING": RefundState.PENDING,
    "SUCCESS": RefundState.DONE,
    "ABNORMAL": RefundState.REFUSED,
    "CLOSED": RefundState.REFUSED,
}
_REFUND_EVENTS = ("REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED")
_UNKNOWN_ORDER = ("ORDER_NOT_EXIST", "ORDERNOTEXIST")  # as pages of different years spell it
#: No refund of this number will ever be made. NOT_ENOUGH is not among them: a merchant may pay in. Nor is
#: RESOURCE_NOT_EXISTS, which merchants have seen for orders that were refunded a moment later.
_REFUND_REFUSALS = ("INVALID_REQUEST", "USER_ACCOUNT_ABNORMAL")

_PATTERNS = {
    "mchid": ("[0-9]{8,10}", "the merchant number, 8 to 10 digits"),
    "appid": ("wx[0-9A-Za-z]{16}", "of the official account or mini program, wx and 16 characters"),
    "merchant_serial": ("[0-9A-F]{8,64}", "of the merchant's API certificate, hexadecimal in capitals"),
    "host": (
        rf"https://api2?\.mch\.weixin\.qq\.com|{LOCAL}",
        "https://api.mch.weixin.qq.com or https://api2.mch.weixin.qq.com",
    ),
    "method": ("auto|native|h5|jsapi", "one of auto, native, h5, jsapi"),
}
_DEFAULTS = {"host": "https://api.mch.weixin.qq.com", "method": "auto"}
_SECRETS = ("private_key", "api_v3_key")

clock = time.time  # tests put their own here


def sign(private_key: str, message: bytes) -> str:
    return rsa.sign(_private_key(private_key), message)


def authorization(channel: Channel, method: str, target: str, body: bytes) -> str:
    """The `Authorization` of a request; `target` is its path and query."""
    timestamp, nonce = int(clock()), secrets.token_hex(16)
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    fields = {
        "mchid": channel.settings["mchid"],
        "nonce_str": nonce,
        "signature": sign(channel.secrets["private_key"], message),
        "timestamp": str(timestamp),
        "serial_no": channel.settings["merchant_serial"],
    }
    return f"{_SCHEME} " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def unseal(key: str, nonce: str, ciphertext: str, associated_data: str) -> bytes | None:
    """What was sealed; None if it was under another key. ValueError if it is nothing sealed at all."""
    sealed = base64.b64decode(ciphertext, validate=True)
    try:
        return AESGCM(key.encode()).decrypt(nonce.encode(), sealed, associated_data.encode())
    except InvalidTag:
        return None


class WeChat(Provider):
    name = "wechat"

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        given = {**dict.fromkeys(_SECRETS, ""), "wechat_keys": "", **_DEFAULTS, **settings}
        only(given, {*_PATTERNS, *_SECRETS, "wechat_keys"}, self.name)
        fit(given, _PATTERNS)
        with rsa.setting("private_key", "the merchant's own, PEM, RSA of 2048 bits or more"):
            own = _private_key(given["private_key"])
        if not re.fullmatch("[!-~]{32}( [!-~]{32})?", given["api_v3_key"]):  # two while one replaces the other
            raise InvalidRequest("api_v3_key: exactly 32 bytes, or two such keys with a space between")
        with rsa.setting("wechat_keys", "JSON, PUB_KEY_ID_… or a certificate's serial to its PEM, RSA"):
            theirs = _wechat_keys(given["wechat_keys"])
        if own.public_key() in theirs.values():
            raise InvalidRequest("wechat_keys: WeChat Pay's, and this is the merchant's own")
        return given, {name: given.pop(name) for name in _SECRETS}

    def terms(self, channel: Channel) -> Terms:
        method = channel.settings["method"]
        return Terms(
            amounts={_CURRENCY: (1, _MOST)},
            refunds=Refunds.PARTIAL,
            terminals=frozenset({"mobile"}) if method == "h5" else TERMINALS,  # its page opens the app of a phone
            payer_on={"auto": frozenset({"miniapp"}), "jsapi": TERMINALS}.get(method, frozenset()),
            ways={terminal: _way(channel, terminal) for terminal in TERMINALS},
        )

    def account(self, channel: Channel) -> str:
        return f"{channel.settings['mchid']} {channel.settings['appid']}"

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        way = _way(channel, request.terminal)
        asked: dict[str, Any] = {
            "appid": channel.settings["appid"],
            "mchid": channel.settings["mchid"],
            "description": request.name[:_NAME_CHARACTERS],
            "out_trade_no": request.payment_id,
            "time_expire": datetime.fromtimestamp(request.expires_at // 1000, _BEIJING).isoformat(),
            "notify_url": request.notify_url,
            "amount": {"total": request.amount.minor, "currency": request.amount.currency},
        }
        if way == "h5":
            asked["scene_info"] = {"payer_client_ip": request.address, "h5_info": {"type": "Wap"}}
        elif way == "jsapi":
            asked["payer"] = {"openid": request.payer}
        answer = _ask(channel, "POST", f"{_ORDERS}/{way}", asked)
        if answer.status != 200:
            raise _refusal(answer)
        with wire.as_answer():
            return _session(channel, way, answer.json(), request.return_url)

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        _verify(channel, notice.headers, notice.body, received_at)
        told = wire.body_object(notice)
        with wire.as_notice():
            event = wire.text(told, "event_type")
            if event == "TRANSACTION.SUCCESS":
                said = _of_a_payment(channel, _content(channel, told))
                return [said if said.paid else replace(said, kind=EventKind.ASK)]
            if event in _REFUND_EVENTS:
                return [_of_a_refund(channel, _content(channel, told))]
        return []  # of a complaint, a coupon, another product

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        target = f"{_ORDERS}/out-trade-no/{payment.payment_id}?mchid={channel.settings['mchid']}"
        answer = _ask(channel, "GET", target)
        if answer.status == 404 and _code(answer) in _UNKNOWN_ORDER:
            return PaymentEvent(payment.payment_id, EventKind.OPEN)
        if answer.status != 200:
            raise _refusal(answer)
        with wire.as_answer():
            said = _of_a_payment(channel, answer.json())
        if (said.payment_id, said.account) != (payment.payment_id, self.account(channel)):
            raise Unavailable("the provider answered for another payment")
        return said

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        target = f"{_ORDERS}/out-trade-no/{payment.payment_id}/close"
        answer = _ask(channel, "POST", target, {"mchid": channel.settings["mchid"]})
        if answer.status == 204:
            return PaymentEvent(payment.payment_id, EventKind.FAILED)
        said = self.query_payment(channel, payment)
        if said.kind is EventKind.OPEN and _code(answer) not in _UNKNOWN_ORDER:
            raise _refusal(answer)  # it can still be paid
        return said

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        total = payment.paid or payment.amount
        asked = {
            "out_trade_no": payment.payment_id,
            "out_refund_no": refund.refund_id,
            "amount": {"refund": refund.amount.minor, "total": total.minor, "currency": total.currency},
        }
        answer = _ask(channel, "POST", _REFUNDS, asked)
        if answer.status != 200 and _code(answer) in _REFUND_REFUSALS:
            return RefundWord(RefundState.REFUSED, refund.refund_id)
        return _refund_answered(answer, payment, refund)

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        """Sends only what was never taken there: a refund that was made there goes by another number than ours."""
        answer = _ask(channel, "GET", f"{_REFUNDS}/{refund.refund_id}")
        if refund.provider_ref is None and answer.status == 404 and _code(answer) == "RESOURCE_NOT_EXISTS":
            return self.refund(channel, payment, refund)
        return _refund_answered(answer, payment, refund)

    def acknowledge(self) -> Reply:
        return Reply(body="", status=204)


def _way(channel: Channel, terminal: str) -> str:
    method = channel.settings["method"]
    return {"miniapp": "jsapi", "mobile": "h5"}.get(terminal, "native") if method == "auto" else method


def _session(channel: Channel, way: str, answer: Mapping[str, Any], return_url: str) -> PaymentSession:
    if way == "native":
        return PaymentSession(qr_code=wire.text(answer, "code_url"))
    if way == "h5":
        page = wire.text(answer, "h5_url")
        joint = "&" if urlsplit(page).query else "?"
        return PaymentSession(redirect_url=f"{page}{joint}redirect_url={quote(return_url, safe='')}")
    app = {
        "appId": channel.settings["appid"],
        "timeStamp": str(int(clock())),
        "nonceStr": secrets.token_hex(16),
        "package": f"prepay_id={wire.text(answer, 'prepay_id')}",
    }
    message = "".join(f"{value}\n" for value in app.values())
    app |= {"signType": "RSA", "paySign": sign(channel.secrets["private_key"], message.encode())}
    return PaymentSession(app=app)


def _ask(channel: Channel, method: str, target: str, asked: Mapping[str, Any] | None = None) -> Answer:
    """A signed request, and its answer: a 2xx is WeChat Pay's own word."""
    body = b"" if asked is None else json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Accept": "application/json", "Authorization": authorization(channel, method, target, body)}
    if body:
        headers["Content-Type"] = "application/json"
    preferred = max(_wechat_keys(channel.settings["wechat_keys"]))
    if preferred.startswith(_PUBLIC_KEY):  # else WeChat Pay takes the certificate that is due
        headers["Wechatpay-Serial"] = preferred
    url = channel.settings["host"] + target
    answer = outbound.call(method, url, headers=headers, body=body or None, hosts=_HOSTS)
    if 200 <= answer.status < 300:
        try:
            _verify(channel, answer.headers, answer.body, int(clock() * 1000))
        except InvalidNotice as error:
            raise Unavailable(f"the provider's answer: {error}") from None
    return answer


def _code(answer: Answer) -> str:
    code = answer.json().get("code")
    return code if isinstance(code, str) and re.fullmatch("[A-Z_]{1,40}", code) else f"HTTP {answer.status}"


def _refusal(answer: Answer) -> Unavailable:
    return Unavailable(f"WeChat Pay refused: {_code(answer)}")


def _verify(channel: Channel, headers: Mapping[str, str], body: bytes, now: int) -> None:
    """InvalidNotice or StaleNotice unless WeChat Pay signed this within five minutes of `now` (milliseconds)."""
    key = _wechat_keys(channel.settings["wechat_keys"]).get(headers.get("wechatpay-serial", ""))
    if key is None:
        raise InvalidNotice("Wechatpay-Serial: no key of this number is configured")
    if headers.get("wechatpay-signature-type", _SCHEME) != _SCHEME:
        raise InvalidNotice("Wechatpay-Signature-Type")
    signed, nonce = headers.get("wechatpay-timestamp", ""), headers.get("wechatpay-nonce", "")
    if not wire.SECONDS.fullmatch(signed) or not re.fullmatch("[!-~]{1,128}", nonce):
        raise InvalidNotice("Wechatpay-Timestamp or -Nonce")
    message = f"{signed}\n{nonce}\n".encode() + body + b"\n"
    if not rsa.signed_by(message, headers.get("wechatpay-signature", ""), key):
        raise InvalidNotice("Wechatpay-Signature")
    wire.check_age(signed, now, "Wechatpay-Timestamp")


def _content(channel: Channel, told: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object that the notice's resource is, unsealed."""
    if wire.text(told, "resource", "algorithm") != _CIPHER:
        raise ValueError("resource.algorithm")
    sealed = wire.text(told, "resource", "nonce"), wire.text(told, "resource", "ciphertext")
    associated = wire.optional_text(told, "resource", "associated_data") or ""
    for key in channel.secrets["api_v3_key"].split(" "):
        if (content := unseal(key, *sealed, associated)) is not None:
            return wire.json_object(content)
    raise ValueError("resource: sealed under another key")


def _of_a_payment(channel: Channel, order: Mapping[str, Any]) -> PaymentEvent:
    kind = _PAYMENT_STATES.get(wire.text(order, "trade_state"))
    if kind is None:
        raise ValueError("trade_state: not one of the documents'")
    payment_id, account = wire.text(order, "out_trade_no"), _account(channel, order)
    if kind is not EventKind.PAID:
        return PaymentEvent(payment_id, kind, None, wire.optional_text(order, "transaction_id"), account)
    currency = wire.optional_text(order, "amount", "currency") or _CURRENCY
    amount = _money(wire.integer(order, "amount", "total"), currency)
    return PaymentEvent(payment_id, kind, amount, wire.text(order, "transaction_id"), account)


def _of_a_refund(channel: Channel, told: Mapping[str, Any]) -> PaymentEvent:
    payment_id, number = wire.text(told, "out_trade_no"), wire.text(told, "transaction_id")
    word = _refund_word(told, "refund_status")
    if not re.fullmatch(f"{re.escape(payment_id)}r[0-9]{{2}}", word.refund_id or ""):
        word = replace(word, refund_id=None)  # somebody made it there
    return PaymentEvent(payment_id, EventKind.REFUNDED, None, number, _account(channel, told), word)


def _refund_answered(answer: Answer, payment: Payment, refund: Refund) -> RefundWord:
    if answer.status != 200:
        raise _refusal(answer)
    told = answer.json()
    with wire.as_answer():
        word = _refund_word(told, "status")
        if (word.refund_id, wire.text(told, "out_trade_no")) != (refund.refund_id, payment.payment_id):
            raise ValueError("of another refund")
    return word


def _refund_word(told: Mapping[str, Any], name: str) -> RefundWord:
    """What is said of a refund; its state goes by another name in a notice than in an answer."""
    state = _REFUND_STATES.get(wire.text(told, name))
    if state is None:
        raise ValueError(f"{name}: not one of the documents'")
    amount = _money(wire.integer(told, "amount", "refund"), _CURRENCY)
    return RefundWord(state, wire.text(told, "out_refund_no"), wire.text(told, "refund_id"), amount)


def _account(channel: Channel, told: Mapping[str, Any]) -> str:
    """As `WeChat.account` writes it. A refund names no appid, an answer to a query need not."""
    return f"{wire.text(told, 'mchid')} {wire.optional_text(told, 'appid') or channel.settings['appid']}"


def _money(fen: int, currency: str) -> Money:
    if fen <= 0:
        raise ValueError("amount: not above zero")
    return Money(fen, currency)


@lru_cache(maxsize=8)
def _private_key(pem: str) -> RSAPrivateKey:
    return rsa.private(pem.encode(), load_pem_private_key)


@lru_cache(maxsize=8)
def _wechat_keys(text: str) -> dict[str, RSAPublicKey]:
    """WeChat Pay's keys by serial; ValueError unless every one is what its name says."""
    keys = {}
    for serial, pem in wire.json_object(text.encode()).items():
        if not isinstance(pem, str) or not re.fullmatch(f"{_PUBLIC_KEY}[0-9A-Za-z]{{1,64}}|[0-9A-F]{{8,64}}", serial):
            raise ValueError("not a serial and its PEM")
        if "CERTIFICATE" in pem:
            certificate = load_pem_x509_certificate(pem.encode())
            if f"{certificate.serial_number:X}" != serial.lstrip("0"):
                raise ValueError("another certificate's serial")
            key: object = certificate.public_key()
        else:
            key = load_pem_public_key(pem.encode())
        keys[serial] = rsa.strong(key)
    if not keys:
        raise ValueError("none")
    return keys
