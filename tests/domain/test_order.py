"""An order, whatever happens to it: versions rise by one, its last change tells its state, money is judged right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order, trade_id
from cardshop.domain.payment import UNSETTLED, Payment, PaymentState, payment_id
from cardshop.domain.trade import ForbiddenTransition, Status
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, WINDOW_MS, actors, in_status, moments, orders, paid, placed
from tests.domain.test_trade import ALLOWED

#: The methods that lead to a state of their own.
MOVES: dict[Status, Callable[[Order, int], Order]] = {
    Status.DELIVERED: lambda order, at: order.delivered(at),
    Status.COMPLETED: lambda order, at: order.completed(at),
    Status.CLOSED: lambda order, at: order.closed(at),
}


def with_second_payment(order: Order) -> Order:
    """The buyer tried again, through another channel."""
    again = Payment(payment_id(order.trade_id, 2), "other", order.amount, PaymentState.OPEN)
    return replace(order, payments=(*order.payments, again))


steps = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(list(MOVES))),
    st.tuples(st.just("settle"), st.tuples(st.integers(0, 1), st.integers(-1, 1), st.booleans())),
    st.tuples(st.just("reveal"), actors),
)


@given(orders(), st.lists(st.tuples(steps, moments), max_size=12))
def test_every_step_is_one_version_or_is_refused(order: Order, path: list[tuple[tuple[str, object], int]]) -> None:
    """Given any order, when any steps are tried in any sequence, then the table decides and the version counts."""
    order = with_second_payment(order)
    for (step, what), at in path:
        after = _step(order, step, what, at)
        if after is order:
            continue
        assert after.version == order.version + 1 == after.last_change.version
        assert after.last_change.status == after.status
        assert after.last_change.at == at
        assert after.status == order.status or after.status in ALLOWED[order.status]
        assert (after.trade_id, after.lines, after.amount) == (order.trade_id, order.lines, order.amount)
        order = after


def _step(order: Order, step: str, what: object, at: int) -> Order:
    if step == "move":
        assert isinstance(what, Status)
        if what in ALLOWED[order.status]:
            after = MOVES[what](order, at)
            assert after.status == what == after.last_change.what
            return after
        with pytest.raises(ForbiddenTransition):
            MOVES[what](order, at)
        return order
    if step == "reveal":
        assert isinstance(what, Actor)
        after = order.revealed(at, what)
        assert (after.last_change.what, after.last_change.actor) == ("cards_revealed", what)
        return after
    assert isinstance(what, tuple)
    return _settle(order, *what, at=at)


def _settle(order: Order, number: int, difference: int, other_currency: bool, *, at: int) -> Order:
    """Settle one of the two payments, by too little, the very amount or too much; check the judgement."""
    payment = order.payments[number]
    paid = Money(payment.amount.minor + difference, "XTS" if other_currency else payment.amount.currency)
    after = order.settled(payment.payment_id, paid, "ref", at)
    if payment.state not in UNSETTLED:
        assert after is order
        return order
    if difference < 0 or other_currency:
        expected = PaymentState.SHORT
    elif order.status is Status.PENDING_PAYMENT:
        expected = PaymentState.ACCEPTED
    elif any(each.state is PaymentState.ACCEPTED for each in order.payments):
        expected = PaymentState.DUPLICATE
    else:
        expected = PaymentState.LATE
    judged = after.payments[number]
    assert judged == replace(payment, state=expected, paid=paid, provider_ref="ref")
    assert after.payments[1 - number] == order.payments[1 - number]
    assert after.status is (Status.PAID if expected is PaymentState.ACCEPTED else order.status)
    assert after.last_change.actor.by == "provider"
    return after


def test_a_placed_order_waits_for_its_payment_until_its_window_ends() -> None:
    order = placed(2)
    assert (order.status, order.version, order.terminal) == (Status.PENDING_PAYMENT, 1, "pc")
    assert order.expires_at - order.created_at == WINDOW_MS
    assert order.amount == order.payments[0].amount == Money(1980, "CNY")
    assert order.last_change.actor == BUYER


@given(orders(), st.integers(0, 10**6))
def test_the_same_confirmation_twice_is_one_change(order: Order, surplus: int) -> None:
    payment = order.payments[0]
    received = Money(payment.amount.minor + surplus, payment.amount.currency)
    first = order.settled(payment.payment_id, received, "ref", NOW)
    assert first.status is Status.PAID
    assert first.settled(payment.payment_id, received, "ref", NOW + 1) is first
    assert first.payments[0].paid == received  # a surplus stays visible


def test_a_confirmation_for_an_unknown_payment_changes_nothing() -> None:
    order = placed()
    assert order.settled(payment_id(order.trade_id, 9), order.amount, "ref", NOW) is order


def test_a_payment_that_failed_may_still_be_settled() -> None:
    order = placed()
    failed = replace(order, payments=(replace(order.payments[0], state=PaymentState.FAILED),))
    assert failed.settled(PAYMENT_ID, order.amount, "ref", NOW).status is Status.PAID


@pytest.mark.parametrize("target", list(MOVES))
@pytest.mark.parametrize("status", list(Status))
def test_a_move_is_made_from_the_states_the_table_names_and_no_other(status: Status, target: Status) -> None:
    if target in ALLOWED[status]:
        assert MOVES[target](in_status(status), NOW).status is target
    else:
        with pytest.raises(ForbiddenTransition):
            MOVES[target](in_status(status), NOW)


def test_a_closed_order_names_no_card_and_a_paid_or_delivered_one_keeps_its_own() -> None:
    order = placed(3)
    assert order.closed(NOW).cards == ()
    assert paid(order).delivered(NOW).cards == order.cards


def test_a_delivered_order_has_no_token_to_wake() -> None:
    waiting = replace(placed(), task_token="token")
    assert paid(waiting).task_token == "token"  # a redelivered notice still needs it
    assert paid(waiting).delivered(NOW).task_token is None


keys = st.text(max_size=64) | st.text("ab", max_size=3)


@given(st.binary(min_size=16, max_size=64), keys, keys)
def test_a_key_always_finds_the_same_trade_id_and_another_key_another(secret: bytes, one: str, other: str) -> None:
    found = trade_id(secret, one)
    assert re.fullmatch(r"[a-z2-7]{26}", found)
    assert (found == trade_id(secret, other)) == (one == other)
    assert found != trade_id(secret + b"x", one)
