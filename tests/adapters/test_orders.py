"""Orders in DynamoDB: what is read is what was written, and each condition refuses what it is there for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.tables import PoolItem
from cardshop.domain.card import Card
from cardshop.domain.errors import Changed, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import Order
from cardshop.domain.payment import Payment, PaymentState, payment_id
from cardshop.domain.trade import Status
from cardshop.ports import CardTaken, OrderExists
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.cloud import items, table_name
from tests.domain.builders import BUYER, FINGERPRINT, NOW, TRADE_ID, cards, moments, orders, paid, placed

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
        UpdateExpression="SET task_token = :token",
        ExpressionAttributeValues={":token": {"S": token}},
    )


def attributes() -> dict[str, Any]:
    (item,) = items("OrdersTable")
    return item


# ---- place ----


@given(orders(), st.data())
@shared
def test_an_order_is_read_as_it_was_written_through_its_whole_life(order: Order, data: st.DataObject) -> None:
    order = replace(order, cards=tuple(replace(each, place=f"{n:016x}") for n, each in enumerate(order.cards)))
    store = DynamoOrders()
    try:
        assert place(order) == named(order)
    except OrderExists:
        return  # Hypothesis drew the same trade id twice
    order = named(order)
    at = data.draw(moments)
    payment = order.payments[0]
    for after in (
        short := order.settled(payment.payment_id, Money(0, payment.amount.currency), "参考", at),
        again := replace(short, version=3, last_change=replace(short.last_change, version=3), payments=order.payments),
        accepted := again.settled(payment.payment_id, payment.amount, None, at + 1),
        delivered := accepted.delivered(at + 2),
        revealed := delivered.revealed(at + 3, BUYER),
        revealed.completed(at + 4),
    ):
        assert store.record(order, after) == after
        assert store.find(order.trade_id) == after
        order = after


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


def test_cards_newly_named_leave_their_pool_with_the_change() -> None:
    order = place(placed())
    closed = DynamoOrders().record(order, order.closed(NOW))
    new = cards(1, batch="batch-2")
    put(new)
    payment = Payment(payment_id(TRADE_ID, 1), "epay", order.amount, PaymentState.LATE, order.amount)
    late = replace(
        closed,
        status=Status.PAID,
        version=3,
        cards=new,
        payments=(payment,),
        last_change=replace(closed.last_change, version=3, what="paid", status=Status.PAID),
    )
    DynamoOrders().record(closed, late)
    assert DynamoOrders().find(TRADE_ID) == named(late)
    assert for_sale() == [(order.cards[0].pool.key, order.cards[0].card_id)]


def test_a_newly_named_card_that_is_gone_leaves_the_order_as_it_was() -> None:
    order = place(placed())
    closed = DynamoOrders().record(order, order.closed(NOW))
    with pytest.raises(CardTaken):
        DynamoOrders().record(closed, replace(closed, version=3, cards=cards(1, batch="batch-2")))
    assert DynamoOrders().find(TRADE_ID) == closed


def test_the_machines_token_stays_while_the_order_is_paid_and_goes_with_its_delivery() -> None:
    order = place(placed())
    write_token(TRADE_ID, "token")
    # read before the token was written: what is stored is answered, so that the machine can be woken
    after = DynamoOrders().record(order, paid(order))
    assert (after.status, after.task_token) == (Status.PAID, "token")
    assert DynamoOrders().find(TRADE_ID) == after
    delivered = DynamoOrders().record(after, after.delivered(NOW))
    assert delivered.task_token is None
    assert "task_token" not in attributes()


def test_a_change_within_a_state_keeps_the_machines_token() -> None:
    order = place(placed())
    write_token(TRADE_ID, "token")
    assert DynamoOrders().record(order, order.revealed(NOW, BUYER)).task_token == "token"


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


def test_a_change_that_leaves_the_order_unpaid_keeps_its_hold() -> None:
    order = place(placed(), address="a")
    DynamoOrders().record(order, order.revealed(NOW, BUYER))
    assert DynamoOrders().holds("address", "a", 9) == [order.expires_at]


# ---- a store that does not answer ----


def test_a_store_that_fails_is_unavailable_whatever_is_asked() -> None:
    client("dynamodb").delete_table(TableName=table_name("OrdersTable"))
    store = DynamoOrders()
    for ask in (
        lambda: store.find(TRADE_ID),
        lambda: store.place(placed(), {}),
        lambda: store.record(placed(), paid(placed())),
        lambda: store.record(placed(), placed().closed(NOW)),
        lambda: store.holds("address", "a", 1),
    ):
        with pytest.raises(Unavailable):
            ask()
