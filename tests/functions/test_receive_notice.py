"""GET|POST /webhooks/{channel}: the provider's own words, and nothing acknowledged that is not queued."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.payments.epay import sign
from cardshop.adapters.queue import loads

from tests.adapters.cloud import items, messages, table_name
from tests.domain.builders import TRADE_ID
from tests.functions.deployed import MERCHANT_KEY, Answer, Deployed, Logs
from tests.functions.samples import Event, sample, with_body, with_header

GET, POST = sample("receive_notice/epay_by_get"), sample("receive_notice/epay_by_post")


def refused(answer: Answer, status: int) -> bool:
    """Whether it is a refusal that no provider takes for an acknowledgement."""
    assert answer.status == status, answer
    assert "success" not in answer.text.lower()
    assert "ok" not in answer.text.lower()
    return True


@pytest.mark.parametrize("event", [GET, POST], ids=["GET", "POST"])
def test_a_genuine_notice_is_queued_and_acknowledged_in_the_providers_word(
    shop: Deployed, logs: Logs, event: Event
) -> None:
    answer = shop.call("receive_notice", event)
    assert (answer.status, answer.text, answer.headers["Content-Type"]) == (200, "success", "text/plain")
    (message,) = messages(shop.notices)
    assert message["MessageAttributes"]["trade_id"]["StringValue"] == TRADE_ID
    queued = loads(message["Body"])
    assert (queued.channel, queued.notice.method) == ("epay", event["httpMethod"])
    assert dict(queued.notice.query) == (event["queryStringParameters"] or {})
    assert queued.notice.headers["host"] == event["headers"]["Host"]
    assert any(line.get("trade_id") == TRADE_ID for line in logs.lines)
    assert MERCHANT_KEY not in logs.text


def test_the_body_is_queued_as_it_came(shop: Deployed) -> None:
    shop.call("receive_notice", POST)
    (message,) = messages(shop.notices)
    assert with_body(POST, loads(message["Body"]).notice.body)["body"] == POST["body"]


def test_a_signed_notice_that_tells_of_no_payment_is_acknowledged_and_not_queued(shop: Deployed) -> None:
    fields = {"pid": "1001", "out_trade_no": "x", "money": "1", "trade_status": "TRADE_CLOSED"}
    event = with_body(POST, urlencode({**fields, "sign": sign(fields, MERCHANT_KEY)}).encode())
    answer = shop.call("receive_notice", event)
    assert (answer.status, answer.text) == (200, "success")
    assert messages(shop.notices) == []


def forged(event: Event) -> dict[str, Event]:
    query = event["multiValueQueryStringParameters"]
    return {
        "another amount": {**event, "multiValueQueryStringParameters": {**query, "money": ["0.01"]}},
        "no query": {**event, "multiValueQueryStringParameters": None, "queryStringParameters": None},
        "a field twice": {**event, "multiValueQueryStringParameters": {**query, "money": ["9.9", "9.9"]}},
        "the sign twice": {**event, "multiValueQueryStringParameters": {**query, "sign": query["sign"] * 2}},
        "a form": with_body(POST, b"sign=forged"),
        "binary": with_body(POST, bytes(range(256))),
        "a large form": with_body(POST, b"a=" + b"x" * 20_000),
        "broken base64": {**POST, "body": "{not base64}"},
    }


def test_a_forged_notice_is_refused_and_not_queued(shop: Deployed, subtests: pytest.Subtests) -> None:
    for forgery, event in forged(GET).items():
        with subtests.test(forgery):
            answer = shop.call("receive_notice", event)
            assert refused(answer, 400)
            assert answer.text == "fail"
    assert messages(shop.notices) == []


def test_a_body_beyond_any_notice_is_refused(shop: Deployed) -> None:
    assert refused(shop.call("receive_notice", with_body(POST, b"x" * 1024 * 1024)), 413)
    assert messages(shop.notices) == []


def test_an_unknown_channel_is_refused(shop: Deployed) -> None:
    event = {**POST, "path": "/webhooks/unknown", "pathParameters": {"channel": "unknown"}}
    assert refused(shop.call("receive_notice", event), 404)
    assert messages(shop.notices) == []


def test_a_header_however_it_is_written_changes_nothing(shop: Deployed) -> None:
    event = with_header(with_header(POST, "Content-Type", None), "CONTENT-TYPE", "application/x-www-form-urlencoded")
    assert shop.call("receive_notice", event).text == "success"


def test_a_queue_or_store_that_fails_acknowledges_nothing(shop: Deployed) -> None:
    client("sqs").delete_queue(QueueUrl=shop.notices)
    without_queue = shop.call("receive_notice", POST)
    client("dynamodb").delete_table(TableName=table_name("CatalogueTable"))
    for answer in (without_queue, shop.call("receive_notice", POST)):
        assert refused(answer, 503)
        assert answer.is_problem(503, "unavailable")
        assert answer.headers["Retry-After"] == "1"


def test_a_bug_acknowledges_nothing(shop: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardshop.adapters.payments.epay.sign", lambda *_: 1 / 0)
    assert refused(shop.call("receive_notice", POST), 500)
    assert messages(shop.notices) == []
    assert items("OrdersTable") == []
