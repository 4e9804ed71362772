"""An operator has seen the money: it counts as if the notice had come, once, with the reason on record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from cardshop.domain.errors import NotFound, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import EventKind, PaymentEvent, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.confirm_by_hand import ConfirmByHand
from cardshop.usecases.operator_note import OperatorNote, Reason
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, SKU, TRADE_ID, placed
from tests.usecases.fakes import Interruption, Shop, at_every_call, unavailable

SECOND_ID = payment_id(TRADE_ID, 2)
TOKEN = "token-1"
ALICE = Reason("alice", "seen in the bank's statement")
NEVER = Interruption(-1, unavailable)


def confirming(shop: Shop, meanwhile: Interruption = NEVER) -> ConfirmByHand:
    orders, machine = meanwhile.watch(shop.orders), meanwhile.watch(shop.machine)
    record = RecordPayment(orders, meanwhile.watch(shop.stock), meanwhile.watch(shop.catalogue), shop.clock)
    note = OperatorNote(meanwhile.watch(shop.timeline), shop.clock)
    return ConfirmByHand(orders, SettlePayment(record, machine), note)


def confirm(
    shop: Shop,
    *,
    payment: str | None = None,
    minor: int | None = None,
    number: str = "B1",
    meanwhile: Interruption = NEVER,
) -> Order:
    amount = None if minor is None else Money(minor, "CNY")
    return confirming(shop, meanwhile)(TRADE_ID, payment, amount, number, ALICE)


def the(shop: Shop) -> Order:
    return shop.orders.by_id[TRADE_ID]


def waits(shop: Shop, order: Order | None = None) -> None:
    """An unpaid order, whose machine waits."""
    shop.orders.put(order or placed())
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)


def test_money_that_an_operator_has_seen_pays_for_the_order(shop: Shop) -> None:
    waits(shop)
    order = confirm(shop)
    assert order == the(shop)
    assert (order.status, order.payments[0].state, order.payments[0].paid) == (Status.PAID, "accepted", PRICE)
    assert (order.payments[0].provider_ref, order.last_change.actor.by) == ("B1", "operator")
    assert shop.machine.woken == [TOKEN]
    (note,) = shop.timeline.incidents(TRADE_ID)
    assert (note.kind, note.payment_id) == ("confirmed_by_hand", PAYMENT_ID)
    assert note.detail == "alice, 990 CNY, number B1, seen in the bank's statement"


def test_confirmed_again_it_stays_as_it_is(shop: Shop) -> None:
    waits(shop)
    first = confirm(shop)
    assert confirm(shop) == first
    assert len(shop.timeline.noted) == 1


def test_confirmed_again_it_is_the_same_payment_though_another_was_opened(shop: Shop) -> None:
    """Else money that came once would be counted twice, and sent back though it never came."""
    waits(shop)
    confirm(shop, minor=500)
    shop.orders.put(the(shop).reopened("epay", BUYER, NOW))
    before = the(shop)
    assert confirm(shop, minor=500) == before


def test_the_latest_payment_is_meant_unless_another_is_named(shop: Shop) -> None:
    waits(shop, placed().reopened("epay", BUYER, NOW))
    assert [each.state for each in confirm(shop).payments] == [PaymentState.OPEN, PaymentState.ACCEPTED]
    order = confirm(shop, payment=PAYMENT_ID, number="B2")
    assert [each.state for each in order.payments] == [PaymentState.DUPLICATE, PaymentState.ACCEPTED]


@pytest.mark.parametrize(
    ("minor", "state", "status"),
    [
        (500, PaymentState.SHORT, Status.PENDING_PAYMENT),
        (990, PaymentState.ACCEPTED, Status.PAID),
        (1000, PaymentState.SURPLUS, Status.PAID),
    ],
)
def test_it_is_judged_as_any_money_is(shop: Shop, minor: int, state: PaymentState, status: Status) -> None:
    waits(shop)
    order = confirm(shop, minor=minor)
    assert (order.payments[0].state, order.status) == (state, status)


def test_money_for_an_order_that_is_closed_takes_new_cards_or_awaits_some(shop: Shop) -> None:
    shop.sells(SKU, 1, PRICE)
    shop.orders.put(placed(held=()).closed(NOW))
    assert confirm(shop).status is Status.PAID
    shop.orders.put(placed(held=()).closed(NOW))
    assert (confirm(shop).status, the(shop).lacking) == (Status.AWAITING_STOCK, SKU)


def test_the_providers_own_notice_changes_nothing_any_more(shop: Shop, settle: SettlePayment) -> None:
    waits(shop)
    first = confirm(shop)
    settle(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1"))
    assert the(shop) == first


@pytest.mark.parametrize("trade_id", ["z" * 26, TRADE_ID])
def test_what_is_not_there_is_not_found_and_leaves_no_note(shop: Shop, trade_id: str) -> None:
    before = shop.orders.put(placed())
    with pytest.raises(NotFound):
        confirming(shop)(trade_id, SECOND_ID, None, "B1", ALICE)
    assert (shop.orders.by_id, shop.timeline.noted) == ({TRADE_ID: before}, {})


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("beside", ["the notice", "another operator"])
def test_two_who_confirm_the_same_money_pay_for_the_order_once(beside: str, after: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        waits(shop)
        return shop

    def notice(shop: Shop) -> None:
        record = RecordPayment(shop.orders, shop.stock, shop.catalogue, shop.clock)
        SettlePayment(record, shop.machine)(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1"))

    twins: dict[str, Callable[[Shop], object]] = {"the notice": notice, "another operator": confirm}
    for shop, twin in at_every_call(made, twins[beside], after=after):
        order = confirm(shop, meanwhile=twin)
        assert (order.status, order.version, order.payments[0].state) == (Status.PAID, 2, PaymentState.ACCEPTED)
        assert shop.machine.woken == [TOKEN]


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_confirmation_that_breaks_off_anywhere_is_made_again(answer_lost: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        waits(shop)
        return shop

    for shop, broken in at_every_call(made, unavailable, after=answer_lost):
        with suppress(Unavailable):
            confirm(shop, meanwhile=broken)
        assert the(shop).status is Status.PENDING_PAYMENT or shop.timeline.noted, "no deed without its reason"
        assert (confirm(shop).status, the(shop).version) == (Status.PAID, 2)
        assert shop.machine.woken == [TOKEN]
