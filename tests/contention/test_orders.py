"""Many who want to change one order alike: it changes once, and each sees what came of it."""

from __future__ import annotations

from collections import Counter

from cardshop.adapters.clock import clock
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.adapters.tables import OrderItem
from cardshop.domain.trade import Status
from cardshop.usecases.reveal_cards import RevealCards

from tests.contention.trading import (
    BUYER,
    Interrupted,
    Machine,
    Noted,
    PlainSealer,
    at_once,
    close_trade,
    deliver_cards,
    in_pool,
    placed,
    said,
    settle_payment,
    stocked,
    stored,
)


def test_an_order_closed_twenty_times_at_once_gives_its_card_back_once(tables: str) -> None:
    sku = stocked(1)
    order = placed(sku)
    assert not in_pool(sku)

    told = at_once(20, lambda _: close_trade()(order.trade_id).status)

    assert set(told) == {Status.CLOSED}
    assert in_pool(sku) == {order.cards[0].card_id: 1}
    assert stored(order.trade_id).version == 2


def test_a_card_that_was_sold_again_does_not_come_back_with_its_first_order(tables: str) -> None:
    sku = stocked(1)
    order = placed(sku)
    close_trade()(order.trade_id)
    (card,) = in_pool(sku)
    again = placed(sku)
    assert [each.card_id for each in again.cards] == [card]
    close_trade()(order.trade_id)
    assert not in_pool(sku), "closing it again gives nothing back"


def test_the_same_payment_settled_twenty_times_at_once_is_one_change(tables: str) -> None:
    order = placed(stocked(3))
    OrderItem(order.trade_id).update([OrderItem.task_token.set("token")])
    machine = Machine()
    settle = settle_payment(machine)

    told = at_once(20, lambda _: settle(said(order))[1])

    assert Counter(told) == {True: 1, False: 19}, "it was new to one of them"
    after = stored(order.trade_id)
    assert (after.status, after.version) == (Status.PAID, 2)
    assert after.payments[0].provider_ref == "provider-1"
    assert machine.woken == ["token"] * 20, "every message wakes the machine: the first may have died before it did"
    assert not machine.started


def test_a_token_that_is_written_while_the_payment_is_settled_is_woken(tables: str) -> None:
    """The machine writes its token between settle's load and its write, which is no change to the order."""
    order = placed(stocked(3))
    machine = Machine()

    def write_token() -> None:
        OrderItem(order.trade_id).update([OrderItem.task_token.set("token")])

    after, new = settle_payment(machine, Interrupted(write_token))(said(order))
    assert (after.status, new) == (Status.PAID, True)
    assert stored(order.trade_id).version == 2
    assert machine.woken == ["token"], "else the trade would wait for the end of its window"


def test_twenty_reveals_at_once_are_twenty_changes_without_a_gap(tables: str) -> None:
    sku = stocked(2)
    order = placed(sku, 2)
    settle_payment()(said(order))
    deliver_cards()(order.trade_id)
    before = stored(order.trade_id)
    orders = Noted()
    reveal = RevealCards(orders, DynamoSealedCards(), PlainSealer(), clock)

    told = at_once(20, lambda _: reveal(order.trade_id, BUYER))

    after = stored(order.trade_id)
    assert after.version == before.version + 20
    versions = sorted(change.version for change in orders.changes)
    assert versions == list(range(before.version + 1, after.version + 1))
    assert after.status is Status.DELIVERED
    revealed = [tuple(card.code for card in cards) for cards in told if isinstance(cards, list)]
    assert len(revealed) == 20
    assert len(set(revealed)) == 1, "everyone reads the same codes, in the order's own sequence"
    assert len(set(revealed[0])) == 2
