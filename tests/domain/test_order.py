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
from cardshop.domain.payment import (
    FUNDING,
    UNSETTLED,
    Payment,
    PaymentState,
    RefundState,
    RefundWord,
    payment_id,
)
from cardshop.domain.trade import HOLDS_CARDS, SETTLED_OR_MOVING, ForbiddenTransition, Status
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.builders import (
    AFTER_SALE_MS,
    BUYER,
    NOW,
    OPERATOR,
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
    refund_told,
    refunding,
)
from tests.domain.test_trade import ALLOWED

SECOND_ID = payment_id(TRADE_ID, 2)

#: The shop has given its cards for the money, or is about to.
NEEDS_MONEY = {Status.PAID, Status.AWAITING_STOCK, Status.DELIVERED, Status.COMPLETED}

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


@dataclass(frozen=True)
class Back:
    """A refund of one of the payments is noted: so much of it, or all that is left."""

    payment: int
    minor: int | None
    state: RefundState
    by: str


@dataclass(frozen=True)
class Told:
    """A provider's word of a refund: the nth of ours, by our number or its own, or one that it made itself."""

    payment: int
    refund: int
    named: str  # ours | theirs | nobody's
    state: RefundState
    amount: int | None
    total: int | None


@dataclass(frozen=True)
class Event:
    """Something that happens to one of the payments."""

    what: str
    payment: int


Step = Settle | Back | Told | Event | Status | str | Actor

numbers, found = st.integers(0, 2), st.sampled_from(["cards", "lacking", "nothing"])
amounts = st.sampled_from([1, 300, 690, 990, 5000])
#: Whatever may happen, money in many ways.
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Settle, numbers, st.just(0), st.none(), found),
    st.builds(Settle, numbers, st.sampled_from([-1, -2]), st.none(), found),
    st.builds(Settle, numbers, st.just(1), st.none(), found),
    st.builds(Settle, numbers, st.just(0), st.just("XTS"), found),
    st.builds(
        Back,
        numbers,
        st.none() | amounts,
        st.sampled_from([RefundState.REQUESTED, RefundState.BY_HAND, RefundState.DONE]),
        st.sampled_from(["shop", "operator"]),
    ),
    st.builds(
        Told,
        numbers,
        st.integers(0, 3),
        st.sampled_from(["ours", "theirs", "nobody's"]),
        st.sampled_from([RefundState.PENDING, RefundState.DONE, RefundState.REFUSED]),
        st.none() | amounts,
        st.none() | amounts,
    ),
    st.builds(Event, st.sampled_from(["declined", "came_and_went", "charged_back", "reinstated", "kept"]), numbers),
    st.just("reopen"),
    st.just("gone"),
    st.sampled_from(list(MOVES)),
    actors,
)
_PAY, _ALL = Settle(0, 0, None, "lacking"), Back(0, None, RefundState.REQUESTED, "shop")


def _in_two_parts() -> Order:
    return settled(reopened(settled(placed(), 900)), 90, by=2)


#: Where to begin: anywhere, and with a price that was topped up.
begins = st.one_of(
    st.builds(placed, st.integers(1, 3)),
    st.builds(in_status, st.sampled_from(list(Status))),
    st.sampled_from([_in_two_parts(), delivered(_in_two_parts()), settled(placed(), 900).closed(NOW)]),
)


@given(begins, st.lists(st.tuples(steps, moments), max_size=16))
@settings(max_examples=600)
@example(placed(), [(Status.CLOSED, NOW), (_PAY, NOW), (Status.DELIVERED, NOW)])
@example(placed(), [(_PAY, NOW), (_ALL, NOW), (Told(0, 0, "ours", RefundState.DONE, None, None), NOW), ("gone", NOW)])
@example(placed(), [(_PAY, NOW), (Event("charged_back", 0), NOW), ("gone", NOW), (Event("reinstated", 0), NOW)])
def test_any_steps_in_any_sequence_keep_the_order_sound(order: Order, path: list[tuple[Step, int]]) -> None:
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
        _cards_are_named_when_they_must_be(after)
        _somebody_looks(order, after, at)
        assert (after.lacking is not None) == (after.status is Status.AWAITING_STOCK)
        assert (after.refunding_from is not None) == (after.status is Status.REFUNDING)
        order = after


def _money_is_kept(before: Order, after: Order) -> None:
    for payment in before.payments:
        then = after.payment(payment.payment_id)
        assert then is not None
        assert (then.paid, then.judged) == (payment.paid, payment.judged) or payment.state in UNSETTLED
        assert len(then.refunds) >= len(payment.refunds)
        for refund, told in zip(payment.refunds, then.refunds, strict=False):
            assert (told.refund_id, told.amount, told.by) == (refund.refund_id, refund.amount, refund.by)
            assert told.state is refund.state or refund.state is not RefundState.DONE, "what has gone has gone"
    for payment in after.payments:
        _goes_back_once(payment)
        _is_somebodys(after, payment)
    assert sum(payment.judged in FUNDING for payment in after.payments) <= 1
    assert not after.funded or after.status in SETTLED_OR_MOVING
    assert after.funded or after.contested or after.status not in NEEDS_MONEY


def _goes_back_once(payment: Payment) -> None:
    received = payment.paid.minor if payment.paid else 0
    going = [each.amount.minor for each in payment.refunds if each.state is not RefundState.REFUSED]
    assert sum(going) <= received, "what has gone, is about to go and is to go is no more than was paid"
    assert len({each.refund_id for each in payment.refunds}) == len(payment.refunds)
    if payment.paid is None:
        assert payment.state in UNSETTLED | {PaymentState.REFUNDED}
    elif payment.state is not PaymentState.CHARGED_BACK:
        assert (payment.state is PaymentState.REFUNDING) == bool(payment.under_way)
        assert (payment.state is PaymentState.REFUNDED) == (received > 0 and payment.not_gone == 0)
        assert (payment.was is None) == (payment.state not in {PaymentState.REFUNDING, PaymentState.REFUNDED})


def _is_somebodys(order: Order, payment: Payment) -> None:
    """Money that is left is the price of something, is to go back, or an operator knows."""
    if not payment.left or payment in order.owed or payment in order.tasks or payment.kept:
        return
    assert payment in order.price_paid
    assert order.status not in {Status.CLOSED, Status.REFUNDED}


def _cards_are_named_when_they_must_be(order: Order) -> None:
    from_cards = order.refunding_from in HOLDS_CARDS
    read = order.status is Status.REFUNDED and order.revealed_at is not None
    named = order.status in HOLDS_CARDS or from_cards or read
    assert len(order.cards) == (sum(order.wanted.values()) if named else 0)


def _somebody_looks(before: Order, after: Order, at: int) -> None:
    if after.unfinished or after.status not in {Status.CLOSED, Status.COMPLETED, Status.REFUNDED}:
        assert after.due_at is not None
    if after.unfinished and not before.unfinished:
        assert after.due_at in {at, at + looks.SOON}
    assert looks.after_look(after, at) is not None or not after.unfinished


def _step(order: Order, step: Step, at: int) -> Order:  # noqa: PLR0911
    match step:
        case Settle():
            return _settle(order, step, at)
        case Back():
            return _back(order, step, at)
        case Told():
            return _tell(order, step, at)
        case Event():
            number = _nth(order, step.payment).payment_id
            who = [OPERATOR] if step.what == "kept" else []
            return getattr(order, step.what)(number, at, *who)  # type: ignore[no-any-return]
        case Actor():
            if order.status not in {Status.DELIVERED, Status.COMPLETED} or order.contested:
                return order
            after = order.revealed(at, step)
            assert (after.last_change.what, after.last_change.actor) == ("cards_revealed", step)
            return after
        case Status():
            return _move(order, step, at)
        case "gone":
            return order.gone(at)
    return order.reopened("other", BUYER, at) if len(order.payments) < 3 else order


def _nth(order: Order, number: int) -> Payment:
    return order.payments[number % len(order.payments)]


def _move(order: Order, target: Status, at: int) -> Order:
    if order.status is Status.REFUNDING and target in ALLOWED[order.status]:
        return order  # allowed by the table, for what the provider says of the money
    if target is Status.AWAITING_STOCK and not order.funded:
        return order  # allowed to a closed order by the table, for money that comes with it
    if target not in ALLOWED[order.status]:
        with pytest.raises(ForbiddenTransition):
            MOVES[target](order, at)
        return order
    came = order.status is Status.AWAITING_STOCK and target is Status.DELIVERED
    after = order.delivered(at, AFTER_SALE_MS, cards=_as_wanted(order)) if came else MOVES[target](order, at)
    assert after.status == target == after.last_change.what
    return after


def _as_wanted(order: Order) -> tuple[Card, ...]:
    return cards(order.wanted[SKU], batch="another")


def _back(order: Order, back: Back, at: int) -> Order:
    payment = _nth(order, back.payment)
    if not payment.left or payment.paid is None or (back.minor or 0) > payment.left:
        return order
    amount = replace(payment.paid, minor=back.minor or payment.left)
    return order.refund_noted(payment, payment.next_refund(amount, back.state, back.by), at, Actor(back.by))


def _tell(order: Order, told: Told, at: int) -> Order:
    payment = _nth(order, told.payment)
    refund = payment.refunds[told.refund % len(payment.refunds)] if payment.refunds else None
    currency = payment.paid.currency if payment.paid else "CNY"
    word = RefundWord(
        told.state,
        refund_id=refund.refund_id if refund and told.named == "ours" else None,
        provider_ref=refund.provider_ref if refund and told.named == "theirs" else f"theirs-{told.refund}",
        amount=None if told.amount is None else Money(told.amount, currency),
        total=None if told.total is None else Money(told.total, currency),
    )
    after = order.refund_told(payment.payment_id, word, at)
    assert after.refund_told(payment.payment_id, word, at + 1) is after or told.named == "nobody's" or told.amount
    if told.total is not None and told.state is RefundState.DONE and after is not order:
        then = after.payment(payment.payment_id)
        assert then is not None
        assert then.not_gone >= 0
    return after


def _settle(order: Order, money: Settle, at: int) -> Order:
    """Settle a payment, by too little, the very amount or too much; check the judgement."""
    payment = _nth(order, money.payment)
    received = Money(max(0, payment.amount.minor + money.surplus), money.currency or payment.amount.currency)
    after = order.settled(
        payment.payment_id,
        received,
        "ref",
        at,
        cards=_as_wanted(order) if money.late == "cards" else None,
        lacking=SKU if money.late == "lacking" else None,
    )
    if payment.state not in UNSETTLED:
        assert after is order
        return order
    expected, status = _judgement(order, received, money.late)
    judged = after.payment(payment.payment_id)
    assert judged == replace(payment, state=expected, paid=received, provider_ref="ref")
    assert [each for each in after.payments if each != judged] == [each for each in order.payments if each != payment]
    assert after.status is status
    assert after.last_change.what == (f"payment_{expected}" if status is order.status else status)
    assert after.last_change.actor.by == "provider"
    return after


def _judgement(order: Order, received: Money, late: str) -> tuple[PaymentState, Status]:
    shorts = [each for each in order.payments if each.judged is PaymentState.SHORT]
    due = order.amount.minor - sum(
        each.left for each in shorts if each.paid is not None and each.paid.currency == order.amount.currency
    )
    if order.funded:
        return PaymentState.DUPLICATE, order.status
    if order.status not in {Status.PENDING_PAYMENT, Status.PAYMENT_FAILED, Status.CLOSED}:
        return PaymentState.LATE, order.status
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
    assert settled(placed(), 989).closed(NOW).due_at == NOW, "it is to go back"


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


# ---- refunds ----

REFUNDABLE = [
    Status.PAID,
    Status.AWAITING_STOCK,
    Status.DELIVERED,
    Status.COMPLETED,
    Status.ON_HOLD,
]
REQUESTED, PENDING, DONE, REFUSED, BY_HAND = RefundState


def told(order: Order, state: RefundState, **said: object) -> Order:
    """The provider says this of a refund of the first payment."""
    return order.refund_told(PAYMENT_ID, RefundWord(state, **said), NOW + 9)  # type: ignore[arg-type]


def refund_states(order: Order, number: int = 0) -> list[tuple[int, RefundState]]:
    return [(each.amount.minor, each.state) for each in order.payments[number].refunds]


def by_hand(order: Order, minor: int | None = None, *, by: str = "shop", number: int = 0) -> Order:
    """The channel cannot send it (all that is left, or so much): somebody's hands must."""
    payment = order.payments[number]
    assert payment.paid is not None
    amount = replace(payment.paid, minor=payment.left if minor is None else minor)
    return order.refund_noted(payment, payment.next_refund(amount, BY_HAND, by), NOW, Actor(by))


def with_duplicate(order: Order | None = None) -> Order:
    """Paid through two channels."""
    return settled(paid(reopened(order or placed())), 990, by=2)


@pytest.mark.parametrize("status", REFUNDABLE)
def test_a_whole_refund_under_way_makes_the_order_refunding_and_remembers_where_it_was(status: Status) -> None:
    before = in_status(status)
    order = refunding(before)
    assert (order.status, order.refunding_from, order.cards) == (Status.REFUNDING, status, before.cards)
    assert (order.payments[0].state, order.payments[0].was) == (PaymentState.REFUNDING, PaymentState.ACCEPTED)
    assert (order.funded, order.lacking, order.due_at) == (False, None, NOW + 3000)
    assert order.gone(NOW) is order, "the money has not gone yet"


@pytest.mark.parametrize("status", REFUNDABLE)
def test_an_order_whose_refund_is_refused_is_back_where_it_was(status: Status) -> None:
    before = in_status(status)
    order = refund_told(refunding(before), REFUSED)
    assert (order.status, order.refunding_from, order.lacking) == (status, None, before.lacking)
    assert (order.payments[0].state, order.payments[0].was, order.cards) == (PaymentState.ACCEPTED, None, before.cards)
    assert order.funded
    assert order.due_at == NOW + 4000, "somebody drives it on"


@pytest.mark.parametrize("status", REFUNDABLE)
@pytest.mark.parametrize("revealed_at", [None, NOW])
def test_an_order_whose_money_has_all_gone_is_refunded_and_what_nobody_read_is_for_sale_again(
    status: Status, revealed_at: int | None
) -> None:
    before = replace(in_status(status), revealed_at=revealed_at)
    order = refund_told(refunding(before), DONE)
    assert order.status is Status.REFUNDING
    order = order.gone(NOW + 5000)
    assert (order.status, order.refunding_from, order.payments[0].state) == (Status.REFUNDED, None, "refunded")
    assert order.cards == (before.cards if revealed_at else ())
    assert order.forfeited is (revealed_at is not None)
    assert (order.last_change.actor.by, order.due_at) == ("shop", NOW + 5000), "its machine is told"
    assert order.gone(NOW) is order


def test_a_refund_in_part_leaves_the_order_as_it_is_until_the_rest_goes_too() -> None:
    order = refunding(delivered(), 400)
    assert (order.status, order.last_change.what, order.payments[0].left) == (Status.DELIVERED, "refund_requested", 590)
    assert order.payments[0].state is PaymentState.REFUNDING
    order = refund_told(order, DONE)
    assert (order.status, order.last_change.what, order.payments[0].state) == (
        Status.DELIVERED,
        "refund_done",
        "accepted",
    )
    assert (order.funded, order.unfinished) == (True, False)
    order = refunding(order)
    assert (order.status, refund_states(order)) == (Status.REFUNDING, [(400, DONE), (590, REQUESTED)])
    assert refund_told(order, DONE).gone(NOW).status is Status.REFUNDED


def test_every_refund_has_a_number_of_its_own() -> None:
    order = refunding(refund_told(refunding(delivered(), 400), REFUSED), 100)
    assert [each.refund_id for each in order.payments[0].refunds] == [f"{PAYMENT_ID}r01", f"{PAYMENT_ID}r02"]


def test_a_duplicates_refund_leaves_the_order_as_it_is() -> None:
    order = with_duplicate()
    assert (order.owed, order.due_at, order.unfinished) == ([order.payments[1]], NOW, True)
    order = refunding(order, number=1)
    assert (order.status, order.funded, order.owed) == (Status.PAID, True, [])
    order = refund_told(order, DONE, number=1)
    assert (order.status, order.funded) == (Status.PAID, True)
    assert [each.state for each in order.payments] == [PaymentState.ACCEPTED, PaymentState.REFUNDED]
    assert not order.unfinished


def test_the_price_may_go_while_a_duplicate_stays_for_a_moment() -> None:
    order = refund_told(refunding(with_duplicate()), DONE).gone(NOW)
    assert (order.status, order.owed) == (Status.REFUNDED, [order.payments[1]])


def test_a_price_in_two_parts_has_gone_when_both_have() -> None:
    """Else what is left of it would be neither the buyer's nor anything's price."""
    order = refund_told(refunding(_in_two_parts(), number=1), DONE, number=1)
    assert (order.status, order.funded) == (Status.PAID, True)
    order = refunding(order, number=0)
    assert (order.status, order.funded) == (Status.REFUNDING, False)
    assert refund_told(order, DONE).gone(NOW).status is Status.REFUNDED


def test_money_for_an_order_that_is_refunding_or_refunded_is_late_and_goes_back() -> None:
    """Were it taken for the price, nothing would be given for it."""
    back = refunding(delivered(paid(reopened(placed()))))
    for order in (back, refund_told(back, DONE).gone(NOW)):
        for received in (1, 990, 5000):
            late = settled(order, received, by=2)
            assert (late.status, late.payments[1].state) == (order.status, PaymentState.LATE)
            assert (late.owed, late.due_at) == ([late.payments[1]], NOW)


# ---- what a provider says of a refund ----


@pytest.mark.parametrize("named", ["by our number", "by its own"])
@pytest.mark.parametrize("state", [PENDING, DONE])
def test_a_refund_is_known_by_our_number_and_by_the_providers(named: str, state: RefundState) -> None:
    order = told(refunding(delivered(), 300), PENDING, refund_id=f"{PAYMENT_ID}r01", provider_ref="P1")
    assert refund_states(order) == [(300, PENDING)]
    said = {"refund_id": f"{PAYMENT_ID}r01"} if named == "by our number" else {"provider_ref": "P1"}
    order = told(order, state, amount=Money(300, "CNY"), **said)
    assert refund_states(order) == [(300, state)]
    assert order.payments[0].refunds[0].provider_ref == "P1"


def test_our_number_decides_where_the_provider_uses_one_number_for_several() -> None:
    """The provider's number of a refund may be that of its payment."""
    order = told(refunding(delivered(), 300), DONE, refund_id=f"{PAYMENT_ID}r01", provider_ref="T1")
    order = told(refunding(order, 200), DONE, refund_id=f"{PAYMENT_ID}r02", provider_ref="T1")
    assert refund_states(order) == [(300, DONE), (200, DONE)]


@pytest.mark.parametrize("state", [PENDING, DONE, REFUSED])
def test_told_twice_is_told_once(state: RefundState) -> None:
    word = RefundWord(state, f"{PAYMENT_ID}r01", "P1")
    order = refunding(delivered(), 300).refund_told(PAYMENT_ID, word, NOW)
    assert order.refund_told(PAYMENT_ID, word, NOW + 1) is order


@pytest.mark.parametrize("late", [PENDING, REFUSED])
def test_what_has_gone_has_gone_whatever_is_told_later(late: RefundState) -> None:
    """Notices come out of order."""
    order = refund_told(refunding(delivered(), 300), DONE)
    assert refund_told(order, late) is order


def test_a_refused_refund_may_be_done_after_all_and_nothing_else() -> None:
    order = refund_told(refunding(delivered()), REFUSED)
    assert refund_told(order, PENDING) is order
    order = refund_told(order, DONE)
    assert (order.status, refund_states(order)) == (Status.REFUNDING, [(990, DONE)])
    assert order.gone(NOW).status is Status.REFUNDED


def test_a_refund_that_is_done_after_all_takes_the_place_of_the_one_asked_for_instead() -> None:
    """What was paid goes back once: the provider will refuse the other."""
    order = refunding(refund_told(refunding(delivered()), REFUSED))
    assert refund_states(order) == [(990, REFUSED), (990, REQUESTED)]
    order = told(order, DONE, refund_id=f"{PAYMENT_ID}r01")
    assert refund_states(order) == [(990, DONE), (990, REFUSED)]
    assert told(order, DONE, refund_id=f"{PAYMENT_ID}r02") is order, "there is no money it could be"


@pytest.mark.parametrize("by", ["shop", "operator"])
def test_a_refused_refund_is_a_task_whoever_asked_for_it(by: str) -> None:
    """Who asked for it may have gone before the provider's answer came."""
    order = delivered()
    payment = order.payments[0]
    order = order.refund_noted(payment, payment.next_refund(PRICE, REQUESTED, by), NOW, Actor(by))
    order = refund_told(order, REFUSED)
    assert (refund_states(order), order.last_change.what) == ([(990, BY_HAND)], "delivered")
    assert (order.tasks, order.owed) == ([order.payments[0]], [])


def test_a_refund_made_at_the_providers_console_counts() -> None:
    order = told(delivered(), DONE, provider_ref="C1", amount=Money(300, "CNY"))
    assert (order.status, order.payments[0].left) == (Status.DELIVERED, 690)
    assert (order.payments[0].refunds[0].by, order.payments[0].refunds[0].provider_ref) == ("provider", "C1")
    assert told(order, DONE, provider_ref="C1", amount=Money(300, "CNY")) is order
    order = told(order, DONE, provider_ref="C2", amount=Money(690, "CNY"))
    assert (order.status, order.gone(NOW).status) == (Status.REFUNDING, Status.REFUNDED)


@pytest.mark.parametrize("state", [PENDING, REFUSED])
def test_a_refund_made_at_the_console_counts_once_it_is_done(state: RefundState) -> None:
    order = delivered()
    assert told(order, state, provider_ref="C1", amount=Money(300, "CNY")) is order


def test_no_more_goes_back_than_came() -> None:
    order = told(delivered(), DONE, provider_ref="C1", amount=Money(5000, "CNY"))
    assert refund_states(order) == [(990, DONE)]
    assert told(order, DONE, provider_ref="C2", amount=Money(1, "CNY")) is order


@pytest.mark.parametrize(
    "said", [{"amount": Money(300, "JPY"), "provider_ref": "C1"}, {"total": Money(300, "JPY")}, {}]
)
def test_a_word_that_tells_no_amount_of_this_money_tells_nothing(said: dict[str, object]) -> None:
    order = refunding(delivered(), 300)
    assert told(order, DONE, **said) is order


def test_a_refund_of_what_was_never_received_is_nothing() -> None:
    order = placed()
    assert told(order, DONE, total=PRICE) is order
    assert order.refund_told(SECOND_ID, RefundWord(DONE, total=PRICE), NOW) is order


def test_more_made_at_the_console_than_is_left_means_that_ours_will_not_go() -> None:
    """Given a refund of all that is not sent yet, when a part of it is sent elsewhere, the rest can be asked for."""
    order = told(refunding(delivered()), DONE, provider_ref="C1", amount=Money(500, "CNY"))
    assert refund_states(order) == [(990, REFUSED), (500, DONE)]
    assert (order.status, order.payments[0].left) == (Status.DELIVERED, 490)


@pytest.mark.parametrize(
    ("ours", "total", "expected"),
    [
        ([], 300, [(300, DONE)]),
        ([], 0, []),
        ([300], 300, [(300, DONE)]),
        ([300], 500, [(300, DONE), (200, DONE)]),
        ([300, 200], 500, [(300, DONE), (200, DONE)]),
        ([300, 200], 990, [(300, DONE), (200, DONE), (490, DONE)]),
        ([300], 200, [(300, REQUESTED), (200, DONE)]),
        ([900], 200, [(900, REFUSED), (200, DONE)]),
        ([300, 200], 300, [(300, REQUESTED), (200, REQUESTED)]),  # which of them, time will tell
        ([300], 5000, [(300, DONE), (690, DONE)]),
        ([300], 0, [(300, REQUESTED)]),
    ],
)
def test_what_has_gone_in_all_tells_of_ours_and_of_what_was_made_there(
    ours: list[int], total: int, expected: list[tuple[int, RefundState]]
) -> None:
    order = delivered()
    for minor in ours:
        order = refunding(order, minor)
    order = told(order, DONE, total=Money(total, "CNY"))
    assert refund_states(order) == expected
    assert told(order, DONE, total=Money(total, "CNY")) is order


def test_a_total_that_grows_is_counted_by_what_it_grew() -> None:
    order = told(told(delivered(), DONE, total=Money(300, "CNY")), DONE, total=Money(500, "CNY"))
    assert refund_states(order) == [(300, DONE), (200, DONE)]
    assert told(order, DONE, total=Money(300, "CNY")) is order, "an older one"


def test_a_word_of_ours_may_tell_the_total_too() -> None:
    order = told(refunding(delivered(), 300), DONE, refund_id=f"{PAYMENT_ID}r01", total=Money(400, "CNY"))
    assert refund_states(order) == [(300, DONE), (100, DONE)]


# ---- by hand ----


def test_what_waits_for_hands_is_a_task_and_leaves_the_order_as_it_is() -> None:
    order = by_hand(delivered(), by="operator")
    assert (order.status, order.payments[0].state) == (Status.DELIVERED, PaymentState.ACCEPTED)
    assert (order.tasks, order.unfinished, order.last_change.what) == ([order.payments[0]], True, "refund_by_hand")


def test_what_waited_for_hands_is_no_task_once_the_money_has_gone_another_way() -> None:
    """Else an operator would send it a second time."""
    order = told(by_hand(delivered()), DONE, provider_ref="C1", amount=PRICE)
    assert refund_states(order) == [(990, REFUSED), (990, DONE)]
    assert order.tasks == []


def test_a_refund_through_the_provider_takes_the_place_of_the_one_by_hand() -> None:
    order = refunding(by_hand(delivered()))
    assert (refund_states(order), order.tasks) == ([(990, REFUSED), (990, REQUESTED)], [])


def test_what_waits_for_hands_stays_if_there_is_enough_for_both() -> None:
    order = refunding(by_hand(delivered(), 300), 600)
    assert refund_states(order) == [(300, BY_HAND), (600, REQUESTED)]
    assert order.tasks == [order.payments[0]]


def test_an_order_that_gets_its_cards_after_all_keeps_the_money_that_the_shop_meant_to_return() -> None:
    waiting = by_hand(paid(placed()).short_of_cards(NOW, SKU))
    order = waiting.delivered(NOW, AFTER_SALE_MS, cards=cards(1))
    assert (refund_states(order), order.tasks) == ([(990, REFUSED)], [])
    assert order.due_at == NOW + looks.SOON, "whoever filled it may not have woken the machine"


@pytest.mark.parametrize("order", [paid(placed()), paid(placed()).short_of_cards(NOW, SKU)])
def test_a_refund_that_an_operator_means_to_send_stays_a_task_though_the_order_is_delivered(order: Order) -> None:
    after = by_hand(order, by="operator").delivered(NOW, AFTER_SALE_MS, cards=cards(1))
    assert (refund_states(after), after.tasks) == ([(990, BY_HAND)], [after.payments[0]])


def test_a_duplicate_that_waits_for_hands_does_so_when_the_order_is_delivered() -> None:
    order = by_hand(with_duplicate(), number=1).delivered(NOW, AFTER_SALE_MS)
    assert (order.tasks, order.due_at) == ([order.payments[1]], NOW)


# ---- kept ----


def test_a_surplus_is_a_task_until_an_operator_has_decided() -> None:
    order = settled(placed(), 1000)
    assert (order.tasks, order.unfinished, order.due_at) == ([order.payments[0]], True, NOW)
    kept = order.kept(PAYMENT_ID, NOW, OPERATOR)
    assert (kept.tasks, kept.unfinished, kept.last_change.what) == ([], False, "payment_kept")
    assert kept.kept(PAYMENT_ID, NOW, OPERATOR) is kept
    back = refunding(order, 10)
    assert (back.tasks, refund_told(back, DONE).tasks) == ([], [])


def test_a_surplus_whose_refund_came_to_nothing_is_to_be_decided_on_again() -> None:
    """Given money that was to go back by hand and stays, for the cards came, the surplus is still the buyer's."""
    order = settled(placed().closed(NOW), 1000, lacking=SKU)
    order = by_hand(order).delivered(NOW, AFTER_SALE_MS, cards=cards(1))
    assert (refund_states(order), order.tasks) == ([(1000, REFUSED)], [order.payments[0]])


def test_an_odd_payment_that_is_kept_is_not_owed() -> None:
    order = with_duplicate().kept(SECOND_ID, NOW, OPERATOR)
    assert (order.owed, order.unfinished, order.payments[1].left) == ([], False, 990)


def test_keeping_a_payment_takes_back_what_waits_for_hands() -> None:
    order = by_hand(with_duplicate(), number=1).kept(SECOND_ID, NOW, OPERATOR)
    assert (refund_states(order, 1), order.tasks, order.owed) == ([(990, REFUSED)], [], [])


def test_a_refund_by_hand_of_a_payment_that_was_kept_is_a_task_all_the_same() -> None:
    """An operator kept it, thought better of it, and the channel cannot send it back."""
    order = by_hand(with_duplicate().kept(SECOND_ID, NOW, OPERATOR), by="operator", number=1)
    assert order.tasks == [order.payments[1]]
    again = order.kept(SECOND_ID, NOW, OPERATOR)
    assert (again.tasks, refund_states(again, 1)) == ([], [(990, REFUSED)])


def test_only_a_payment_that_is_there_can_be_kept() -> None:
    order = placed()
    assert order.kept(SECOND_ID, NOW, OPERATOR) is order


# ---- short money ----


def test_short_money_of_an_open_order_waits_for_the_rest_and_of_a_closed_one_goes_back() -> None:
    order = settled(placed(), 500)
    assert (order.owed, order.unfinished) == ([], False)
    closed = order.closed(NOW)
    assert (closed.owed, closed.due_at) == ([closed.payments[0]], NOW)
    order = refund_told(refunding(closed), DONE)
    assert (order.status, order.refunding_from) == (Status.REFUNDING, Status.CLOSED)
    assert order.gone(NOW).status is Status.REFUNDED


def test_short_money_that_comes_when_nobody_looks_any_more_is_looked_at_at_once() -> None:
    order = replace(placed().closed(NOW), due_at=None)
    late = settled(order, 500)
    assert (late.owed, late.due_at) == ([late.payments[0]], NOW)


def test_a_closed_orders_refund_that_is_refused_leaves_it_closed_and_a_task() -> None:
    order = refund_told(refunding(settled(placed(), 500).closed(NOW)), REFUSED)
    assert (order.status, order.tasks) == (Status.CLOSED, [order.payments[0]])


def test_refunded_short_money_is_due_again() -> None:
    order = refund_told(refunding(settled(placed(), 500)), DONE)
    assert (order.status, order.amount_due) == (Status.PENDING_PAYMENT, PRICE)
    assert settled(reopened(order), 490, by=2).payments[1].state is PaymentState.SHORT
    assert settled(reopened(order), 990, by=2).status is Status.PAID


def test_money_in_another_currency_goes_back_once_the_order_is_paid_for() -> None:
    order = settled(reopened(settled(placed(), 99_000, currency="JPY")), 990, by=2)
    assert (order.status, order.owed, order.due_at) == (Status.PAID, [order.payments[0]], NOW)
    topped_up = _in_two_parts()
    assert topped_up.owed == [], "what was topped up is a part of the price"


# ---- charge-backs ----


@pytest.mark.parametrize("status", [Status.PAID, Status.AWAITING_STOCK, Status.ON_HOLD])
def test_what_is_not_delivered_and_contested_will_not_be(status: Status) -> None:
    before = in_status(status)
    order = before.charged_back(PAYMENT_ID, NOW)
    assert (order.status, order.contested, order.funded) == (Status.REFUNDING, True, False)
    assert (order.payments[0].state, order.payments[0].was) == (PaymentState.CHARGED_BACK, PaymentState.ACCEPTED)
    assert order.charged_back(PAYMENT_ID, NOW + 1) is order
    back = order.reinstated(PAYMENT_ID, NOW)
    assert (back.status, back.payments, back.cards, back.lacking) == (
        status,
        before.payments,
        before.cards,
        before.lacking,
    )
    over = order.gone(NOW)
    assert (over.status, over.cards) == (Status.REFUNDED, ())


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.COMPLETED])
@pytest.mark.parametrize("revealed_at", [None, NOW])
def test_what_is_delivered_and_contested_stays_where_it_is(status: Status, revealed_at: int | None) -> None:
    before = replace(in_status(status), revealed_at=revealed_at)
    order = before.charged_back(PAYMENT_ID, NOW)
    assert (order.status, order.cards, order.contested) == (status, before.cards, True)
    assert order.last_change.what == "payment_charged_back"
    assert order.forfeited is (revealed_at is not None)
    assert (order.unfinished, order.tasks) == (False, [])
    back = order.reinstated(PAYMENT_ID, NOW)
    assert (back.status, back.contested, back.forfeited, back.last_change.what) == (
        status,
        False,
        False,
        "payment_reinstated",
    )
    assert back.reinstated(PAYMENT_ID, NOW + 1) is back


@pytest.mark.parametrize("status", [Status.PAID, Status.DELIVERED])
@pytest.mark.parametrize("first", ["opened", "won"])
def test_that_a_dispute_was_opened_is_no_news_once_it_was_won(status: Status, first: str) -> None:
    """Notices come in any order, for days, and again."""
    before = in_status(status)
    opened = before.charged_back(PAYMENT_ID, NOW, "dispute-1") if first == "opened" else before
    won = opened.reinstated(PAYMENT_ID, NOW, "dispute-1")
    assert (won.status, won.contested, won.version > before.version) == (status, False, True)
    assert won.charged_back(PAYMENT_ID, NOW, "dispute-1") is won
    assert won.reinstated(PAYMENT_ID, NOW, "dispute-1") is won
    assert won.charged_back(PAYMENT_ID, NOW, "dispute-2").contested, "another is another"
    assert won.charged_back(PAYMENT_ID, NOW).contested, "and so is that it was lost after all"


@pytest.mark.parametrize("status", [Status.PENDING_PAYMENT, Status.PAYMENT_FAILED, Status.CLOSED])
def test_a_charge_back_of_what_never_came_is_nothing(status: Status) -> None:
    order = in_status(status)
    assert order.charged_back(PAYMENT_ID, NOW) is order
    assert order.reinstated(PAYMENT_ID, NOW) is order


@pytest.mark.parametrize("by", [1, 2])
def test_an_order_is_contested_if_any_part_of_its_price_is(by: int) -> None:
    """And what is left of the price of an order that is not delivered goes back as well."""
    order = _in_two_parts().charged_back(payment_id(TRADE_ID, by), NOW)
    assert (order.status, order.contested) == (Status.REFUNDING, True)
    rest = order.payments[2 - by]
    assert order.owed == [rest]
    order = refund_told(refunding(order, number=2 - by), DONE, number=2 - by)
    assert order.gone(NOW).status is Status.REFUNDED
    given = delivered(_in_two_parts()).charged_back(payment_id(TRADE_ID, by), NOW)
    assert (given.status, given.contested, given.owed) == (Status.DELIVERED, True, [])


def test_a_duplicate_that_is_charged_back_contests_nothing_and_is_not_owed() -> None:
    order = delivered(with_duplicate()).charged_back(SECOND_ID, NOW)
    assert (order.status, order.contested, order.owed) == (Status.DELIVERED, False, [])
    assert order.reinstated(SECOND_ID, NOW).owed == [order.reinstated(SECOND_ID, NOW).payments[1]]


def test_what_was_charged_back_and_paid_anew_is_not_contested() -> None:
    order = settled(placed(), 500).charged_back(PAYMENT_ID, NOW)
    assert (order.status, order.amount_due) == (Status.PENDING_PAYMENT, PRICE)
    order = settled(reopened(order), 990, by=2)
    assert (order.status, order.contested) == (Status.PAID, False)


def test_a_charge_back_of_money_that_waits_for_hands_is_nobodys_task() -> None:
    """An operator would send what the payer has taken back already."""
    order = by_hand(delivered(), by="operator").charged_back(PAYMENT_ID, NOW)
    assert order.tasks == []
    assert order.reinstated(PAYMENT_ID, NOW).tasks == [order.reinstated(PAYMENT_ID, NOW).payments[0]]


def test_money_reinstated_after_the_order_was_given_up_goes_back_to_the_buyer() -> None:
    """Its cards are for sale again: the shop has no right to it."""
    order = paid(placed()).charged_back(PAYMENT_ID, NOW).gone(NOW).reinstated(PAYMENT_ID, NOW + 1)
    assert (order.status, order.owed, order.due_at) == (Status.REFUNDED, [order.payments[0]], NOW + 1)
    order = refund_told(refunding(order), DONE)
    assert (order.status, order.payments[0].state, order.unfinished) == (Status.REFUNDED, "refunded", False)


def test_a_refund_and_a_charge_back_of_the_same_money_are_both_on_record() -> None:
    order = refund_told(refunding(delivered()), DONE).charged_back(PAYMENT_ID, NOW)
    assert (order.payments[0].state, refund_states(order)) == (PaymentState.CHARGED_BACK, [(990, DONE)])
    assert order.reinstated(PAYMENT_ID, NOW).payments[0].state is PaymentState.REFUNDED


# ---- failures ----


def test_the_last_open_payments_failure_is_the_orders() -> None:
    order = placed().declined(PAYMENT_ID, NOW)
    assert (order.status, order.payments[0].state) == (Status.PAYMENT_FAILED, PaymentState.FAILED)
    assert (order.last_change.actor.by, order.has_its_cards) == ("provider", True)
    assert order.declined(PAYMENT_ID, NOW + 1) is order


def test_a_failure_beside_another_open_payment_leaves_the_order_open() -> None:
    order = reopened(placed()).declined(PAYMENT_ID, NOW)
    assert (order.status, order.last_change.what) == (Status.PENDING_PAYMENT, "payment_failed")
    assert order.declined(SECOND_ID, NOW).status is Status.PAYMENT_FAILED


def test_a_failure_where_short_money_is_in_leaves_the_order_open_for_the_rest() -> None:
    order = reopened(settled(placed(), 500)).declined(SECOND_ID, NOW)
    assert (order.status, order.payments[1].state) == (Status.PENDING_PAYMENT, PaymentState.FAILED)
    gone = refund_told(refunding(settled(placed(), 500)), DONE)
    assert reopened(gone).declined(SECOND_ID, NOW).status is Status.PAYMENT_FAILED


@pytest.mark.parametrize("status", [Status.PAID, Status.DELIVERED, Status.CLOSED, Status.REFUNDED])
def test_a_failure_of_another_payment_does_nothing_to_an_order_that_is_past_paying(status: Status) -> None:
    order = reopened(in_status(status)).declined(SECOND_ID, NOW)
    assert (order.status, order.payments[1].state) == (status, PaymentState.FAILED)


def test_a_failure_of_money_that_is_in_is_none() -> None:
    order = paid(placed())
    assert order.declined(PAYMENT_ID, NOW) is order
    assert order.declined(SECOND_ID, NOW) is order


def test_money_that_came_and_went_before_anybody_heard_leaves_the_order_to_be_paid() -> None:
    order = placed().came_and_went(PAYMENT_ID, NOW)
    assert (order.status, order.payments[0].state, order.payments[0].paid) == (Status.PENDING_PAYMENT, "refunded", None)
    assert (order.last_change.what, order.unfinished, order.unsettled) == ("payment_refunded", False, [])
    assert settled(order, 990) is order, "the notice of it comes too late"
    assert order.came_and_went(PAYMENT_ID, NOW + 1) is order
    assert paid(placed()).came_and_went(PAYMENT_ID, NOW).status is Status.PAID


# ---- revealed ----


def test_the_first_reading_of_its_codes_is_remembered() -> None:
    order = delivered().revealed(NOW + 7, BUYER)
    assert order.revealed_at == NOW + 7
    assert order.revealed(NOW + 9, BUYER).revealed_at == NOW + 7
    assert not order.forfeited
