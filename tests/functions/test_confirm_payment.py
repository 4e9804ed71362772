"""Notices queue → order: what is done leaves the queue, what cannot be done yet comes back, what never will is kept."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, executions, items, messages
from tests.adapters.payments.platform import Platform
from tests.domain.builders import BUYER, NOW, PRICE, SKU, TRADE_ID, delivered, placed
from tests.functions.deployed import MERCHANT_KEY, Deployed, Logs, metrics
from tests.functions.samples import Event, records

DONE: dict[str, Any] = {"batchItemFailures": []}


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


def closed(order: Order) -> Order:
    return order.closed(NOW)


def test_late_money_buys_a_card_that_is_left(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.stock("CODE-1", "CODE-2")
    shop.order(placed(), closed)
    assert deliver(shop) == DONE
    order = shop.stored()
    assert (order.status, order.version, order.payments[0].state) == (Status.PAID, 3, PaymentState.ACCEPTED)
    assert len(order.cards) == 1
    assert order.cards[0].card_id not in {item["card_id"]["S"] for item in items("StockTable")}
    assert executions(shop.machine) == [TRADE_ID]
    assert metrics(capsys) == {}


def test_late_money_without_stock_waits_for_some_and_somebody_is_told(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.order(placed(), closed)
    assert [deliver(shop), deliver(shop)] == [DONE, DONE]
    order = shop.stored()
    assert (order.status, order.version, order.lacking) == (Status.AWAITING_STOCK, 3, SKU)
    assert order.payments[0].state is PaymentState.ACCEPTED
    assert executions(shop.machine) == [TRADE_ID]
    assert metrics(capsys) == {"OrdersAwaitingStock": [1.0]}


def test_money_for_a_cancelled_order_closes_it_first_and_is_then_late(shop: Deployed, platform: Platform) -> None:
    """The card that it names goes back, and it may be that very card that is bought."""
    shop.order(placed(), lambda order: order.failed(NOW, BUYER))
    assert deliver(shop) == DONE
    order = shop.stored()
    assert (order.status, order.version) == (Status.AWAITING_STOCK, 4), "its card's pool is not on sale"
    assert len(items("StockTable")) == 1


def test_a_second_payment_of_an_order_is_recorded_and_counted_for_an_alarm(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given an order that was paid through another channel, the money is on record and changes nothing else."""
    shop.order(
        placed(),
        lambda order: order.reopened("epay-wx", BUYER, NOW),
        lambda order: order.settled(f"{TRADE_ID}02", PRICE, None, NOW),
        delivered,
    )
    assert deliver(shop) == DONE
    order = shop.stored()
    assert [each.state for each in order.payments] == [PaymentState.DUPLICATE, PaymentState.ACCEPTED]
    assert (order.status, order.version) == (Status.DELIVERED, 5)
    assert metrics(capsys) == {"IrregularNotices": [1.0]}


def test_too_much_money_buys_the_card_and_is_recorded(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.says(code=1, status=1, money="19.90")
    shop.order(placed())
    assert deliver(shop) == DONE
    order = shop.stored()
    assert (order.status, order.payments[0].state) == (Status.PAID, PaymentState.SURPLUS)
    assert order.payments[0].paid == Money(1990, "CNY")
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


@pytest.mark.parametrize(("tries", "counted"), [(4, False), (5, True), (60, True)])
def test_a_notice_that_nothing_settles_is_counted_for_an_alarm_and_tried_all_the_same(
    shop: Deployed, platform: Platform, capsys: pytest.CaptureFixture[str], tries: int, counted: bool
) -> None:
    shop.order(placed())
    platform.status = 500
    assert comes_back(shop, deliver(shop, tries=tries))
    assert ("UnsettledNotices" in metrics(capsys)) is counted


def test_a_message_that_is_none_stays_and_the_others_are_done(shop: Deployed, platform: Platform) -> None:
    shop.order(placed())
    (record,) = records("confirm_payment/paid")
    junk: Event = {**record, "messageId": "junk", "body": "not a notice", "messageAttributes": {}}
    answer = shop.invoke("confirm_payment", {"Records": [junk, record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "junk"}]}
    assert shop.stored().status is Status.PAID
