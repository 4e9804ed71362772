"""What an operator decides about money, with the reason on record before the deed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cardshop.domain.errors import NotFound, NotRefundable
from cardshop.domain.money import Money
from cardshop.domain.payment import Refunds, RefundState, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.decide_refund import DecideRefund
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.refund_payment import RefundPayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, TRADE_ID, delivered, paid, placed
from tests.usecases.fakes import Shop

SECOND_ID = payment_id(TRADE_ID, 2)
KEY = "a-key-of-this-refund"
ALICE = Reason("alice", "the buyer asked for it")


@pytest.fixture
def decide(shop: Shop, refund: RefundPayment) -> DecideRefund:
    return DecideRefund(shop.orders, refund, OperatorNote(shop.timeline, shop.clock))


def given_a_top_up(shop: Shop) -> None:
    """The second payment is the one that paid for the order."""
    order = placed().settled(PAYMENT_ID, Money(900, "CNY"), None, NOW).reopened("epay", BUYER, NOW)
    shop.orders.put(delivered(order.settled(SECOND_ID, Money(90, "CNY"), None, NOW)))


def notes(shop: Shop) -> list[tuple[str, str, str]]:
    return [(each.kind, each.payment_id, each.detail) for each in shop.timeline.incidents(TRADE_ID)]


# ---- send ----


def test_the_payment_that_paid_for_the_order_goes_back_unless_another_is_named(
    shop: Shop, decide: DecideRefund
) -> None:
    given_a_top_up(shop)
    order, refund = decide.send(TRADE_ID, None, None, KEY, ALICE)
    assert (refund.refund_id, refund.amount, refund.state) == (f"{SECOND_ID}r01", Money(90, "CNY"), RefundState.DONE)
    assert order == shop.orders.by_id[TRADE_ID]
    _, refund = decide.send(TRADE_ID, PAYMENT_ID, Money(100, "CNY"), KEY, ALICE)
    assert (refund.refund_id, refund.amount) == (f"{PAYMENT_ID}r01", Money(100, "CNY"))


def test_who_why_and_of_which_payment_is_on_record(shop: Shop, decide: DecideRefund) -> None:
    shop.orders.put(delivered())
    for _ in range(2):
        decide.send(TRADE_ID, None, None, KEY, ALICE)
    assert notes(shop) == [("refund_asked", PAYMENT_ID, "alice, the buyer asked for it")], "the same words are one note"
    assert shop.bank.sent == {f"{PAYMENT_ID}r01": PRICE}
    decide.send(TRADE_ID, None, None, KEY, Reason("bob", "again"))
    assert len(notes(shop)) == 2


def test_the_payment_that_paid_is_found_by_the_same_request_after_it_went(shop: Shop, decide: DecideRefund) -> None:
    shop.orders.put(delivered())
    first = decide.send(TRADE_ID, None, None, KEY, ALICE)
    assert decide.send(TRADE_ID, None, None, KEY, ALICE) == first


def test_an_order_that_nothing_has_paid_for_is_to_be_told_which_payment(shop: Shop, decide: DecideRefund) -> None:
    shop.orders.put(placed().settled(PAYMENT_ID, Money(500, "CNY"), None, NOW))
    with pytest.raises(NotRefundable):
        decide.send(TRADE_ID, None, None, KEY, ALICE)
    assert notes(shop) == []
    order, _ = decide.send(TRADE_ID, PAYMENT_ID, None, KEY, ALICE)
    assert (order.status, order.amount_due) == (Status.PENDING_PAYMENT, PRICE)


DEEDS: dict[str, Callable[[DecideRefund, str, str], object]] = {
    "send": lambda decide, trade, payment: decide.send(trade, payment, None, KEY, ALICE),
    "sent": lambda decide, trade, payment: decide.sent(trade, payment, None, "B1", ALICE),
    "keep": lambda decide, trade, payment: decide.keep(trade, payment, ALICE),
}


@pytest.mark.parametrize("deed", list(DEEDS))
@pytest.mark.parametrize(("trade_id", "payment"), [("z" * 26, PAYMENT_ID), (TRADE_ID, payment_id(TRADE_ID, 9))])
def test_what_is_not_there_is_not_found_and_leaves_no_note(
    shop: Shop, decide: DecideRefund, deed: str, trade_id: str, payment: str
) -> None:
    before = shop.orders.put(delivered())
    with pytest.raises(NotFound):
        DEEDS[deed](decide, trade_id, payment)
    assert (shop.orders.by_id, shop.timeline.noted) == ({TRADE_ID: before}, {})


@pytest.mark.parametrize("deed", list(DEEDS))
def test_the_reason_is_there_before_the_deed(shop: Shop, decide: DecideRefund, deed: str) -> None:
    """A deed without its reason is never found, wherever it breaks off."""
    shop.orders.put(delivered())
    seen: list[int] = []
    shop.orders.meanwhile = lambda _: seen.append(len(shop.timeline.noted))
    DEEDS[deed](decide, TRADE_ID, PAYMENT_ID)
    assert set(seen) == {1}


# ---- sent by hand, or kept ----


def test_what_was_sent_by_hand_is_on_record_with_its_number(shop: Shop, decide: DecideRefund) -> None:
    shop.orders.put(delivered())
    shop.bank.takes = replace(shop.bank.takes, refunds=Refunds.NONE)
    _, waits = decide.send(TRADE_ID, None, None, KEY, ALICE)
    assert waits.state is RefundState.BY_HAND
    order, sent = decide.sent(TRADE_ID, None, None, "B1", ALICE)
    assert (sent.refund_id, sent.state, sent.provider_ref) == (waits.refund_id, RefundState.DONE, "B1")
    assert (order.status, order.tasks) == (Status.REFUNDED, [])
    assert notes(shop)[1] == ("refunded_by_hand", PAYMENT_ID, "alice, number B1, the buyer asked for it")


def test_what_is_kept_is_on_record_with_its_reason(shop: Shop, decide: DecideRefund) -> None:
    shop.orders.put(delivered(paid(placed()).reopened("epay", BUYER, NOW).settled(SECOND_ID, PRICE, None, NOW)))
    order = decide.keep(TRADE_ID, SECOND_ID, ALICE)
    assert (order.payments[1].kept, order.owed, order.last_change.actor.by) == (True, [], "operator")
    assert notes(shop) == [("payment_kept", SECOND_ID, "alice, the buyer asked for it")]
