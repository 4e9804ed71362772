"""The simulated PayPal, seen from a merchant's and a buyer's side; OpenSSL is the oracle of its signatures."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulators.booth import Payment, serve
from simulators.paypal import SIGNER, PayPal, new_account
from tests.simulators.shop import Shop, listening

NUMBER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
FAST = 1e9  # retries come at once


@pytest.fixture(scope="module")
def account() -> dict[str, Any]:
    return new_account()


class Merchant:
    """A merchant's calls, and the notices that its shop gets."""

    def __init__(self, booth: PayPal, shop: Shop) -> None:
        self.booth = booth
        self.shop = shop
        self.http = httpx.Client(base_url=booth.url, trust_env=False)

    def token(self) -> str:
        client = (self.booth.account["client_id"], self.booth.account["client_secret"])
        granted = self.http.post("/v1/oauth2/token", auth=client, data={"grant_type": "client_credentials"})
        return str(granted.json()["access_token"])

    def post(self, path: str, body: Any = None, *, key: str = "key-1", **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json", "PayPal-Request-Id": key}
        return self.http.post(path, content=json.dumps(body or {}), headers=sent | headers)

    def get(self, path: str) -> Any:
        return self.http.get(path, headers={"Authorization": f"Bearer {self.token()}"}).json()

    def opens(self, *, key: str = "key-1", **amount: str) -> httpx.Response:
        unit = dict.fromkeys(("reference_id", "custom_id", "invoice_id"), NUMBER)
        money = {"currency_code": "USD", "value": "9.90", **amount}
        pages = dict.fromkeys(("return_url", "cancel_url"), "https://shop.example/return")
        context = {"experience_context": {"user_action": "PAY_NOW", **pages}}
        order = {
            "intent": "CAPTURE",
            "purchase_units": [{**unit, "description": "Steam 50 元", "amount": money}],
            "payment_source": {"paypal": context},
        }
        return self.post("/v2/checkout/orders", order, key=key, Prefer="return=representation")

    def captured(self) -> Payment:
        order = self.opens().json()["id"]
        payment = self.booth.find(number=NUMBER)
        assert payment is not None
        self.booth.pay(payment, notify=False)
        assert self.post(f"/v2/checkout/orders/{order}/capture").status_code == 201
        return payment


@pytest.fixture
def merchant(account: dict[str, Any]) -> Iterator[Merchant]:
    with serve(PayPal(account, time_scale=FAST)) as booth, listening() as shop:
        merchant = Merchant(booth, shop)
        hook = {"url": shop.url, "event_types": [{"name": "*"}]}
        assert merchant.post("/v1/notifications/webhooks", hook).json()["id"] == account["webhook_id"]
        yield merchant
        merchant.http.close()


def issue(answer: httpx.Response) -> str:
    return str(answer.json()["details"][0]["issue"])


def test_a_wrong_secret_and_a_wrong_token_are_refused(merchant: Merchant) -> None:
    wrong = merchant.http.post("/v1/oauth2/token", auth=("x", "y"), data={"grant_type": "client_credentials"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert merchant.post("/v2/checkout/orders", Authorization="Bearer x").status_code == 401


@pytest.mark.parametrize(
    ("currency", "value", "why"),
    [
        ("USD", "9.901", "DECIMAL_PRECISION"),
        ("JPY", "990.00", "DECIMALS_NOT_SUPPORTED"),
        ("USD", "0.00", "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("USD", "-1.00", "INVALID_PARAMETER_SYNTAX"),
        ("KWD", "1.000", "CURRENCY_NOT_SUPPORTED"),
    ],
)
def test_an_amount_that_paypal_does_not_take_is_refused(
    currency: str, value: str, why: str, merchant: Merchant
) -> None:
    assert issue(merchant.opens(currency_code=currency, value=value)) == why


def test_an_order_wants_a_request_id_and_is_opened_once_under_it(merchant: Merchant) -> None:
    assert issue(merchant.opens(key="")) == "PAYPAL_REQUEST_ID_REQUIRED"
    first, again = merchant.opens(), merchant.opens()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    without = merchant.post("/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": []}, key="key-2")
    assert issue(without) == "MISSING_REQUIRED_PARAMETER"


def test_paying_only_approves_and_a_capture_happens_once(merchant: Merchant) -> None:
    order = merchant.opens().json()
    page = next(link["href"] for link in order["links"] if link["rel"] == "payer-action")
    path = f"/v2/checkout/orders/{order['id']}"
    assert issue(merchant.post(f"{path}/capture")) == "ORDER_NOT_APPROVED"
    back = httpx.post(page, trust_env=False).headers["Location"]
    assert back.startswith(f"https://shop.example/return?token={order['id']}&PayerID=")
    assert merchant.get(path)["status"] == "APPROVED"
    assert merchant.post(f"{path}/capture").json()["status"] == "COMPLETED"
    assert issue(merchant.post(f"{path}/capture")) == "ORDER_ALREADY_CAPTURED"
    (capture,) = merchant.get(path)["purchase_units"][0]["payments"]["captures"]
    assert (capture["status"], capture["amount"]["value"]) == ("COMPLETED", "9.90")


def test_a_declined_card_takes_the_approval_with_it(merchant: Merchant) -> None:
    path = f"/v2/checkout/orders/{merchant.opens().json()['id']}"
    payment = merchant.booth.find(number=NUMBER)
    assert payment is not None
    payment.extra["declines"] = 1
    merchant.booth.pay(payment, notify=False)
    assert issue(merchant.post(f"{path}/capture")) == "INSTRUMENT_DECLINED"
    assert merchant.get(path)["status"] == "PAYER_ACTION_REQUIRED"


def test_a_refund_is_made_once_and_never_of_more_than_there_is(merchant: Merchant) -> None:
    payment = merchant.captured()
    path = f"/v2/payments/captures/{payment.extra['capture']}/refund"
    part = {"amount": {"currency_code": "USD", "value": "4.00"}, "invoice_id": "r1"}
    first, again = merchant.post(path, part, key="r1"), merchant.post(path, part, key="r1")
    assert first.json()["id"] == again.json()["id"]
    assert payment.refunded == "4.00"
    assert issue(merchant.post(path, part, key="r2")) == "DUPLICATE_INVOICE_ID"
    more = {"amount": {"currency_code": "USD", "value": "5.91"}}
    assert issue(merchant.post(path, more, key="r3")) == "REFUND_AMOUNT_EXCEEDED"
    rest = merchant.post(path, key="r4", Prefer="return=representation").json()
    assert (rest["amount"]["value"], rest["custom_id"]) == ("5.90", NUMBER)
    assert issue(merchant.post(path, key="r5")) == "CAPTURE_FULLY_REFUNDED"
    assert merchant.get(f"/v2/payments/refunds/{rest['id']}")["status"] == "COMPLETED"


def test_a_retry_is_the_same_transmission(merchant: Merchant) -> None:
    merchant.shop.reply = lambda number: (503 if number <= 2 else 200, b"")
    merchant.opens()
    payment = merchant.booth.find(number=NUMBER)
    assert payment is not None
    merchant.booth.pay(payment)
    merchant.booth.quiet()
    told = merchant.shop.told
    assert len(told) == 3
    assert told[0].json()["event_type"] == "CHECKOUT.ORDER.APPROVED"
    names = ("paypal-transmission-id", "paypal-transmission-time")
    first, *retries = [[each.headers[name] for name in names] for each in told]
    assert retries == [first, first]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the oracle")
def test_openssl_finds_chain_name_and_signature_right(
    merchant: Merchant, account: dict[str, Any], tmp_path: Path
) -> None:
    merchant.opens()
    payment = merchant.booth.find(number=NUMBER)
    assert payment is not None
    merchant.booth.tell(payment, "paid")
    merchant.booth.quiet()
    (notice,) = merchant.shop.told
    headers, body = notice.headers, notice.body
    chain = httpx.get(headers["paypal-cert-url"], trust_env=False).text
    leaf, between = (f"{part}-----END CERTIFICATE-----\n" for part in chain.split("-----END CERTIFICATE-----\n")[:2])
    identity, sent = headers["paypal-transmission-id"], headers["paypal-transmission-time"]
    files = {
        "root.pem": account["root_certificate"],
        "between.pem": between,
        "leaf.pem": leaf,
        "signed": f"{identity}|{sent}|{account['webhook_id']}|{zlib.crc32(body)}",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "signature").write_bytes(base64.b64decode(headers["paypal-transmission-sig"]))

    def openssl(*arguments: str) -> str:
        command = ["openssl", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout

    verified = openssl("verify", "-CAfile", "root.pem", "-untrusted", "between.pem", "-purpose", "sslserver",
                       "-verify_hostname", SIGNER, "leaf.pem")  # fmt: skip
    assert verified == "leaf.pem: OK\n"
    (tmp_path / "key.pem").write_text(openssl("x509", "-in", "leaf.pem", "-pubkey", "-noout"))
    check = ("dgst", "-sha256", "-verify", "key.pem", "-signature", "signature")
    assert openssl(*check, "signed") == "Verified OK\n"
    assert openssl(*check, "leaf.pem") == "Verification failure\n"
