"""An order, whatever happens to it: versions rise by one, its last change tells its state, money is judged right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cardshop.domain import looks
from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Line, Order, trade_id
from cardshop.domain.payment import FUNDING, UNSETTLED, Payment, PaymentState, payment_id
from cardshop.domain.trade import HOLDS_CARDS, SETTLED_OR_MOVING, ForbiddenTransition, Status
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.builders import (
    AFTER_SALE_MS,
    BUYER,
    NOW,
    PAYMENT_ID,
    PRICE,
    SKU,
    TRADE_ID,
    WINDOW_MS,
    actors,
    cards,
    delivered,
    in_status,
    moments,
    orders,
    paid,
    placed,
)
from tests.domain.test_trade import ALLOWED

SECOND_ID = payment_id(TRADE_ID, 2)

#: The methods that lead to a state of their own.
MOVES: dict[Status, Callable[[Order, int], Order]] = {
    Status.PAYMENT_FAILED: lambda order, at: order.failed(at, BUYER),
    Status.AWAITING_STOCK: lambda order, at: order.short_of_cards(at, SKU),
    Status.DELIVERED: lambda order, at: order.delivered(at, AFTER_SALE_MS),
    Status.COMPLETED: lambda order, at: order.completed(at),
    Status.CLOSED: lambda order, at: order.closed(at),
}


def reopened(order: Order) -> Order:
    """The buyer tried again, through another channel."""
    return order.reopened("other", BUYER, NOW)


def settled(
    order: Order,
    paid: int,
    *,
    by: int = 1,
    currency: str = "CNY",
    cards: tuple[Card, ...] | None = None,
    lacking: str | None = None,
) -> Order:
    """After `paid` minor units for its first or another payment."""
    number = payment_id(order.trade_id, by)
    return order.settled(number, Money(paid, currency), "ref", NOW, cards=cards, lacking=lacking)


# ---- any sequence ----


@dataclass(frozen=True)
class Settle:
    """Money for one of the payments: so much more than asked, and what was found for it should it be late."""

    payment: int
    surplus: int
    currency: str | None
    late: str  # cards | lacking | nothing


numbers, found = st.integers(0, 2), st.sampled_from(["cards", "lacking", "nothing"])
#: Whatever may happen, money in many ways.
steps = st.one_of(
    st.builds(Settle, numbers, st.just(0), st.none(), found),
    st.builds(Settle, numbers, st.sampled_from([-1, -2]), st.none(), found),
    st.builds(Settle, numbers, st.just(1), st.none(), found),
    st.builds(Settle, numbers, st.just(0), st.just("XTS"), found),
    st.just("reopen"),
    st.sampled_from(list(MOVES)),
    actors,
)


@given(st.builds(placed, st.integers(1, 3)), st.lists(st.tuples(steps, moments), max_size=10))
@settings(max_examples=300)
@example(placed(), [(Status.CLOSED, NOW), (Settle(0, 0, None, "lacking"), NOW), (Status.DELIVERED, NOW)])
def test_any_steps_in_any_sequence_keep_the_order_sound(
    order: Order, path: list[tuple[Status | Settle | str | Actor, int]]
) -> None:
    """Given any order, when any steps are tried, then the table decides, versions count, and money is never dropped."""
    order = reopened(order)
    for step, at in path:
        after = _step(order, step, at)
        if after is order:
            continue
        assert after.version == order.version + 1 == after.last_change.version
        assert after.last_change.status == after.status
        assert after.last_change.at == at
        assert after.status == order.status or after.status in ALLOWED[order.status]
        assert (after.trade_id, after.lines, after.amount) == (order.trade_id, order.lines, order.amount)
        _money_is_kept(order, after)
        assert (after.lacking is not None) == (after.status is Status.AWAITING_STOCK)
        assert after.cards == () or after.status in HOLDS_CARDS
        assert after.due_at is None or after.status is not Status.COMPLETED
        order = after


def _money_is_kept(before: Order, after: Order) -> None:
    for payment in before.payments:
        then = after.payment(payment.payment_id)
        assert then is not None
        assert then == payment or payment.state in UNSETTLED
    for payment in after.payments:
        assert (payment.state is PaymentState.OPEN) == (payment.paid is None)
    assert sum(payment.state in FUNDING for payment in after.payments) <= 1
    assert after.funded == (after.status in SETTLED_OR_MOVING)


def _step(order: Order, step: Status | Settle | str | Actor, at: int) -> Order:
    if isinstance(step, Settle):
        return _settle(order, step, at)
    if isinstance(step, Actor):
        after = order.revealed(at, step)
        assert (after.last_change.what, after.last_change.actor) == ("cards_revealed", step)
        return after
    if step == "reopen":
        return order.reopened("other", BUYER, at) if len(order.payments) < 3 else order
    assert isinstance(step, Status)
    if step is Status.AWAITING_STOCK and not order.funded:
        return order  # allowed to a closed order by the table, for money that comes with it
    if step in ALLOWED[order.status]:
        after = MOVES[step](order, at)
        assert after.status == step == after.last_change.what
        return after
    with pytest.raises(ForbiddenTransition):
        MOVES[step](order, at)
    return order


def _settle(order: Order, money: Settle, at: int) -> Order:
    """Settle a payment, by too little, the very amount or too much; check the judgement."""
    payment = order.payments[money.payment % len(order.payments)]
    received = Money(max(0, payment.amount.minor + money.surplus), money.currency or payment.amount.currency)
    after = order.settled(
        payment.payment_id,
        received,
        "ref",
        at,
        cards=cards(1) if money.late == "cards" else None,
        lacking=SKU if money.late == "lacking" else None,
    )
    if payment.state not in UNSETTLED:
        assert after is order
        return order
    expected, status = _judgement(order, payment, received, money.late)
    judged = after.payment(payment.payment_id)
    assert judged == replace(payment, state=expected, paid=received, provider_ref="ref")
    assert [each for each in after.payments if each != judged] == [each for each in order.payments if each != payment]
    assert after.status is status
    assert after.last_change.what == (f"payment_{expected}" if status is order.status else status)
    assert after.last_change.actor.by == "provider"
    return after


def _judgement(order: Order, payment: Payment, received: Money, late: str) -> tuple[PaymentState, Status]:
    brought = [each.paid for each in order.payments if each.state is PaymentState.SHORT and each.paid]
    due = order.amount.minor - sum(each.minor for each in brought if each.currency == order.amount.currency)
    if any(each.state in FUNDING for each in order.payments):
        return PaymentState.DUPLICATE, order.status
    if received.currency != order.amount.currency or received.minor < due:
        return PaymentState.SHORT, order.status
    enough = PaymentState.SURPLUS if received.minor > due else PaymentState.ACCEPTED
    if order.status is Status.PENDING_PAYMENT:
        return enough, Status.PAID
    if order.status is Status.CLOSED and late != "nothing":
        return enough, Status.PAID if late == "cards" else Status.AWAITING_STOCK
    return PaymentState.LATE, order.status


# ---- placed, and what it asks for ----


def test_a_placed_order_waits_for_its_payment_until_its_window_ends() -> None:
    order = placed(2)
    assert (order.status, order.version, order.terminal) == (Status.PENDING_PAYMENT, 1, "pc")
    assert order.expires_at - order.created_at == WINDOW_MS
    assert order.amount == order.payments[0].amount == Money(1980, "CNY")
    assert order.last_change.actor == BUYER


def test_an_order_has_its_cards_if_it_names_as_many_of_each_product_as_were_ordered() -> None:
    order = replace(placed(2), lines=(Line(SKU, "", 2, PRICE), Line("other", "", 1, PRICE)))
    assert order.wanted == {SKU: 2, "other": 1}
    assert replace(order, cards=(*cards(2), *cards(1, sku="other"))).has_its_cards
    assert not order.has_its_cards
    assert not replace(order, cards=(*cards(1), *cards(2, sku="other"))).has_its_cards
    assert not replace(order, cards=()).has_its_cards


@pytest.mark.parametrize("status", sorted(set(Status) - HOLDS_CARDS))
def test_an_order_that_holds_no_cards_has_none_of_its_own(status: Status) -> None:
    assert not replace(placed(), status=status).has_its_cards


# ---- payments ----


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
    assert failed.unsettled == list(failed.payments)
    assert failed.settled(PAYMENT_ID, order.amount, "ref", NOW).status is Status.PAID


@pytest.mark.parametrize(
    ("received", "state", "status"),
    [(990, PaymentState.ACCEPTED, Status.PAID), (991, PaymentState.SURPLUS, Status.PAID)],
)
def test_enough_pays_for_the_order_and_more_is_on_record(received: int, state: PaymentState, status: Status) -> None:
    order = settled(placed(), received)
    assert (order.status, order.funded) == (status, True)
    assert (order.payments[0].state, order.payments[0].paid) == (state, Money(received, "CNY"))


def test_another_payment_is_of_what_is_due_and_no_change_of_state() -> None:
    order = placed().reopened("wechat", BUYER, NOW)
    assert order.payments[1] == Payment(SECOND_ID, "wechat", PRICE, PaymentState.OPEN)
    assert order.status is Status.PENDING_PAYMENT
    assert (order.last_change.what, order.last_change.actor) == ("payment_opened", BUYER)
    assert [payment.payment_id for payment in order.unsettled] == [PAYMENT_ID, SECOND_ID]


def test_a_short_payment_is_topped_up_by_another() -> None:
    """Given 9.89 of 9.90, when the missing 0.01 is paid too, then the order is paid."""
    short = settled(placed(), 989)
    assert (short.status, short.payments[0].state, short.amount_due) == (
        Status.PENDING_PAYMENT,
        PaymentState.SHORT,
        Money(1, "CNY"),
    )
    assert short.last_change.what == "payment_short"
    again = reopened(short)
    assert again.payments[1].amount == Money(1, "CNY")
    full = settled(again, 1, by=2)
    assert (full.status, full.payments[1].state) == (Status.PAID, PaymentState.ACCEPTED)


def test_several_short_payments_are_enough_together_and_no_sooner() -> None:
    order = reopened(reopened(placed()))
    order = settled(settled(order, 400), 589, by=2)
    assert (order.status, order.amount_due) == (Status.PENDING_PAYMENT, Money(1, "CNY"))
    order = settled(order, 1, by=3)
    assert (order.status, order.funded) == (Status.PAID, True)
    assert [payment.state for payment in order.payments] == ["short", "short", "accepted"]


def test_a_top_up_that_is_short_too_leaves_the_rest_due() -> None:
    order = settled(reopened(settled(placed(), 500)), 489, by=2)
    assert (order.status, order.payments[1].state, order.amount_due) == (
        Status.PENDING_PAYMENT,
        PaymentState.SHORT,
        Money(1, "CNY"),
    )


def test_a_top_up_of_more_than_was_asked_is_a_surplus() -> None:
    order = settled(reopened(settled(placed(), 500)), 491, by=2)
    assert (order.status, order.payments[1].state) == (Status.PAID, PaymentState.SURPLUS)


def test_money_in_another_currency_is_short_and_leaves_all_of_it_due() -> None:
    order = settled(placed(), 99_000, currency="JPY")
    assert (order.status, order.payments[0].state) == (Status.PENDING_PAYMENT, PaymentState.SHORT)
    assert order.payments[0].paid == Money(99_000, "JPY")
    assert order.amount_due == PRICE


@pytest.mark.parametrize("received", [1, 990, 5000])
def test_money_for_an_order_that_is_paid_for_is_a_duplicate_however_much(received: int) -> None:
    order = settled(paid(reopened(placed())), received, by=2)
    assert [payment.state for payment in order.payments] == [PaymentState.ACCEPTED, PaymentState.DUPLICATE]
    assert (order.status, order.last_change.what) == (Status.PAID, "payment_duplicate")


@pytest.mark.parametrize("received", [990, 991])
def test_a_second_payment_after_a_surplus_is_a_duplicate(received: int) -> None:
    order = settled(settled(reopened(placed()), 1000), received, by=2)
    assert [payment.state for payment in order.payments] == [PaymentState.SURPLUS, PaymentState.DUPLICATE]


def test_money_for_an_order_on_hold_is_accepted_and_stays_on_hold() -> None:
    order = settled(replace(placed(), status=Status.ON_HOLD), 990)
    assert (order.status, order.payments[0].state) == (Status.ON_HOLD, PaymentState.ACCEPTED)


# ---- late ----


def test_money_for_a_closed_order_takes_new_cards() -> None:
    new = cards(1, batch="another")
    order = settled(placed().closed(NOW), 990, cards=new)
    assert (order.status, order.cards, order.lacking) == (Status.PAID, new, None)
    assert (order.payments[0].state, order.has_its_cards) == (PaymentState.ACCEPTED, True)
    assert order.due_at == NOW + looks.SOON


def test_money_for_a_closed_order_waits_for_what_there_is_too_little_of() -> None:
    order = settled(placed().closed(NOW), 991, lacking=SKU)
    assert (order.status, order.cards, order.lacking) == (Status.AWAITING_STOCK, (), SKU)
    assert (order.payments[0].state, order.funded) == (PaymentState.SURPLUS, True)
    assert order.due_at == NOW + looks.SOON


@pytest.mark.parametrize("order", [placed().closed(NOW), placed().failed(NOW, BUYER)])
def test_money_that_nothing_was_claimed_for_is_late(order: Order) -> None:
    after = settled(order, 990)
    assert (after.status, after.payments[0].state) == (order.status, PaymentState.LATE)
    assert not after.funded


def test_too_little_for_a_closed_order_takes_no_cards() -> None:
    order = settled(placed().closed(NOW), 989, cards=cards(1))
    assert (order.status, order.cards, order.payments[0].state) == (Status.CLOSED, (), PaymentState.SHORT)


def test_only_a_closed_order_takes_the_cards_found_for_late_money() -> None:
    order = placed()
    assert settled(order, 990, cards=cards(1, batch="another")).cards == order.cards
    failed = settled(order.failed(NOW, BUYER), 990, lacking=SKU)
    assert (failed.status, failed.payments[0].state) == (Status.PAYMENT_FAILED, PaymentState.LATE)


# ---- from state to state ----


@pytest.mark.parametrize("target", list(MOVES))
@pytest.mark.parametrize("status", list(Status))
def test_a_move_is_made_from_the_states_the_table_names_and_no_other(status: Status, target: Status) -> None:
    if target in ALLOWED[status]:
        assert MOVES[target](in_status(status), NOW).status is target
    else:
        with pytest.raises(ForbiddenTransition):
            MOVES[target](in_status(status), NOW)


def test_a_cancelled_order_keeps_its_cards_until_it_is_closed() -> None:
    order = placed(2)
    failed = order.failed(NOW, BUYER)
    assert (failed.cards, failed.last_change.actor, failed.has_its_cards) == (order.cards, BUYER, True)
    assert failed.closed(NOW).cards == ()


def test_a_closed_order_names_no_card_and_a_paid_or_delivered_one_keeps_its_own() -> None:
    order = placed(3)
    assert order.closed(NOW).cards == ()
    assert delivered(paid(order)).cards == order.cards


def test_an_order_that_awaited_stock_is_delivered_with_the_cards_that_came() -> None:
    waiting = paid(placed(2)).short_of_cards(NOW, SKU)
    assert (waiting.status, waiting.cards, waiting.lacking) == (Status.AWAITING_STOCK, (), SKU)
    assert waiting.due_at == NOW  # others may be for sale
    came = cards(2, batch="another")
    filled = waiting.delivered(NOW, AFTER_SALE_MS, cards=came)
    assert (filled.status, filled.cards, filled.lacking) == (Status.DELIVERED, came, None)


def test_a_delivered_order_is_due_when_its_after_sale_window_ends_and_a_completed_one_never() -> None:
    order = delivered(at=NOW)
    assert order.due_at == NOW + AFTER_SALE_MS
    completed = order.completed(NOW, BUYER)
    assert (completed.due_at, completed.last_change.actor) == (None, BUYER)
    assert order.completed(NOW).last_change.actor.by == "shop"


def test_a_closed_order_is_looked_at_again_only_if_money_may_still_come() -> None:
    assert placed().closed(NOW).due_at == looks.after_closing(NOW)
    assert settled(placed(), 989).closed(NOW).due_at is None


keys = st.text(max_size=64) | st.text("ab", max_size=3)


@given(st.binary(min_size=16, max_size=64), keys, keys)
def test_a_key_always_finds_the_same_trade_id_and_another_key_another(secret: bytes, one: str, other: str) -> None:
    found = trade_id(secret, one)
    assert re.fullmatch(r"[a-z2-7]{26}", found)
    assert (found == trade_id(secret, other)) == (one == other)
    assert found != trade_id(secret + b"x", one)


def test_a_full_payment_after_a_short_one_is_too_much() -> None:
    order = placed().reopened("other", BUYER, NOW)
    order = order.settled(payment_id(TRADE_ID, 2), Money(500, "CNY"), "ref-2", NOW)
    order = order.settled(payment_id(TRADE_ID, 1), Money(990, "CNY"), "ref-1", NOW)
    assert [payment.state for payment in order.payments] == [PaymentState.SURPLUS, PaymentState.SHORT]
    assert order.status is Status.PAID


def test_a_completed_order_is_looked_at_again_while_another_payment_may_have_been_paid() -> None:
    order = delivered(paid(placed().reopened("other", BUYER, NOW)))
    assert order.completed(NOW).due_at == NOW + 3_600_000
    assert delivered(paid(placed())).completed(NOW).due_at is None
