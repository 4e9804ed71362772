"""Notices queue → order: what is done leaves the queue, what cannot be done yet comes back, what never will is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items, messages
from tests.adapters.payments.platform import Platform, running
from tests.domain.builders import PAYMENT_ID, placed
from tests.functions.deployed import MERCHANT_KEY, Deployed, Logs
from tests.functions.samples import Event, records

DONE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def platform(shop: Deployed) -> Iterator[Platform]:
    """The provider behind the shop's channel, on whose books the sample's payment is."""
    with running() as platform:
        platform.says(code=1, status=1, money="9.90", trade_no="T1", out_trade_no=PAYMENT_ID)
        shop.channel(platform.url)
        yield platform


def deliver(shop: Deployed, *, tries: int = 1, body: str | None = None) -> dict[str, Any]:
    """Send the sample's notice through the queue and hand it to the function, as Lambda does."""
    (record,) = records("confirm_payment/paid")
    client("sqs").send_message(QueueUrl=shop.notices, MessageBody=body or record["body"])
    (message,) = messages(shop.notices)
    record |= {"body": message["Body"], "receiptHandle": message["ReceiptHandle"], "messageId": message["MessageId"]}
    record["attributes"]["ApproximateReceiveCount"] = str(tries)
    answer: dict[str, Any] = shop.invoke("confirm_payment", {"Records": [record]})
    return answer


def comes_back(shop: Deployed, answer: dict[str, Any]) -> bool:
    """Whether the message is left to the queue, and shown again as soon as RETRY_SECONDS (none, here) are over."""
    (failure,) = answer["batchItemFailures"]
    return [message["MessageId"] for message in messages(shop.notices)] == [failure["itemIdentifier"]]


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """What the function counted (CloudWatch's embedded metric format, on stdout)."""
    found: dict[str, list[float]] = {}
    for line in capsys.readouterr().out.splitlines():
        entry = json.loads(line)
        for metric in [
            each for group in entry.get("_aws", {}).get("CloudWatchMetrics", []) for each in group["Metrics"]
        ]:
            found[metric["Name"]] = entry[metric["Name"]]
    return found


def test_a_paid_order_is_recorded_and_its_machine_goes_on(shop: Deployed, platform: Platform, logs: Logs) -> None:
    shop.order(placed())
    assert deliver(shop) == DONE
    order = shop.stored()
    assert (order.status, order.version, order.payments[0].state) == (Status.PAID, 2, PaymentState.ACCEPTED)
    assert order.payments[0].provider_ref == "T1"
    assert len(executions(shop.machine)) == 1
    assert MERCHANT_KEY not in logs.text


def test_the_same_notice_again_changes_nothing(shop: Deployed, platform: Platform, waiting: Waiting) -> None:
    shop.order(placed())
    assert [deliver(shop), deliver(shop), deliver(shop)] == [DONE] * 3
    assert shop.stored().version == 2
    assert len(executions(shop.machine)) == 1


@pytest.mark.parametrize("said", [{"code": 1, "status": 0, "money": "9.90"}, {"code": -1}])
def test_a_notice_the_provider_denies_is_asked_about_again_and_then_kept_as_an_incident(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str], said: dict[str, Any]
) -> None:
    order = shop.order(placed())
    platform.says(**said)
    assert comes_back(shop, deliver(shop, tries=1))
    assert deliver(shop, tries=3) == DONE
    assert shop.stored() == order
    assert [item["what"]["S"] for item in items("TimelineTable")] == ["denied"]
    assert metrics(capsys) == {"DeniedNotices": [1.0]}


def test_a_notice_that_ran_ahead_of_the_providers_books_is_believed_later(shop: Deployed, platform: Platform) -> None:
    shop.order(placed())
    said, platform.answer = platform.answer, b'{"code": -1}'
    assert comes_back(shop, deliver(shop))
    platform.answer = said
    assert deliver(shop, tries=2) == DONE
    assert shop.stored().status is Status.PAID


def test_too_little_is_recorded_and_counted_for_an_alarm(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.order(placed())
    platform.says(code=1, status=1, money="9.89")
    assert deliver(shop) == DONE
    assert (shop.stored().status, shop.stored().payments[0].state) == (Status.PENDING_PAYMENT, PaymentState.SHORT)
    assert metrics(capsys) == {"IrregularNotices": [1.0]}


def test_a_notice_younger_than_its_order_comes_back(shop: Deployed, platform: Platform) -> None:
    assert comes_back(shop, deliver(shop))
    shop.order(placed())
    assert deliver(shop, tries=2) == DONE
    assert shop.stored().status is Status.PAID


@pytest.mark.parametrize("status", [500, 302])
def test_a_provider_that_does_not_answer_is_asked_again_later(
    shop: Deployed, platform: Platform, logs: Logs, status: int
) -> None:
    order = shop.order(placed())
    platform.status = status
    assert comes_back(shop, deliver(shop))
    assert shop.stored() == order
    assert MERCHANT_KEY not in logs.text  # it is in the URL that was asked


def test_a_message_that_is_none_stays_and_the_others_are_done(shop: Deployed, platform: Platform) -> None:
    shop.order(placed())
    (record,) = records("confirm_payment/paid")
    junk: Event = {**record, "messageId": "junk", "body": "not a notice", "messageAttributes": {}}
    answer = shop.invoke("confirm_payment", {"Records": [junk, record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "junk"}]}
    assert shop.stored().status is Status.PAID
