"""The window is over, or the buyer cancels, and in the same instant somebody pays: exactly one of them comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Barrier

import pytest
from cardshop.adapters.clock import clock
from cardshop.domain.errors import NotCancellable
from cardshop.domain.order import Change
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import Status
from cardshop.usecases.close_trade import OrderAwaitsStock, OrderPaid

from tests.contention.trading import (
    BUYER,
    Books,
    Interrupted,
    Machine,
    Noted,
    Overtaken,
    assert_sound,
    cancel_order,
    close_trade,
    in_pool,
    placed,
    said,
    settle_payment,
    stocked,
    stored,
    together,
)

_ROUNDS = 20
Act = Callable[[], object]


def _nothing() -> None:
    """Nobody comes in between."""


class Race:
    """One unpaid order of a product with so many cards, and every change that anybody writes to it."""

    def __init__(self, cards: int) -> None:
        self.sku = stocked(cards)
        self.order = placed(self.sku)
        self.machine = Machine()
        self._changes: list[Change] = []
        self._paid: set[str] = set()

    def settle(self, meanwhile: Act = _nothing) -> bool:
        """The notice comes: whether it was new to the order. `meanwhile`: between its load and its write."""
        orders = Interrupted(meanwhile, self._changes)
        _, new = settle_payment(self.machine, orders)(said(self.order))
        return new

    def close(self, before_asking: Act = _nothing, while_asking: Act = _nothing) -> Status:
        """The machine's step at the window's end: what it found, or left."""
        books = Books(while_asking)
        books.paid = self._paid
        try:
            return close_trade(Interrupted(before_asking, self._changes), books)(self.order.trade_id).status
        except OrderPaid:
            return Status.PAID
        except OrderAwaitsStock:
            return Status.AWAITING_STOCK

    def cancel(self, meanwhile: Act = _nothing) -> Status:
        """The buyer does not want it any more: what the order is then, `paid` if it is too late."""
        try:
            return cancel_order(self.machine, Interrupted(meanwhile, self._changes))(self.order.trade_id, BUYER).status
        except NotCancellable:
            return Status.PAID

    def buyer_pays(self) -> None:
        """At the provider, which knows of it from now on."""
        self._paid.add(self.order.payments[0].payment_id)

    def another_buys(self) -> None:
        """One of the cards that are for sale."""
        placed(self.sku)

    @property
    def story(self) -> list[str]:
        """What happened, in turn; every change has a version of its own."""
        changes = sorted(self._changes, key=lambda change: change.version)
        assert [change.version for change in changes] == list(range(2, len(changes) + 2))
        return [change.what for change in changes]

    def ended(self) -> str:
        """Whether the payment or something else came `first`; and that nobody lost anything by it."""
        assert_sound(self.sku)
        after = stored(self.order.trade_id)
        (payment,) = after.payments
        assert payment.state is PaymentState.ACCEPTED, "the money is in, whenever it came"
        own = self.order.cards[0].card_id
        if self.story == ["paid"]:
            assert [card.card_id for card in after.cards] == [own]
            return "paid"
        *before, last = self.story
        assert before in (["closed"], ["payment_failed", "closed"])
        assert last in ("paid", "awaiting_stock")
        if last == "awaiting_stock":
            assert not in_pool(self.sku), "nobody waits while there is a card"
        return "late"


# ---- the window's end ----


def _paid_between_load_and_question(race: Race) -> None:
    assert race.close(before_asking=race.settle) is Status.PAID


def _paid_while_the_provider_is_asked(race: Race) -> None:
    """It had said no when the money came in."""
    assert race.close(while_asking=race.settle) is Status.PAID


def _paid_as_the_provider_says_itself(race: Race) -> None:
    race.buyer_pays()
    assert race.close() is Status.PAID
    assert race.settle() is False, "the notice has nothing to add"


def _paid_by_the_notice_while_the_provider_says_so_too(race: Race) -> None:
    race.buyer_pays()
    assert race.close(while_asking=race.settle) is Status.PAID


def _paid_then_over(race: Race) -> None:
    assert race.settle() is True
    assert race.close() is Status.PAID


PAID_FIRST = [
    _paid_then_over,
    _paid_between_load_and_question,
    _paid_while_the_provider_is_asked,
    _paid_as_the_provider_says_itself,
    _paid_by_the_notice_while_the_provider_says_so_too,
]


@pytest.mark.parametrize("cards", [1, 4])
@pytest.mark.parametrize("happens", PAID_FIRST)
def test_a_payment_that_comes_first_leaves_nothing_to_close(
    tables: str, happens: Callable[[Race], None], cards: int
) -> None:
    race = Race(cards)
    happens(race)
    assert race.story == ["paid"]
    assert race.ended() == "paid"


def _closed_then_paid(race: Race, then: Act) -> None:
    assert race.close() is Status.CLOSED
    then()
    assert race.settle() is True


def _closed_between_the_payments_load_and_its_write(race: Race, then: Act) -> None:
    def close() -> None:
        assert race.close() is Status.CLOSED
        then()

    assert race.settle(meanwhile=close) is True


CLOSED_FIRST = [_closed_then_paid, _closed_between_the_payments_load_and_its_write]


@pytest.mark.parametrize(
    ("cards", "sold_on", "late"),
    [(1, False, "paid"), (1, True, "awaiting_stock"), (4, False, "paid"), (4, True, "paid")],
    ids=["one card", "one card, sold to another", "several", "several, one sold to another"],
)
@pytest.mark.parametrize("happens", CLOSED_FIRST)
def test_a_payment_that_comes_second_is_late_and_buys_a_card_or_waits_for_one(
    tables: str, happens: Callable[[Race, Act], None], cards: int, *, sold_on: bool, late: str
) -> None:
    race = Race(cards)
    happens(race, race.another_buys if sold_on else _nothing)
    assert race.story == ["closed", late]
    assert race.ended() == "late"
    assert race.machine.started == [race.order.trade_id], "an execution of its own: the one that closed it is ending"


@pytest.mark.parametrize("cards", [1, 4])
def test_the_windows_end_and_a_payment_at_the_same_instant(tables: str, cards: int) -> None:
    """In every other round both have decided before either may write; the provider had not heard of the payment."""
    won: Counter[str] = Counter()
    for number in range(_ROUNDS):
        race, decided = Race(cards), Barrier(2, timeout=60)
        meet = _nothing if number % 2 else decided.wait
        new, found = together(partial(race.settle, meet), partial(race.close, while_asking=meet))
        first = race.ended()
        assert (new, found) == (True, Status.PAID if first == "paid" else Status.CLOSED)
        won[first] += 1
    print(f"{tables}, {cards}: {dict(won)}")


def test_the_providers_word_and_the_notice_at_the_same_instant_are_one_payment(tables: str) -> None:
    for number in range(_ROUNDS):
        race, decided = Race(1), Barrier(2, timeout=60)
        race.buyer_pays()
        meet = _nothing if number % 2 else decided.wait
        _, found = together(partial(race.settle, meet), partial(race.close, while_asking=meet))
        assert (found, race.story) == (Status.PAID, ["paid"])
        assert race.ended() == "paid"


def test_a_payment_that_is_opened_while_the_provider_is_asked_is_asked_about_too(tables: str) -> None:
    race = Race(1)
    trade_id = race.order.trade_id
    books = Books()

    def opened_and_paid() -> None:
        if len(books.asked) == 1:
            order = stored(trade_id)
            Noted().record(order, order.reopened("epay", BUYER, clock()))
            books.paid.add(f"{trade_id}02")

    books.happens = opened_and_paid
    with pytest.raises(OrderPaid):
        close_trade(books=books)(trade_id)
    assert books.asked == [f"{trade_id}01", f"{trade_id}01", f"{trade_id}02"]
    after = stored(trade_id)
    assert [payment.state for payment in after.payments] == [PaymentState.OPEN, PaymentState.ACCEPTED]
    assert (after.status, after.version) == (Status.PAID, 3)
    assert_sound(race.sku)


# ---- a buyer who cancels ----


@pytest.mark.parametrize("cards", [1, 4])
@pytest.mark.parametrize("between", [False, True], ids=["paid, then cancelled", "paid between load and write"])
def test_what_is_paid_first_is_not_cancelled(tables: str, cards: int, *, between: bool) -> None:
    race = Race(cards)
    if between:
        assert race.cancel(meanwhile=race.settle) is Status.PAID
    else:
        race.settle()
        assert race.cancel() is Status.PAID
    assert race.story == ["paid"]
    assert race.ended() == "paid"


@pytest.mark.parametrize("cards", [1, 4])
@pytest.mark.parametrize("between", [False, True], ids=["cancelled, then paid", "cancelled between load and write"])
def test_what_is_cancelled_first_is_closed_and_then_paid_late(tables: str, cards: int, *, between: bool) -> None:
    race = Race(cards)
    if between:
        assert race.settle(meanwhile=race.cancel) is True
    else:
        assert race.cancel() is Status.PAYMENT_FAILED
        assert race.settle() is True
    assert race.story == ["payment_failed", "closed", "paid"]
    assert race.ended() == "late"


def test_the_card_of_a_cancelled_order_may_be_sold_before_its_own_payment_claims_it(tables: str) -> None:
    """The payment closes the order and looks for a card; the very one that came back is bought by somebody else."""
    race = Race(1)
    race.cancel()
    settle = settle_payment(race.machine, pool=Overtaken(race.another_buys))
    after, new = settle(said(race.order))
    assert (after.status, new) == (Status.AWAITING_STOCK, True)
    assert not in_pool(race.sku)
    assert_sound(race.sku)


@pytest.mark.parametrize("cards", [1, 4])
def test_a_buyer_cancels_and_pays_at_the_same_instant(tables: str, cards: int) -> None:
    """And the machine, woken by the cancellation, closes what it finds: whatever comes first, the money buys a card."""
    won: Counter[str] = Counter()
    for number in range(_ROUNDS):
        race, decided = Race(cards), Barrier(2, timeout=60)
        meet = _nothing if number % 2 else decided.wait

        def cancel_and_close(race: Race = race, meet: Act = meet) -> Status:
            race.cancel(meet)
            return race.close()

        new, _ = together(partial(race.settle, meet), cancel_and_close)
        assert new is True
        won[race.ended()] += 1
        assert stored(race.order.trade_id).status is Status.PAID, "nobody else wants the card"
    print(f"{tables}, {cards}: {dict(won)}")
