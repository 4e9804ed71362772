"""Orders in DynamoDB: what is read is what was written, and each condition refuses what it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.tables import CHANGE, NOTE, PoolItem
from cardshop.domain.card import Card
from cardshop.domain.errors import Changed, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import PROVIDER, SHOP, Order
from cardshop.domain.payment import PaymentState, RefundState, RefundWord, payment_id
from cardshop.domain.trade import Status
from cardshop.ports import CardTaken, OrderExists
from hypothesis import HealthCheck, given, settings

from tests.adapters.cloud import items, table_name
from tests.domain.builders import (
    AFTER_SALE_MS,
    BUYER,
    FINGERPRINT,
    NOW,
    OPERATOR,
    PAYMENT_ID,
    SKU,
    TRADE_ID,
    cards,
    delivered,
    moments,
    orders,
    paid,
    placed,
    refund_told,
    refunding,
)

pytestmark = pytest.mark.usefixtures("cloud")

# each example writes an order of its own, so one cloud serves all
shared = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(some: Iterable[Card]) -> None:
    for card in some:
        PoolItem(card.pool.key, card.place, card_id=card.card_id).save()


def for_sale() -> list[tuple[str, str]]:
    return sorted((item["pool"]["S"], item["card_id"]["S"]) for item in items("StockTable"))


def named(order: Order) -> Order:
    """As a store answers it: a card on an order has no place in the pool."""
    return replace(order, cards=tuple(Card(card.pool, card.card_id) for card in order.cards))


def place(order: Order, **holds: str) -> Order:
    put(order.cards)
    DynamoOrders().place(order, holds)
    found = DynamoOrders().find(order.trade_id)
    assert found is not None
    return found


def write_token(trade_id: str, token: str) -> None:
    """As the machine does it, beside the shop's code."""
    client("dynamodb").update_item(
        TableName=table_name("OrdersTable"),
        Key={"trade_id": {"S": trade_id}},
        UpdateExpression="SET task_token = :token, last_write = :note",
        ExpressionAttributeValues={":token": {"S": token}, ":note": {"S": NOTE}},
    )


def attributes(trade_id: str = TRADE_ID) -> dict[str, Any]:
    (item,) = [item for item in items("OrdersTable") if item["trade_id"]["S"] == trade_id]
    return item


def trade(shard: str, number: int = 0) -> str:
    """The trade id of this number that begins with this character."""
    return shard + "abcdefghij"[number] * 25


def another(trade_id: str, *, due_at: int | None = NOW, created_at: int = NOW) -> Order:
    """An order of this id, for a card of its own."""
    order = placed(trade_id=trade_id, held=cards(1, batch=f"batch-{trade_id}"))
    return replace(order, due_at=due_at, created_at=created_at)


def closed(order: Order) -> Order:
    """Placed and closed."""
    order = place(order)
    return DynamoOrders().record(order, order.closed(NOW))


def awaiting(order: Order, lacking: str = SKU) -> Order:
    """Placed, closed, and paid when there were no cards."""
    order = closed(order)
    payment = order.payments[0]
    late = order.settled(payment.payment_id, payment.amount, None, NOW, lacking=lacking)
    return DynamoOrders().record(order, late)


def given_waiting(order: Order, new: tuple[Card, ...]) -> Order:
    """The order that awaited stock, with these cards."""
    return DynamoOrders().record(order, order.delivered(NOW, AFTER_SALE_MS, cards=new))


# ---- place ----


@given(orders(), moments)
@shared
def test_an_order_is_read_as_it_was_written_through_its_whole_life(order: Order, at: int) -> None:
    order = replace(order, cards=tuple(replace(each, place=f"{n:016x}") for n, each in enumerate(order.cards)))
    store = DynamoOrders()
    try:
        assert place(order) == named(order)
    except OrderExists:
        return  # Hypothesis drew the same trade id twice
    order = named(order)
    payment = order.payments[0]
    for after in (
        short := order.settled(payment.payment_id, Money(0, payment.amount.currency), "参考", at),
        reopened := short.reopened("another", BUYER, at + 1),
        accepted := reopened.settled(payment_id(order.trade_id, 2), payment.amount, None, at + 2),
        waiting := accepted.short_of_cards(at + 3, order.lines[0].sku),
        given := waiting.delivered(at + 4, AFTER_SALE_MS),
        revealed := given.revealed(at + 5, BUYER),
        revealed.completed(at + 6),
    ):
        assert store.record(order, after) == after
        assert store.find(order.trade_id) == after
        order = after


def test_money_that_goes_back_is_read_as_it_was_written_to_its_end() -> None:
    """Every word about a payment, its refunds, and where the order was."""
    order = place(placed(2))
    number = order.payments[0].payment_id

    def asked(order: Order, minor: int, key: str | None = None) -> Order:
        refund = order.payments[0].next_refund(Money(minor, "CNY"), RefundState.REQUESTED, "operator", key=key)
        return order.refund_noted(order.payments[0], refund, NOW, OPERATOR)

    def told(order: Order, **said: Any) -> Order:
        return order.refund_told(number, RefundWord(**said), NOW)

    life: list[Callable[[Order], Order]] = [
        lambda order: order.settled(number, Money(2000, "CNY"), "T1", NOW),
        lambda order: order.delivered(NOW, AFTER_SALE_MS),
        lambda order: asked(order, 300, "a-key-of-this-refund"),
        lambda order: told(order, state=RefundState.PENDING, refund_id=f"{number}r01", provider_ref="R1"),
        lambda order: told(order, state=RefundState.DONE, provider_ref="R1"),
        lambda order: asked(order, 100),
        lambda order: told(order, state=RefundState.REFUSED, refund_id=f"{number}r02"),
        lambda order: order.kept(number, NOW, OPERATOR),
        lambda order: order.revealed(NOW, BUYER),
        lambda order: order.charged_back(number, NOW),
        lambda order: order.reinstated(number, NOW, "dispute-1"),
        lambda order: asked(order, 1700),
        lambda order: told(order, state=RefundState.DONE, total=Money(2000, "CNY")),
        lambda order: order.gone(NOW),
    ]
    for step in life:
        after = step(order)
        assert after.version == order.version + 1
        assert DynamoOrders().record(order, after) == after
        assert DynamoOrders().find(TRADE_ID) == after
        order = after
    assert (order.status, order.refunding_from, len(order.cards)) == (Status.REFUNDED, None, 2)
    assert not {"refunding_from", "lacking"} & attributes().keys()


def test_money_in_another_currency_goes_back_in_it() -> None:
    order = place(placed())
    payment = order.payments[0]
    order = DynamoOrders().record(order, order.settled(payment.payment_id, Money(500, "JPY"), None, NOW))
    refund = order.payments[0].next_refund(Money(500, "JPY"), RefundState.BY_HAND, "shop")
    noted = order.refund_noted(order.payments[0], refund, NOW, PROVIDER)
    assert DynamoOrders().record(order, noted) == DynamoOrders().find(TRADE_ID) == noted


@pytest.mark.parametrize(
    "change",
    [
        lambda order: order.declined(PAYMENT_ID, NOW),
        lambda order: order.came_and_went(PAYMENT_ID, NOW),
    ],
    ids=["declined", "came and went"],
)
def test_a_payment_that_brings_nothing_is_read_as_it_was_written(change: Callable[[Order], Order]) -> None:
    order = place(placed())
    after = change(order)
    assert DynamoOrders().record(order, after) == DynamoOrders().find(TRADE_ID) == after


def test_a_refunded_orders_cards_are_back_in_their_pool_if_nobody_has_read_them() -> None:
    order = _delivered()
    order = DynamoOrders().record(order, refunding(order))
    assert for_sale() == [], "as long as the money may come back"
    order = DynamoOrders().record(order, refund_told(order, RefundState.DONE))
    order = DynamoOrders().record(order, order.gone(NOW))
    assert (order.status, order.cards) == (Status.REFUNDED, ())
    assert for_sale() == [(card.pool.key, card.card_id) for card in cards(1)]


# ---- a payment's number at the provider ----


def with_session(order: Order, number: int, session: str) -> None:
    DynamoOrders().note_session(order, replace(order.payments[number], session_ref=session))


def test_the_providers_number_of_a_payment_is_noted_and_is_no_change() -> None:
    order = place(placed())
    with_session(order, 0, "cs_1")
    noted = replace(order, payments=(replace(order.payments[0], session_ref="cs_1"),))
    assert DynamoOrders().find(TRADE_ID) == noted
    with_session(order, 0, "cs_2")
    found = DynamoOrders().find(TRADE_ID)
    assert found is not None
    assert (found.payments[0].session_ref, found.version) == ("cs_2", order.version)


#: What somebody else writes at the same time: it was decided on the order as it was before the number was noted.
BESIDE: dict[str, Callable[[Order], Order]] = {
    "another payment is opened": lambda order: order.reopened("another", BUYER, NOW),
    "another payment is settled": lambda order: order.settled(payment_id(TRADE_ID, 2), order.amount, "T2", NOW),
    "another payment fails": lambda order: order.declined(payment_id(TRADE_ID, 2), NOW),
    "the window is over": lambda order: order.closed(NOW),
    "the buyer cancels": lambda order: order.failed(NOW, BUYER),
}


@pytest.mark.parametrize("first", ["the number", "the change"])
@pytest.mark.parametrize("beside", list(BESIDE))
def test_a_number_noted_beside_another_change_loses_neither(beside: str, first: str) -> None:
    order = place(placed())
    order = DynamoOrders().record(order, order.reopened("wechat", BUYER, NOW))
    if first == "the number":
        with_session(order, 0, "cs_1")
    after = DynamoOrders().record(order, BESIDE[beside](order))
    if first == "the change":
        with_session(order, 0, "cs_1")
    found = DynamoOrders().find(TRADE_ID)
    assert found is not None
    assert found.payments[0].session_ref == "cs_1"
    assert found.payments[1:] == after.payments[1:] == BESIDE[beside](order).payments[1:]
    assert (found.status, found.version) == (after.status, after.version)


def test_numbers_of_two_payments_are_noted_each_with_its_own() -> None:
    order = place(placed())
    order = DynamoOrders().record(order, order.reopened("wechat", BUYER, NOW))
    with_session(order, 1, "cs_2")
    with_session(order, 0, "cs_1")
    found = DynamoOrders().find(TRADE_ID)
    assert found is not None
    assert [each.session_ref for each in found.payments] == ["cs_1", "cs_2"]


def test_a_number_of_a_payment_that_is_not_there_is_not_noted() -> None:
    order = place(placed())
    strange = replace(order, payments=(replace(order.payments[0], payment_id=payment_id("a" * 26, 1)),))
    with pytest.raises(Unavailable):
        with_session(strange, 0, "cs_1")
    assert DynamoOrders().find(TRADE_ID) == order


def test_a_placed_orders_cards_have_left_the_pool() -> None:
    three = cards(3)
    put(three)
    order = placed(2, held=three[:2])
    DynamoOrders().place(order, {})
    assert for_sale() == [(three[2].pool.key, three[2].card_id)]
    assert DynamoOrders().find(TRADE_ID) == named(order)


def test_an_order_nobody_placed_is_not_found() -> None:
    assert DynamoOrders().find(TRADE_ID) is None


def test_a_trade_id_is_placed_once() -> None:
    place(placed())
    second = placed(held=cards(1, batch="batch-2"))
    put(second.cards)
    with pytest.raises(OrderExists):
        DynamoOrders().place(replace(second, fingerprint="another"), {})
    found = DynamoOrders().find(TRADE_ID)
    assert found is not None
    assert found.fingerprint == FINGERPRINT
    assert for_sale() == [(second.cards[0].pool.key, second.cards[0].card_id)]


def test_a_repeated_order_whose_cards_are_gone_too_is_still_told_that_it_exists() -> None:
    order = placed()
    place(order)
    with pytest.raises(OrderExists):
        DynamoOrders().place(order, {})


def test_one_card_that_is_gone_leaves_all_as_it_was() -> None:
    there, gone = cards(2)
    put([there])
    with pytest.raises(CardTaken):
        DynamoOrders().place(placed(2, held=(there, gone)), {})
    assert DynamoOrders().find(TRADE_ID) is None
    assert for_sale() == [(there.pool.key, there.card_id)]


def test_another_card_in_the_same_place_is_not_taken_for_it() -> None:
    (card,) = cards(1)
    put([replace(card, card_id="another")])
    with pytest.raises(CardTaken):
        DynamoOrders().place(placed(held=(card,)), {})
    assert for_sale() == [(card.pool.key, "another")]


def test_fifty_cards_are_one_transaction() -> None:
    order = placed(50)
    assert len(place(order).cards) == 50
    assert for_sale() == []


# ---- record ----


def test_a_change_that_comes_second_is_refused() -> None:
    """Given two who read the same order, when both write, then the second is told and nothing of it is written."""
    order = place(placed())
    DynamoOrders().record(order, paid(order))
    with pytest.raises(Changed):
        DynamoOrders().record(order, order.revealed(NOW, BUYER))
    assert DynamoOrders().find(TRADE_ID) == paid(order)


def test_a_closing_that_comes_second_is_refused_and_returns_no_card() -> None:
    order = place(placed(2))
    DynamoOrders().record(order, paid(order))
    with pytest.raises(Changed):
        DynamoOrders().record(order, order.closed(NOW))
    assert for_sale() == []
    assert DynamoOrders().find(TRADE_ID) == paid(order)


def test_a_change_of_an_order_that_is_not_there_is_refused() -> None:
    with pytest.raises(Changed):
        DynamoOrders().record(placed(), paid(placed()))
    assert items("OrdersTable") == []


def test_a_closed_orders_cards_are_back_in_their_pools_under_new_keys() -> None:
    before = cards(3)
    order = place(placed(3, held=before))
    stored = DynamoOrders().record(order, order.closed(NOW))
    assert stored == DynamoOrders().find(TRADE_ID) == order.closed(NOW)
    assert for_sale() == sorted((card.pool.key, card.card_id) for card in before)
    assert not {card.place for card in before} & {item["place"]["S"] for item in items("StockTable")}


def test_a_late_payments_new_cards_leave_their_pool_with_the_change() -> None:
    order = closed(placed())
    new = cards(1, batch="batch-2")
    put(new)
    payment = order.payments[0]
    late = order.settled(payment.payment_id, payment.amount, "T1", NOW, cards=new)
    assert DynamoOrders().record(order, late) == named(late)
    assert DynamoOrders().find(TRADE_ID) == named(late)
    assert for_sale() == [(card.pool.key, card.card_id) for card in cards(1)]


def test_one_new_card_that_is_gone_leaves_the_order_and_the_pool_as_they_were() -> None:
    order = closed(placed(2))
    there, gone = cards(2, batch="batch-2")
    put([there])
    payment = order.payments[0]
    with pytest.raises(CardTaken):
        DynamoOrders().record(order, order.settled(payment.payment_id, payment.amount, None, NOW, cards=(there, gone)))
    assert DynamoOrders().find(TRADE_ID) == order
    assert (there.pool.key, there.card_id) in for_sale()


@pytest.mark.parametrize("gone", [False, True], ids=["its cards are there", "its cards are gone too"])
def test_who_claims_for_an_order_that_changed_is_told_so_whatever_became_of_the_cards(gone: bool) -> None:
    """`CardTaken` is worth another look at the stock; here the order itself is to be looked at again."""
    order = awaiting(placed())
    first, second = cards(1, batch="batch-2"), cards(1, batch="batch-3")
    put(first)
    filled = given_waiting(order, first)
    if not gone:
        put(second)
    before = for_sale()
    with pytest.raises(Changed):
        given_waiting(order, second)
    assert DynamoOrders().find(TRADE_ID) == filled
    assert for_sale() == before


def test_an_order_that_awaited_stock_is_delivered_with_cards_that_leave_their_pool() -> None:
    order = awaiting(placed(2))
    new = cards(3, batch="batch-2")
    put(new)
    filled = given_waiting(order, new[:2])
    assert (filled.status, filled.lacking, len(filled.cards)) == (Status.DELIVERED, None, 2)
    assert DynamoOrders().find(TRADE_ID) == filled
    assert (new[2].pool.key, new[2].card_id) in for_sale()
    assert not {card.card_id for card in new[:2]} & {card_id for _, card_id in for_sale()}


# ---- the machine's token ----


def test_what_is_stored_is_answered_with_a_token_written_since_the_order_was_read() -> None:
    """So that the machine can be woken: the token came between the read and the write, and is no change."""
    order = place(placed())
    write_token(TRADE_ID, "token")
    after = DynamoOrders().record(order, paid(order))
    assert (after.status, after.task_token) == (Status.PAID, "token")
    assert DynamoOrders().find(TRADE_ID) == after


def test_a_change_is_told_from_what_is_written_beside_the_changes() -> None:
    """Those who follow the stream are called for changes alone."""
    order, written = place(placed()), [_last_write()]
    with_session(order, 0, "cs_1")
    written.append(_last_write())
    order = DynamoOrders().record(order, order.closed(NOW))
    written.append(_last_write())
    DynamoOrders().note(replace(order, due_at=NOW))
    written.append(_last_write())
    payment = order.payments[0]
    DynamoOrders().record(order, order.settled(payment.payment_id, payment.amount, None, NOW, lacking=SKU))
    written.append(_last_write())
    assert written == [CHANGE, NOTE, CHANGE, NOTE, CHANGE]


def _last_write() -> str:
    return str(attributes()["last_write"]["S"])


def _pending() -> Order:
    return place(placed())


def _paid() -> Order:
    order = _pending()
    return DynamoOrders().record(order, paid(order))


def _delivered() -> Order:
    order = _paid()
    return DynamoOrders().record(order, delivered(order))


def _failed() -> Order:
    order = _pending()
    return DynamoOrders().record(order, order.failed(NOW, BUYER))


def _recorded(order: Order, *changes: Callable[[Order], Order]) -> Order:
    for change in changes:
        order = DynamoOrders().record(order, change(order))
    return order


def _refunding() -> Order:
    """All that was paid is back with the buyer."""
    return _recorded(_delivered(), refunding, lambda order: refund_told(order, RefundState.DONE))


def _given_up(order: Order) -> Order:
    payment = order.payments[0]
    refund = payment.next_refund(order.amount, RefundState.REQUESTED, SHOP.by)
    return order.refund_noted(payment, refund, NOW, SHOP)


#: what happens → (the order before, the change, whether the machine's token is still there to wake it with)
MOVES: dict[str, tuple[Callable[[], Order], Callable[[Order], Order], bool]] = {
    "a payment comes": (_pending, paid, True),
    "the buyer cancels": (_pending, lambda order: order.failed(NOW, BUYER), True),
    "the buyer pays again": (_pending, lambda order: order.reopened("epay", BUYER, NOW), True),
    "the window is over": (_pending, lambda order: order.closed(NOW), True),
    "a failure is settled": (_failed, lambda order: order.closed(NOW), True),
    "money comes for a failed payment": (_failed, lambda order: order.closed(NOW, PROVIDER), True),
    "cards are delivered": (_paid, delivered, False),
    "there are no cards": (_paid, lambda order: order.short_of_cards(NOW, SKU), False),
    "stock comes": (lambda: awaiting(placed()), lambda order: order.delivered(NOW, AFTER_SALE_MS, cards=()), True),
    "the buyer reveals": (_delivered, lambda order: order.revealed(NOW, BUYER), True),
    "the buyer confirms": (_delivered, lambda order: order.completed(NOW, BUYER), True),
    "the after-sale window is over": (_delivered, lambda order: order.completed(NOW), True),
    "an operator sends the money back": (_delivered, refunding, True),
    "the shop gives the stock up": (lambda: awaiting(placed()), _given_up, True),
    "the payer takes it back": (_paid, lambda order: order.charged_back(PAYMENT_ID, NOW), True),
    "the money has gone": (_refunding, lambda order: order.gone(NOW), True),
    "the money stays after all": (
        lambda: _recorded(_delivered(), refunding),
        lambda order: refund_told(order, RefundState.REFUSED),
        True,
    ),
}


@pytest.mark.parametrize("move", list(MOVES))
def test_a_token_stays_with_whoever_wakes_the_machine_and_goes_when_it_moves_on_itself(move: str) -> None:
    given, change, stays = MOVES[move]
    order = given()
    write_token(TRADE_ID, "token")
    after = DynamoOrders().record(order, change(order))
    assert after.task_token == ("token" if stays else None)
    assert ("task_token" in attributes()) is stays


# ---- holds ----


@pytest.mark.parametrize("subject", ["address", "device", "contact"])
def test_unpaid_orders_are_found_by_whose_they_are_the_first_to_expire_first(subject: str) -> None:
    for number, expires_at in enumerate([3000, 1000, 2000, 4000]):
        order = placed(trade_id=f"{number}".rjust(26, "a"), held=cards(1, batch=f"batch-{number}"))
        place(replace(order, expires_at=expires_at), **{subject: "whose" if number < 3 else "another's"})
    assert DynamoOrders().holds(subject, "whose", 9) == [1000, 2000, 3000]
    assert DynamoOrders().holds(subject, "whose", 2) == [1000, 2000]
    assert DynamoOrders().holds(subject, "another's", 9) == [4000]
    assert DynamoOrders().holds(subject, "nobody's", 9) == []


@pytest.mark.parametrize("leave", ["paid", "closed"])
def test_an_order_that_is_not_unpaid_any_more_holds_nothing(leave: str) -> None:
    order = place(placed(), address="a", device="d", contact="c")
    DynamoOrders().record(order, paid(order) if leave == "paid" else order.closed(NOW))
    assert [DynamoOrders().holds(*each, 9) for each in (("address", "a"), ("device", "d"), ("contact", "c"))] == [
        []
    ] * 3
    assert not {name for name in attributes() if name.startswith("hold")}


def test_a_cancelled_order_is_its_buyers_hold_until_its_cards_are_back() -> None:
    order = place(placed(), address="a")
    failed = DynamoOrders().record(order, order.failed(NOW, BUYER))
    assert DynamoOrders().holds("address", "a", 9) == [order.expires_at]
    DynamoOrders().record(failed, failed.closed(NOW))
    assert DynamoOrders().holds("address", "a", 9) == []


def test_a_change_that_leaves_the_order_unpaid_keeps_its_hold() -> None:
    order = place(placed(), address="a")
    DynamoOrders().record(order, order.revealed(NOW, BUYER))
    assert DynamoOrders().holds("address", "a", 9) == [order.expires_at]


# ---- trades to be looked at ----

EVERY_SHARD = "abcdefghijklmnopqrstuvwxyz234567"


def test_trades_that_are_due_by_then_are_found_whatever_their_ids() -> None:
    for shard in EVERY_SHARD:
        place(another(trade(shard), due_at=NOW))
    place(another(trade("a", 2), due_at=NOW + 1))
    place(another(trade("a", 3), due_at=None))
    assert sorted(DynamoOrders().due(NOW)) == sorted(trade(shard) for shard in EVERY_SHARD)
    assert list(DynamoOrders().due(NOW - 1)) == []
    assert len(list(DynamoOrders().due(NOW + 1))) == len(EVERY_SHARD) + 1


def test_a_trade_that_is_over_is_never_due() -> None:
    order = place(replace(placed(), due_at=NOW))
    order = DynamoOrders().record(order, paid(order))
    assert list(DynamoOrders().due(NOW)) == [TRADE_ID], "a payment leaves it to be looked at"
    order = DynamoOrders().record(order, delivered(order, NOW))
    assert (list(DynamoOrders().due(NOW)), list(DynamoOrders().due(NOW + AFTER_SALE_MS))) == ([], [TRADE_ID])
    DynamoOrders().record(order, order.completed(NOW))
    assert list(DynamoOrders().due(NOW + AFTER_SALE_MS)) == []
    assert not {"due_at", "due_shard"} & attributes().keys()


def test_a_note_moves_the_next_look_and_is_no_change() -> None:
    order = place(replace(placed(), due_at=NOW))
    DynamoOrders().note(replace(order, due_at=NOW + 5))
    assert DynamoOrders().find(TRADE_ID) == replace(order, due_at=NOW + 5)
    assert (list(DynamoOrders().due(NOW)), list(DynamoOrders().due(NOW + 5))) == ([], [TRADE_ID])


def test_a_note_that_nobody_need_look_takes_the_trade_out_of_the_index() -> None:
    order = closed(replace(placed(), due_at=NOW))
    assert order.due_at is not None
    DynamoOrders().note(replace(order, due_at=None))
    assert not {"due_at", "due_shard"} & attributes().keys()
    DynamoOrders().note(replace(order, due_at=NOW))
    assert list(DynamoOrders().due(NOW)) == [TRADE_ID]


@pytest.mark.parametrize("change", [paid, lambda order: order.closed(NOW)], ids=["paid", "closed"])
def test_a_note_on_an_order_that_changed_meanwhile_is_dropped(change: Callable[[Order], Order]) -> None:
    order = place(replace(placed(), due_at=NOW))
    after = DynamoOrders().record(order, change(order))
    DynamoOrders().note(replace(order, due_at=1, lacking=SKU))
    assert DynamoOrders().find(TRADE_ID) == after


def test_a_note_on_an_order_that_is_not_there_makes_none() -> None:
    DynamoOrders().note(replace(placed(), due_at=1))
    assert items("OrdersTable") == []


def test_a_token_written_meanwhile_does_not_hinder_a_note_and_is_kept() -> None:
    order = place(replace(placed(), due_at=NOW))
    write_token(TRADE_ID, "token")
    DynamoOrders().note(replace(order, due_at=NOW + 5))
    assert DynamoOrders().find(TRADE_ID) == replace(order, due_at=NOW + 5, task_token="token")


# ---- trades that await stock ----


def test_trades_that_await_stock_are_found_by_what_they_lack_the_oldest_order_first() -> None:
    for number, created_at in enumerate([3000, 1000, 2000]):
        awaiting(another(trade("a", number), created_at=created_at))
    awaiting(another(trade("b")), lacking="another-sku")
    place(another(trade("c")))
    oldest_first = [trade("a", 1), trade("a", 2), trade("a", 0)]
    assert list(DynamoOrders().awaiting(SKU)) == oldest_first
    assert list(DynamoOrders().awaiting("another-sku")) == [trade("b")]
    assert list(DynamoOrders().awaiting("unknown")) == []


def test_a_trade_that_lacks_another_card_by_now_is_found_by_that_one() -> None:
    order = awaiting(placed())
    DynamoOrders().note(replace(order, lacking="another-sku"))
    assert list(DynamoOrders().awaiting(SKU)) == []
    assert list(DynamoOrders().awaiting("another-sku")) == [TRADE_ID]
    assert DynamoOrders().find(TRADE_ID) == replace(order, lacking="another-sku")


def test_a_trade_that_has_its_cards_awaits_nothing() -> None:
    order = awaiting(placed())
    new = cards(1, batch="batch-2")
    put(new)
    given_waiting(order, new)
    assert list(DynamoOrders().awaiting(SKU)) == []
    assert "lacking" not in attributes()


# ---- trades that are under way ----


def pages(limit: int) -> list[list[str]]:
    """Trade ids, a page at a time, to the end."""
    told: list[list[str]] = []
    after: str | None = None
    while len(told) < 20:
        found, after = DynamoOrders().under_way(limit, after)
        told.append([order.trade_id for order in found])
        if after is None:
            return told
    raise AssertionError("there is always one more page")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_every_trade_under_way_is_on_one_page_however_the_pages_are_cut(limit: int) -> None:
    """Across shards, within one of them, and with two that are due at the same moment."""
    expected = [trade("a", number) for number in range(4)] + [trade("m"), trade("z"), trade("3"), trade("7")]
    for number, trade_id in enumerate(expected):
        place(another(trade_id, due_at=NOW + number // 2))
    place(another(trade("b"), due_at=None))
    told = pages(limit)
    assert sorted(trade_id for page in told for trade_id in page) == sorted(expected)
    assert {len(page) for page in told[:-1]} <= {limit}


def test_trades_under_way_are_told_as_they_are() -> None:
    """Given an index that knows no more than that there is a trade, the orders are read whole."""
    order = place(replace(placed(2), due_at=NOW))
    assert DynamoOrders().under_way(9, None) == ([order], None)
    order = DynamoOrders().record(order, paid(order))
    assert DynamoOrders().under_way(9, None) == ([order], None)


def test_nothing_under_way_is_an_empty_page() -> None:
    place(replace(placed(), due_at=None))
    assert DynamoOrders().under_way(9, None) == ([], None)


def test_a_page_goes_on_behind_a_trade_that_is_over_or_due_at_another_time_by_now() -> None:
    """Whoever turns pages is not disturbed by what happens to the last trade of the page before."""
    first, second, third = (place(another(trade("a", number), due_at=NOW + number)) for number in range(3))
    found, after = DynamoOrders().under_way(1, None)
    assert found == [first]
    DynamoOrders().note(replace(first, due_at=None))
    found, after = DynamoOrders().under_way(1, after)
    assert found == [second]
    DynamoOrders().note(replace(second, due_at=NOW + 9))
    found, _ = DynamoOrders().under_way(9, after)
    assert [order.trade_id for order in found] == [third.trade_id, second.trade_id]


# ---- a store that does not answer ----


def test_a_store_that_fails_is_unavailable_whatever_is_asked() -> None:
    client("dynamodb").delete_table(TableName=table_name("OrdersTable"))
    store = DynamoOrders()
    for ask in (
        lambda: store.find(TRADE_ID),
        lambda: store.place(placed(), {}),
        lambda: store.record(placed(), paid(placed())),
        lambda: store.record(placed(), placed().closed(NOW)),
        lambda: store.record(placed().closed(NOW), replace(placed(), version=3)),
        lambda: store.holds("address", "a", 1),
        lambda: store.note(placed()),
        lambda: list(store.due(NOW)),
        lambda: list(store.awaiting(SKU)),
        lambda: store.under_way(1, None),
    ):
        with pytest.raises(Unavailable):
            ask()


def test_a_number_noted_while_its_own_payment_fails_is_not_lost() -> None:
    stale = place(placed())
    with_session(stale, 0, "cs_1")
    after = DynamoOrders().record(stale, stale.declined(PAYMENT_ID, NOW))
    assert (after.payments[0].state, after.payments[0].session_ref) == (PaymentState.FAILED, "cs_1")
