"""支付宝, by each of its three ways of paying."""

from __future__ import annotations

import base64
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode

from cardshop.domain.payment import Notice
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_private_key

from simulators import booth
from simulators.alipay import Alipay, new_account
from simulators.booth import Booth
from tests.channels.subject import Subject, bent


class _Alipay(Subject):
    provider_name = "alipay"
    events = frozenset({"paid", "closed", "refunded", "finished", "waiting"})
    absent: ClassVar[dict[str, str]] = {
        "signtest": "no such probes",
        "stale": "no page says that the time in a notice is renewed in its retries, which go on for 25 hours",
        "two signatures": "a notice has one, and names no key",
        "header case": "no header is read",
        "wrong currency": "every amount is in yuan, and none names its currency",
        "refund undone": "a notice tells only how much has gone back",
        "charge back": "a complaint is settled with Alipay, and what comes of it is a refund",
    }

    def __init__(self, served: Booth) -> None:
        super().__init__(served)
        assert isinstance(served, Alipay)
        self.alipay = served

    @staticmethod
    def account() -> dict[str, object]:
        return new_account()

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return Alipay(account)

    def settings(self) -> dict[str, str]:
        """In the middle of a change of Alipay's key."""
        account = self.alipay.account
        return {
            **{name: account[name] for name in ("app_id", "seller_id", "private_key")},
            "alipay_public_key": f"{account['alipay_public_key']} {account['next_alipay_public_key']}",
            "host": self.alipay.url,
        }

    def forged(self, right: Notice) -> dict[str, Notice]:
        fields = _fields(right)
        sign, told = fields["sign"], _told(fields)
        emptied = self.alipay.signed({**told, "body": ""})
        payment = self.alipay.find(number=fields["out_trade_no"])
        assert payment is not None
        return {
            "bad signature": _sent(right, {**fields, "sign": sign[4:] + sign[:4]}),
            "missing signature": _sent(right, {name: fields[name] for name in fields if name != "sign"}),
            "non-ASCII signature": _sent(right, {**fields, "sign": f"签{sign}"}),
            "wrong algorithm": _sent(right, {**told, "sign": self._sha1(told), "sign_type": "RSA"}),
            "unknown key": _sent(right, self.alipay.signed(told, key="private_key")),
            "changed": _sent(right, {**fields, "total_amount": "99.00"}),
            "SHA-1 called RSA2": _sent(right, {**told, "sign": self._sha1(told), "sign_type": "RSA2"}),
            "no algorithm named": _sent(right, {name: fields[name] for name in fields if name != "sign_type"}),
            "a signature that is no base64": _sent(right, {**fields, "sign": f"{sign}!"}),
            "a field more": _sent(right, {**fields, "trade_status_note": "TRADE_SUCCESS"}),
            "an empty field dropped": _sent(right, {**told, "sign": emptied["sign"], "sign_type": "RSA2"}),
            "two fields in one": _sent(
                right,
                {
                    **{name: fields[name] for name in fields if name not in {"point_amount", "receipt_amount"}},
                    "point_amount": f"{told['point_amount']}&receipt_amount={told['receipt_amount']}",
                },
            ),
            "the buyer's way back": _sent(right, self.alipay.returned(payment)),
            "the same by GET": Notice("GET", tuple(fields.items()), {}, b""),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        return {"rotated key": _sent(right, self.alipay.signed(_told(_fields(right)), key="next_alipay_private_key"))}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        told = _told(_fields(right))

        def signed(**changed: str) -> Notice:
            return _sent(right, self.alipay.signed({**told, **changed}))

        return {
            "not text": bent(right, body=right.body + b"&body=%ff"),
            "field twice": bent(right, body=right.body + b"&total_amount=9.90"),
            "no payment": _sent(right, self.alipay.signed({**told, "out_trade_no": ""})),
            "not an amount": signed(total_amount="9,90"),
            "an unknown state": signed(trade_status="TRADE_PENDING"),
            "another charset": signed(charset="gbk"),
        }

    def of_another_account(self, number: str) -> Notice:
        right = self.notice(number)
        return _sent(right, self.alipay.signed({**_told(_fields(right)), "seller_id": "2088102100000110"}))

    def _sha1(self, told: dict[str, str]) -> str:
        key = load_der_private_key(base64.b64decode(self.alipay.account["alipay_private_key"]), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        joined = "&".join(f"{name}={told[name]}" for name in sorted(told))
        return base64.b64encode(key.sign(joined.encode(), padding.PKCS1v15(), SHA1())).decode()


def _fields(notice: Notice) -> dict[str, str]:
    return dict(parse_qsl(notice.body.decode(), keep_blank_values=True))


def _told(fields: dict[str, str]) -> dict[str, str]:
    return {name: fields[name] for name in fields if name not in {"sign", "sign_type"}}


def _sent(right: Notice, fields: dict[str, str]) -> Notice:
    return bent(right, body=urlencode(fields).encode())


class Page(_Alipay):
    name = "alipay page"


class Wap(_Alipay):
    name = "alipay wap"
    terminal = "mobile"


class Precreate(_Alipay):
    name = "alipay precreate"
    terminal = "miniapp"

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return _Scanned(account)


class _Scanned(Alipay):
    """Every code is scanned as soon as it is shown: before that there is nothing to close."""

    def open(self, payment: booth.Payment) -> booth.Payment:
        found = super().open(payment)
        found.extra["there"] = True
        return found


SUBJECTS: list[type[Subject]] = [Page, Wap, Precreate]
