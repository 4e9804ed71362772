"""POST /admin/orders/{trade_id}/refunds and …/payments/{payment_id}/keep."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState, RefundState
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, forget_settings, items
from tests.adapters.payments.platform import Platform
from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import Answer, Deployed, Logs
from tests.functions.samples import Event, sample, with_header, with_json, with_trade

SEND, SENT, KEEP = (
    sample("refund_payment/through_provider"),
    sample("refund_payment/sent_by_hand"),
    sample("refund_payment/keep"),
)
SECOND = f"{TRADE_ID}02"
CNY = {"minor": 990, "currency": "CNY"}


def ask(shop: Deployed, event: Event, **fields: Any) -> Answer:
    return shop.call("refund_payment", shop.as_operator(with_json(event, **fields)))


def of_payment(event: Event, payment: str) -> Event:
    """The same call for another payment of the trade."""
    parameters = {"trade_id": TRADE_ID, "payment_id": payment}
    return {**event, "path": event["resource"].format(**parameters), "pathParameters": parameters}


def twice(order: Order) -> Order:
    """Paid through another payment too."""
    return order.reopened("epay", BUYER, NOW).settled(SECOND, PRICE, "T2", NOW)


def told(*statuses: int) -> list[bytes]:
    """The provider's answers, each with the payment's status there: 1 paid, 2 refunded."""
    return [json.dumps({"code": 1, "status": status, "money": "9.90"}).encode() for status in statuses]


@pytest.fixture
def able(shop: Deployed, platform: Platform) -> Platform:
    """A platform that sends back: it says so once it was asked to."""
    shop.channel("epay", url=platform.url, type="alipay", refunds="whole")
    forget_settings()
    platform.answers = told(1, 1, 2)  # paid; taken; refunded
    platform.answer = told(2)[0]
    return platform


# ---- send ----


def test_what_was_paid_goes_back_through_the_provider(
    shop: Deployed, able: Platform, waiting: Waiting, logs: Logs
) -> None:
    shop.order(placed(), paid, delivered)
    shop.wait_with("token")
    waiting.add("token")
    answer = ask(shop, SEND)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json["refund"] == {
        "refund_id": f"{PAYMENT_ID}r01",
        "state": "done",
        "amount": CNY,
        "by": "operator",
    }
    order = answer.json["order"]
    assert (order["status"], order["payments"][0]["state"]) == ("refunded", "refunded")
    assert order["payments"][0]["refunds"] == [answer.json["refund"]]
    assert (shop.stored().status, shop.stored().cards) == (Status.REFUNDED, ())
    assert len(items("StockTable")) == 1, "nobody has read its code: it is for sale again"
    assert waiting == set(), "its execution ends"
    assert len(able.posted) == 1
    assert b"money=9.90" in able.posted[0]
    assert any(line.get("refund_id") == f"{PAYMENT_ID}r01" and line["operator"] == "alice" for line in logs.lines)
    (noted,) = DynamoTimeline().incidents(TRADE_ID)
    assert (noted.kind, noted.payment_id) == ("refund_asked", PAYMENT_ID)
    assert noted.detail.startswith("alice, 买家要求退款")


def test_the_same_request_again_sends_nothing_again(shop: Deployed, able: Platform) -> None:
    shop.order(placed(), paid, delivered)
    first, again = ask(shop, SEND), ask(shop, SEND)
    assert (again.status, again.json) == (200, first.json)
    assert len(able.posted) == 1
    assert len(DynamoTimeline().incidents(TRADE_ID)) == 1


def test_a_provider_that_does_not_answer_is_asked_again_by_the_same_request(shop: Deployed, able: Platform) -> None:
    shop.order(placed(), paid, delivered)
    able.answers, able.answer = [], None
    answer = ask(shop, SEND)
    assert (answer.status, answer.json["refund"]["state"]) == (200, "requested")
    assert shop.stored().status is Status.REFUNDING
    able.answers, able.answer = told(1, 1, 2), told(2)[0]
    assert ask(shop, SEND).json["refund"]["state"] == "done"
    assert shop.stored().status is Status.REFUNDED


def test_what_the_channel_cannot_send_waits_for_hands_and_is_told_with_its_number(shop: Deployed) -> None:
    shop.order(placed(), paid, delivered)
    answer = ask(shop, SEND, amount={"minor": 300, "currency": "CNY"})
    assert (answer.status, answer.json["refund"]["state"]) == (200, "by_hand")
    assert answer.json["order"]["status"] == "delivered"
    answer = ask(shop, SENT)
    assert (answer.status, answer.json["refund"]["refund_id"]) == (200, f"{PAYMENT_ID}r01")
    assert answer.json["refund"] | {"state": ""} == {
        "refund_id": f"{PAYMENT_ID}r01",
        "state": "",
        "amount": {"minor": 300, "currency": "CNY"},
        "by": "operator",
    }
    assert answer.json["refund"]["state"] == "done"
    assert ask(shop, SENT).json == answer.json
    assert shop.stored().payments[0].left == 690
    assert {each.kind for each in DynamoTimeline().incidents(TRADE_ID)} == {"refund_asked", "refunded_by_hand"}


def test_a_refund_sent_by_hand_needs_no_key(shop: Deployed) -> None:
    """The provider's number is one."""
    shop.order(placed(), paid, delivered)
    assert ask(shop, with_header(SENT, "Idempotency-Key", None)).status == 200
    assert (shop.stored().status, shop.stored().payments[0].refunds[0].provider_ref) == (Status.REFUNDED, "R1")


def test_a_payment_may_be_named(shop: Deployed) -> None:
    shop.order(placed(), paid, delivered, twice)
    answer = ask(shop, SENT, payment_id=SECOND)
    assert answer.json["refund"]["refund_id"] == f"{SECOND}r01"
    assert (answer.json["order"]["status"], shop.stored().payments[1].state) == ("delivered", PaymentState.REFUNDED)


@pytest.mark.parametrize("key", [None, "", "short", "x" * 65, "a key with spaces", "a-key-with-\u00e9"])
def test_a_refund_through_the_provider_needs_a_key(shop: Deployed, key: str | None) -> None:
    """Without one, a request that was sent twice could not be told from two."""
    order = shop.order(placed(), paid, delivered)
    event = shop.as_operator(with_header(SEND, "Idempotency-Key", key))
    assert shop.call("refund_payment", event).is_problem(400, "invalid_idempotency_key")
    assert shop.stored() == order
    assert DynamoTimeline().incidents(TRADE_ID) == []


@pytest.mark.parametrize("event", [SEND, SENT], ids=["send", "sent"])
@pytest.mark.parametrize(
    "fields",
    [
        {"amount": {"minor": 991, "currency": "CNY"}},
        {"amount": {"minor": 990, "currency": "USD"}},
        {"payment_id": SECOND},
    ],
    ids=["more than there is", "another currency", "nothing came"],
)
def test_what_is_not_there_is_not_refundable(shop: Deployed, event: Event, fields: dict[str, Any]) -> None:
    order = shop.order(placed(), paid, delivered, lambda order: order.reopened("epay", BUYER, NOW))
    assert ask(shop, event, **fields).is_problem(409, "not_refundable")
    assert shop.stored() == order


def test_an_order_that_nobody_has_paid_for_has_nothing_to_send_back(shop: Deployed) -> None:
    order = shop.order(placed())
    assert ask(shop, SEND).is_problem(409, "not_refundable")
    assert shop.stored() == order


# ---- keep ----


def test_a_surplus_is_kept(shop: Deployed, logs: Logs) -> None:
    shop.order(placed(), lambda order: order.settled(PAYMENT_ID, Money(1000, "CNY"), "T1", NOW), delivered)
    answer = ask(shop, KEEP)
    assert (answer.status, answer.json["status"]) == (200, "delivered")
    assert (shop.stored().tasks, shop.stored().payments[0].kept) == ([], True)
    (noted,) = DynamoTimeline().incidents(TRADE_ID)
    assert (noted.kind, noted.detail[:5]) == ("payment_kept", "alice")
    version = shop.stored().version
    assert ask(shop, KEEP).status == 200
    assert shop.stored().version == version
    assert any(line["message"] == "payment kept" and line["operator"] == "alice" for line in logs.lines)


def test_what_waits_for_hands_is_kept_after_all(shop: Deployed) -> None:
    shop.order(placed(), paid, delivered, twice)
    ask(shop, SEND, payment_id=SECOND)
    assert [each.payment_id for each in shop.stored().tasks] == [SECOND]
    shop.call("refund_payment", shop.as_operator(of_payment(KEEP, SECOND)))
    assert (shop.stored().tasks, shop.stored().owed) == ([], [])
    assert shop.stored().payments[1].refunds[0].state is RefundState.REFUSED


def test_what_never_came_is_not_kept(shop: Deployed) -> None:
    order = shop.order(placed())
    assert ask(shop, KEEP).is_problem(409, "not_refundable")
    assert shop.stored() == order


# ---- refused ----


@pytest.mark.parametrize("event", [SEND, SENT, KEEP], ids=["send", "sent", "keep"])
def test_what_is_not_there_is_not_found(shop: Deployed, event: Event, subtests: pytest.Subtests) -> None:
    shop.order(placed(), paid)
    before = items("TimelineTable")
    lost = [with_trade(event, trade_id) for trade_id in ("a" * 26, "1", "x" * 3000)] if event is not KEEP else []
    lost += [of_payment(event, f"{TRADE_ID}09"), of_payment(event, "x")] if event is KEEP else []
    lost += [with_json(event, payment_id=f"{TRADE_ID}09")] if event is not KEEP else []
    for each in lost:
        with subtests.test(path=each["path"][:80]):
            assert shop.call("refund_payment", shop.as_operator(each)).is_problem(404, "not_found")
    assert items("TimelineTable") == before


WRONG: list[dict[str, Any]] = [
    *[{"note": note} for note in (None, "", "x" * 501, 5)],
    *[{"amount": amount} for amount in (990, {**CNY, "minor": 0}, {**CNY, "minor": -1}, {**CNY, "minor": 9.5}, {})],
    *[{"payment_id": payment} for payment in ("", "x" * 65, 5)],
    *[{"provider_ref": ref} for ref in ("", "x" * 129, "a b", "号", 5)],
    {"state": "done"},
]


def test_a_request_of_another_shape_is_refused_and_nothing_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(placed(), paid)
    before = items("OrdersTable"), items("TimelineTable")
    for wrong in WRONG:
        for event in (SEND, KEEP):
            with subtests.test(wrong=wrong, path=event["path"]):
                answer = ask(shop, event, **wrong)
                assert answer.is_problem(422, "unprocessable")
                assert answer.json["detail"].startswith(next(iter(wrong)))
    assert (items("OrdersTable"), items("TimelineTable")) == before


@pytest.mark.parametrize("event", [SEND, SENT, KEEP], ids=["send", "sent", "keep"])
def test_money_is_the_operators_alone(shop: Deployed, event: Event) -> None:
    order = shop.order(replace(placed(), email="buyer@example.com"), paid, delivered)
    for call in (event, with_header(event, "Authorization", None), shop.as_holder(event)):
        assert shop.call("refund_payment", call).is_problem(401, "unauthorized")
    assert shop.stored() == order
