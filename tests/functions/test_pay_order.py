"""POST /orders/{trade_id}/payments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.clock import clock
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status

from tests.adapters.cloud import forget_settings, items
from tests.domain.builders import BUYER, NOW, PAYMENT_ID, TRADE_ID, delivered, paid, placed
from tests.functions.deployed import PUBLIC_URLS, SHOP_URL, Deployed, Logs
from tests.functions.samples import sample, with_json

PAY = sample("pay_order/another_channel")
SECOND = f"{TRADE_ID}02"


def payable(order: Order | None = None, seconds: int = 600) -> Order:
    """An unpaid order whose window is open for so long."""
    return replace(order or placed(), expires_at=clock() + 1000 * seconds)


def test_one_more_payment_is_opened_through_another_channel(shop: Deployed, logs: Logs) -> None:
    order = shop.order(payable())
    answer = shop.call("pay_order", shop.as_holder(PAY))
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    body = answer.json
    assert (body["trade_id"], body["status"]) == (TRADE_ID, "pending_payment")
    assert body["amount"] == {"minor": 990, "currency": "CNY"}
    assert body["expires_at"].endswith("Z")
    assert body["payment"].keys() == {"payment_id", "redirect_url"}
    assert body["payment"]["payment_id"] == SECOND
    assert "type=wxpay" in body["payment"]["redirect_url"]
    assert f"{SHOP_URL}/webhooks/epay-wx".replace(":", "%3A").replace("/", "%2F") in body["payment"]["redirect_url"]
    after = shop.stored()
    assert (after.status, after.version, after.last_change.what) == (Status.PENDING_PAYMENT, 2, "payment_opened")
    assert [each.channel for each in after.payments] == ["epay", "epay-wx"]
    assert after.payments[0] == order.payments[0], "and the first one can still be paid"
    actor = after.last_change.actor
    assert (actor.by, actor.terminal, actor.device, actor.address) == ("buyer", "mobile", "device-2", "203.0.113.7")
    assert any(line.get("payment_id") == SECOND for line in logs.lines)


def test_the_same_request_again_is_the_same_payment(shop: Deployed) -> None:
    shop.order(payable())
    first, again = (shop.call("pay_order", shop.as_holder(PAY)) for _ in range(2))
    assert (again.status, again.json) == (201, first.json)
    assert shop.stored().version == 2


def test_the_channel_of_a_payment_that_is_open_opens_no_other(shop: Deployed) -> None:
    order = shop.order(payable())
    answer = shop.call("pay_order", shop.as_holder(with_json(PAY, channel="epay")))
    assert (answer.status, answer.json["payment"]["payment_id"]) == (201, PAYMENT_ID)
    assert shop.stored() == order


def test_what_a_short_payment_left_is_asked_for_and_no_more(shop: Deployed) -> None:
    shop.order(payable(), lambda order: order.settled(PAYMENT_ID, Money(400, "CNY"), "T1", NOW))
    answer = shop.call("pay_order", shop.as_holder(with_json(PAY, channel="epay")))
    assert (answer.status, answer.json["amount"]) == (201, {"minor": 590, "currency": "CNY"})
    assert "money=5.90" in answer.json["payment"]["redirect_url"]
    assert [each.state for each in shop.stored().payments] == [PaymentState.SHORT, PaymentState.OPEN]


NOT_PAYABLE: dict[str, list[Callable[[Order], Order]]] = {
    "paid": [paid],
    "cancelled": [lambda order: order.failed(NOW, BUYER)],
    "closed": [lambda order: order.closed(NOW)],
    "delivered": [paid, delivered],
}


@pytest.mark.parametrize("status", list(NOT_PAYABLE))
def test_what_cannot_be_paid_any_more_gets_no_payment(shop: Deployed, status: str) -> None:
    order = shop.order(payable(), *NOT_PAYABLE[status])
    assert shop.call("pay_order", shop.as_holder(PAY)).is_problem(409, "not_payable")
    assert shop.stored() == order


def test_an_order_whose_window_is_over_gets_no_payment_though_nobody_has_closed_it_yet(shop: Deployed) -> None:
    order = shop.order(payable(seconds=-1))
    assert shop.call("pay_order", shop.as_holder(PAY)).is_problem(409, "not_payable")
    assert shop.stored() == order


def test_an_order_has_ten_payments_at_most(shop: Deployed) -> None:
    def one_more(order: Order) -> Order:
        return order.reopened("epay-old", BUYER, NOW)

    order = shop.order(payable(), *[one_more] * 9)
    assert shop.call("pay_order", shop.as_holder(PAY)).is_problem(409, "too_many_payments")
    assert shop.stored() == order
    again = shop.call("pay_order", shop.as_holder(with_json(PAY, channel="epay")))
    assert again.json["payment"]["payment_id"] == PAYMENT_ID, "those that are open can be paid"


WRONG: list[dict[str, Any]] = [
    *[{"channel": channel} for channel in (None, "", 5, "x" * 65)],
    {"terminal": "fridge"},
    {"device_id": ""},
    {"amount": {"minor": 1, "currency": "CNY"}},
]


def test_a_request_of_another_shape_is_refused_and_nothing_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(payable())
    before = items("OrdersTable")
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = shop.call("pay_order", shop.as_holder(with_json(PAY, **wrong)))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert items("OrdersTable") == before


def test_a_channel_that_is_not_there_is_refused(shop: Deployed) -> None:
    order = shop.order(payable())
    for name in ("unknown", "no such/channel"):
        answer = shop.call("pay_order", shop.as_holder(with_json(PAY, channel=name)))
        assert answer.is_problem(422, "unknown_channel")
    assert shop.stored() == order


def test_a_channel_that_does_not_take_the_currency_is_refused(shop: Deployed) -> None:
    order = placed()
    dollars = replace(order, amount=Money(990, "USD"), payments=(replace(order.payments[0], amount=Money(990, "USD")),))
    before = shop.order(payable(dollars))
    answer = shop.call("pay_order", shop.as_holder(PAY))
    assert answer.is_problem(422, "channel_cannot_take")
    assert "USD" in answer.json["detail"]
    assert shop.stored() == before


def test_a_payment_that_could_not_be_opened_is_opened_by_asking_again(shop: Deployed) -> None:
    """It is noted on the order: a provider that did get the first request sees the same number again."""
    shop.order(payable())
    client("ssm").delete_parameter(Name="/cardshop/public-urls")
    assert shop.call("pay_order", shop.as_holder(PAY)).is_problem(503, "unavailable")
    assert [each.payment_id for each in shop.stored().payments] == [PAYMENT_ID, SECOND]
    client("ssm").put_parameter(Name="/cardshop/public-urls", Value=PUBLIC_URLS, Type="String")
    forget_settings()
    answer = shop.call("pay_order", shop.as_holder(PAY))
    assert (answer.status, answer.json["payment"]["payment_id"]) == (201, SECOND)
    assert shop.stored().version == 2
