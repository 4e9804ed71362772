"""Two who want to change one order: one of them wins, and the other sees what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Barrier

import pytest
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.adapters.tables import OrderItem
from cardshop.domain.order import Order
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import OrderPaid
from cardshop.usecases.confirm_payment import Outcome
from cardshop.usecases.deliver_cards import DeliverCards
from cardshop.usecases.reveal_cards import RevealCards

from tests.contention.trading import (
    BUYER,
    Machine,
    PlainSealer,
    at_once,
    clock,
    close_trade,
    confirm_payment,
    in_pool,
    placed,
    said,
    stocked,
    stored,
)

_ROUNDS = 50
_SETTLES_ON_LOAD = 2  # `settle` loads the order to know it, and again to change it


class Interrupted(DynamoOrders):
    """The real repository; something happens once, right after a load: its first, or the one that is told."""

    def __init__(self, happens: Callable[[], object], after_load: int = 1) -> None:
        self._happens = happens
        self._loads_until = after_load

    def find(self, trade_id: str) -> Order | None:
        found = super().find(trade_id)
        self._loads_until -= 1
        if self._loads_until == 0:
            self._happens()
        return found


class Noted(DynamoOrders):
    """The real repository; notes the version of every change that was written."""

    def __init__(self) -> None:
        self.versions: list[int] = []

    def record(self, before: Order, after: Order) -> Order:
        recorded = super().record(before, after)
        self.versions.append(recorded.version)
        return recorded


def _paid_or_closed(order: Order) -> Status:
    """Which of the two won, and that the other left no trace but the one it must leave."""
    after = stored(order.trade_id)
    (payment,) = after.payments
    (card,) = order.cards
    (line,) = order.lines
    if after.status is Status.PAID:
        assert (after.version, payment.state) == (2, PaymentState.ACCEPTED)
        assert [each.card_id for each in after.cards] == [card.card_id]
        assert in_pool(line.sku)[card.card_id] == 0, "a paid order keeps its card"
    else:
        assert after.status is Status.CLOSED
        assert (after.version, payment.state) == (3, PaymentState.LATE), "late money has a state"
        assert after.cards == ()
        assert in_pool(line.sku)[card.card_id] == 1, "a closed order's card is for sale again, once"
    return after.status


def _settle(order: Order, orders: DynamoOrders | None = None) -> Outcome:
    return confirm_payment(Machine(), orders).settle(order.payments[0].payment_id, said(order))


def _close(order: Order, orders: DynamoOrders | None = None) -> Status:
    try:
        return close_trade(orders)(order.trade_id).status
    except OrderPaid:
        return Status.PAID


def _together(*acts: Callable[[], object]) -> list[object]:
    return at_once(len(acts), lambda number: acts[number]())


def test_close_and_settle_at_the_same_instant(tables: str) -> None:
    """In every other round both have loaded the order, and decided, before either may write."""
    sku = stocked(_ROUNDS)
    won: Counter[Status] = Counter()
    for number in range(_ROUNDS):
        order = placed(sku)
        decided = Barrier(2, timeout=60)
        meet = (lambda: None) if number % 2 else decided.wait
        told = _together(
            partial(_settle, order, Interrupted(meet, after_load=_SETTLES_ON_LOAD)),
            partial(_close, order, Interrupted(meet)),
        )
        winner = _paid_or_closed(order)
        won[winner] += 1
        assert told == [Outcome.ACCEPTED if winner is Status.PAID else Outcome.IRREGULAR, winner]
    print(f"{tables}: {dict(won)}")
    pool = in_pool(sku)
    assert sum(pool.values()) == won[Status.CLOSED]
    assert set(pool.values()) <= {1}


@pytest.mark.parametrize(
    ("first", "winner"),
    [
        ("settled, then closed", Status.PAID),
        ("closed, then settled", Status.CLOSED),
        ("settled between close's load and its write", Status.PAID),
        ("closed between settle's load and its write", Status.CLOSED),
    ],
)
def test_close_and_settle_in_every_order(tables: str, first: str, winner: Status) -> None:
    order = placed(stocked(3))
    settle, close = partial(_settle, order), partial(_close, order)
    match first:
        case "settled, then closed":
            assert (settle(), close()) == (Outcome.ACCEPTED, Status.PAID)
        case "closed, then settled":
            assert (close(), settle()) == (Status.CLOSED, Outcome.IRREGULAR)
        case "settled between close's load and its write":
            assert close(Interrupted(settle)) is Status.PAID
        case "closed between settle's load and its write":
            assert settle(Interrupted(close, after_load=_SETTLES_ON_LOAD)) is Outcome.IRREGULAR
    assert _paid_or_closed(order) is winner


def test_an_order_closed_twenty_times_at_once_gives_its_card_back_once(tables: str) -> None:
    sku = stocked(1)
    order = placed(sku)
    assert not in_pool(sku)

    told = at_once(20, lambda _: _close(order))

    assert set(told) == {Status.CLOSED}
    assert in_pool(sku) == {order.cards[0].card_id: 1}
    assert stored(order.trade_id).version == 2


def test_a_card_that_was_sold_again_does_not_come_back_with_its_first_order(tables: str) -> None:
    sku = stocked(1)
    order = placed(sku)
    _close(order)
    (card,) = in_pool(sku)
    again = placed(sku)
    assert [each.card_id for each in again.cards] == [card]
    _close(order)
    assert not in_pool(sku), "closing it again gives nothing back"


def test_the_same_payment_settled_twenty_times_at_once_is_one_change(tables: str) -> None:
    order = placed(stocked(3))
    OrderItem(order.trade_id).update([OrderItem.task_token.set("token")])
    machine = Machine()
    settle = confirm_payment(machine).settle

    told = at_once(20, lambda _: settle(order.payments[0].payment_id, said(order)))

    assert Counter(told) == {Outcome.ACCEPTED: 1, Outcome.REPEATED: 19}
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

    settling = confirm_payment(machine, Interrupted(write_token, after_load=_SETTLES_ON_LOAD))
    assert settling.settle(order.payments[0].payment_id, said(order)) is Outcome.ACCEPTED
    assert stored(order.trade_id).version == 2
    assert machine.woken == ["token"], "else the trade would wait for the end of its window"


def test_twenty_reveals_at_once_are_twenty_changes_without_a_gap(tables: str) -> None:
    sku = stocked(2)
    order = placed(sku, 2)
    confirm_payment(Machine()).settle(order.payments[0].payment_id, said(order))
    DeliverCards(DynamoOrders(), clock)(order.trade_id)
    before = stored(order.trade_id)
    orders = Noted()
    reveal = RevealCards(orders, DynamoSealedCards(), PlainSealer(), clock)

    told = at_once(20, lambda _: reveal(order.trade_id, BUYER))

    after = stored(order.trade_id)
    assert after.version == before.version + 20
    assert sorted(orders.versions) == list(range(before.version + 1, after.version + 1))
    assert after.status is Status.DELIVERED
    revealed = [tuple(card.code for card in cards) for cards in told if isinstance(cards, list)]
    assert len(revealed) == 20
    assert len(set(revealed)) == 1, "everyone reads the same codes, in the order's own sequence"
    assert len(set(revealed[0])) == 2
