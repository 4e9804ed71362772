"""易支付, by both versions of its protocol."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from cardshop.domain.payment import Notice
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_private_key

from simulators import epay_rsa
from simulators.booth import Answer, Booth, Outgoing, Payment, Refusal, Request, Telling
from simulators.epay import notices, protocol, store
from tests.channels.subject import Subject, bent

PID, KEY = "1001", "key-of-the-merchant"
_STATES = {"open": 0, "closed": 0, "failed": 0, "paid": 1, "refunded": 2, "charged_back": 3}
_ABSENT = {
    "signtest": "no such probes",
    "two signatures": "a notice has one",
    "header case": "no header is read",
    "wrong currency": "a notice names no currency: yuan is all there is",
    "refund before paid": "nobody is told of a refund",
    "refund event": "nobody is told of a refund",
    "refund event in part": "nobody is told of a refund",
    "expired after paid": "only money is told",
    "failed": "only money is told",
    "charge back": "what the platform freezes is not told",
    "reinstated": "there is no charge back",
}


class Epay(Booth):
    """The platform of v1 with a booth's books and controls, answering in the words of `simulators.epay`."""

    name = "epay"

    def handle(self, request: Request) -> Answer:
        match request.path:
            case "/submit.php":
                self.check_outage("create")
                return Answer(200, self.pay_page(self._opened(request.query)))
            case "/api.php" if request.query.get("act") == "order":
                self.check_outage("query")
                return Answer(200, self._queried(request.query))
            case "/api.php" if request.query.get("act") == "refund":
                self.check_outage("refund")
                return Answer(200, self._refund(request.form()))
        raise Refusal(404, "Not Found")

    def notice(self, payment: Payment, event: str, telling: Telling) -> Outgoing | None:
        if event != "paid":
            return None
        fields = notices.result(_row(payment), KEY)
        return Outgoing("GET", protocol.add_query(payment.notify_url, fields))

    def accepted(self, status: int, body: bytes) -> bool:
        return b"success" in body

    def _opened(self, fields: dict[str, str]) -> Payment:
        if fields.get("pid") != PID or not protocol.verify(fields, KEY):
            raise Refusal(400, "签名校验失败")
        names = ("out_trade_no", "money", "notify_url", "return_url", "type", "name")
        number, money, notify_url, return_url, kind, name = (fields[name] for name in names)
        assert protocol.parse_money(money) is not None
        extra = {"type": kind, "name": protocol.clip_name(name)}
        return self.open(Payment(number, money, "CNY", notify_url, return_url, extra=extra))

    def _queried(self, fields: dict[str, str]) -> dict[str, Any]:
        payment = self._found(fields)
        if payment is None:
            return {"code": -1, "msg": "订单号不存在"}
        status = _STATES[payment.status]
        return {
            "code": 1,
            "trade_no": payment.reference,
            "out_trade_no": payment.number,
            "pid": int(PID),
            "money": payment.received if status else payment.amount,
            "status": status,
        }

    def _refund(self, fields: dict[str, str]) -> dict[str, Any]:
        payment = self._found(fields)
        if payment is None or fields["money"] != payment.received:
            return {"code": -1, "msg": "退款金额与订单金额不一致"}
        if payment.status != "paid":
            return {"code": -1, "msg": "该订单未支付或已退款"}
        self.refund(payment, f"refund-of-{payment.number}", fields["money"])
        return {"code": 0, "msg": "退款成功！"}

    def _found(self, fields: dict[str, str]) -> Payment | None:
        if fields.get("pid") != PID or not protocol.same(fields.get("key", ""), KEY):
            raise Refusal(200, {"code": -3, "msg": "商户ID或密钥错误"})
        return self.find(number=fields["out_trade_no"])


def _row(payment: Payment) -> store.Payment:
    """As `simulators.epay` keeps it."""
    money = protocol.parse_money(payment.received if payment.received != "0" else payment.amount)
    assert money is not None
    return store.Payment(
        trade_no=payment.reference,
        pid=PID,
        out_trade_no=payment.number,
        type=payment.extra["type"],
        name=payment.extra["name"],
        money=money,
        notify_url=payment.notify_url,
        return_url=payment.return_url,
        param="",
        token="",
        status=_STATES[payment.status],
        addtime=0,
        endtime=None,
        api_trade_no=None,
    )


class _Row(Subject):
    def sign(self, fields: dict[str, str]) -> str:
        raise NotImplementedError

    def signed(self, right: Notice, /, **changed: str) -> Notice:
        """With these fields instead, rightly signed."""
        fields = {**dict(right.query), **changed}
        return _sent(right, {**fields, "sign": self.sign(fields)})

    def forged(self, right: Notice) -> dict[str, Notice]:
        fields = dict(right.query)
        signature = fields["sign"]
        name = f"{fields['name']}&out_trade_no={fields['out_trade_no']}&pid={fields['pid']}"
        within = {key: value for key, value in fields.items() if key not in ("out_trade_no", "pid", "name")}
        return {
            "bad signature": _sent(right, {**fields, "sign": signature[::-1]}),
            "missing signature": _sent(right, {key: value for key, value in fields.items() if key != "sign"}),
            "non-ASCII signature": _sent(right, {**fields, "sign": "签" * 32}),
            "changed": _sent(right, {**fields, "out_trade_no": fields["out_trade_no"][:-2] + "99"}),
            "another algorithm's name": _sent(right, {**fields, "sign_type": "SHA1"}),
            "an empty signature": _sent(right, {**fields, "sign": ""}),
            "fields within a field": _sent(right, {**within, "name": name}),
            # What `name` might hold, the rest of another order's text hidden behind it.
            "a field within the last one": self.signed(right, type=f"{fields['type']}&out_trade_no=another&pid=2"),
            "a field within a name": self.signed(right, **{"type=alipay&pid": "2"}),
            "a request": self.signed(right, return_url="https://shop.example/r"),
        }

    def malformed(self, right: Notice) -> dict[str, Notice]:
        body = urlencode(right.query).encode()
        posted = replace(right, method="POST", query=())
        return {
            "not text": bent(posted, body=body.replace(b"Steam", b"\xff\xfe")),
            "not text when decoded": bent(posted, body=body.replace(b"Steam", b"%ff%fe")),
            "field twice": replace(right, query=(*right.query, ("money", dict(right.query)["money"]))),
            "no payment": self.signed(right, out_trade_no=""),
            "no account": self.signed(right, pid=""),
            "not an amount": self.signed(right, money="9,90"),
            "an amount in exponents": self.signed(right, money="1e3"),
        }


class EpayRow(_Row):
    name = "epay"
    provider_name = "epay"
    absent: ClassVar[dict[str, str]] = {
        **_ABSENT,
        "stale": "no time is signed",
        "rotated key": "one key signs both ways, and a new one takes its place at once",
        "close": "a link that was given out can be paid for ever",
        "refund in part": "a refund is of the whole order",
    }

    @staticmethod
    def account() -> dict[str, object]:
        return {}

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return Epay(account)

    def settings(self) -> dict[str, str]:
        return {"url": self.booth.url, "pid": PID, "key": KEY, "refunds": "whole"}

    def sign(self, fields: dict[str, str]) -> str:
        return protocol.sign(fields, KEY)

    def forged(self, right: Notice) -> dict[str, Notice]:
        fields = dict(right.query)
        there = self.booth.find(number=fields["out_trade_no"])
        assert there is not None
        browser = {"pid": PID, "out_trade_no": there.number, "money": there.amount, "notify_url": there.notify_url}
        return {
            **super().forged(right),
            "wrong algorithm": _sent(right, {**fields, "sign": protocol.sign(fields, "")}),
            "unknown key": _sent(right, {**fields, "sign": protocol.sign(fields, "key-of-another")}),
            "capitals": _sent(right, {**fields, "sign": fields["sign"].upper()}),
            "what the browser was sent with": _sent(right, {**browser, "sign": protocol.sign(browser, KEY)}),
        }

    def of_another_account(self, number: str) -> Notice:
        return self.signed(self.notice(number), pid="1002")


class EpayRsaRow(_Row):
    name = "epay rsa"
    provider_name = "epay-rsa"
    absent = _ABSENT

    def __init__(self, served: Booth) -> None:
        super().__init__(served)
        assert isinstance(served, epay_rsa.EpayRsa)
        self.epay = served

    @staticmethod
    def account() -> dict[str, object]:
        private, public = epay_rsa.new_keys()
        stranger, _ = epay_rsa.new_keys()
        return {**epay_rsa.new_account(), "next_private": private, "next_public": public, "stranger": stranger}

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return epay_rsa.EpayRsa(account)

    def settings(self) -> dict[str, str]:
        """While the platform changes its key."""
        account = self.epay.account
        return {
            "url": self.epay.url,
            "pid": account["pid"],
            "private_key": account["merchant_private_key"],
            "platform_key": f"{account['next_public']} {account['platform_public_key']}",
        }

    def sign(self, fields: dict[str, str]) -> str:
        return epay_rsa.sign(fields, self.epay.key)

    def forged(self, right: Notice) -> dict[str, Notice]:
        fields = dict(right.query)
        account = self.epay.account
        key = load_der_private_key(base64.b64decode(self.epay.key), None)
        assert isinstance(key, RSAPrivateKey)
        short = base64.b64encode(key.sign(epay_rsa.text(fields), PKCS1v15(), SHA1())).decode()
        own = epay_rsa.sign(fields, account["merchant_private_key"])
        return {
            **super().forged(right),
            "wrong algorithm": _sent(right, {**fields, "sign": short}),
            "unknown key": _sent(right, {**fields, "sign": epay_rsa.sign(fields, account["stranger"])}),
            "the merchant's own key": _sent(right, {**fields, "sign": own}),
            "no timestamp": self.signed(right, timestamp=""),
            "no base64": _sent(right, {**fields, "sign": f"{fields['sign'][:-4]}===="}),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        fields = dict(right.query)
        return {
            "rotated key": _sent(right, {**fields, "sign": epay_rsa.sign(fields, self.epay.account["next_private"])})
        }

    def signed_at(self, number: str, seconds: float) -> Notice:
        return self.signed(self.notice(number), timestamp=str(int(seconds)))

    def of_another_account(self, number: str) -> Notice:
        """The platform signs for all its merchants with one key."""
        return self.signed(self.notice(number), pid="1002")


def _sent(right: Notice, fields: dict[str, str]) -> Notice:
    return replace(right, query=tuple(fields.items()))


SUBJECTS: list[type[Subject]] = [EpayRow, EpayRsaRow]
