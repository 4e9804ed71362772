"""Reconciling: what nobody else did is done, by the same use cases; what is as it should be is left as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from cardshop.domain import looks
from cardshop.domain.errors import Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import (
    Channel,
    EventKind,
    PaymentEvent,
    PaymentState,
    Refunds,
    RefundState,
    payment_id,
)
from cardshop.domain.trade import Status
from cardshop.ports import Provider
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.cancel_order import PAYMENT_FAILED
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.complete_trade import CompleteTrade
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.reconcile import Reconcile, Report
from cardshop.usecases.refund_payment import RefundPayment, ReturnMoney
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

from tests.domain.builders import (
    AFTER_SALE_MS,
    BUYER,
    NOW,
    OPERATOR,
    PAYMENT_ID,
    PRICE,
    SKU,
    STOCK_PATIENCE_MS,
    TRADE_ID,
    WINDOW_MS,
    cards,
    delivered,
    paid,
    placed,
    refund_told,
    refunding,
)
from tests.usecases.fakes import Interruption, Shop, at_every_call, unavailable

TOKEN = "token-1"
HOUR = 3_600_000
WINDOW_OVER = NOW + WINDOW_MS + looks.GRACE
NEVER = Interruption(-1, unavailable)
SECOND_ID = payment_id(TRADE_ID, 2)
IDS = [letter * 26 for letter in "abcdefgh"]


def reconciling(shop: Shop, meanwhile: Interruption = NEVER) -> Reconcile:
    """The use case, while `meanwhile` watches every port."""
    orders, channels, machine = (
        meanwhile.watch(shop.orders),
        meanwhile.watch(shop.channels),
        meanwhile.watch(shop.machine),
    )
    pool, catalogue, bank = meanwhile.watch(shop.stock), meanwhile.watch(shop.catalogue), meanwhile.watch(shop.bank)

    def provider(name: str) -> Provider:
        assert name == shop.bank.name
        return bank

    ask = AskProvider(channels, provider)
    record = RecordPayment(orders, pool, catalogue, shop.clock)
    refund = RefundPayment(orders, channels, provider, machine, shop.clock)
    return Reconcile(
        orders=orders,
        ask=ask,
        settle=SettlePayment(record, machine),
        close=CloseTrade(orders, ask, record, shop.clock),
        complete=CompleteTrade(orders, shop.clock),
        fill=FillOrders(orders, pool, catalogue, machine, AFTER_SALE_MS, shop.clock),
        return_money=ReturnMoney(refund, STOCK_PATIENCE_MS, shop.clock),
        workflow=machine,
        clock=shop.clock,
    )


@pytest.fixture
def reconcile(shop: Shop) -> Reconcile:
    return reconciling(shop)


@pytest.fixture(autouse=True)
def product(shop: Shop) -> None:
    shop.sells(SKU, 0, PRICE)


def due(shop: Shop, order: Order, *, waits: bool = False) -> Order:
    """The order, to be looked at now; its execution runs, and waits or has not come to that yet."""
    shop.machine.start(order.trade_id)
    if waits:
        shop.machine.waiting.add(TOKEN)
    return shop.orders.put(replace(order, due_at=shop.clock.now, task_token=TOKEN if waits else None))


def stocked(shop: Shop, count: int) -> None:
    """So many cards for sale."""
    shop.sells(SKU, count, PRICE)


def awaiting(trade_id: str = TRADE_ID) -> Order:
    return paid(placed(trade_id=trade_id, held=())).short_of_cards(NOW, SKU)


def the_status(shop: Shop, *orders: Order) -> list[Status]:
    return [shop.orders.by_id[each.trade_id].status for each in orders]


def states(order: Order) -> list[str]:
    return [payment.state.value for payment in order.payments]


# ---- lost notices ----


def test_a_payment_whose_notice_was_lost_is_settled_and_the_machine_goes_on(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed(), waits=True)
    shop.bank.receives(PAYMENT_ID, PRICE)
    report = reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, states(order)) == (Status.PAID, ["accepted"])
    assert shop.machine.woken == [TOKEN]
    assert (report.counts["looked"], report.counts["settled"], report.errors) == (1, 1, [])


def test_money_for_a_closed_order_is_found_hours_later(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed().closed(NOW))
    stocked(shop, 1)
    shop.bank.receives(PAYMENT_ID, PRICE)
    reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.has_its_cards) == (Status.PAID, True)
    assert list(shop.machine.executions.values()) == [True, True]


def test_money_for_a_closed_order_awaits_stock_if_there_is_none(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed().closed(NOW))
    shop.bank.receives(PAYMENT_ID, PRICE)
    report = reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.lacking) == (Status.AWAITING_STOCK, SKU)
    assert report.counts["awaiting_stock"] == 1


def test_money_for_a_cancelled_order_is_late(shop: Shop, reconcile: Reconcile) -> None:
    stocked(shop, 1)
    due(shop, placed(held=()).failed(NOW, BUYER))
    shop.bank.receives(PAYMENT_ID, PRICE)
    assert reconcile().counts["settled"] == 1
    assert shop.orders.by_id[TRADE_ID].status is Status.PAID


def test_several_payments_of_an_order_are_all_settled(shop: Shop, reconcile: Reconcile) -> None:
    order = due(shop, placed().reopened("epay", BUYER, NOW))
    for payment in order.payments:
        shop.bank.receives(payment.payment_id, PRICE)
    report = reconcile()
    assert states(shop.orders.by_id[TRADE_ID]) == ["accepted", "refunded"], "the second was a duplicate"
    assert report.counts["settled"] == 2


# ---- lost executions ----


UNFINISHED = [placed(), paid(placed()), awaiting(), delivered()]


@pytest.mark.parametrize("order", UNFINISHED, ids=lambda order: order.status)
def test_a_trade_whose_execution_somebody_stopped_gets_another_and_is_left_as_it_is(
    shop: Shop, reconcile: Reconcile, order: Order
) -> None:
    stored = shop.orders.put(order)
    shop.orders.note(replace(stored, due_at=NOW + HOUR))  # not due: it is the stop that is noticed
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW - HOUR)
    reconcile()
    reconcile()
    assert list(shop.machine.executions.values()) == [False, True]
    assert shop.orders.by_id[TRADE_ID] == replace(stored, due_at=NOW + HOUR)


@pytest.mark.parametrize("order", UNFINISHED[:-1], ids=lambda order: order.status)
def test_a_trade_that_no_execution_drives_gets_one_when_it_is_looked_at(
    shop: Shop, reconcile: Reconcile, order: Order
) -> None:
    """Given an execution that was stopped so long ago that nobody notices."""
    stored = shop.orders.put(replace(order, due_at=NOW))
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW - 2 * HOUR)
    reconcile()
    reconcile()
    assert list(shop.machine.executions.values()) == [False, True]
    after = shop.orders.by_id[TRADE_ID]
    assert after == replace(stored, due_at=after.due_at)


@pytest.mark.parametrize("order", UNFINISHED, ids=lambda order: order.status)
def test_a_trade_that_another_execution_drives_gets_no_third(shop: Shop, reconcile: Reconcile, order: Order) -> None:
    stored = shop.orders.put(replace(order, due_at=NOW + HOUR))
    shop.machine.start(TRADE_ID)
    shop.machine.take_over(TRADE_ID, anew=True)
    shop.machine.stop(TRADE_ID, NOW)
    reconcile()
    assert list(shop.machine.executions.values()) == [False, True]
    assert shop.orders.by_id[TRADE_ID] == stored


@pytest.mark.parametrize("order", [placed().closed(NOW), delivered().completed(NOW)], ids=lambda order: order.status)
def test_a_trade_that_is_over_gets_no_execution(shop: Shop, reconcile: Reconcile, order: Order) -> None:
    stored = shop.orders.put(order)
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW)
    reconcile()
    assert shop.machine.executions == {TRADE_ID: False}
    assert shop.orders.by_id[TRADE_ID] == stored


def test_a_trade_that_is_not_due_is_not_looked_at(shop: Shop, reconcile: Reconcile) -> None:
    stored = shop.orders.put(placed())
    shop.bank.receives(PAYMENT_ID, PRICE)
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW - 2 * HOUR)
    assert reconcile().counts["looked"] == 0
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_execution_of_no_order_is_nothing_to_look_at(shop: Shop, reconcile: Reconcile) -> None:
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW)
    report = reconcile()
    assert (report.counts["looked"], report.errors, shop.machine.executions) == (0, [], {TRADE_ID: False})


# ---- windows that are over ----


def test_a_machine_that_still_waits_after_the_window_is_told_and_closes_the_order_itself(
    shop: Shop, reconcile: Reconcile
) -> None:
    shop.clock.now = WINDOW_OVER
    due(shop, placed(), waits=True)
    reconcile()
    assert shop.machine.failed == [(TOKEN, PAYMENT_FAILED)]
    assert shop.orders.by_id[TRADE_ID].status is Status.PENDING_PAYMENT


@pytest.mark.parametrize("order", [placed(), placed().failed(NOW, BUYER)], ids=lambda order: order.status)
def test_an_order_that_no_machine_waits_to_close_is_closed_and_its_card_is_for_sale_again(
    shop: Shop, reconcile: Reconcile, order: Order
) -> None:
    shop.clock.now = WINDOW_OVER
    due(shop, order, waits=True)
    shop.machine.waiting.clear()
    reconcile()
    closed = shop.orders.by_id[TRADE_ID]
    assert (closed.status, closed.due_at) == (Status.CLOSED, WINDOW_OVER + HOUR)
    assert shop.stock.card_ids == [card.card_id for card in order.cards]


def test_an_unpaid_order_is_left_to_its_machine_until_a_moment_after_its_window(
    shop: Shop, reconcile: Reconcile
) -> None:
    shop.clock.now = WINDOW_OVER - 1
    due(shop, placed(), waits=True)
    reconcile()
    assert (shop.orders.by_id[TRADE_ID].status, shop.machine.failed) == (Status.PENDING_PAYMENT, [])
    assert shop.orders.by_id[TRADE_ID].due_at == WINDOW_OVER


def test_a_payment_at_the_very_moment_of_closing_wins_and_is_driven_on(
    shop: Shop, reconcile: Reconcile, record: RecordPayment
) -> None:
    shop.clock.now = WINDOW_OVER
    order = due(shop, placed())
    shop.orders.once(lambda _: record(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1")))
    reconcile()
    now = shop.orders.by_id[TRADE_ID]
    assert (now.status, now.cards) == (Status.PAID, order.cards)
    assert list(shop.machine.executions.values()) == [True, True]


def test_a_trade_that_was_closed_and_paid_late_meanwhile_is_driven_on(
    shop: Shop, reconcile: Reconcile, record: RecordPayment
) -> None:
    """Given a closing and late money without stock between the look's read and its write, it awaits stock."""
    shop.clock.now = WINDOW_OVER
    order = due(shop, placed(held=()))

    def closed_and_paid(_: Order) -> None:
        shop.orders.record(order, order.closed(WINDOW_OVER))
        record(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, "bank-1"))

    shop.orders.once(closed_and_paid)
    reconcile()
    assert shop.orders.by_id[TRADE_ID].status is Status.AWAITING_STOCK
    assert list(shop.machine.executions.values()) == [True, True]


def test_a_delivered_order_whose_after_sale_window_is_over_is_completed(shop: Shop, reconcile: Reconcile) -> None:
    shop.clock.now = NOW + HOUR + AFTER_SALE_MS
    due(shop, delivered(), waits=True)
    shop.machine.waiting.clear()
    reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.due_at) == (Status.COMPLETED, None)


def test_a_machine_that_still_waits_after_the_after_sale_window_goes_on_and_completes_the_order_itself(
    shop: Shop, reconcile: Reconcile
) -> None:
    shop.clock.now = NOW + HOUR + AFTER_SALE_MS
    due(shop, delivered(), waits=True)
    reconcile()
    assert (shop.machine.woken, shop.orders.by_id[TRADE_ID].status) == ([TOKEN], Status.DELIVERED)


@pytest.mark.parametrize("late", [False, True], ids=["none waited", "another one waited before"])
@pytest.mark.parametrize(
    ("order", "now", "told"),
    [
        (placed(), WINDOW_OVER, "failed"),
        (placed().failed(NOW, BUYER), WINDOW_OVER, "failed"),
        (delivered(), NOW + HOUR + AFTER_SALE_MS, "woken"),
    ],
    ids=["unpaid", "cancelled", "delivered"],
)
def test_a_machine_that_begins_to_wait_while_its_trade_is_ended_is_told(
    shop: Shop, reconcile: Reconcile, order: Order, now: int, told: str, *, late: bool
) -> None:
    shop.clock.now = now
    due(shop, order, waits=late)
    shop.machine.waiting.clear()

    def begins_to_wait(_: Order) -> None:
        shop.machine.waiting.add("token-2")
        shop.orders.put(replace(the(shop), task_token="token-2"))

    shop.orders.once(begins_to_wait)
    reconcile()
    assert the(shop).status is (Status.CLOSED if told == "failed" else Status.COMPLETED)
    assert (shop.machine.waiting, bool(getattr(shop.machine, told))) == (set(), True)


# ---- stock that came ----


def test_an_order_that_awaits_stock_is_filled_from_what_is_for_sale(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, awaiting(), waits=True)
    stocked(shop, 2)
    report = reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, order.has_its_cards) == (Status.DELIVERED, True)
    assert (len(shop.stock.card_ids), shop.machine.woken) == (1, [TOKEN])
    assert (report.counts["filled"], report.counts["awaiting_stock"]) == (1, 0)


def test_whoever_has_waited_longest_gets_the_card_whose_turn_ever_it_is_to_be_looked_at(
    shop: Shop, reconcile: Reconcile
) -> None:
    old, new = replace(awaiting(IDS[1]), created_at=NOW - 1), due(shop, awaiting(IDS[0]))
    shop.orders.put(replace(old, due_at=shop.clock.now + 1))
    stocked(shop, 1)
    report = reconcile()
    assert the_status(shop, old, new) == [Status.DELIVERED, Status.AWAITING_STOCK]
    assert (report.counts["filled"], report.counts["awaiting_stock"]) == (1, 1)
    stocked(shop, 1)
    shop.clock.now += looks.SOON
    reconcile()
    assert the_status(shop, old, new) == [Status.DELIVERED, Status.DELIVERED]


def test_an_older_order_that_wants_more_than_there_is_or_is_in_trouble_holds_up_nobody(
    shop: Shop, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = shop.orders.put(replace(awaiting(IDS[1]), created_at=NOW - 1))
    new = due(shop, awaiting(IDS[0]))
    stocked(shop, 1)
    records = shop.orders.record

    def of_the_new_one(before: Order, after: Order) -> Order:
        if before.trade_id == old.trade_id:
            raise Unavailable("the store did not answer")
        return records(before, after)

    monkeypatch.setattr(shop.orders, "record", of_the_new_one)
    report = reconcile()
    assert the_status(shop, old, new) == [Status.AWAITING_STOCK, Status.DELIVERED]
    assert report.errors == [(old.trade_id, "unavailable")]


def test_a_run_that_has_no_time_left_gives_nobody_what_an_older_order_waits_for(
    shop: Shop, reconcile: Reconcile
) -> None:
    old = shop.orders.put(replace(awaiting(IDS[1]), created_at=NOW - 1))
    new = due(shop, awaiting(IDS[0]))
    stocked(shop, 1)
    left = iter([True, False, False])
    reconcile(lambda: next(left))
    assert the_status(shop, old, new) == [Status.AWAITING_STOCK, Status.AWAITING_STOCK]


# ---- payments that end without a notice ----


def test_a_payment_that_failed_ends_the_order_and_its_machine_closes_it(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed(), waits=True)
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.FAILED)
    report = reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, states(order)) == (Status.PAYMENT_FAILED, ["failed"])
    assert shop.machine.failed == [(TOKEN, PAYMENT_FAILED)]
    assert report.counts["ended"] == 1


def test_a_payment_that_failed_beside_an_open_one_is_that_payments_alone(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed().reopened("epay", BUYER, NOW), waits=True)
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.FAILED)
    reconcile()
    order = shop.orders.by_id[TRADE_ID]
    assert (order.status, states(order)) == (Status.PENDING_PAYMENT, ["failed", "open"])


def test_a_payment_that_failed_is_no_news_of_a_closed_order(shop: Shop, reconcile: Reconcile) -> None:
    before = due(shop, placed().closed(NOW))
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.FAILED)
    assert reconcile().counts["ended"] == 0
    assert shop.orders.by_id[TRADE_ID].version == before.version


@pytest.mark.parametrize("closed", [False, True])
def test_money_that_was_sent_back_at_the_providers_desk_came_and_went(
    shop: Shop, reconcile: Reconcile, closed: bool
) -> None:
    due(shop, placed().closed(NOW) if closed else placed())
    shop.bank.books[PAYMENT_ID] = PaymentEvent(PAYMENT_ID, EventKind.REFUNDED)
    assert reconcile().counts["ended"] == 1
    order = shop.orders.by_id[TRADE_ID]
    assert states(order) == ["refunded"]
    assert order.status is (Status.CLOSED if closed else Status.PENDING_PAYMENT)
    assert order.last_change.what == "payment_refunded"


def test_an_order_that_still_awaits_stock_is_counted_and_looked_at_again(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, awaiting())
    report = reconcile()
    assert (report.counts["filled"], report.counts["awaiting_stock"]) == (0, 1)
    assert shop.orders.by_id[TRADE_ID].due_at == NOW + looks.SOON


def test_an_order_without_the_cards_it_should_have_is_counted(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, replace(paid(placed()), cards=()))
    due(shop, paid(placed(trade_id=IDS[0])))
    assert reconcile().counts["without_cards"] == 1


# ---- a provider that does not answer ----


def test_an_unpaid_order_the_provider_does_not_answer_for_is_left_as_it_is_and_asked_for_again(
    shop: Shop, reconcile: Reconcile
) -> None:
    shop.clock.now = WINDOW_OVER
    stored = due(shop, placed())
    shop.bank.down = True
    report = reconcile()
    assert (report.counts["unanswered"], report.errors) == (1, [(TRADE_ID, "unavailable")])
    assert shop.orders.by_id[TRADE_ID] == replace(stored, due_at=WINDOW_OVER + looks.SOON)
    shop.bank.down = False
    shop.bank.receives(PAYMENT_ID, PRICE)
    shop.clock.now += looks.SOON
    reconcile()
    assert shop.orders.by_id[TRADE_ID].status is Status.PAID


def test_after_three_payments_in_a_row_without_an_answer_no_more_are_asked_for(
    shop: Shop, reconcile: Reconcile
) -> None:
    for trade_id in IDS:
        due(shop, placed(trade_id=trade_id))
    shop.bank.down = True
    report = reconcile()
    assert shop.bank.asked == [payment_id(trade_id, 1) for trade_id in IDS[:3]]
    assert (report.counts["unanswered"], report.counts["failed"]) == (3, len(IDS))
    assert {order.status for order in shop.orders.by_id.values()} == {Status.PENDING_PAYMENT}


def test_trades_that_need_no_answer_are_looked_at_all_the_same(shop: Shop, reconcile: Reconcile) -> None:
    for trade_id in IDS[:4]:
        due(shop, placed(trade_id=trade_id))
    shop.clock.now = NOW + HOUR + AFTER_SALE_MS
    due(shop, delivered(paid(placed(trade_id=IDS[4]))))
    due(shop, awaiting(IDS[5]))
    due(shop, paid(placed(trade_id=IDS[6])))
    shop.machine.stop(IDS[6], NOW)
    stocked(shop, 1)
    shop.bank.down = True
    reconcile()
    assert shop.orders.by_id[IDS[4]].status is Status.COMPLETED
    assert shop.orders.by_id[IDS[5]].status is Status.DELIVERED
    assert shop.machine.runs(IDS[6])


def test_one_payment_without_an_answer_is_counted_and_keeps_no_other_from_being_settled(
    shop: Shop, reconcile: Reconcile
) -> None:
    for trade_id in IDS:
        due(shop, placed(trade_id=trade_id))
        shop.bank.receives(payment_id(trade_id, 1), PRICE)
    shop.bank.silent = {payment_id(trade_id, 1) for trade_id in IDS[::2]}
    report = reconcile()
    assert [shop.orders.by_id[trade_id].status for trade_id in IDS[:2]] == [Status.PENDING_PAYMENT, Status.PAID]
    assert report.counts["settled"] == len(IDS) / 2
    assert report.counts["unanswered"] == len(IDS) / 2


def test_the_last_look_at_a_closed_order_is_not_over_before_the_provider_has_answered(
    shop: Shop, reconcile: Reconcile
) -> None:
    due(shop, placed().closed(NOW))
    shop.clock.now = NOW + 24 * HOUR
    shop.bank.receives(PAYMENT_ID, PRICE)
    shop.bank.down = True
    reconcile()
    shop.bank.down = False
    shop.clock.now += HOUR
    reconcile()
    assert shop.orders.by_id[TRADE_ID].funded


def test_a_look_at_a_delivered_order_whose_other_payment_nobody_answers_for_does_not_count(
    shop: Shop, reconcile: Reconcile
) -> None:
    """Else money that came beside the price would be found a week later."""
    due(shop, delivered(paid(placed().reopened("epay", BUYER, NOW)), NOW))
    shop.bank.down = True
    reconcile()
    assert shop.orders.by_id[TRADE_ID].due_at == NOW + looks.SOON
    shop.bank.down = False
    shop.clock.now += looks.SOON
    reconcile()
    assert shop.orders.by_id[TRADE_ID].due_at == NOW + HOUR


# ---- one trade's trouble ----


def test_one_trades_error_does_not_stop_the_others(shop: Shop, reconcile: Reconcile) -> None:
    """Given cards that somebody always takes first, the order they are for is tried again later; the rest goes on."""
    due(shop, awaiting(IDS[0]))
    due(shop, placed(trade_id=IDS[1]))
    shop.bank.receives(payment_id(IDS[1], 1), PRICE)
    stocked(shop, 1)

    def always_faster(after: Order) -> None:
        if after.trade_id == IDS[0]:
            shop.stock.take(after.cards[0])
            shop.stock.put(after.cards[0].returned())

    shop.orders.meanwhile = always_faster
    report = reconcile()
    assert report.errors == [(IDS[0], "busy")]
    assert (report.counts["looked"], report.counts["failed"]) == (2, 1)
    assert [shop.orders.by_id[each].status for each in IDS[:2]] == [Status.AWAITING_STOCK, Status.PAID]
    assert shop.orders.by_id[IDS[0]].due_at == NOW + looks.SOON


# ---- a run, and another ----


def given_a_trade_in_every_state(shop: Shop) -> None:
    """As they lie there after a bad night: nothing drives them, notices were lost, windows are over."""
    shop.clock.now = WINDOW_OVER + AFTER_SALE_MS
    made: list[Callable[[str], Order]] = [
        lambda trade_id: placed(trade_id=trade_id),
        lambda trade_id: replace(placed(trade_id=trade_id), expires_at=shop.clock.now + HOUR),
        lambda trade_id: placed(trade_id=trade_id).failed(NOW, BUYER),
        lambda trade_id: placed(trade_id=trade_id).closed(NOW),
        lambda trade_id: paid(placed(trade_id=trade_id)),
        awaiting,
        lambda trade_id: delivered(paid(placed(trade_id=trade_id))),
        lambda trade_id: delivered(paid(placed(trade_id=trade_id))).completed(NOW),
    ]
    for number, (trade_id, make) in enumerate(zip(IDS, made, strict=True)):
        order = make(trade_id)
        held = cards(1, batch=f"batch-{number}") if order.cards else ()
        shop.orders.put(replace(order, cards=held, due_at=None if number == 7 else NOW))


@pytest.mark.parametrize("received", [None, PRICE, Money(1, "CNY"), Money(5000, "CNY"), Money(990, "USD")])
@pytest.mark.parametrize("stock", [0, 9])
def test_a_run_after_others_changes_nothing(
    shop: Shop, reconcile: Reconcile, received: Money | None, stock: int
) -> None:
    """Given trades in every state, all of them due again at once, the runs before have left nothing to do."""
    given_a_trade_in_every_state(shop)
    stocked(shop, stock)
    for trade_id in IDS if received else ():
        shop.bank.receives(payment_id(trade_id, 1), received or PRICE)
    assert reconcile().errors == []
    all_due(shop)
    assert reconcile().errors == []  # sends back what came for an order that the first had to close
    first = dict(shop.orders.by_id)
    left = shop.stock.card_ids, dict(shop.machine.executions), dict(shop.bank.sent)
    all_due(shop)
    report = reconcile()
    assert (report.errors, report.counts["settled"], report.counts["filled"]) == ([], 0, 0)
    assert {key: replace(order, due_at=None) for key, order in shop.orders.by_id.items()} == {
        key: replace(order, due_at=None) for key, order in first.items()
    }
    assert (shop.stock.card_ids, shop.machine.executions, shop.bank.sent) == left


def all_due(shop: Shop) -> None:
    for order in list(shop.orders.by_id.values()):
        if order.due_at is not None and order.status is not Status.DELIVERED:  # whose time would be over
            shop.orders.note(replace(order, due_at=NOW))


def test_money_is_never_left_without_a_state(shop: Shop, reconcile: Reconcile) -> None:
    given_a_trade_in_every_state(shop)
    for trade_id in IDS:
        shop.bank.receives(payment_id(trade_id, 1), PRICE)
    reconcile()
    for order in shop.orders.by_id.values():
        assert order.funded or order.status is Status.REFUNDED, order.status
        assert PaymentState.OPEN not in states(order)


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(shop: Shop, reconcile: Reconcile) -> None:
    for trade_id in IDS:
        due(shop, placed(trade_id=trade_id))
        shop.bank.receives(payment_id(trade_id, 1), PRICE)
    time = iter([True, True, True, False])
    assert reconcile(lambda: next(time)).counts["looked"] == 3
    assert reconcile().counts["settled"] == len(IDS) - 3
    assert reconcile().counts["looked"] == 0


def test_a_trade_that_is_named_twice_is_looked_at_once(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed())
    shop.machine.stop(TRADE_ID, NOW)
    shop.machine.stop(TRADE_ID, NOW - 1)
    assert reconcile().counts["looked"] == 1


def test_a_look_that_changes_nothing_notes_when_the_next_one_is_due(shop: Shop, reconcile: Reconcile) -> None:
    shop.clock.now = NOW + 60_000
    stored = due(shop, placed())
    reconcile()
    assert shop.orders.by_id[TRADE_ID] == replace(stored, due_at=NOW + 4 * 60_000)


def test_a_stopped_trade_that_is_not_due_keeps_its_next_look(shop: Shop, reconcile: Reconcile) -> None:
    stored = shop.orders.put(placed())
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW)
    reconcile()
    assert shop.orders.by_id[TRADE_ID] == stored


def test_an_order_that_cannot_be_read_keeps_no_other_from_being_looked_at(
    shop: Shop, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table edited by hand, say."""
    for trade_id in IDS[:2]:
        due(shop, placed(trade_id=trade_id))
    find = shop.orders.find

    def unreadable(trade_id: str) -> Order | None:
        if trade_id == IDS[0]:
            raise ValueError("no such pool") from KeyError("pool")
        return find(trade_id)

    monkeypatch.setattr(shop.orders, "find", unreadable)
    shop.bank.receives(payment_id(IDS[1], 1), PRICE)
    report = reconcile()
    assert (report.counts["settled"], report.errors) == (1, [(IDS[0], "ValueError")])
    assert re.fullmatch(r"ValueError at test_reconcile\.py:\d+ < KeyError", report.kinds[IDS[0]]), "and no text of it"


def test_a_machine_that_does_not_list_its_executions_keeps_no_trade_from_being_looked_at(
    shop: Shop, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(shop, placed())
    shop.bank.receives(PAYMENT_ID, PRICE)

    def throttled(since: int) -> Iterator[str]:
        raise Unavailable("throttled")
        yield ""

    monkeypatch.setattr(shop.machine, "stopped", throttled)
    report = reconcile()
    assert (report.counts["settled"], report.errors) == (1, [("-", "unavailable")])


def test_a_silent_channel_keeps_neither_another_nor_a_paid_trade_waiting(shop: Shop, reconcile: Reconcile) -> None:
    shop.channels["other"] = Channel("other", "bank", {}, {})
    unpaid = placed(trade_id=IDS[0]).reopened("other", BUYER, NOW)
    due(shop, unpaid)
    stuck = paid(placed(trade_id=IDS[1]).reopened("other", BUYER, NOW))
    due(shop, stuck)
    shop.machine.stop(IDS[1], NOW)
    shop.bank.silent |= {payment_id(IDS[0], 1), payment_id(IDS[1], 2)}
    shop.bank.receives(payment_id(IDS[0], 2), PRICE)
    report = reconcile()
    assert shop.orders.by_id[IDS[0]].status is Status.PAID, "through the channel that answered"
    assert shop.machine.runs(IDS[1])
    assert report.counts["unanswered"] == 2


def test_irregular_money_that_is_found_is_counted_for_an_alarm(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, placed())
    shop.bank.receives(PAYMENT_ID, Money(1, "CNY"))
    assert reconcile().counts["irregular"] == 1


# ---- money that goes back ----


def again(shop: Shop, reconcile: Reconcile) -> Report:
    """The next time that something is due."""
    due_at = min(order.due_at for order in shop.orders.by_id.values() if order.due_at is not None)
    shop.clock.now = max(shop.clock.now, due_at)
    return reconcile()


def the(shop: Shop) -> Order:
    return shop.orders.by_id[TRADE_ID]


def twice(order: Order) -> Order:
    """Paid through another payment too."""
    return order.reopened("epay", BUYER, NOW).settled(SECOND_ID, PRICE, "bank-2", NOW)


def short(order: Order) -> Order:
    return order.settled(PAYMENT_ID, Money(500, "CNY"), "bank-1", NOW)


def refund_states(shop: Shop, number: int = 0) -> list[RefundState]:
    return [refund.state for refund in the(shop).payments[number].refunds]


def in_vain(shop: Shop) -> Order:
    """It has awaited stock for as long as it is to."""
    order = due(shop, awaiting(), waits=True)
    shop.clock.now = order.last_change.at + STOCK_PATIENCE_MS
    return order


#: How money came that is not the shop's → the order, what goes back by which payment, where the order is then.
OWED: dict[str, tuple[Callable[[], Order], dict[str, int], Status]] = {
    "a duplicate": (lambda: twice(delivered(at=NOW)), {SECOND_ID: 990}, Status.DELIVERED),
    "short money of a closed order": (lambda: short(placed(held=())).closed(NOW), {PAYMENT_ID: 500}, Status.REFUNDED),
    "money for a refunded order": (
        lambda: twice(refund_told(refunding(paid(placed(held=()))), RefundState.DONE).gone(NOW)),
        {SECOND_ID: 990},
        Status.REFUNDED,
    ),
    "money reinstated to a refunded order": (
        lambda: paid(placed(held=())).charged_back(PAYMENT_ID, NOW).gone(NOW).reinstated(PAYMENT_ID, NOW),
        {PAYMENT_ID: 990},
        Status.REFUNDED,
    ),
    "another currency beside the price": (
        lambda: (
            placed()
            .settled(PAYMENT_ID, Money(99_000, "JPY"), None, NOW)
            .reopened("epay", BUYER, NOW)
            .settled(SECOND_ID, PRICE, None, NOW)
        ),
        {PAYMENT_ID: 99_000},
        Status.PAID,
    ),
}


@pytest.mark.parametrize("owed", list(OWED))
def test_money_that_is_not_the_shops_goes_back_by_itself_and_once(shop: Shop, reconcile: Reconcile, owed: str) -> None:
    made, sent, status = OWED[owed]
    order = made()
    assert order.due_at is not None
    assert order.due_at <= NOW, "it is looked at at once"
    shop.orders.put(order)
    for _ in range(3):
        assert reconcile().errors == []
        shop.clock.now += looks.SOON
    assert {number: shop.bank.sent_of(number) for number in sent} == sent
    assert len(shop.bank.sent) == 1
    assert (the(shop).status, the(shop).unfinished) == (status, False)


def test_an_order_that_awaited_stock_in_vain_is_refunded_and_its_execution_ends(
    shop: Shop, reconcile: Reconcile
) -> None:
    in_vain(shop)
    shop.clock.now -= 1
    reconcile()
    assert (the(shop).status, shop.bank.sent) == (Status.AWAITING_STOCK, {})
    again(shop, reconcile)
    assert (the(shop).status, list(shop.bank.sent.values())) == (Status.REFUNDED, [PRICE])
    assert shop.machine.woken == [TOKEN]


def test_stock_that_is_there_at_last_comes_before_the_money(shop: Shop, reconcile: Reconcile) -> None:
    in_vain(shop)
    stocked(shop, 1)
    assert reconcile().counts["filled"] == 1
    assert (the(shop).status, the(shop).has_its_cards, shop.bank.sent) == (Status.DELIVERED, True, {})


def test_stock_that_comes_while_the_money_is_on_its_way_is_for_sale(shop: Shop, reconcile: Reconcile) -> None:
    in_vain(shop)
    shop.bank.sends = RefundState.PENDING
    reconcile()
    assert the(shop).status is Status.REFUNDING
    stocked(shop, 1)
    shop.bank.sends = RefundState.DONE
    again(shop, reconcile)
    assert (the(shop).status, len(shop.stock.card_ids)) == (Status.REFUNDED, 1)


def test_a_refund_refused_to_an_order_that_awaits_stock_is_a_task_and_it_waits_on(
    shop: Shop, reconcile: Reconcile
) -> None:
    in_vain(shop)
    shop.bank.sends = RefundState.REFUSED
    report = reconcile()
    assert (the(shop).status, the(shop).lacking, report.counts["tasks"]) == (Status.AWAITING_STOCK, SKU, 1)
    shop.clock.now += STOCK_PATIENCE_MS
    reconcile()
    assert refund_states(shop) == [RefundState.BY_HAND], "once"
    stocked(shop, 1)
    shop.clock.now += looks.SOON
    reconcile()
    assert (the(shop).status, the(shop).tasks) == (Status.DELIVERED, [])


def test_a_provider_that_is_down_for_hours_sends_it_once_it_is_back(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, twice(delivered(at=NOW)))
    shop.bank.down = True
    for _ in range(5):
        report = again(shop, reconcile)
        assert (report.errors, the(shop).due_at) == ([], shop.clock.now + looks.SOON)
    assert (shop.bank.sent, refund_states(shop, 1)) == ({}, [RefundState.REQUESTED])
    shop.bank.down = False
    for _ in range(3):
        shop.clock.now += looks.SOON
        reconcile()
    assert shop.bank.sent == {f"{SECOND_ID}r01": PRICE}
    assert refund_states(shop, 1) == [RefundState.DONE]


@pytest.mark.parametrize(
    ("able", "sent"), [(Refunds.NONE, {}), (Refunds.WHOLE, {SECOND_ID: 990}), (Refunds.PARTIAL, {SECOND_ID: 990})]
)
def test_a_duplicate_goes_back_if_its_channel_can_and_is_a_task_else(
    shop: Shop, reconcile: Reconcile, able: Refunds, sent: dict[str, int]
) -> None:
    shop.bank.takes = replace(shop.bank.takes, refunds=able)
    due(shop, twice(delivered(at=NOW)))
    report = reconcile()
    assert {number: shop.bank.sent_of(number) for number in sent} == sent
    assert report.counts["tasks"] == (able is Refunds.NONE)
    assert (the(shop).tasks == []) is (able is not Refunds.NONE)


@pytest.mark.parametrize(("able", "state"), [(Refunds.WHOLE, RefundState.BY_HAND), (Refunds.PARTIAL, RefundState.DONE)])
def test_what_is_left_of_a_duplicate_is_a_part(
    shop: Shop, reconcile: Reconcile, able: Refunds, state: RefundState
) -> None:
    order = twice(delivered(at=NOW))
    shop.bank.takes = replace(shop.bank.takes, refunds=able)
    due(shop, refund_told(refunding(order, 300, number=1), RefundState.DONE, number=1))
    reconcile()
    assert refund_states(shop, 1) == [RefundState.DONE, state]


def test_an_operators_task_is_counted_every_day_until_it_is_done(shop: Shop, reconcile: Reconcile) -> None:
    surplus = placed().settled(PAYMENT_ID, Money(1000, "CNY"), None, NOW)
    shop.orders.put(delivered(surplus, NOW).completed(NOW))
    for day in range(3):
        assert again(shop, reconcile).counts["tasks"] == 1
        assert the(shop).due_at == NOW + (day + 1) * 24 * HOUR
    shop.orders.put(the(shop).kept(PAYMENT_ID, shop.clock.now, OPERATOR))
    assert again(shop, reconcile).counts["tasks"] == 0
    assert (the(shop).due_at, shop.bank.sent) == (None, {})


def test_a_surplus_is_never_sent_back_by_itself(shop: Shop, reconcile: Reconcile) -> None:
    due(shop, delivered(placed().settled(PAYMENT_ID, Money(1000, "CNY"), None, NOW), NOW))
    again(shop, reconcile)
    assert (the(shop).payments[0].state, shop.bank.asked_back) == (PaymentState.SURPLUS, [])


def test_a_refund_that_was_refused_lets_the_trade_go_on(shop: Shop, reconcile: Reconcile) -> None:
    """Given an execution that found its order refunding, and ended."""
    due(shop, refund_told(refunding(paid(placed())), RefundState.REFUSED))
    shop.machine.executions[TRADE_ID] = False
    reconcile()
    assert (the(shop).status, shop.machine.runs(TRADE_ID)) == (Status.PAID, True)


def test_an_execution_that_was_not_told_of_the_refund_is_told(shop: Shop, reconcile: Reconcile) -> None:
    """Given a process that died between the order's last write and the machine's waking."""
    order = refund_told(refunding(delivered(at=NOW)), RefundState.DONE).gone(NOW)
    shop.orders.put(replace(order, task_token=TOKEN))
    shop.machine.waiting.add(TOKEN)
    reconcile()
    assert (shop.machine.woken, the(shop).due_at) == ([TOKEN], None)


def test_an_order_whose_last_refund_was_told_and_nothing_after_that_is_finished(
    shop: Shop, reconcile: Reconcile
) -> None:
    due(shop, refund_told(refunding(delivered(at=NOW)), RefundState.DONE))
    reconcile()
    assert (the(shop).status, the(shop).cards, shop.bank.asked_back) == (Status.REFUNDED, (), [])


def test_lost_money_for_a_refunded_order_is_found_and_goes_back(shop: Shop, reconcile: Reconcile) -> None:
    """Given two open payments, of which one was paid and sent back, and the other's notice was lost."""
    order = refund_told(refunding(paid(placed().reopened("epay", BUYER, NOW))), RefundState.DONE).gone(NOW)
    shop.orders.put(order)
    again(shop, reconcile)
    again(shop, reconcile)
    shop.bank.receives(SECOND_ID, PRICE)
    again(shop, reconcile)
    assert shop.bank.sent == {f"{SECOND_ID}r01": PRICE}
    assert states(the(shop)) == ["refunded", "refunded"]


def test_one_orders_refund_that_fails_keeps_no_other_from_its_own(shop: Shop, reconcile: Reconcile) -> None:
    for trade_id in IDS[:2]:
        order = delivered(paid(placed(trade_id=trade_id)), NOW).reopened("epay", BUYER, NOW)
        due(shop, order.settled(payment_id(trade_id, 2), PRICE, None, NOW))
    shop.bank.silent = {payment_id(IDS[0], 2)}
    reconcile()
    assert list(shop.bank.sent) == [f"{payment_id(IDS[1], 2)}r01"]
    shop.bank.silent = set()
    again(shop, reconcile)
    assert len(shop.bank.sent) == 2


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("owed", [*OWED, "awaited in vain"])
def test_a_run_that_breaks_off_anywhere_and_the_next_send_it_once(owed: str, answer_lost: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        shop.sells(SKU, 0, PRICE)
        if owed == "awaited in vain":
            in_vain(shop)
        else:
            shop.orders.put(OWED[owed][0]())
        return shop

    for shop, broken in at_every_call(made, unavailable, after=answer_lost):
        with suppress(Unavailable):
            reconciling(shop, broken)()
        for _ in range(3):
            reconciling(shop)()
            shop.clock.now += looks.SOON
        expected = {PAYMENT_ID: 990} if owed == "awaited in vain" else OWED[owed][1]
        assert {number: shop.bank.sent_of(number) for number in expected} == expected
        assert len(shop.bank.sent) == 1
        assert (the(shop).unfinished, TOKEN in shop.machine.waiting) == (False, False)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("owed", list(OWED))
def test_two_runs_at_once_send_it_once(owed: str, after: bool) -> None:
    """A run may take longer than a minute."""

    def made() -> Shop:
        shop = Shop()
        shop.sells(SKU, 0, PRICE)
        shop.orders.put(OWED[owed][0]())
        return shop

    for shop, twin in at_every_call(made, lambda shop: reconciling(shop)(), after=after):
        assert reconciling(shop, twin)().errors == []
        assert len(shop.bank.sent) == 1
        assert not the(shop).unfinished
