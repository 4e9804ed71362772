"""The simulated Stripe, seen by the official package, and by whoever asks it for what Stripe refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import stripe as sdk

from simulators import stripe as simulated
from simulators.booth import Telling, serve
from tests.simulators.shop import listening

NUMBER = "m5qk7c2xj3zv6n4wtyb2hdgl5e01"
ACCOUNT = {"secret_key": "sk_test_0123456789abcdef", "webhook_secret": "whsec_new whsec_old"}
FORM = {
    "mode": "payment",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "cny",
    "line_items[0][price_data][unit_amount]": "990",
    "line_items[0][price_data][product_data][name]": "Steam 50 元",
    "success_url": "https://shop.example/return",
    "client_reference_id": NUMBER,
    "metadata[payment_id]": NUMBER,
    "payment_intent_data[metadata][payment_id]": NUMBER,
}


@pytest.fixture
def booth() -> Iterator[simulated.Stripe]:
    with serve(simulated.Stripe(ACCOUNT, time_scale=1e6)) as served:
        yield served


@pytest.fixture
def client(booth: simulated.Stripe) -> sdk.StripeClient:
    """The official package, led here and past any proxy."""
    straight = requests.Session()
    straight.trust_env = False
    http_client = sdk.RequestsClient(session=straight)
    return sdk.StripeClient(ACCOUNT["secret_key"], base_addresses={"api": booth.url}, http_client=http_client)


def post(
    booth: simulated.Stripe, path: str, form: dict[str, str], key: str = "", secret: str = ACCOUNT["secret_key"]
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
    return httpx.post(f"{booth.url}{path}", data=form, headers=headers, trust_env=False)


def open_session(booth: simulated.Stripe, **changes: str) -> dict[str, Any]:
    answer = post(booth, "/v1/checkout/sessions", {**FORM, **changes})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_official_package_opens_reads_pays_refunds_and_is_told(
    booth: simulated.Stripe, client: sdk.StripeClient
) -> None:
    with listening() as there:
        endpoint = client.v1.webhook_endpoints.create({"url": there.url, "enabled_events": ["*"]})
        assert endpoint.secret == "whsec_new"
        opened = client.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {"currency": "cny", "unit_amount": 990, "product_data": {"name": "Steam 50 元"}},
                    }
                ],
                "success_url": "https://shop.example/return",
                "client_reference_id": NUMBER,
                "metadata": {"payment_id": NUMBER},
                "payment_intent_data": {"metadata": {"payment_id": NUMBER}},
            }
        )
        assert (opened.status, opened.payment_status, opened.payment_intent) == ("open", "unpaid", None)
        assert opened.url is not None
        with httpx.Client(trust_env=False) as buyer:
            assert buyer.post(opened.url, data={"notify": "1"}).headers["Location"] == "https://shop.example/return"
        paid = client.v1.checkout.sessions.retrieve(opened.id)
        assert (paid.status, paid.payment_status, paid.amount_total, paid.url) == ("complete", "paid", 990, None)
        intent = str(paid.payment_intent)
        assert client.v1.payment_intents.retrieve(intent).metadata.to_dict() == {"payment_id": NUMBER}

        sent = client.v1.refunds.create({"payment_intent": intent, "amount": 300, "metadata": {"refund_id": "r01"}})
        assert (sent.status, sent.amount, sent.metadata and sent.metadata["refund_id"]) == ("succeeded", 300, "r01")
        assert [each.id for each in client.v1.refunds.list({"payment_intent": intent}).data] == [sent.id]
        assert client.v1.refunds.retrieve(sent.id).amount == 300

        booth.quiet()
        told = {}
        for each in there.told:
            for secret in ("whsec_new", "whsec_old"):
                event = sdk.Webhook.construct_event(each.body, each.headers["stripe-signature"], secret)
            told[event.type] = event.data.object
        assert told.keys() == {"checkout.session.completed", "refund.created", "charge.refunded"}
        assert told["checkout.session.completed"]["payment_status"] == "paid"
        assert told["charge.refunded"]["amount_refunded"] == 300
        assert told["charge.refunded"]["metadata"]["payment_id"] == NUMBER


def test_the_official_package_expires_an_open_session_and_no_other(
    booth: simulated.Stripe, client: sdk.StripeClient
) -> None:
    opened = open_session(booth)
    assert client.v1.checkout.sessions.expire(opened["id"]).status == "expired"
    with pytest.raises(sdk.InvalidRequestError, match="has a status of `expired`"):
        client.v1.checkout.sessions.expire(opened["id"])


@pytest.mark.parametrize(
    ("change", "value", "code", "param"),
    [
        ("mode", None, "parameter_missing", "mode"),
        ("success_url", None, "parameter_missing", "success_url"),
        ("mode", "subscription", None, "mode"),
        ("line_items[0][price_data][currency]", "CNY", None, "line_items[0][price_data][currency]"),
        ("line_items[0][price_data][unit_amount]", "9.90", None, "line_items[0][price_data][unit_amount]"),
        ("line_items[0][price_data][unit_amount]", "399", "amount_too_small", None),
        ("line_items[0][price_data][product_data][name]", "", None, "line_items[0][price_data][product_data][name]"),
        ("line_items[0][price_data][product_data][name]", "x" * 251, None, None),
        ("client_reference_id", "x" * 201, None, "client_reference_id"),
        ("metadata[payment_id]", "x" * 501, None, "metadata[payment_id]"),
        (f"metadata[{'x' * 41}]", "x", "parameter_unknown", None),
        pytest.param("expires_at", str(int(time.time()) + 60), None, "expires_at", id="expires_at-soon"),
        ("notify_url", "https://shop.example/notify", "parameter_unknown", "notify_url"),
    ],
)
def test_what_stripe_would_not_open_is_not_opened(
    booth: simulated.Stripe, change: str, value: str | None, code: str | None, param: str | None
) -> None:
    form = {name: text for name, text in {**FORM, change: value}.items() if text is not None}
    answer = post(booth, "/v1/checkout/sessions", form, "the-key")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error.get("code")) == (400, "invalid_request_error", code)
    assert param is None or error["param"] == param
    assert booth._payments == {}
    assert post(booth, "/v1/checkout/sessions", FORM, "the-key").status_code == 200, "nothing stands under the key"


@pytest.mark.parametrize("header", [None, "Bearer sk_test_another", "Bearer", "Basic c2tfdGVzdDo=", "sk_test"])
def test_another_key_or_none_is_no_account(booth: simulated.Stripe, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.get(f"{booth.url}/v1/checkout/sessions/cs_1", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_an_answer_stands_under_its_key(booth: simulated.Stripe) -> None:
    first = post(booth, "/v1/checkout/sessions", FORM, "one")
    again = post(booth, "/v1/checkout/sessions", FORM, "one")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    other = post(booth, "/v1/checkout/sessions", {**FORM, "mode": "payment", "cancel_url": "https://x.example"}, "one")
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    assert post(booth, "/v1/checkout/sessions", FORM, "two").json()["id"] != first.json()["id"]
    assert post(booth, "/v1/checkout/sessions", FORM, "x" * 256).status_code == 400


@pytest.mark.parametrize(
    "path", ["checkout/sessions/cs_1", "payment_intents/pi_1", "refunds/re_1", "refunds?payment_intent=pi_1"]
)
def test_what_is_not_there_is_missing(booth: simulated.Stripe, path: str) -> None:
    headers = {"Authorization": f"Bearer {ACCOUNT['secret_key']}"}
    answer = httpx.get(f"{booth.url}/v1/{path}", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")


@pytest.mark.parametrize("path", ["/v1/charges", "/v2/checkout/sessions", "/"])
def test_there_is_no_other_address(booth: simulated.Stripe, path: str) -> None:
    assert post(booth, path, {}).status_code == 404


def test_refunds_that_cannot_be_are_refused_and_the_refusal_stands(booth: simulated.Stripe) -> None:
    opened = open_session(booth)
    there = booth.find(reference=opened["id"])
    assert there is not None
    form = {"payment_intent": there.extra["payment_intent"], "amount": "991"}
    assert post(booth, "/v1/refunds", form).json()["error"]["code"] == "resource_missing", "nobody has paid it"
    booth.pay(there, notify=False)
    more = post(booth, "/v1/refunds", form, "more")
    assert (more.status_code, more.json()["error"]["param"], "code" in more.json()["error"]) == (400, "amount", False)
    there.received = "991"
    assert post(booth, "/v1/refunds", form, "more").json() == more.json()
    for status, code in (("charged_back", "charge_disputed"), ("refunded", "charge_already_refunded")):
        there.status = status
        assert post(booth, "/v1/refunds", form).json()["error"]["code"] == code
    there.status = "failed"
    assert post(booth, "/v1/refunds", form).status_code == 400
    assert there.refunds == {}


def told(booth: simulated.Stripe, number: str, event: str) -> tuple[str, dict[str, Any]] | None:
    payment = booth.find(number=number)
    assert payment is not None
    refund = next(iter(payment.refunds.values()), None)
    with booth.lock:
        outgoing = booth.notice(payment, event, Telling("n-1", 1_763_800_000, refund))
    if outgoing is None:
        return None
    said = json.loads(outgoing.body)
    assert (said["id"], said["created"], said["livemode"]) == ("evt_n-1", 1_763_800_000, False)
    return said["type"], said["data"]["object"]


def test_every_event_is_told_in_stripes_words(booth: simulated.Stripe) -> None:
    open_session(booth)
    assert told(booth, NUMBER, "paid") is None, "nobody has said where to"
    booth.webhook_url = "http://127.0.0.1:9/webhooks/stripe"
    payment = booth.find(number=NUMBER)
    assert payment is not None
    booth.pay(payment, notify=False)
    booth.refund(payment, "in the dashboard", "400")
    found = {event: told(booth, NUMBER, event) for event in ("awaiting", "async_paid", "failed", "closed", "paid")}
    assert {
        event: said and (said[0].rpartition(".")[2], said[1]["payment_status"]) for event, said in found.items()
    } == {
        "awaiting": ("completed", "unpaid"),
        "async_paid": ("async_payment_succeeded", "paid"),
        "failed": ("async_payment_failed", "unpaid"),
        "closed": ("expired", "unpaid"),
        "paid": ("completed", "paid"),
    }
    for event, kind, status in (
        ("charged_back", "created", "needs_response"),
        ("reinstated", "closed", "won"),
        ("dispute_lost", "closed", "lost"),
    ):
        said = told(booth, NUMBER, event)
        assert said is not None
        assert (said[0], said[1]["status"], said[1]["metadata"]) == (f"charge.dispute.{kind}", status, {})
    said = told(booth, NUMBER, "refunded")
    assert said is not None
    assert (said[0], said[1]["amount_refunded"], said[1]["refunded"]) == ("charge.refunded", 400, False)
    failed = told(booth, NUMBER, "refund_refused")
    assert failed is not None
    assert (failed[0], failed[1]["metadata"]) == ("refund.failed", {})
    assert told(booth, NUMBER, "something else") is None


def test_an_event_is_sent_until_it_is_taken_each_time_signed_anew(booth: simulated.Stripe) -> None:
    open_session(booth)
    payment = booth.find(number=NUMBER)
    assert payment is not None
    with listening() as there:
        booth.webhook_url, there.reply = there.url, lambda number: ([503, 302, 204][number - 1], b"")
        booth.pay(payment)
        booth.quiet()
        assert [attempt.status for attempt in booth.attempts(NUMBER)] == [503, 302, 204]
        assert len(there.told) == 3
    assert len({each.body for each in there.told}) == 1
    names = [part.partition("=")[0] for part in there.told[0].headers["stripe-signature"].split(",")]
    assert names == ["t", "v1", "v1", "v0"]


def test_a_live_account_is_live_and_signs_no_v0() -> None:
    live = simulated.Stripe(
        {"secret_key": "sk_live_1", "webhook_secret": "whsec_1", "webhook_url": "http://127.0.0.1:9/"}
    )
    answer = live._create(FORM)
    assert isinstance(answer.body, dict)
    assert answer.body["id"].startswith("cs_live_")
    payment = live.find(number=NUMBER)
    assert payment is not None
    outgoing = live.notice(payment, "paid", Telling("n-1", 0, None))
    assert outgoing is not None
    assert "v0" not in outgoing.headers["Stripe-Signature"]
    assert json.loads(outgoing.body)["livemode"] is True


def test_a_new_account_is_one() -> None:
    account = simulated.new_account()
    assert account["secret_key"].startswith("sk_test_")
    assert account != simulated.new_account()
    assert not simulated.Stripe(account).live
