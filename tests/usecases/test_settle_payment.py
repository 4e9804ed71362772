"""Money meets its order: in whatever state that is, and whatever happens to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cardshop.domain import looks
from cardshop.domain.card import Card
from cardshop.domain.errors import Busy
from cardshop.domain.money import Money
from cardshop.domain.order import Line, Order
from cardshop.domain.payment import EventKind, PaymentEvent, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.cancel_order import CancelOrder
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.settle_payment import SettlePayment, UnknownPayment

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, PRICE, SKU, TRADE_ID, delivered, in_status, paid, placed
from tests.usecases.fakes import Shop

TOKEN = "token-1"
SECOND_ID = payment_id(TRADE_ID, 2)


def said(minor: int = 990, currency: str = "CNY", payment: str = PAYMENT_ID) -> PaymentEvent:
    """What the provider says it received."""
    return PaymentEvent(payment, EventKind.PAID, Money(minor, currency), "bank-1")


@dataclass
class Trade:
    """One order of a shop, which sold it the only card there was, and its machine, which waits."""

    shop: Shop
    card: Card

    @property
    def order(self) -> Order:
        return self.shop.orders.by_id[TRADE_ID]

    @property
    def states(self) -> list[str]:
        return [payment.state.value for payment in self.order.payments]

    def becomes(self, change: Callable[[Order], Order]) -> Order:
        return self.shop.orders.record(self.order, change(self.order))

    def closed(self, _: object = None) -> Order:
        return self.becomes(lambda order: order.closed(NOW))

    def cancelled(self, _: object = None) -> Order:
        return self.becomes(lambda order: order.failed(NOW, BUYER))

    def sold_to_another(self, _: object = None) -> None:
        """Whatever is for sale."""
        self.shop.stock.pools.clear()


@pytest.fixture
def trade(shop: Shop) -> Trade:
    (card,) = shop.sells(SKU, 1, PRICE)
    shop.stock.take(card)
    shop.orders.put(placed(held=(card,)))
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.start(TRADE_ID)
    shop.machine.waiting.add(TOKEN)
    return Trade(shop, card)


# ---- an order that can be paid ----


def test_enough_money_pays_for_the_order_and_the_machine_goes_on(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    order, new = settle(said())
    assert (order, new) == (trade.order, True)
    assert (order.status, order.version, order.payments[0].state) == (Status.PAID, 2, PaymentState.ACCEPTED)
    assert shop.machine.woken == [TOKEN]
    assert shop.machine.executions == {TRADE_ID: True}


def test_the_same_confirmation_again_changes_nothing_but_wakes_the_machine_again(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    first, _ = settle(said())
    shop.machine.waiting.add(TOKEN)
    assert settle(said()) == (first, False)
    assert trade.order == first
    assert shop.machine.woken == [TOKEN, TOKEN]


def test_short_money_wakes_nobody_until_it_is_topped_up(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    settle(said(900))
    assert (trade.order.status, trade.states, shop.machine.woken) == (Status.PENDING_PAYMENT, ["short"], [])
    trade.becomes(lambda order: order.reopened("epay", BUYER, NOW))
    settle(said(90, payment=SECOND_ID))
    assert (trade.order.status, trade.states, shop.machine.woken) == (Status.PAID, ["short", "accepted"], [TOKEN])


def test_money_in_another_currency_is_on_record_and_pays_for_nothing(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    settle(said(99_000, "JPY"))
    assert (trade.order.status, trade.states) == (Status.PENDING_PAYMENT, ["short"])
    assert shop.machine.woken == []


def test_two_payments_that_both_succeed_are_one_delivery_and_a_duplicate(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.becomes(lambda order: order.reopened("epay", BUYER, NOW))
    settle(said(payment=SECOND_ID))
    trade.becomes(delivered)
    shop.machine.executions[TRADE_ID] = False  # it is past its end
    _, new = settle(said())
    assert new
    assert (trade.order.status, trade.states) == (Status.DELIVERED, ["duplicate", "accepted"])
    assert (shop.machine.woken, shop.machine.executions) == ([TOKEN], {TRADE_ID: False})


@pytest.mark.parametrize("unknown", [SECOND_ID, f"{'z' * 26}01", "20160806151343349", ""])
def test_a_payment_of_no_order_is_unknown(trade: Trade, settle: SettlePayment, unknown: str) -> None:
    before = trade.order
    with pytest.raises(UnknownPayment):
        settle(said(payment=unknown))
    assert trade.order == before


# ---- late: for an order that is closed ----


def test_late_money_takes_new_cards_and_an_execution_anew(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    """The execution that still runs may be the one that has just closed the order, and about to end."""
    trade.closed()
    shop.machine.waiting.clear()
    order, new = settle(said())
    assert (order, new) == (trade.order, True)
    assert (order.status, order.payments[0].state, order.lacking) == (Status.PAID, PaymentState.ACCEPTED, None)
    assert [card.card_id for card in order.cards] == [trade.card.card_id]
    assert shop.stock.card_ids == []
    assert list(shop.machine.executions.values()) == [True, True]
    assert order.due_at == NOW + looks.SOON


def test_late_money_again_takes_no_more_cards_and_no_more_executions(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.closed()
    shop.machine.waiting.clear()
    first, _ = settle(said())
    shop.stock.put(Card(trade.card.pool, "another", "1"))
    assert settle(said()) == (first, False)
    assert (trade.order, shop.stock.card_ids, len(shop.machine.executions)) == (first, ["another"], 2)


def test_late_money_without_stock_awaits_it_and_says_what_there_is_too_little_of(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.closed()
    trade.sold_to_another()
    shop.machine.waiting.clear()
    order, new = settle(said(1000))
    assert (order, new) == (trade.order, True)
    assert (order.status, order.lacking, order.cards) == (Status.AWAITING_STOCK, SKU, ())
    assert (order.payments[0].state, order.due_at) == (PaymentState.SURPLUS, NOW + looks.SOON)
    assert list(shop.orders.awaiting(SKU)) == [TRADE_ID]
    assert list(shop.machine.executions.values()) == [True, True]


def test_late_money_for_several_products_takes_all_of_their_cards_or_none(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    shop.sells("other", 1, PRICE)
    lines = (Line(SKU, "", 1, PRICE), Line("other", "", 2, PRICE))
    shop.orders.put(replace(placed().closed(NOW), lines=lines))
    shop.stock.put(replace(trade.card, place="1"))
    settle(said())
    assert (trade.order.status, trade.order.lacking) == (Status.AWAITING_STOCK, "other")
    assert len(shop.stock.card_ids) == 2


def test_a_hidden_product_still_gives_what_is_owed(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    trade.closed()
    shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], on_sale=False)
    assert settle(said())[0].status is Status.PAID


def test_too_little_money_for_a_closed_order_takes_no_cards(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    trade.closed()
    settle(said(989))
    assert (trade.order.status, trade.states) == (Status.CLOSED, ["short"])
    assert shop.stock.card_ids == [trade.card.card_id]


def test_a_cancelled_order_is_closed_first_and_then_paid_late_in_one_call(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.cancelled()
    seen: list[tuple[Status, str]] = []
    shop.orders.meanwhile = lambda after: seen.append((after.status, after.last_change.actor.by))
    order, new = settle(said())
    assert seen == [(Status.CLOSED, "provider"), (Status.PAID, "provider")]
    assert (order.status, order.version, new) == (Status.PAID, 4, True)
    assert [card.card_id for card in order.cards] == [trade.card.card_id]
    assert shop.machine.woken == [TOKEN]  # it had not come to close the order yet


def test_a_cancelled_order_whose_card_is_sold_at_once_awaits_stock(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.cancelled()

    def sell(after: Order) -> None:
        if after.status is not Status.CLOSED:
            trade.sold_to_another()

    shop.orders.meanwhile = sell
    order, new = settle(said())
    assert (order.status, order.lacking, new) == (Status.AWAITING_STOCK, SKU, True)


def test_too_little_money_for_a_cancelled_order_is_on_record(trade: Trade, settle: SettlePayment) -> None:
    trade.cancelled()
    order, new = settle(said(1))
    assert (order.status, trade.states, new) == (Status.PAYMENT_FAILED, ["short"], True)


@pytest.mark.parametrize("status", [Status.REFUNDING, Status.REFUNDED])
def test_money_that_no_card_can_be_claimed_for_is_late(shop: Shop, settle: SettlePayment, status: Status) -> None:
    order = in_status(status)
    refunded = replace(order.payments[0], state=PaymentState.REFUNDED)
    shop.orders.put(replace(order, payments=(refunded, replace(placed().payments[0], payment_id=SECOND_ID))))
    after, new = settle(said(payment=SECOND_ID))
    assert (after.status, after.payments[1].state, new) == (status, PaymentState.LATE, True)
    assert shop.machine.executions == {}


# ---- somebody else acts meanwhile ----


def test_an_order_closed_between_the_payments_read_and_its_write_is_paid_late(
    shop: Shop, trade: Trade, settle: SettlePayment, close: CloseTrade
) -> None:
    """Given the closing and the payment at once, exactly one of the two is written on the order as it was read."""
    shop.machine.waiting.clear()  # the window is over
    shop.orders.once(lambda _: close(TRADE_ID))
    order, new = settle(said())
    assert (order.status, order.version, new) == (Status.PAID, 3, True)
    assert [card.card_id for card in order.cards] == [trade.card.card_id]
    assert list(shop.machine.executions.values()) == [True, True]


def test_an_order_cancelled_between_the_payments_read_and_its_write_is_closed_and_paid_late(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    cancel = CancelOrder(shop.orders, shop.machine, shop.clock)
    shop.orders.once(lambda _: cancel(TRADE_ID, BUYER))
    order, _ = settle(said())
    assert (order.status, order.version) == (Status.PAID, 4)
    assert order.has_its_cards


def test_a_card_lost_to_another_buyer_is_replaced_by_the_next(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    trade.closed()
    shop.stock.put(Card(trade.card.pool, "another", "1"))
    lost: list[Card] = []

    def rival(after: Order) -> None:
        lost.extend(after.cards)
        shop.stock.take(after.cards[0])

    shop.orders.once(rival)
    order, _ = settle(said())
    assert order.status is Status.PAID
    assert {order.cards[0].card_id, lost[0].card_id} == {trade.card.card_id, "another"}
    assert shop.stock.card_ids == []


def test_the_last_card_lost_to_another_buyer_is_awaited(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    trade.closed()
    shop.orders.once(trade.sold_to_another)
    assert settle(said())[0].status is Status.AWAITING_STOCK


def test_a_twin_that_was_faster_leaves_one_payment_and_takes_cards_once(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    trade.closed()
    shop.stock.put(Card(trade.card.pool, "another", "1"))
    twin: list[bool] = []
    shop.orders.once(lambda _: twin.append(settle(said())[1]))
    order, new = settle(said())
    assert (twin, new, order.version) == ([True], False, 3)
    assert len(shop.stock.card_ids) == 1


def test_two_payments_at_once_pay_for_the_order_once(shop: Shop, trade: Trade, settle: SettlePayment) -> None:
    trade.becomes(lambda order: order.reopened("epay", BUYER, NOW))
    shop.orders.once(lambda _: settle(said(payment=SECOND_ID)))
    settle(said())
    assert trade.states == ["duplicate", "accepted"]
    assert shop.machine.woken == [TOKEN]


def test_an_order_that_never_stops_changing_is_tried_again_later(
    shop: Shop, trade: Trade, settle: SettlePayment
) -> None:
    shop.orders.meanwhile = lambda _: shop.orders.by_id.update({TRADE_ID: trade.order.revealed(NOW, BUYER)})
    with pytest.raises(Busy):
        settle(said())
    assert trade.states == ["open"]
    assert shop.machine.woken == []


# ---- waking ----


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PAID, Status.AWAITING_STOCK}))
def test_an_order_that_no_money_moves_on_is_not_woken(shop: Shop, settle: SettlePayment, status: Status) -> None:
    shop.machine.waiting.add(TOKEN)
    settle.wake(replace(in_status(status), task_token=TOKEN))
    assert (shop.machine.woken, shop.machine.executions) == ([], {})


def test_an_order_that_awaits_stock_is_not_told_that_it_has_come(shop: Shop, settle: SettlePayment) -> None:
    """It is enough that an execution runs: its token is for whoever finds the cards."""
    shop.machine.waiting.add(TOKEN)
    settle.wake(replace(in_status(Status.AWAITING_STOCK), task_token=TOKEN))
    assert (shop.machine.woken, shop.machine.executions) == ([], {TRADE_ID: True})


def test_a_trade_whose_execution_was_stopped_is_taken_over_once(shop: Shop, settle: SettlePayment) -> None:
    shop.machine.start(TRADE_ID)
    shop.machine.stop(TRADE_ID, NOW)
    order = replace(paid(placed()), task_token=TOKEN)
    settle.wake(order)
    settle.wake(order)
    assert list(shop.machine.executions.values()) == [False, True]
