"""When a trade is looked at again: while anything may still happen, always later than now, and seldom."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain import looks
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState, RefundState, payment_id
from cardshop.domain.trade import Status
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import (
    AFTER_SALE_MS,
    BUYER,
    FIRST_LOOK_MS,
    NOW,
    OPERATOR,
    PAYMENT_ID,
    PRICE,
    TRADE_ID,
    WINDOW_MS,
    delivered,
    in_status,
    paid,
    placed,
    refund_told,
    refunding,
)

HOUR = 3_600_000
OVER = {Status.COMPLETED, Status.REFUNDED}


def looked_at(order: Order, first: int | None, until: int) -> list[int]:
    """When the order is looked at, if nothing happens to it."""
    times: list[int] = []
    while first is not None and first <= until:
        assert first not in times
        times.append(first)
        first = looks.after_look(order, first)
    return times


@given(st.sampled_from(sorted(set(Status) - OVER - {Status.CLOSED})), st.integers(-HOUR, 1000 * HOUR))
def test_a_trade_that_is_not_over_is_always_looked_at_again(status: Status, later: int) -> None:
    following = looks.after_look(in_status(status), NOW + later)
    assert following is not None
    assert following > NOW + later


@given(st.sampled_from(sorted(OVER)), st.integers(0, 1000 * HOUR))
def test_a_trade_that_is_over_is_never_looked_at_again(status: Status, later: int) -> None:
    assert looks.after_look(in_status(status), NOW + later) is None


def test_an_unpaid_order_is_looked_at_less_and_less_often_and_once_its_window_is_over() -> None:
    order = placed()
    end = NOW + WINDOW_MS + looks.GRACE
    minutes = [(each - NOW) / 60_000 for each in looked_at(order, order.due_at, end)]
    assert minutes == [1, 4, 16, 30.5]


@given(st.integers(1000, 24 * HOUR), st.integers(1000, 24 * HOUR))
def test_looks_at_an_unpaid_order_are_few_however_long_its_window(window: int, first: int) -> None:
    order = replace(placed(), expires_at=NOW + window)
    end = order.expires_at + looks.GRACE
    times = looked_at(order, min(NOW + first, end), end)
    assert times[-1] == end
    assert len(times) <= 10


def test_an_unpaid_order_past_its_window_is_looked_at_until_somebody_closes_it() -> None:
    late = NOW + WINDOW_MS + looks.GRACE
    assert looks.after_look(placed(), late) == late + looks.SOON


def test_a_delivered_order_is_looked_at_when_its_after_sale_window_ends() -> None:
    order = delivered(at=NOW)
    assert looks.after_look(order, NOW + FIRST_LOOK_MS) == NOW + AFTER_SALE_MS
    assert looks.after_look(order, NOW + AFTER_SALE_MS) == NOW + AFTER_SALE_MS + looks.SOON
    assert looks.after_look(replace(order, after_sale_until=None), NOW) == NOW + looks.SOON


def test_a_closed_order_is_looked_at_after_an_hour_and_after_a_day_for_money_that_comes_late() -> None:
    order = placed().closed(NOW)
    assert looked_at(order, order.due_at, NOW + 1000 * HOUR) == [NOW + HOUR, NOW + 24 * HOUR]


def test_a_refunded_order_is_looked_at_as_a_closed_one_while_another_payment_may_have_been_paid() -> None:
    """Given two open payments of which one was paid and sent back, the other's notice may be lost."""
    order = refund_told(refunding(paid(placed().reopened("other", BUYER, NOW))), RefundState.DONE).gone(NOW)
    assert looked_at(order, order.due_at, NOW + 1000 * HOUR) == [NOW, NOW + HOUR, NOW + 24 * HOUR]


# ---- money on its way ----

SHORT = Money(500, "CNY")


def _with_duplicate(order: Order) -> Order:
    second = payment_id(TRADE_ID, 2)
    return order.reopened("other", BUYER, NOW).settled(second, PRICE, None, NOW)


OWED = {
    "a duplicate": _with_duplicate(paid(placed())),
    "a duplicate of a completed order": _with_duplicate(delivered().completed(NOW)),
    "short money of a closed order": placed().settled(PAYMENT_ID, SHORT, None, NOW).closed(NOW),
    "a refund under way": refunding(paid(placed())),
    "a refund in part, under way, of a completed order": refunding(delivered().completed(NOW), 100),
    "money reinstated to a refunded order": paid(placed())
    .charged_back(PAYMENT_ID, NOW)
    .gone(NOW)
    .reinstated(PAYMENT_ID, NOW),
}


@pytest.mark.parametrize("what", list(OWED))
@given(later=st.integers(0, 1000 * HOUR))
def test_money_that_is_to_go_back_is_looked_at_soon_however_late_it_is(what: str, later: int) -> None:
    assert looks.after_look(OWED[what], NOW + later) == NOW + later + looks.SOON


@pytest.mark.parametrize(
    "order",
    [delivered(paid(placed())).completed(NOW), refund_told(refunding(paid(placed())), RefundState.REFUSED)],
    ids=["surplus", "by hand"],
)
def test_an_operators_task_is_counted_every_day_until_it_is_done(order: Order) -> None:
    if order.status is Status.COMPLETED:
        order = replace(order, payments=(replace(order.payments[0], state=PaymentState.SURPLUS),))
    assert order.tasks
    completed = replace(order, status=Status.COMPLETED)
    assert looks.after_look(completed, NOW + 90 * 24 * HOUR) == NOW + 91 * 24 * HOUR
    assert looks.after_look(replace(order, status=Status.PAID), NOW) == NOW + looks.SOON, "as if there were none"
    done = completed.kept(PAYMENT_ID, NOW, OPERATOR)
    assert looks.after_look(done, NOW) is None


@pytest.mark.parametrize("state", sorted(set(PaymentState) - {PaymentState.OPEN, PaymentState.FAILED, "surplus"}))
def test_a_closed_order_whose_payments_are_all_settled_needs_no_look(state: PaymentState) -> None:
    order = placed().closed(NOW)
    settled = replace(order, payments=(replace(order.payments[0], state=state),))
    assert looks.after_look(settled, NOW) is None


def test_a_delivered_order_whose_other_payment_is_open_is_looked_at_before_a_week_is_over() -> None:
    """Its notice may be refused for ever (a clock that is wrong), and the money of a duplicate is to go back."""
    order = delivered(paid(placed().reopened("epay", BUYER, NOW)), at=NOW)
    assert order.due_at == NOW + looks.SOON
    assert looked_at(order, order.due_at, NOW + 1000 * HOUR)[:3] == [NOW + looks.SOON, NOW + HOUR, NOW + 24 * HOUR]
