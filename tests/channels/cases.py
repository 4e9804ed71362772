"""Every case that every channel is tested with. A case says what must happen; the subject, how its protocol says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cardshop.domain.errors import InvalidNotice, NotRevealable, StaleNotice, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Actor, Order
from cardshop.domain.payment import Notice, PaymentState, Refunds, RefundState
from cardshop.domain.trade import Status
from cardshop.usecases.confirm_payment import Outcome
from cardshop.usecases.reveal_cards import RevealCards
from cardshop.usecases.settle_payment import UnknownPayment

from simulators import booth
from tests.channels.subject import bent
from tests.channels.till import Case, Till
from tests.domain.builders import BUYER

CASES: dict[str, Case] = {}

#: A case that is absent wherever another is, and for its reason.
WITH = {
    "failed": "expired after paid",
    "refund event in part": "refund event",
    "reinstated": "charge back",
    "refund in part": "refund",
    "refund twice": "refund",
    "refund refused": "refund",
    "refund while down": "refund",
    "refund undone": "refund event",
}

OPERATOR = Actor("operator")
TOLERANCE = 300  # seconds
BOTH_GOOD = {Outcome.ACCEPTED, Outcome.REPEATED}


class Absent(Exception):
    """This protocol has no such thing."""


def case(name: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[name] = function
        return function

    return add


# ---- at the edge: refused, nothing queued, the provider not called


def _refused(till: Till, notice: Notice) -> None:
    calls = dict(till.subject.booth._calls)
    with pytest.raises(InvalidNotice):
        till.receives(notice)
    assert till.shop.queue.messages == []
    assert dict(till.subject.booth._calls) == calls, "a forged notice makes nobody ask the provider"


def _forged(name: str) -> None:
    @case(name)
    def refused(till: Till) -> None:
        order = till.ordered()
        number = till.pays(order)
        right = till.subject.notice(number)
        forged = till.subject.forged(right)
        if name not in forged:
            raise Absent
        _refused(till, forged[name])
        assert till.order(order) == order
        assert till.hears(right) == [Outcome.ACCEPTED], "and the right one is taken all the same"


for _name in (
    "bad signature",
    "missing signature",
    "non-ASCII signature",
    "wrong algorithm",
    "unknown key",
    "signtest",
    "changed",
):
    _forged(_name)


@case("traps of its own")
def traps(till: Till) -> None:
    """What else the protocol invites a forger to."""
    number = till.pays(till.ordered())
    own = {name: each for name, each in till.subject.forged(till.subject.notice(number)).items() if name not in CASES}
    if not own:
        raise Absent
    for notice in own.values():
        _refused(till, notice)


@case("stale")
def stale(till: Till) -> None:
    number = till.pays(till.ordered())
    now = till.shop.clock.now / 1000
    for off in (-TOLERANCE - 1, TOLERANCE + 1):
        notice = till.subject.signed_at(number, now + off)
        if notice is None:
            raise Absent
        with pytest.raises(StaleNotice):
            till.receives(notice)
        assert till.shop.queue.messages == []
    for off in (-TOLERANCE + 1, TOLERANCE - 1):
        fresh = till.subject.signed_at(number, now + off)
        assert fresh is not None
        assert set(till.hears(fresh)) <= BOTH_GOOD


def _genuine(name: str) -> None:
    @case(name)
    def taken(till: Till) -> None:
        order = till.ordered()
        genuine = till.subject.genuine(till.subject.notice(till.pays(order)))
        if name not in genuine:
            raise Absent
        assert till.hears(genuine[name]) == [Outcome.ACCEPTED]
        assert till.order(order).status is Status.DELIVERED


for _name in ("two signatures", "rotated key", "header case"):
    _genuine(_name)


def _malformed(name: str) -> None:
    @case(name)
    def refused(till: Till) -> None:
        malformed = till.subject.malformed(till.subject.notice(till.pays(till.ordered())))
        if name not in malformed:
            raise Absent
        _refused(till, malformed[name])


for _name in ("not text", "field twice", "no payment", "not an amount"):
    _malformed(_name)


@case("oversized")
def oversized(till: Till) -> None:
    right = till.subject.notice(till.pays(till.ordered()))
    _refused(till, bent(replace(right, method="POST"), body=right.body + b" " * 70_000))


@case("queue down")
def queue_down(till: Till) -> None:
    notice = till.subject.notice(till.pays(till.ordered()))
    till.shop.queue.down = True
    with pytest.raises(Unavailable):
        till.receives(notice)
    till.shop.queue.down = False
    assert till.hears(notice) == [Outcome.ACCEPTED], "the provider sends it again"


# ---- validly signed, and not as it should be: acknowledged, recorded, not delivered


def _not_delivered(till: Till, order: Order, outcomes: list[Outcome]) -> None:
    assert set(outcomes) <= {Outcome.MISMATCH, Outcome.IRREGULAR, Outcome.DENIED}
    assert outcomes
    after = till.order(order)
    assert after.status is Status.PENDING_PAYMENT
    recorded = after.payments[0].state is PaymentState.SHORT or till.shop.timeline.incidents(order.trade_id)
    assert recorded, "a person sees it"


@case("small amount")
def short(till: Till) -> None:
    order = till.ordered()
    less = replace(till.price, minor=till.price.minor - 1)
    number = order.payments[0].payment_id
    if "small amount" in till.subject.absent:
        raise Absent
    till.pays(order, received=less)
    _not_delivered(till, order, till.says(number))


@case("wrong currency")
def wrong_currency(till: Till) -> None:
    order = till.ordered()
    notice = till.subject.in_another_currency(till.pays(order))
    if notice is None:
        raise Absent
    _not_delivered(till, order, till.hears(notice))


@case("wrong account")
def wrong_account(till: Till) -> None:
    order = till.ordered()
    notice = till.subject.of_another_account(till.pays(order))
    if notice is None:
        raise Absent
    _not_delivered(till, order, till.hears(notice))
    assert till.shop.timeline.kinds == ["wrong_account"]


@case("wrong channel")
def wrong_channel(till: Till) -> None:
    order = till.ordered()
    another = till.another_channel()
    till.receives(till.subject.notice(till.pays(order)), another.name)
    _not_delivered(till, order, till.handled())
    assert till.shop.timeline.kinds == ["wrong_channel"]


@case("unknown payment")
def unknown(till: Till) -> None:
    order = till.ordered()
    number = till.pays(order)
    notice = till.subject.notice(number)
    hidden = till.shop.orders.by_id.pop(order.trade_id)
    till.receives(notice)
    with pytest.raises(UnknownPayment):  # so the message goes back to the queue, and at last among the dead letters
        till.handled()
    till.shop.orders.put(hidden)


# ---- again, at once, out of order


@case("duplicate")
def duplicate(till: Till) -> None:
    order = till.ordered()
    number = till.pays(order)
    assert till.says(number) == [Outcome.ACCEPTED]
    first = till.order(order)
    assert till.says(number) == [Outcome.REPEATED]
    assert till.order(order) == first


@case("redelivered")
def redelivered(till: Till) -> None:
    order = till.ordered()
    till.receives(till.subject.notice(till.pays(order)))
    queued, _ = till.shop.queue.messages.pop()
    assert till.takes(queued) == [Outcome.ACCEPTED]
    first = till.order(order)
    assert till.takes(queued) == [Outcome.REPEATED]
    assert till.order(order) == first


@case("concurrent")
def concurrent(till: Till) -> None:
    """Its twin steps in between the read and the write."""
    order = till.ordered()
    till.receives(till.subject.notice(till.pays(order)))
    queued, _ = till.shop.queue.messages.pop()
    twin: list[Outcome] = []
    till.shop.orders.once(lambda _: twin.extend(till.confirm(queued)))
    assert sorted([*till.takes(queued), *twin]) == [Outcome.ACCEPTED, Outcome.REPEATED]
    assert till.order(order).status is Status.DELIVERED


def _sent_back(till: Till, number: str, amount: Money, reference: str = "by-hand") -> booth.Refund:
    """Somebody refunds at the provider's console."""
    return till.subject.booth.refund(till.there(number), reference, till.subject.written(amount))


@case("refund before paid")
def refund_before_paid(till: Till) -> None:
    if "refunded" not in till.subject.events:
        raise Absent
    order = till.ordered()
    number = till.pays(order)
    paid = till.subject.notice(number)
    till.says(number, "refunded", _sent_back(till, number, till.price))
    till.hears(paid)
    after = till.payment(order)
    assert after.state is PaymentState.REFUNDED
    assert till.order(order).status not in {Status.DELIVERED, Status.COMPLETED}


@case("expired after paid")
def expired_after_paid(till: Till) -> None:
    over = next((event for event in ("closed", "failed") if event in till.subject.events), None)
    if over is None:
        raise Absent
    order = till.delivered()
    till.says(order.payments[0].payment_id, over)
    assert till.order(order) == order


@case("failed")
def failed(till: Till) -> None:
    """The provider's failure is final, and no other payment is open: the cards come back when the trade is closed."""
    over = next((event for event in ("closed", "failed") if event in till.subject.events), None)
    if over is None:
        raise Absent
    order = till.ordered()
    number = order.payments[0].payment_id
    till.there(number).status = over
    assert till.says(number, over) == [Outcome.FAILED]
    assert till.order(order).status is Status.PAYMENT_FAILED
    assert till.closes(order).status is Status.CLOSED


# ---- the ladder


@case("late")
def late(till: Till) -> None:
    order = till.ordered()
    number = order.payments[0].payment_id
    closed = till.closes(order)
    assert closed.status is Status.CLOSED
    there = till.there(number)
    there.status = "open"  # paid there at the very moment that it was closed here
    till.pays(order)
    assert till.says(number) == [Outcome.ACCEPTED]
    after = till.order(order)
    assert (after.status, after.has_its_cards) == (Status.DELIVERED, True)


@case("over")
def over(till: Till) -> None:
    if "over" in till.subject.absent:
        raise Absent
    order = till.ordered()
    more = replace(till.price, minor=till.price.minor + 100)
    assert till.says(till.pays(order, received=more)) == [Outcome.IRREGULAR]
    after = till.order(order)
    assert (after.status, after.payments[0].state) == (Status.DELIVERED, PaymentState.SURPLUS)
    assert after.payments[0].paid == more
    assert after.tasks, "an operator decides on the surplus"


@case("double")
def double(till: Till) -> None:
    """Two payments of one order, both paid: one delivery, and the second goes back, or to an operator."""
    order = till.ordered()
    again = till.shop.orders.put(till.order(order).reopened(till.subject.channel.name, BUYER, till.shop.clock()))
    till.opened(again, again.payments[1])
    assert till.says(till.pays(again, 0)) == [Outcome.ACCEPTED]
    assert till.says(till.pays(again, 1)) == [Outcome.IRREGULAR]
    assert till.payment(order, 1).state is PaymentState.DUPLICATE
    after = till.return_money(till.order(order))
    second = after.payments[1]
    if till.provider.terms(till.subject.channel).refunds is Refunds.NONE:
        assert [each.state for each in second.refunds] == [RefundState.BY_HAND]
        assert after.tasks == [second]
    else:
        _ended(till, after, 1)
        assert till.payment(order, 1).state is PaymentState.REFUNDED
        assert till.there(second.payment_id).status == "refunded"
        assert till.there(order.payments[0].payment_id).status == "paid"
    assert till.order(order).status is Status.DELIVERED


@case("refund event")
def refund_event(till: Till) -> None:
    if "refunded" not in till.subject.events:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    made = _sent_back(till, number, till.price)
    assert till.says(number, "refunded", made) == [Outcome.RETURNED]
    after = till.order(order)
    assert (after.status, after.payments[0].state) == (Status.REFUNDED, PaymentState.REFUNDED)
    till.says(number, "refunded", made)
    assert till.says(number) == [Outcome.REPEATED]
    assert till.order(order) == after, "recorded once, never delivered again"


@case("refund event in part")
def part_refunded(till: Till) -> None:
    if "refunded" not in till.subject.events or "refund event in part" in till.subject.absent:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    part = replace(till.price, minor=100)
    made = _sent_back(till, number, part)
    for _ in range(2):
        till.says(number, "refunded", made)
        after = till.order(order)
        assert (after.status, after.payments[0].state) == (Status.DELIVERED, PaymentState.ACCEPTED)
        assert after.payments[0].left == till.price.minor - 100


@case("charge back")
def charge_back(till: Till) -> None:
    if "charged_back" not in till.subject.events:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    till.there(number).status = "charged_back"
    assert till.says(number, "charged_back") == [Outcome.CONTESTED]
    after = till.order(order)
    assert (after.status, after.payments[0].state) == (Status.DELIVERED, PaymentState.CHARGED_BACK)
    assert till.shop.timeline.kinds == ["charged_back"]
    with pytest.raises(NotRevealable):
        RevealCards(till.shop.orders, till.shop.sealed, till.shop.sealer, till.shop.clock)(order.trade_id, BUYER)


@case("reinstated")
def reinstated(till: Till) -> None:
    if "reinstated" not in till.subject.events:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    till.says(number, "charged_back")
    assert till.says(number, "reinstated") == [Outcome.CONTESTED]
    assert till.payment(order).state is PaymentState.ACCEPTED


@case("lost notice")
def lost_notice(till: Till) -> None:
    order = till.ordered()
    number = till.pays(order)
    notice = till.subject.notice(number)
    (said,) = till.ask(till.order(order)).paid
    assert said.amount == till.price
    till.settle(said)
    till.drives()
    after = till.order(order)
    assert after.status is Status.DELIVERED
    assert till.hears(notice) == [Outcome.REPEATED]
    assert till.order(order) == after, "the late notice is a no-op"


@case("not paid yet")
def not_paid(till: Till) -> None:
    order = till.ordered()
    answers = till.ask(order)
    assert (answers.paid, answers.silent) == ([], frozenset())


@case("provider down")
def down(till: Till) -> None:
    order = till.ordered()
    number = till.pays(order)
    till.subject.booth._outage["all"] = True
    assert till.ask(till.order(order)).silent == {till.subject.channel.name}
    with pytest.raises(Unavailable):
        till.closes(order)
    assert till.order(order).status is Status.PENDING_PAYMENT, "what may be paid is not closed"
    till.subject.booth._outage["all"] = False
    assert till.says(number) == [Outcome.ACCEPTED]


# ---- closing


@case("close")
def close(till: Till) -> None:
    """Closed there where the protocol can: nobody can pay it any more."""
    order = till.ordered()
    assert till.closes(order).status is Status.CLOSED
    if not till.provider.terms(till.subject.channel).closes:
        raise Absent
    number = order.payments[0].payment_id
    assert till.there(number).status == "closed"
    assert not till.subject.booth.pay(till.there(number), notify=False)


@case("paid while closing")
def paid_while_closing(till: Till) -> None:
    order = till.ordered()
    till.pays(order)
    said = till.provider.close_payment(till.subject.channel, till.payment(order))
    assert (said.paid, said.amount) == (True, till.price)


# ---- refunds


def _ended(till: Till, order: Order, number: int = 0) -> None:
    """A refund that the provider takes its time for ends, and is asked for."""
    for refund in till.there(order.payments[number].payment_id).refunds.values():
        if refund.status == "pending":
            till.subject.booth.settle(till.there(order.payments[number].payment_id), refund, "done")
    till.return_money(till.order(order))


def _refundable(till: Till) -> None:
    if till.provider.terms(till.subject.channel).refunds is Refunds.NONE:
        raise Absent


@case("refund")
def refund(till: Till) -> None:
    _refundable(till)
    order = till.delivered()
    number = order.payments[0].payment_id
    till.refund(order.trade_id, number, None, OPERATOR, "key-of-this-refund")
    _ended(till, order)
    after = till.order(order)
    assert (after.status, after.payments[0].state) == (Status.REFUNDED, PaymentState.REFUNDED)
    assert till.there(number).status == "refunded"
    assert len(after.cards) == 0, "nobody has read the code: it is for sale again"


@case("refund in part")
def refund_in_part(till: Till) -> None:
    if till.provider.terms(till.subject.channel).refunds is not Refunds.PARTIAL:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    for key in ("first", "first", "second"):  # the first is asked for twice
        till.refund(order.trade_id, number, replace(till.price, minor=100), OPERATOR, key)
        _ended(till, order)
    after = till.order(order)
    assert (after.status, after.payments[0].left) == (Status.DELIVERED, till.price.minor - 200)
    assert len(till.there(number).refunds) == 2


@case("refund twice")
def refund_twice(till: Till) -> None:
    """The answer was lost, and the same refund is asked for again."""
    _refundable(till)
    order = till.delivered()
    payment = order.payments[0]
    asked = payment.next_refund(till.price, RefundState.REQUESTED, "operator")
    first = till.provider.refund(till.subject.channel, payment, asked)
    again = till.provider.refund(till.subject.channel, payment, asked)
    assert first.state == again.state
    assert len(till.there(payment.payment_id).refunds) == 1
    for pending in till.there(payment.payment_id).refunds.values():
        if pending.status == "pending":
            till.subject.booth.settle(till.there(payment.payment_id), pending, "done")
    known = replace(asked, provider_ref=first.provider_ref)
    assert till.provider.query_refund(till.subject.channel, payment, known).state is RefundState.DONE


@case("refund refused")
def refund_refused(till: Till) -> None:
    """More than is there, says the provider: the order is as it was."""
    _refundable(till)
    order = till.delivered()
    number = order.payments[0].payment_id
    _sent_back(till, number, till.price, "by-somebody-else")
    till.refund(order.trade_id, number, None, OPERATOR, "key-of-this-refund")
    till.return_money(till.order(order))
    after = till.order(order)
    assert till.there(number).refunded == till.subject.written(till.price), "nothing went twice"
    assert after.payments[0].state in {PaymentState.ACCEPTED, PaymentState.REFUNDED, PaymentState.REFUNDING}


@case("refund undone")
def refund_undone(till: Till) -> None:
    """Its money comes back, and that it was done is told last; an operator sends it at the console instead."""
    if "refund_refused" not in till.subject.events:
        raise Absent
    order = till.delivered()
    number = order.payments[0].payment_id
    till.refund(order.trade_id, number, None, OPERATOR, "key-of-this-refund")
    _ended(till, order)
    assert till.order(order).status is Status.REFUNDED
    there = till.there(number)
    (made,) = there.refunds.values()
    told = [event for event in ("refunded", "charge_refunded") if event in till.subject.events]
    old = [till.subject.notice(number, event, made) for event in told]
    made.status, there.status, there.refunded = "refused", "paid", "0"
    till.says(number, "refund_refused", made)
    after = till.order(order)
    assert [each.state for each in after.payments[0].refunds] == [RefundState.BY_HAND]
    for notice in old:
        till.hears(notice)
        assert till.order(order) == after, "the buyer has not got it"
    till.says(number, "refunded", _sent_back(till, number, till.price))
    assert (till.order(order).tasks, till.payment(order).state) == ([], PaymentState.REFUNDED)


@case("refund while down")
def refund_while_down(till: Till) -> None:
    _refundable(till)
    order = till.delivered()
    till.subject.booth._outage["all"] = True
    till.refund(order.trade_id, order.payments[0].payment_id, None, OPERATOR, "key-of-this-refund")
    assert till.order(order).status is Status.REFUNDING, "on record, and not given up"
    till.subject.booth._outage["all"] = False
    till.return_money(till.order(order))
    _ended(till, order)
    assert till.order(order).status is Status.REFUNDED
