"""Many buyers, too few cards: everything is sold, nothing twice, and hardly a transaction is wasted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from queue import Empty, SimpleQueue
from statistics import median

from cardshop.adapters.orders import DynamoOrders
from cardshop.domain.errors import Busy, OutOfStock
from cardshop.domain.order import Order
from cardshop.ports import OrderExists
from cardshop.usecases.place_order import Placed

from tests.contention.trading import (
    all_orders,
    at_once,
    codes,
    in_pool,
    listed,
    load,
    on_orders,
    place_order,
    product,
    stocked,
    wish,
)

#: `make flash-sale` has two thousand buyers for five hundred cards, five times.
_BUYERS, _CARDS, _RUNS = (int(number) for number in os.environ.get("FLASH_SALE", "400 200 3").split())
_THREADS = 32

#: With so many cards for each who claims at the same time, two hardly ever meet on one.
_PLENTY = 20 * _THREADS

#: A claim is lost to whoever commits between its look and its own commit, so the ratio follows from how much of a
#: buyer's time lies between the two. DynamoDB Local runs one transaction at a time: with 32 buyers one takes as long as
#: five reads, and more are lost.
_CLAIMS_PER_SALE = {"engine": 1.25, "dynamodb-local": 1.45}


class CountingOrders(DynamoOrders):
    """The real repository; numbers each transaction as it is sent, and knows which of them sold."""

    def __init__(self) -> None:
        self.sent = count(1)
        self.sold: list[int] = []

    def place(self, order: Order, holds: Mapping[str, str]) -> None:
        number = next(self.sent)
        super().place(order, holds)
        self.sold.append(number)


def _sale(buyers: int = _BUYERS, cards: int = _CARDS) -> float:
    """One flash sale; answers the transactions sent up to the last sale, for each sale."""
    sku = stocked(cards)
    orders = CountingOrders()
    place = place_order(orders)
    waiting: SimpleQueue[int] = SimpleQueue()
    for buyer in range(buyers):
        waiting.put(buyer)
    sold: list[Placed] = []
    refused: list[OutOfStock] = []

    def serve(_: int) -> None:
        while True:
            try:
                waiting.get_nowait()
            except Empty:
                return
            try:
                sold.append(place(wish((sku, 1))))
            except OutOfStock as refusal:
                refused.append(refusal)

    at_once(_THREADS, serve)

    assert (len(sold), len(refused)) == (min(cards, buyers), max(0, buyers - cards))
    assert len(in_pool(sku)) == max(0, cards - buyers)
    told = {placed.order.trade_id: placed.order.cards[0].card_id for placed in sold}
    kept = {order.trade_id: order.cards[0].card_id for order in all_orders() if order.lines[0].sku == sku}
    assert told == kept, "every buyer was told the card that the order keeps"
    assert len(set(kept.values())) == len(sold), "each order has a card of its own"
    assert sum(placed.claims for placed in sold) <= max(orders.sold)
    return max(orders.sold) / len(sold)


def test_a_flash_sale_sells_every_card_once_with_hardly_a_claim_lost(tables: str) -> None:
    ratios = [_sale() for _ in range(_RUNS)]
    shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"{tables}: claims per sale {shown}; median {median(ratios):.3f}")
    assert median(ratios) <= _CLAIMS_PER_SALE[tables], shown


def test_while_there_is_plenty_next_to_no_claim_is_lost(tables: str) -> None:
    ratios = [_sale(buyers=200, cards=_PLENTY + 200) for _ in range(3)]
    print(f"{tables}: claims per sale, with plenty: {', '.join(f'{ratio:.3f}' for ratio in ratios)}")
    assert median(ratios) <= 1.05


def test_the_same_key_twenty_times_at_once_is_one_order(tables: str) -> None:
    sku = stocked(30)
    place = place_order()
    same = wish((sku, 1))

    answers = [each for each in at_once(20, lambda _: place(same)) if isinstance(each, Placed)]

    assert len(answers) == 20
    (order,) = all_orders()
    told = {
        (
            each.order.trade_id,
            each.order.status,
            each.order.version,
            each.order.amount,
            each.order.expires_at,
            tuple(card.card_id for card in each.order.cards),
            each.session,
        )
        for each in answers
    }
    assert len(told) == 1, "twenty equal answers"
    assert sum(each.claims > 0 for each in answers) == 1, "one of them was the order's own"
    assert order.trade_id == answers[0].order.trade_id
    assert sum(in_pool(sku).values()) == 29
    assert not in_pool(sku).keys() & {card.card_id for card in order.cards}


def test_orders_of_several_cards_take_all_of_them_or_none(tables: str) -> None:
    """Ten buyers want 6 + 3 cards; there are 32 + 40, so five of them can be served."""
    many, few = product(), product()
    load(many, codes(32))
    load(few, codes(40))
    place = place_order()

    outcomes = at_once(10, lambda _: place(wish((many, 6), (few, 3))), OutOfStock, Busy)

    served = [each for each in outcomes if isinstance(each, Placed)]
    assert sorted(order.trade_id for order in all_orders()) == sorted(each.order.trade_id for each in served)
    for order in all_orders():
        assert [card.pool.sku for card in order.cards] == [many] * 6 + [few] * 3
    for sku, cards, wanted in ((many, 32, 6), (few, 40, 3)):
        everywhere = in_pool(sku) + on_orders(sku)
        assert len(everywhere) == cards, "no card is lost"
        assert set(everywhere.values()) == {1}, "no card is in two places"
        assert sum(in_pool(sku).values()) == cards - wanted * len(served)
    assert all_orders(), "somebody is served"
    if not any(isinstance(each, Busy) for each in outcomes):
        assert len(served) == 5, "whoever was told out of stock was told the truth"


def test_no_order_is_served_by_half(tables: str) -> None:
    """The second product of the order is sold out by others while the order is being placed."""
    plenty, scarce = stocked(10), stocked(1)
    place = place_order()
    outcomes = at_once(16, lambda number: place(wish((plenty, 1), (scarce, 1))), OutOfStock, Busy)
    served = [each for each in outcomes if isinstance(each, Placed)]
    assert len(served) == 1
    assert sum(in_pool(plenty).values()) == 9
    assert not in_pool(scarce)
    assert listed(plenty).quantity == 10, "counts are count_stock's, not the claim's"


def test_an_order_that_is_there_keeps_its_cards(tables: str) -> None:
    sku = stocked(5)
    first = place_order()(wish((sku, 1), key="k" * 22))
    others = list(in_pool(sku))
    assert len(others) == 4
    try:
        DynamoOrders().place(first.order, {})
    except OrderExists:
        assert in_pool(sku).keys() == set(others)
    else:
        raise AssertionError("an order was written over")
