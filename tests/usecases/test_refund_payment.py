"""Money goes back once, whatever breaks off, comes twice or comes in between, and what cannot go is somebody's task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from cardshop.domain.errors import NotFound, NotRefundable, NotRevealable, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import Channel, Payment, PaymentState, Refund, Refunds, RefundState, RefundWord, payment_id
from cardshop.domain.trade import Status
from cardshop.usecases.deliver_cards import DeliverCards
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.refund_payment import RefundPayment, ReturnMoney
from cardshop.usecases.reveal_cards import RevealCards
from hypothesis import given
from hypothesis import strategies as st

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
    delivered,
    paid,
    placed,
)
from tests.usecases.fakes import Interruption, Shop, at_every_call, unavailable

KEY = "a-key-of-this-refund"
FIRST, SECOND = f"{PAYMENT_ID}r01", f"{PAYMENT_ID}r02"
SECOND_ID = payment_id(TRADE_ID, 2)
TOKEN = "token-1"
NEVER = Interruption(-1, unavailable)
REQUESTED, PENDING, DONE, REFUSED, BY_HAND = RefundState

Change = Callable[[Order], Order]


def unpaid(shop: Shop) -> Order:
    """An order that has the shop's only card."""
    (card,) = shop.sells(SKU, 1, PRICE)
    shop.stock.take(card)
    shop.machine.start(TRADE_ID)
    return shop.orders.put(placed(held=(card,)))


def bought(shop: Shop, *changes: Change) -> Order:
    """And was paid, and then changed."""
    order = paid(unpaid(shop))
    for change in changes:
        order = change(order)
    return shop.orders.put(order)


def awaiting(order: Order) -> Order:
    return order.short_of_cards(NOW, SKU)


def awaited_in_vain(shop: Shop) -> Order:
    """It awaits stock, and has for so long that its money is to go back; its card is gone."""
    order = bought(shop, awaiting)
    shop.clock.now = NOW + STOCK_PATIENCE_MS
    return order


def twice(order: Order) -> Order:
    """Paid through another payment too."""
    return order.reopened("epay", BUYER, NOW).settled(SECOND_ID, PRICE, "bank-2", NOW)


def the(shop: Shop) -> Order:
    return shop.orders.by_id[TRADE_ID]


def states(shop: Shop, number: int = 0) -> list[tuple[int, RefundState]]:
    return [(each.amount.minor, each.state) for each in the(shop).payments[number].refunds]


def refunds(shop: Shop, meanwhile: Interruption = NEVER) -> RefundPayment:
    """The use case, while `meanwhile` watches every port."""
    bank = meanwhile.watch(shop.bank)
    orders, channels, machine = (meanwhile.watch(port) for port in (shop.orders, shop.channels, shop.machine))
    return RefundPayment(orders, channels, lambda _: bank, machine, shop.clock)  # type: ignore[arg-type]


def hears(shop: Shop, word: RefundWord, meanwhile: Interruption = NEVER) -> None:
    """A notice of a refund."""
    refunds(shop, meanwhile).hear(shop.channels["epay"], TRADE_ID, PAYMENT_ID, word)


def back(shop: Shop, minor: int | None = None, *, key: str = KEY, meanwhile: Interruption = NEVER) -> Refund:
    """An operator sends so much of the payment back, or all that is left."""
    amount = None if minor is None else Money(minor, "CNY")
    _, refund = refunds(shop, meanwhile)(TRADE_ID, PAYMENT_ID, amount, OPERATOR, key)
    return refund


def ladder(shop: Shop, meanwhile: Interruption = NEVER) -> Order:
    """What nobody asks for."""
    return ReturnMoney(refunds(shop, meanwhile), STOCK_PATIENCE_MS, shop.clock)(the(shop))


def is_sound(shop: Shop) -> None:
    """The only card is in one place, and no more went back than came."""
    named = [card.card_id for order in shop.orders.by_id.values() for card in order.cards]
    assert sorted([*named, *shop.stock.card_ids]) == [f"{SKU}-0"]
    for payment in the(shop).payments:
        received = payment.paid.minor if payment.paid else 0
        assert shop.bank.sent_of(payment.payment_id) <= received
        assert shop.bank.sent_of(payment.payment_id) == received - payment.not_gone, "and what went is on record"


# ---- an operator sends it ----


def test_all_that_was_paid_goes_back_and_the_card_is_for_sale_again(shop: Shop) -> None:
    bought(shop, delivered)
    refund = back(shop)
    assert (refund.refund_id, refund.amount, refund.state, refund.by) == (FIRST, PRICE, DONE, "operator")
    assert refund.provider_ref == f"bank-{FIRST}"
    assert shop.bank.sent == {FIRST: PRICE}
    assert (the(shop).status, the(shop).payments[0].state) == (Status.REFUNDED, PaymentState.REFUNDED)
    assert shop.stock.card_ids == [f"{SKU}-0"]
    is_sound(shop)


def test_it_is_on_record_before_the_provider_is_asked(shop: Shop) -> None:
    """Else a process that dies in between leaves money that went and that nobody knows of."""
    bought(shop, delivered)
    seen: list[list[tuple[int, RefundState]]] = []
    asked = shop.bank.refund

    def spy(channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        seen.append(states(shop))
        return asked(channel, payment, refund)

    shop.bank.refund = spy  # type: ignore[method-assign]
    back(shop)
    assert seen == [[(990, REQUESTED)]]


@pytest.mark.parametrize("change", [awaiting, delivered])
def test_the_execution_that_waits_is_told_that_the_trade_is_over(shop: Shop, change: Change) -> None:
    bought(shop, change)
    shop.orders.write_token(TRADE_ID, TOKEN)
    shop.machine.waiting.add(TOKEN)
    back(shop)
    assert shop.machine.woken == [TOKEN]


def test_a_part_goes_back_and_the_rest_later(shop: Shop) -> None:
    bought(shop, delivered)
    assert back(shop, 300).state is DONE
    assert (the(shop).status, the(shop).payments[0].left) == (Status.DELIVERED, 690)
    assert back(shop, key="another-key").amount == Money(690, "CNY"), "all that is left"
    assert the(shop).status is Status.REFUNDED
    assert shop.bank.sent == {FIRST: Money(300, "CNY"), SECOND: Money(690, "CNY")}


def test_the_same_key_again_is_the_same_refund(shop: Shop) -> None:
    bought(shop, delivered)
    first = back(shop, 300)
    before = the(shop)
    assert back(shop, 300) == first
    assert back(shop, 500) == first, "whatever else the request says"
    assert (the(shop), shop.bank.asked_back) == (before, [FIRST])


def test_the_same_key_again_asks_for_the_same_refund_until_it_has_an_end(shop: Shop) -> None:
    bought(shop, delivered)
    shop.bank.down = True
    assert back(shop).state is REQUESTED
    assert (the(shop).status, shop.bank.sent) == (Status.REFUNDING, {})
    shop.bank.down = False
    assert back(shop).state is DONE
    assert (the(shop).status, shop.bank.sent) == (Status.REFUNDED, {FIRST: PRICE})


WRONG: list[tuple[Money | None, str, type[Exception]]] = [
    (Money(991, "CNY"), PAYMENT_ID, NotRefundable),
    (Money(990, "USD"), PAYMENT_ID, NotRefundable),
    (None, SECOND_ID, NotRefundable),
    (Money(1, "CNY"), SECOND_ID, NotRefundable),
    (None, payment_id(TRADE_ID, 9), NotFound),
    (None, f"{'z' * 26}01", NotFound),
]


@pytest.mark.parametrize(("amount", "payment", "error"), WRONG)
def test_what_is_not_there_does_not_go_back(
    shop: Shop, amount: Money | None, payment: str, error: type[Exception]
) -> None:
    before = bought(shop, lambda order: order.reopened("epay", BUYER, NOW))
    with pytest.raises(error):
        refunds(shop)(TRADE_ID, payment, amount, OPERATOR, KEY)
    assert (the(shop), shop.bank.asked_back) == (before, [])


def test_a_refund_of_no_order_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        refunds(shop)(TRADE_ID, PAYMENT_ID, None, OPERATOR, KEY)


@pytest.mark.parametrize("change", [lambda order: order, lambda order: order.charged_back(PAYMENT_ID, NOW)])
def test_what_has_gone_or_was_taken_back_does_not_go_again(shop: Shop, change: Change) -> None:
    order = bought(shop, delivered, change)
    if order.payments[0].left:
        back(shop)
    before = the(shop)
    with pytest.raises(NotRefundable):
        back(shop, key="another-key")
    assert the(shop) == before
    is_sound(shop)


def test_one_payment_has_twenty_refunds_at_most(shop: Shop) -> None:
    """They live inside the order."""
    bought(shop, delivered)
    for number in range(20):
        back(shop, 1, key=f"key-number-{number}")
    with pytest.raises(NotRefundable):
        back(shop, 1)
    assert back(shop, 1, key="key-number-3").refund_id == f"{PAYMENT_ID}r04"


# ---- what the provider makes of it ----


def test_a_refund_that_the_provider_takes_its_time_for_is_asked_after_until_it_is_there(shop: Shop) -> None:
    bought(shop, delivered)
    shop.bank.sends = PENDING
    assert back(shop).state is PENDING
    before = ladder(shop)
    assert (before.status, states(shop)) == (Status.REFUNDING, [(990, PENDING)])
    shop.bank.sends = DONE
    assert ladder(shop).status is Status.REFUNDED
    is_sound(shop)


def test_what_is_pending_is_asked_after_and_what_may_not_have_been_heard_is_asked_for_again(shop: Shop) -> None:
    bought(shop, delivered)
    after: list[str] = []

    def asked_after(channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        after.append(refund.refund_id)
        return RefundWord(DONE)

    shop.bank.query_refund = asked_after  # type: ignore[method-assign]
    shop.bank.down = True
    back(shop)
    shop.bank.down, shop.bank.sends = False, PENDING
    ladder(shop)
    assert (shop.bank.asked_back, after) == ([FIRST], [])
    ladder(shop)
    assert (shop.bank.asked_back, after) == ([FIRST], [FIRST])


@pytest.mark.parametrize("change", [lambda order: order, awaiting, delivered])
def test_a_refund_that_the_provider_refuses_leaves_the_order_where_it_was_and_a_task(
    shop: Shop, change: Change
) -> None:
    before = bought(shop, change)
    shop.bank.sends = REFUSED
    assert back(shop).state is BY_HAND
    assert (the(shop).status, the(shop).lacking, the(shop).cards) == (before.status, before.lacking, before.cards)
    assert [each.payment_id for each in the(shop).tasks] == [PAYMENT_ID]
    assert ladder(shop) == the(shop), "it is not asked for again"
    assert shop.bank.asked_back == [FIRST]


def test_what_was_refused_may_be_asked_for_once_more_and_goes_once(shop: Shop) -> None:
    bought(shop, delivered)
    shop.bank.sends = REFUSED
    back(shop)
    shop.bank.sends = DONE
    assert back(shop).state is BY_HAND, "the same key is the same refund"
    assert back(shop, key="another-key").state is DONE
    assert (states(shop), the(shop).tasks) == ([(990, REFUSED), (990, DONE)], [])
    is_sound(shop)


@pytest.mark.parametrize(
    ("able", "minor", "expected"),
    [
        (Refunds.NONE, None, BY_HAND),
        (Refunds.NONE, 300, BY_HAND),
        (Refunds.WHOLE, None, DONE),
        (Refunds.WHOLE, 990, DONE),
        (Refunds.WHOLE, 300, BY_HAND),
        (Refunds.PARTIAL, 300, DONE),
        (Refunds.PARTIAL, None, DONE),
    ],
)
def test_what_the_channel_cannot_send_waits_for_an_operators_hands(
    shop: Shop, able: Refunds, minor: int | None, expected: RefundState
) -> None:
    bought(shop, delivered)
    shop.bank.takes = replace(shop.bank.takes, refunds=able)
    assert back(shop, minor).state is expected
    assert bool(the(shop).tasks) is (expected is BY_HAND)
    assert len(shop.bank.asked_back) == (expected is DONE), "nobody is asked for what he cannot do"
    is_sound(shop)


def test_the_rest_of_a_payment_is_no_whole(shop: Shop) -> None:
    bought(shop, delivered)
    back(shop, 300)
    shop.bank.takes = replace(shop.bank.takes, refunds=Refunds.WHOLE)
    assert back(shop, key="another-key").state is BY_HAND


def test_a_channel_that_is_gone_sends_nothing(shop: Shop) -> None:
    bought(shop, delivered)
    del shop.channels["epay"]
    assert back(shop).state is BY_HAND
    assert the(shop).status is Status.DELIVERED


@pytest.mark.parametrize("lost", ["the channel", "the ability"])
def test_a_refund_on_record_that_nobody_can_send_any_more_waits_for_hands(shop: Shop, lost: str) -> None:
    bought(shop, delivered)
    shop.bank.down = True
    back(shop)
    shop.bank.down = False
    if lost == "the channel":
        del shop.channels["epay"]
    else:
        shop.bank.takes = replace(shop.bank.takes, refunds=Refunds.NONE)
    assert (ladder(shop).status, states(shop)) == (Status.DELIVERED, [(990, BY_HAND)])


# ---- by hand ----


def by_hand(
    shop: Shop, minor: int | None = None, number: str = "B1", payment: str = PAYMENT_ID
) -> tuple[Order, Refund]:
    """An operator has sent it, under this number."""
    amount = None if minor is None else Money(minor, "CNY")
    return refunds(shop).done_by_hand(TRADE_ID, payment, amount, number, OPERATOR)


@pytest.fixture
def unable(shop: Shop) -> None:
    """The channel sends nothing back."""
    shop.bank.takes = replace(shop.bank.takes, refunds=Refunds.NONE)


@pytest.mark.usefixtures("unable")
@pytest.mark.parametrize("minor", [None, 990])
def test_what_was_sent_by_hand_ends_the_refund_that_waited_for_it(shop: Shop, minor: int | None) -> None:
    bought(shop, delivered)
    back(shop)
    order, refund = by_hand(shop, minor)
    assert (refund.refund_id, refund.state, refund.provider_ref) == (FIRST, DONE, "B1")
    assert (order, order.status, order.tasks) == (the(shop), Status.REFUNDED, [])
    assert order.last_change.actor.by == "shop"


@pytest.mark.usefixtures("unable")
def test_what_was_sent_by_hand_is_told_once_however_often(shop: Shop) -> None:
    """Given two refunds that wait, the same number again is not the second one's."""
    bought(shop, delivered)
    back(shop, 300)
    back(shop, 300, key="another-key")
    first = by_hand(shop, 300)
    assert by_hand(shop, 300) == first
    assert states(shop) == [(300, DONE), (300, BY_HAND)]
    by_hand(shop, 300, "B2")
    assert states(shop) == [(300, DONE), (300, DONE)]


@pytest.mark.usefixtures("unable")
def test_the_providers_notice_of_what_was_sent_by_hand_is_the_same_refund_whichever_comes_first(shop: Shop) -> None:
    bought(shop, delivered)
    back(shop, 300)
    word = RefundWord(DONE, provider_ref="B1", amount=Money(300, "CNY"))
    refunds(shop).tell(TRADE_ID, PAYMENT_ID, word)
    by_hand(shop, 300)
    refunds(shop).tell(TRADE_ID, PAYMENT_ID, word)
    assert sum(minor for minor, state in states(shop) if state is DONE) == 300


def test_what_nobody_waited_for_may_be_sent_by_hand_too(shop: Shop) -> None:
    bought(shop, delivered)
    order, refund = by_hand(shop, 300)
    assert (refund.amount.minor, refund.state, refund.by, order.payments[0].left) == (300, DONE, "operator", 690)
    assert by_hand(shop, 300) == (order, refund)
    assert by_hand(shop, None, "B2")[0].status is Status.REFUNDED
    assert shop.bank.asked_back == []


@pytest.mark.usefixtures("unable")
def test_another_amount_than_the_one_that_waited_takes_its_place(shop: Shop) -> None:
    bought(shop, delivered)
    back(shop)
    by_hand(shop, 500)
    assert (states(shop), the(shop).tasks) == ([(990, REFUSED), (500, DONE)], [])
    assert the(shop).payments[0].left == 490


@pytest.mark.parametrize("minor", [991, 5000])
def test_more_than_there_is_was_not_sent_by_hand(shop: Shop, minor: int) -> None:
    before = bought(shop, delivered)
    with pytest.raises(NotRefundable):
        by_hand(shop, minor)
    assert the(shop) == before


def test_what_the_provider_is_about_to_send_is_not_sent_by_hand(shop: Shop) -> None:
    bought(shop, delivered)
    shop.bank.down = True
    back(shop)
    with pytest.raises(NotRefundable):
        by_hand(shop)
    assert states(shop) == [(990, REQUESTED)]


# ---- kept ----


def test_what_is_kept_is_nobodys_task_and_does_not_go_back(shop: Shop) -> None:
    bought(shop, delivered, twice)
    refunds(shop).keep(TRADE_ID, SECOND_ID, OPERATOR)
    assert (the(shop).last_change.what, the(shop).last_change.actor) == ("payment_kept", OPERATOR)
    assert (ladder(shop), shop.bank.asked_back) == (the(shop), [])


def test_what_never_came_cannot_be_kept(shop: Shop) -> None:
    before = bought(shop, lambda order: order.reopened("epay", BUYER, NOW))
    with pytest.raises(NotRefundable):
        refunds(shop).keep(TRADE_ID, SECOND_ID, OPERATOR)
    with pytest.raises(NotFound):
        refunds(shop).keep(TRADE_ID, payment_id(TRADE_ID, 9), OPERATOR)
    assert the(shop) == before


def test_a_kept_payment_can_be_sent_back_after_all(shop: Shop) -> None:
    bought(shop, delivered, twice, lambda order: order.kept(SECOND_ID, NOW, OPERATOR))
    _, refund = refunds(shop)(TRADE_ID, SECOND_ID, None, OPERATOR, KEY)
    assert refund.state is DONE


# ---- the ladder's own steps ----


def test_a_duplicate_goes_back_and_the_order_stays_as_it_is(shop: Shop) -> None:
    bought(shop, delivered, twice)
    order = ladder(shop)
    assert (order.status, [each.state for each in order.payments]) == (Status.DELIVERED, ["accepted", "refunded"])
    assert (shop.bank.sent, order.payments[1].refunds[0].by) == ({f"{SECOND_ID}r01": PRICE}, "shop")
    assert ladder(shop) == order
    is_sound(shop)


def test_an_order_that_awaits_stock_is_given_time(shop: Shop) -> None:
    before = bought(shop, awaiting)
    shop.clock.now = NOW + STOCK_PATIENCE_MS - 1
    assert (ladder(shop), shop.bank.asked_back) == (before, [])
    shop.clock.now += 1
    assert (ladder(shop).status, shop.bank.sent) == (Status.REFUNDED, {FIRST: PRICE})


@pytest.mark.parametrize("change", [lambda order: order, delivered, lambda order: delivered(order).completed(NOW)])
def test_an_order_that_awaits_nothing_keeps_its_money(shop: Shop, change: Change) -> None:
    before = bought(shop, change)
    shop.clock.now = NOW + 9 * STOCK_PATIENCE_MS
    assert (ladder(shop), shop.bank.asked_back) == (before, [])


def test_every_part_of_the_price_goes_back_and_all_at_once(shop: Shop) -> None:
    """Else stock that comes in between would be given for what is left of it."""
    in_two_parts(shop)
    before = the(shop)
    shop.bank.down = True
    order = ladder(shop)
    assert (order.status, order.version) == (Status.REFUNDING, before.version + 1)
    shop.bank.down = False
    assert ladder(shop).status is Status.REFUNDED
    assert (shop.bank.sent_of(PAYMENT_ID), shop.bank.sent_of(SECOND_ID)) == (900, 90)


def test_stock_is_not_given_for_what_is_left_when_a_part_of_the_price_could_not_go_back(
    shop: Shop, fill: FillOrders
) -> None:
    """The first part has come back, the second has gone: what is left is an operator's task, and then it is over."""
    in_two_parts(shop)
    shop.bank.returned.add(FIRST)
    order = ladder(shop)
    assert (order.status, order.half_gone) == (Status.AWAITING_STOCK, True)
    shop.sells(SKU, 1, PRICE)
    assert (fill.finds(the(shop)), fill.one(TRADE_ID)) == (False, False)
    order, _ = refunds(shop).done_by_hand(TRADE_ID, PAYMENT_ID, None, "wallet-1", OPERATOR)
    assert order.status is Status.REFUNDED


def test_a_part_that_an_operator_sends_back_of_the_price_does_not_keep_stock_from_it(
    shop: Shop, fill: FillOrders
) -> None:
    bought(shop, awaiting)
    back(shop, 90)
    shop.sells(SKU, 1, PRICE)
    assert fill.one(TRADE_ID)


def test_a_kept_part_of_a_contested_price_does_not_keep_the_trade_from_its_end(shop: Shop) -> None:
    in_two_parts(shop)
    shop.bank.returned.add(FIRST)
    shop.orders.put(the(shop).charged_back(SECOND_ID, NOW))
    ladder(shop)
    refunds(shop).keep(TRADE_ID, PAYMENT_ID, OPERATOR)
    assert ladder(shop).status is Status.REFUNDED


def test_a_surplus_that_was_kept_does_not_keep_the_price(shop: Shop) -> None:
    """Who kept the ten cents did not mean to keep the ten yuan for nothing."""
    order = unpaid(shop).settled(PAYMENT_ID, Money(1000, "CNY"), None, NOW)
    shop.orders.put(awaiting(order.kept(PAYMENT_ID, NOW, OPERATOR)))
    shop.clock.now = NOW + STOCK_PATIENCE_MS
    assert ladder(shop).status is Status.REFUNDED
    assert shop.bank.sent == {FIRST: Money(1000, "CNY")}


def test_a_price_that_an_operator_keeps_waits_for_stock_for_as_long_as_it_takes(shop: Shop) -> None:
    awaited_in_vain(shop)
    refunds(shop).keep(TRADE_ID, PAYMENT_ID, OPERATOR)
    shop.clock.now += 9 * STOCK_PATIENCE_MS
    assert (ladder(shop).status, shop.bank.asked_back) == (Status.AWAITING_STOCK, [])


@pytest.mark.usefixtures("unable")
def test_what_the_ladder_cannot_send_is_one_task_however_often_it_looks(shop: Shop) -> None:
    bought(shop, delivered, twice)
    for _ in range(3):
        order = ladder(shop)
    assert [each.payment_id for each in order.tasks] == [SECOND_ID]
    assert states(shop, 1) == [(990, BY_HAND)]


@pytest.mark.usefixtures("unable")
def test_an_operator_decides_about_a_surplus_that_could_not_go_back_once(shop: Shop) -> None:
    """Given a kept surplus whose order awaited stock in vain, keeping it again ends the asking."""
    order = unpaid(shop).settled(PAYMENT_ID, Money(1000, "CNY"), None, NOW)
    shop.orders.put(awaiting(order.kept(PAYMENT_ID, NOW, OPERATOR)))
    shop.clock.now = NOW + STOCK_PATIENCE_MS
    assert [each.payment_id for each in ladder(shop).tasks] == [PAYMENT_ID]
    refunds(shop).keep(TRADE_ID, PAYMENT_ID, OPERATOR)
    shop.clock.now += STOCK_PATIENCE_MS
    assert (ladder(shop).tasks, states(shop)) == ([], [(1000, REFUSED)])


def test_a_provider_that_is_down_is_asked_again_and_sends_it_once(shop: Shop) -> None:
    bought(shop, delivered, twice)
    shop.bank.down = True
    for _ in range(3):
        assert ladder(shop).payments[1].state is PaymentState.REFUNDING
    shop.bank.down = False
    for _ in range(3):
        ladder(shop)
    assert shop.bank.sent == {f"{SECOND_ID}r01": PRICE}
    is_sound(shop)


def test_money_that_the_payer_took_back_meanwhile_is_not_sent_as_well(shop: Shop) -> None:
    """Given a refund that the provider was not there for, and then a charge-back."""
    bought(shop, delivered)
    shop.bank.down = True
    back(shop)
    shop.bank.down = False
    shop.orders.put(the(shop).charged_back(PAYMENT_ID, NOW))
    order = ladder(shop)
    assert shop.bank.asked_back == []
    assert (order.status, order.tasks, order.unfinished) == (Status.REFUNDED, [], False)


def test_a_refund_that_was_on_its_way_before_a_charge_back_is_followed_all_the_same(shop: Shop) -> None:
    bought(shop, delivered)
    shop.bank.sends = PENDING
    back(shop)
    shop.orders.put(the(shop).charged_back(PAYMENT_ID, NOW))
    shop.bank.sends = DONE
    ladder(shop)
    assert states(shop) == [(990, DONE)]


# ---- broken off at any point, and again ----


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("minor", [None, 300])
def test_an_operators_refund_that_breaks_off_anywhere_and_is_asked_for_again_goes_once(
    minor: int | None, answer_lost: bool
) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop, delivered)
        shop.orders.write_token(TRADE_ID, TOKEN)
        shop.machine.waiting.add(TOKEN)
        return shop

    for shop, broken in at_every_call(made, unavailable, after=answer_lost):
        with suppress(Unavailable):
            back(shop, minor, meanwhile=broken)
        assert back(shop, minor).state is DONE
        assert shop.bank.sent == {FIRST: Money(minor or 990, "CNY")}
        assert the(shop).status is (Status.DELIVERED if minor else Status.REFUNDED)
        is_sound(shop)


@pytest.mark.parametrize("answer_lost", [False, True])
def test_an_operators_refund_that_breaks_off_anywhere_is_finished_by_the_ladder(answer_lost: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop, delivered)
        return shop

    for shop, broken in at_every_call(made, unavailable, after=answer_lost):
        before = the(shop)
        with suppress(Unavailable):
            back(shop, meanwhile=broken)
        order = ladder(shop)
        assert order.status is Status.REFUNDED or order == before, "nothing, or all of it"
        is_sound(shop)


def in_two_parts(shop: Shop) -> None:
    """A price that was topped up, of an order that awaited stock in vain."""
    order = unpaid(shop).settled(PAYMENT_ID, Money(900, "CNY"), None, NOW).reopened("epay", BUYER, NOW)
    shop.orders.put(awaiting(order.settled(SECOND_ID, Money(90, "CNY"), None, NOW)))
    shop.clock.now = NOW + STOCK_PATIENCE_MS


#: What the ladder returns → how it came, what the bank sends, and where the order is then.
OWED: dict[str, tuple[Callable[[Shop], object], dict[str, int], Status]] = {
    "a duplicate": (lambda shop: bought(shop, delivered, twice), {f"{SECOND_ID}r01": 990}, Status.DELIVERED),
    "a price awaited in vain": (awaited_in_vain, {FIRST: 990}, Status.REFUNDED),
    "a price in two parts": (in_two_parts, {FIRST: 900, f"{SECOND_ID}r01": 90}, Status.REFUNDED),
}


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("owed", list(OWED))
def test_a_ladder_that_breaks_off_anywhere_and_runs_again_sends_it_once(owed: str, answer_lost: bool) -> None:
    given, sent, status = OWED[owed]

    def made() -> Shop:
        shop = Shop()
        given(shop)
        return shop

    for shop, broken in at_every_call(made, unavailable, after=answer_lost):
        with suppress(Unavailable):
            ladder(shop, broken)
        assert the(shop).status in {Status.AWAITING_STOCK, Status.REFUNDING, status}
        assert the(shop).status is not Status.AWAITING_STOCK or shop.bank.sent == {}, "all of it, or nothing yet"
        for _ in range(2):
            order = ladder(shop)
        assert {refund_id: amount.minor for refund_id, amount in shop.bank.sent.items()} == sent
        assert order.status is status


# ---- somebody else comes in between ----


def made_delivered() -> Shop:
    shop = Shop()
    bought(shop, delivered)
    return shop


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("minor", [None, 300])
def test_two_operators_with_one_key_send_it_once(minor: int | None, after: bool) -> None:
    for shop, twin in at_every_call(made_delivered, lambda shop: back(shop, minor), after=after):
        assert back(shop, minor, meanwhile=twin).refund_id == FIRST
        assert shop.bank.sent == {FIRST: Money(minor or 990, "CNY")}
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_two_operators_with_two_keys_do_not_send_it_twice(after: bool) -> None:
    def other(shop: Shop) -> None:
        with suppress(NotRefundable):
            back(shop, key="another-key")

    for shop, twin in at_every_call(made_delivered, other, after=after):
        with suppress(NotRefundable):
            back(shop, meanwhile=twin)
        assert list(shop.bank.sent.values()) == [PRICE]
        assert the(shop).status is Status.REFUNDED
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_two_operators_who_each_send_a_part_send_both(after: bool) -> None:
    for shop, twin in at_every_call(made_delivered, lambda shop: back(shop, 400, key="another-key"), after=after):
        back(shop, 500, meanwhile=twin)
        assert sorted(amount.minor for amount in shop.bank.sent.values()) in ([400, 500], [500])
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_an_operator_and_the_ladder_send_a_duplicate_once(after: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop, delivered, twice)
        return shop

    def operator(shop: Shop) -> None:
        with suppress(NotRefundable):
            refunds(shop)(TRADE_ID, SECOND_ID, None, OPERATOR, KEY)

    for shop, twin in at_every_call(made, operator, after=after):
        ladder(shop, twin)
        assert shop.bank.sent_of(SECOND_ID) == 990
        assert the(shop).payments[1].state is PaymentState.REFUNDED
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_stock_that_comes_while_the_ladder_gives_up_gives_cards_or_money_and_never_both(after: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        order = awaited_in_vain(shop)
        (card,) = shop.sells(SKU, 1, PRICE)
        assert order.cards == ()
        assert shop.stock.has(card)
        return shop

    def fills(shop: Shop) -> None:
        FillOrders(shop.orders, shop.stock, shop.catalogue, shop.machine, AFTER_SALE_MS, shop.clock).one(TRADE_ID)

    ends = set()
    for shop, stock in at_every_call(made, fills, after=after):
        order = ladder(shop, stock)
        assert (order.status, shop.bank.sent) in [(Status.DELIVERED, {}), (Status.REFUNDED, {FIRST: PRICE})]
        assert order.has_its_cards is (order.status is Status.DELIVERED)
        is_sound(shop)
        ends.add(order.status)
    assert ends == {Status.DELIVERED, Status.REFUNDED}


def delivers(shop: Shop) -> None:
    with suppress(Exception):  # the machine catches what it may raise
        DeliverCards(shop.orders, shop.catalogue, AFTER_SALE_MS, shop.clock)(TRADE_ID)


@pytest.mark.parametrize("after", [False, True])
def test_a_delivery_beside_a_refund_leaves_no_card_with_who_has_his_money_back(after: bool) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop)
        return shop

    for shop, machine in at_every_call(made, delivers, after=after):
        back(shop, meanwhile=machine)
        delivers(shop)
        assert (the(shop).status, the(shop).cards) == (Status.REFUNDED, ())
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_codes_that_are_read_beside_a_refund_are_marked_or_not_read(after: bool) -> None:
    def reads(shop: Shop) -> None:
        with suppress(NotRevealable, Unavailable):  # the test's card is not sealed: it is on record all the same
            RevealCards(shop.orders, shop.sealed, shop.sealer, shop.clock)(TRADE_ID, BUYER)

    ends = set()
    for shop, buyer in at_every_call(made_delivered, reads, after=after):
        back(shop, meanwhile=buyer)
        order = the(shop)
        assert order.status is Status.REFUNDED
        assert order.forfeited is bool(order.cards) is (order.revealed_at is not None)
        is_sound(shop)
        ends.add(order.forfeited)
    assert ends == {True, False}


@pytest.mark.parametrize("after", [False, True])
def test_a_charge_back_beside_a_refund_leaves_an_order_that_is_over(after: bool) -> None:
    """The provider may have sent it by then; nobody here sends it after that."""

    def contests(shop: Shop) -> None:
        shop.orders.put(the(shop).charged_back(PAYMENT_ID, NOW))

    for shop, payer in at_every_call(made_delivered, contests, after=after):
        with suppress(NotRefundable):
            back(shop, meanwhile=payer)
        asked = list(shop.bank.asked_back)
        order = ladder(shop)
        assert len(shop.bank.asked_back) <= max(1, len(asked))
        assert order.payments[0].state in {PaymentState.CHARGED_BACK, PaymentState.REFUNDED}
        assert order.contested or order.status is Status.REFUNDED
        assert (order.tasks, order.unfinished) == ([], False)


# ---- notices in any sequence ----


@pytest.mark.parametrize("after", [False, True])
def test_that_it_was_done_and_that_it_came_back_heard_at_once_leave_it_to_an_operator(after: bool) -> None:
    done, came_back = (RefundWord(state, FIRST, f"bank-{FIRST}") for state in (DONE, REFUSED))

    def made() -> Shop:
        """The answer to what was asked for is lost, and it has come back by now."""
        shop = Shop()
        bought(shop, delivered)
        shop.bank.down = True
        back(shop)
        shop.bank.down = False
        shop.bank.returned.add(FIRST)
        return shop

    for shop, twin in at_every_call(made, lambda shop: hears(shop, came_back), after=after):
        hears(shop, done, twin)
        if not twin.came:
            hears(shop, came_back)
        assert states(shop) == [(990, BY_HAND)]
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("was", [REQUESTED, PENDING])
def test_that_it_came_back_heard_while_the_provider_is_asked_for_it_leaves_it_to_an_operator(
    was: RefundState, after: bool
) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop, delivered)
        shop.bank.down, shop.bank.sends = was is REQUESTED, PENDING
        assert back(shop).state is was
        shop.bank.down, shop.bank.sends = False, DONE
        return shop

    def comes_back(shop: Shop) -> None:
        """The provider sends it, if it has not, and the money comes back to it."""
        shop.bank.sent.setdefault(FIRST, PRICE)
        shop.bank.takes_back(FIRST)
        hears(shop, RefundWord(REFUSED, FIRST, f"bank-{FIRST}"))

    for shop, twin in at_every_call(made, comes_back, after=after):
        ladder(shop, twin)
        if not twin.came:
            comes_back(shop)
        assert states(shop)[0][1] is BY_HAND
        is_sound(shop)


@pytest.mark.parametrize("after", [False, True])
def test_that_all_was_sent_at_the_console_heard_while_the_provider_refuses_to_send_it_is_nobodys_task(
    after: bool,
) -> None:
    def made() -> Shop:
        shop = Shop()
        bought(shop, delivered)
        shop.bank.down, shop.bank.tells_totals = True, False
        back(shop)
        shop.bank.down = False
        shop.bank.refund = lambda *_: RefundWord(REFUSED)  # type: ignore[method-assign]
        return shop

    def sent_at_the_console(shop: Shop) -> None:
        shop.bank.sent[f"{PAYMENT_ID}-console"] = PRICE
        hears(shop, RefundWord(DONE, total=PRICE))

    for shop, twin in at_every_call(made, sent_at_the_console, after=after):
        ladder(shop, twin)
        if not twin.came:
            sent_at_the_console(shop)
        (payment,) = the(shop).payments
        assert (payment.left, payment.by_hand, the(shop).tasks) == (0, [], [])
        is_sound(shop)


@given(st.data(), st.booleans())
def test_in_whatever_sequence_notices_come_what_the_provider_has_sent_is_what_the_order_says(
    data: st.DataObject, totals: bool
) -> None:
    """And however often. Refunds of ours go and come back; of what somebody sends at the console only the total may be
    told.
    """
    shop, told, heard = Shop(), list[RefundWord](), set[int]()
    bought(shop, delivered)
    shop.bank.tells_totals = totals

    def tell(refund_id: str, amount: Money) -> None:
        ours = refund_id in {FIRST, SECOND}
        if ours or not totals:
            told.append(RefundWord(DONE, refund_id if ours else None, f"bank-{refund_id}", amount))
        if totals:
            told.append(RefundWord(DONE, total=Money(shop.bank.sent_of(PAYMENT_ID), "CNY")))

    def hear(index: int) -> None:
        heard.add(index)
        hears(shop, told[index])

    for number in range(data.draw(st.integers(1, 8), label="steps")):
        there = [each for each in (FIRST, SECOND) if each in shop.bank.sent]
        step = data.draw(st.sampled_from(["send", "console", "come back", "hear"]), label="step")
        if step == "send" and len(the(shop).payments[0].refunds) < 2:
            refund = back(shop, data.draw(st.sampled_from([100, 300])), key=f"key-number-{number}")
            tell(refund.refund_id, refund.amount)
        elif step == "console":
            shop.bank.sent[f"{PAYMENT_ID}-console-{number}"] = Money(30, "CNY")
            tell(f"{PAYMENT_ID}-console-{number}", Money(30, "CNY"))
        elif step == "come back" and there:
            refund_id = data.draw(st.sampled_from(there), label="which")
            shop.bank.takes_back(refund_id)
            told.append(RefundWord(REFUSED, refund_id, f"bank-{refund_id}"))
        elif step == "hear" and told:
            hear(data.draw(st.integers(0, len(told) - 1), label="notice"))
    for index in data.draw(st.permutations([each for each in range(len(told)) if each not in heard]), label="late"):
        hear(index)
    is_sound(shop)
    for refund in the(shop).payments[0].refunds:
        if refund.by == "operator":
            assert (refund.state is DONE) == (refund.refund_id in shop.bank.sent)
