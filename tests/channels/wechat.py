"""微信支付, by each of its three ways of paying."""

from __future__ import annotations

import json
from abc import ABC
from typing import Any

from cardshop.domain.money import Money
from cardshop.domain.payment import Notice

from simulators.booth import Booth
from simulators.wechat import WeChat, new_account
from tests.channels.subject import Subject, bent

_SIGNTEST = "WECHATPAY/SIGNTEST/"
_ABSENT = {
    "two signatures": "a notice has one signature, and names its key",
    "header case": "the gateway hands header names over in lower case",
    "expired after paid": "nobody is told of an order that is closed",
    "failed": "nobody is told of an order that is closed",
    "charge back": "a buyer complains to WeChat Pay, and what comes of it is a refund",
    "reinstated": "there is no charge back",
}


class _WeChat(Subject, ABC):
    provider_name = "wechat"
    events = frozenset({"paid", "refunded", "refund_refused", "refund_closed"})
    absent = _ABSENT

    method: str

    def __init__(self, served: Booth) -> None:
        super().__init__(served)
        assert isinstance(served, WeChat)
        self.wechat = served

    @staticmethod
    def account() -> dict[str, object]:
        return new_account()

    @staticmethod
    def stand(account: dict[str, object]) -> Booth:
        return WeChat(account)

    def settings(self) -> dict[str, str]:
        account = self.wechat.account
        return {
            **{name: account[name] for name in ("mchid", "appid", "merchant_serial", "private_key", "api_v3_key")},
            "wechat_keys": json.dumps(account["wechat_keys"]),
            "host": self.wechat.url,
            "method": self.method,
        }

    def written(self, amount: Money) -> str:
        return str(amount.minor)

    def forged(self, right: Notice) -> dict[str, Notice]:
        signature, nonce = right.headers["wechatpay-signature"], right.headers["wechatpay-nonce"]
        spread = self._signed(json.dumps(json.loads(right.body), indent=1).encode())
        first, _, rest = spread.body.partition(b"\n")
        moved = f"{spread.headers['wechatpay-nonce']}\n{first.decode()}"
        return {
            "bad signature": bent(right, headers={"wechatpay-signature": signature[4:] + signature[:4]}),
            "missing signature": bent(right, headers={"wechatpay-signature": None}),
            "non-ASCII signature": bent(right, headers={"wechatpay-signature": f"签{signature}"}),
            "wrong algorithm": bent(right, headers={"wechatpay-signature-type": "WECHATPAY2-SM2-WITH-SM3"}),
            "unknown key": bent(right, headers={"wechatpay-serial": "5157F09EFDC096DE15EBE81A47057A7200000000"}),
            "signtest": bent(right, headers={"wechatpay-signature": f"{_SIGNTEST}{signature[len(_SIGNTEST) :]}"}),
            "changed": bent(right, body=right.body.replace(b"TRANSACTION.SUCCESS", b"REFUND.SUCCESS")),
            "another of its keys": bent(right, headers={"wechatpay-serial": self.wechat.account["certificate_serial"]}),
            "the time taken for the nonce": bent(right, headers={"wechatpay-timestamp": nonce}),
            "a line of the body moved to the nonce": bent(spread, headers={"wechatpay-nonce": moved}, body=rest),
            "another cipher": self._resealed(right, algorithm="AEAD_SM4_GCM"),
            "sealed as something else": self._resealed(right, associated_data="refund"),
        }

    def genuine(self, right: Notice) -> dict[str, Notice]:
        return {"rotated key": self._signed(right.body, serial=self.wechat.account["certificate_serial"])}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        content = self._content(right)
        twice = json.dumps(content).replace('"mchid":', '"trade_state": "SUCCESS", "mchid":')
        return {
            "not text": self._signed(b"\xff" + right.body),
            "field twice": self._told(right, twice.encode()),
            "no payment": self._told(right, {name: content[name] for name in content if name != "out_trade_no"}),
            "not an amount": self._told(right, {**content, "amount": {**content["amount"], "total": "990"}}),
        }

    def signed_at(self, number: str, seconds: float) -> Notice:
        return self._signed(self.notice(number).body, at=seconds)

    def of_another_account(self, number: str) -> Notice:
        right = self.notice(number)
        return self._told(right, {**self._content(right), "mchid": "1900000110"})

    def in_another_currency(self, number: str) -> Notice:
        payment = self.booth.find(number=number)
        assert payment is not None
        payment.currency = "HKD"
        return self.notice(number)

    def _signed(self, body: bytes, *, serial: str = "", at: float | None = None) -> Notice:
        headers = self.wechat.signature(body, serial=serial, at=at)
        return Notice("POST", (), {name.lower(): value for name, value in headers.items()}, body)

    def _content(self, notice: Notice) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.wechat.unsealed(json.loads(notice.body)["resource"]))
        return content

    def _told(self, right: Notice, content: dict[str, Any] | bytes) -> Notice:
        """The notice with other content, sealed and signed."""
        written = content if isinstance(content, bytes) else json.dumps(content).encode()
        told = {**json.loads(right.body), "resource": self.wechat.sealed(written, "transaction")}
        return self._signed(json.dumps(told).encode())

    def _resealed(self, right: Notice, **changed: str) -> Notice:
        told = json.loads(right.body)
        return self._signed(json.dumps({**told, "resource": {**told["resource"], **changed}}).encode())


class Native(_WeChat):
    name = "wechat native"
    method = "native"


class H5(_WeChat):
    name = "wechat h5"
    method = "h5"
    terminal = "mobile"


class Jsapi(_WeChat):
    name = "wechat jsapi"
    method = "auto"
    terminal = "miniapp"
    payer = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


SUBJECTS: list[type[Subject]] = [Native, H5, Jsapi]
