"""Paid, and no card for it: late money, fills and buyers want the same few cards, and each card goes to one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from threading import Barrier

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.stock import DynamoSealedCards
from cardshop.adapters.tables import OrderItem
from cardshop.domain.errors import Busy, OutOfStock
from cardshop.domain.order import Order
from cardshop.domain.product import Batch, BatchStatus
from cardshop.domain.trade import Status
from cardshop.ports import CardPool, SealedCard
from cardshop.usecases.close_trade import OrderAwaitsStock
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.place_order import Placed

from tests.contention.trading import (
    Interrupted,
    Machine,
    Overtaken,
    all_orders,
    assert_sound,
    at_once,
    close_trade,
    codes,
    deliver_cards,
    fill_orders,
    in_pool,
    load,
    manage_batches,
    on_orders,
    place_order,
    placed,
    said,
    settle_payment,
    stocked,
    stored,
    together,
    waiting_for_stock,
    wish,
)

_ROUNDS = 15


def _statuses(orders: Sequence[Order]) -> Counter[Status]:
    return Counter(stored(order.trade_id).status for order in orders)


def _until_served(act: Callable[[], object]) -> object:
    """As a queue or a buyer does who is told that it is busy."""
    while True:
        try:
            return act()
        except Busy:
            continue


def _closed(sku: str, count: int) -> list[Order]:
    """Orders for a card each that nobody paid in time; their cards are for sale again."""
    orders = [placed(sku) for _ in range(count)]
    for order in orders:
        close_trade()(order.trade_id)
    return orders


def _order_or_refusal(sku: str, pool: CardPool | None = None) -> Placed | OutOfStock:
    try:
        return place_order(pool=pool)(wish((sku, 1)))
    except OutOfStock as refusal:
        return refusal


# ---- late money beside buyers ----


def test_late_payments_and_buyers_share_the_last_cards(tables: str) -> None:
    """Six paid late, six order, and there are six cards."""
    sku = stocked(6)
    late = _closed(sku, 6)
    settle = settle_payment()

    def want(number: int) -> object:
        if number % 2:
            return _until_served(lambda: settle(said(late[number // 2])))
        return _until_served(lambda: _order_or_refusal(sku))

    told = at_once(12, want)

    refused = sum(isinstance(each, OutOfStock) for each in told)
    found = _statuses(late)
    assert found.keys() <= {Status.PAID, Status.AWAITING_STOCK}
    assert found[Status.AWAITING_STOCK] + refused == 6, "six wanted in vain"
    assert not in_pool(sku)
    assert_sound(sku)


def test_a_late_payment_whose_card_is_bought_before_its_claim_waits(tables: str) -> None:
    sku = stocked(1)
    (order,) = _closed(sku, 1)
    after, new = settle_payment(pool=Overtaken(lambda: placed(sku)))(said(order))
    assert (after.status, after.version, after.lacking, new) == (Status.AWAITING_STOCK, 3, sku, True)
    assert_sound(sku)


def test_a_buyer_whose_card_is_bought_by_late_money_before_the_claim_is_refused(tables: str) -> None:
    sku = stocked(1)
    (order,) = _closed(sku, 1)
    pays = partial(settle_payment(), said(order))
    with pytest.raises(OutOfStock):
        place_order(pool=Overtaken(pays))(wish((sku, 1)))
    assert stored(order.trade_id).status is Status.PAID
    assert len(all_orders()) == 1
    assert_sound(sku)


def test_the_same_late_payment_ten_times_at_once_buys_one_card(tables: str) -> None:
    sku = stocked(5)
    (order,) = _closed(sku, 1)
    settle = settle_payment()
    told = at_once(10, lambda _: settle(said(order))[1])
    assert Counter(told) == {True: 1, False: 9}
    assert (stored(order.trade_id).status, stored(order.trade_id).version) == (Status.PAID, 3)
    assert len(in_pool(sku)) == 4
    assert_sound(sku)


# ---- two fills ----


def test_ten_fills_of_one_waiting_order_give_it_one_card(tables: str) -> None:
    sku, (order,), (holder,) = waiting_for_stock()
    OrderItem(order.trade_id).update([OrderItem.task_token.set("token")])
    close_trade()(holder.trade_id)
    machine = Machine()
    fill = fill_orders(machine)

    told = at_once(10, lambda _: fill.one(order.trade_id))

    assert Counter(told) == {True: 1, False: 9}
    after = stored(order.trade_id)
    assert (after.status, after.version) == (Status.DELIVERED, 4)
    assert machine.woken == ["token"]
    assert_sound(sku)


OVERTAKEN: dict[str, Callable[[Callable[[], object]], FillOrders]] = {
    "between its load and its write": lambda other: fill_orders(orders=Interrupted(other)),
    "between its look and its claim": lambda other: fill_orders(pool=Overtaken(other)),
}


@pytest.mark.parametrize("cards", [1, 3])
@pytest.mark.parametrize("when", list(OVERTAKEN))
def test_a_fill_that_is_overtaken_by_another_gives_nothing(tables: str, when: str, cards: int) -> None:
    sku, (order, *_), holders = waiting_for_stock(cards)
    for holder in holders:
        close_trade()(holder.trade_id)
    other = partial(fill_orders().one, order.trade_id)
    assert OVERTAKEN[when](other).one(order.trade_id) is False
    after = stored(order.trade_id)
    assert (after.status, after.version) == (Status.DELIVERED, 4)
    assert sum(in_pool(sku).values()) == cards - 1
    assert_sound(sku)


def test_a_row_filled_by_many_at_once_is_filled_as_far_as_the_cards_go(tables: str) -> None:
    sku, orders, holders = waiting_for_stock(6)
    for holder in holders[:4]:
        close_trade()(holder.trade_id)
    fill = fill_orders()
    told = at_once(6, lambda _: _until_served(lambda: fill(sku)))
    assert _statuses(orders) == {Status.DELIVERED: 4, Status.AWAITING_STOCK: 2}
    filled = [trade_id for some in told if isinstance(some, list) for trade_id in some]
    assert len(filled) == len(set(filled)) == 4, "each is filled by one of them"
    assert_sound(sku)


# ---- fills beside buyers ----


def test_a_fill_whose_card_is_bought_before_its_claim_gives_nothing(tables: str) -> None:
    sku, (order,), (holder,) = waiting_for_stock()
    close_trade()(holder.trade_id)
    assert fill_orders(pool=Overtaken(lambda: placed(sku))).one(order.trade_id) is False
    assert stored(order.trade_id).status is Status.AWAITING_STOCK
    assert_sound(sku)


def test_a_buyer_whose_card_is_given_away_before_the_claim_is_refused(tables: str) -> None:
    sku, (order,), (holder,) = waiting_for_stock()
    close_trade()(holder.trade_id)
    with pytest.raises(OutOfStock):
        place_order(pool=Overtaken(partial(fill_orders().one, order.trade_id)))(wish((sku, 1)))
    assert stored(order.trade_id).status is Status.DELIVERED
    assert_sound(sku)


def test_a_fill_and_an_order_for_the_last_card_at_the_same_instant(tables: str) -> None:
    """Both have seen it before either may claim it."""
    won: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        sku, (order,), (holder,) = waiting_for_stock()
        close_trade()(holder.trade_id)
        seen = Barrier(2, timeout=60).wait
        filled, bought = together(
            partial(fill_orders(pool=Overtaken(seen)).one, order.trade_id),
            partial(_order_or_refusal, sku, Overtaken(seen)),
        )
        assert filled is not isinstance(bought, Placed), "one of them, and not both"
        assert stored(order.trade_id).status is (Status.DELIVERED if filled else Status.AWAITING_STOCK)
        assert not in_pool(sku)
        assert_sound(sku)
        won["fill" if filled else "buyer"] += 1
    print(f"{tables}: {dict(won)}")


# ---- imports ----


def test_of_those_who_wait_the_oldest_are_served_whoever_paid_first(tables: str) -> None:
    sku, orders, _ = waiting_for_stock(3)
    load(sku, codes(2))
    assert [stored(order.trade_id).status for order in orders] == [
        Status.DELIVERED,
        Status.DELIVERED,
        Status.AWAITING_STOCK,
    ]
    assert not in_pool(sku)
    assert_sound(sku)


def test_two_imports_at_once_serve_everyone_who_waits_once(tables: str) -> None:
    sku, orders, _ = waiting_for_stock(4)
    files = [codes(2), codes(3)]
    at_once(2, lambda number: _until_served(lambda: load(sku, files[number])))
    assert _statuses(orders) == {Status.DELIVERED: 4}
    assert sum(in_pool(sku).values()) == 1
    assert_sound(sku)


def test_the_same_file_twice_at_once_serves_everyone_who_waits_once(tables: str) -> None:
    sku, orders, _ = waiting_for_stock(2)
    file = codes(3)
    at_once(2, lambda _: _until_served(lambda: load(sku, file)))
    assert _statuses(orders) == {Status.DELIVERED: 2}
    assert sum(in_pool(sku).values()) == 1
    assert_sound(sku)


class _Sealed(DynamoSealedCards):
    """The real table; something happens once the cards lie in their pools."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def add(self, cards: Sequence[SealedCard]) -> list[str]:
        duplicates = super().add(cards)
        self._happens()
        return duplicates


class _Catalogue(DynamoCatalogue):
    """The real catalogue; something happens right before a batch goes on sale, and right after."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def put_on_sale(self, batch: Batch, counts: tuple[int, ...]) -> bool:
        self._happens()
        moved = super().put_on_sale(batch, counts)
        self._happens()
        return moved


def test_buyers_get_nothing_of_a_file_before_those_who_wait(tables: str) -> None:
    """Whenever they come: while it is loaded, before and after it goes on sale, and beside it all the time."""
    sku, orders, _ = waiting_for_stock(3)
    tries: list[Placed | OutOfStock] = []

    def buyer() -> None:
        tries.append(_order_or_refusal(sku))

    def act(number: int) -> None:
        if number:
            buyer()
        else:
            load(sku, codes(3), _Sealed(buyer), _Catalogue(buyer))

    at_once(9, act)

    assert len(tries) == 11
    assert all(isinstance(each, OutOfStock) for each in tries)
    assert _statuses(orders) == {Status.DELIVERED: 3}
    assert_sound(sku)


def test_who_begins_to_wait_while_a_batch_goes_on_sale_is_served_by_it(tables: str) -> None:
    """After the first look at those who wait: nobody is forgotten until the next import."""
    sku = stocked(1)
    (order,) = _closed(sku, 1)
    placed(sku)
    load(sku, codes(1), catalogue=_Catalogue(partial(settle_payment(), said(order))))
    assert stored(order.trade_id).status is Status.DELIVERED
    assert_sound(sku)


# ---- batches that are withdrawn ----


def _withdraw(sku: str) -> Batch:
    (batch,) = DynamoCatalogue().batches(sku)
    return manage_batches()(sku, batch.batch, BatchStatus.WITHDRAWN)


def test_a_card_claimed_while_its_batch_is_withdrawn_is_not_delivered_and_comes_back(tables: str) -> None:
    """The buyer had seen it; whoever put the batch back gives it to that buyer first."""
    sku = stocked(1)
    order = place_order(pool=Overtaken(partial(_withdraw, sku)))(wish((sku, 1))).order
    settle_payment()(said(order))
    with pytest.raises(OrderAwaitsStock):
        deliver_cards()(order.trade_id)
    assert (sum(in_pool(sku).values()), on_orders(sku)) == (1, Counter())
    assert_sound(sku)

    (batch,) = DynamoCatalogue().batches(sku)
    manage_batches()(sku, batch.batch, BatchStatus.ON_SALE)
    assert stored(order.trade_id).status is Status.DELIVERED
    assert_sound(sku)


def test_a_batch_withdrawn_and_put_back_by_many_at_once_is_in_one_state_and_listed_as_such(tables: str) -> None:
    sku = stocked(3)
    (batch,) = DynamoCatalogue().batches(sku)
    wanted = [BatchStatus.WITHDRAWN, BatchStatus.ON_SALE]
    at_once(8, lambda number: _until_served(lambda: manage_batches()(sku, batch.batch, wanted[number % 2])))
    (after,) = DynamoCatalogue().batches(sku)
    product = DynamoCatalogue().find(sku, consistent=True)
    assert product is not None
    assert after.cards == 3
    assert product.quantity == (3 if after.status is BatchStatus.ON_SALE else 0)
    assert_sound(sku)
