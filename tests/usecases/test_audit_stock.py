"""The audit: every card that was imported is somewhere, and what is derived from the streams is as its source is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pytest
from cardshop.domain.card import Card, Pool
from cardshop.domain.holding import Holding, HoldingState, holdings
from cardshop.domain.order import Order
from cardshop.domain.product import Batch, BatchStatus, Listed
from cardshop.ports import CardPool
from cardshop.usecases.audit_stock import AuditStock
from cardshop.usecases.count_stock import CountStock

from tests.domain.builders import NOW, PRICE, SKU, TRADE_ID, paid, placed
from tests.usecases.fakes import Shop

OTHER = "another-50"
NAME = f"batch-of-{SKU}"


def auditing(shop: Shop, pool: CardPool) -> AuditStock:
    count = CountStock(shop.catalogue, pool)
    return AuditStock(shop.catalogue, pool, shop.holdings, shop.orders, count, pause_seconds=60, pause=lambda _: None)


@pytest.fixture
def audit(shop: Shop) -> AuditStock:
    return auditing(shop, shop.stock)


def missing(audit: AuditStock) -> dict[str, int]:
    """By batch, of those that were at rest."""
    return {each.batch.batch: each.missing for each in audit()}


def of_batch(order: Order | None) -> dict[str, int]:
    return Counter(f"{card.pool.sku}#{card.pool.batch}" for card in order.cards) if order else {}


def told(shop: Shop, after: Order, before: Order | None = None) -> Order:
    """The record of this change reached the ledger."""
    words = holdings(after.trade_id, after.version, after.status, of_batch(before), of_batch(after))
    shop.holdings.note(words)
    return after


def held(shop: Shop, cards: Sequence[Card], trade_id: str = TRADE_ID) -> Order:
    """An unpaid order for these cards, which left their pools."""
    shop.orders.place(placed(len(cards), trade_id=trade_id, held=tuple(cards)), {})
    return told(shop, shop.orders.by_id[trade_id])


def sold(shop: Shop, cards: Sequence[Card], trade_id: str = TRADE_ID) -> Order:
    order = held(shop, cards, trade_id)
    return told(shop, shop.orders.record(order, paid(order)), order)


def counted(shop: Shop, cards: Sequence[Card]) -> None:
    """The records of these cards' leaving reached the product's list."""
    for pool in {card.pool for card in cards}:
        CountStock(shop.catalogue, shop.stock)(pool)


# ---- nothing is missing ----


def test_a_shop_whose_cards_are_all_somewhere_is_sound_and_left_as_it_is(shop: Shop, audit: AuditStock) -> None:
    """For sale, held, sold, given back; of products on sale and hidden, of batches on sale and withdrawn."""
    dealt = shop.sells(SKU, 9, PRICE, shards=2)
    hidden = shop.sells(OTHER, 3, PRICE, on_sale=False)
    held(shop, dealt[:2], "a" * 26)
    sold(shop, dealt[2:5], "b" * 26)
    before = held(shop, dealt[5:6], "c" * 26)
    told(shop, shop.orders.record(before, before.closed(NOW)), before)
    counted(shop, dealt)
    sold(shop, hidden[:1], "d" * 26)
    shop.catalogue.withdraw(shop.catalogue.imported[OTHER, f"batch-of-{OTHER}"])

    as_it_was = shop.catalogue.products.copy(), shop.holdings.words.copy()
    assert missing(audit) == {NAME: 0, f"batch-of-{OTHER}": 0}
    assert (shop.catalogue.products, shop.holdings.words) == as_it_was


def test_a_shop_without_a_batch_is_sound(audit: AuditStock) -> None:
    assert missing(audit) == {}


def test_an_import_that_has_not_ended_is_left_out(shop: Shop, audit: AuditStock) -> None:
    """Its cards are counted when they are all in; and it is not listed before."""
    shop.sells(SKU, 0, PRICE)
    shop.catalogue.begin_batch(Batch(SKU, "unfinished", BatchStatus.IMPORTING, 1, 0, NOW))
    shop.stock.put(Card(Pool(SKU, "unfinished", 0), "card", "0"))
    assert missing(audit) == {NAME: 0}
    assert shop.catalogue.products[SKU].batches == ()


# ---- something is ----


@pytest.mark.parametrize("status", [BatchStatus.ON_SALE, BatchStatus.WITHDRAWN])
def test_cards_that_are_nowhere_are_missing_of_their_batch(shop: Shop, audit: AuditStock, status: BatchStatus) -> None:
    dealt = shop.sells(SKU, 5, PRICE, shards=2)
    shop.sells(OTHER, 5, PRICE)
    if status is BatchStatus.WITHDRAWN:
        shop.catalogue.withdraw(shop.catalogue.imported[SKU, NAME])
    sold(shop, dealt[:1])
    shop.stock.take(dealt[1])
    shop.stock.take(dealt[2])
    for _ in range(2):
        assert missing(audit) == {NAME: 2, f"batch-of-{OTHER}": 0}


def test_a_card_that_is_in_two_places_is_told_of_too(shop: Shop, audit: AuditStock) -> None:
    dealt = shop.sells(SKU, 5, PRICE)
    sold(shop, dealt[:1])
    shop.stock.put(dealt[0].returned())
    assert missing(audit) == {NAME: -1}


def test_a_word_about_an_order_that_nobody_knows_is_told_of(shop: Shop, audit: AuditStock) -> None:
    shop.sells(SKU, 5, PRICE)
    shop.holdings.note([Holding(SKU, NAME, TRADE_ID, 1, 2, HoldingState.SOLD)])
    assert missing(audit) == {NAME: -2}


# ---- a record of the streams was lost ----


def closed(shop: Shop, order: Order) -> Order:
    return shop.orders.record(order, order.closed(NOW))


def paid_late_with_others(shop: Shop, order: Order) -> Order:
    """It gave its cards back, and got as many of another batch, which nobody misses here."""
    before = closed(shop, order)
    others = tuple(Card(Pool(SKU, "others", 0), f"other-{n}", f"{n:016x}") for n in range(len(order.cards)))
    for card in others:
        shop.stock.put(card)
    late = order.payments[0]
    return shop.orders.record(before, before.settled(late.payment_id, late.amount, None, NOW, cards=others))


def paid_and_withdrawn(shop: Shop, order: Order) -> Order:
    before = shop.orders.record(order, paid(order))
    return shop.orders.record(before, before.short_of_cards(NOW, SKU))


def withdrawn_when_sold(shop: Shop, order: Order) -> Order:
    before = told(shop, shop.orders.record(order, paid(order)), order)
    return shop.orders.record(before, before.short_of_cards(NOW, SKU))


@pytest.mark.parametrize("happens", [closed, paid_late_with_others, paid_and_withdrawn, withdrawn_when_sold])
def test_a_ledger_that_has_cards_of_an_order_which_gave_them_back_is_put_right(
    shop: Shop, audit: AuditStock, happens: Callable[[Shop, Order], Order]
) -> None:
    dealt = shop.sells(SKU, 5, PRICE)
    order = held(shop, dealt[:2])
    now = happens(shop, order)
    assert missing(audit) == {NAME: 0}
    (word,) = shop.holdings.of(shop.catalogue.imported[SKU, NAME])
    assert word == Holding(SKU, NAME, TRADE_ID, now.version, 0, HoldingState.RELEASED)


def test_a_ledger_is_put_right_by_what_each_order_names_of_the_batch(shop: Shop, audit: AuditStock) -> None:
    """Given two orders, one with a card of another batch too, whose payment and whose closing the ledger missed."""
    dealt = shop.sells(SKU, 5, PRICE)
    other = Card(Pool(SKU, "others", 0), "other", "0")
    shop.stock.put(other)
    one = held(shop, [*dealt[:2], other], "a" * 26)
    shop.orders.record(one, paid(one))
    closed(shop, held(shop, dealt[2:3], "b" * 26))
    assert missing(audit) == {NAME: 0}
    words = {word.trade_id: (word.cards, word.state) for word in shop.holdings.of(shop.catalogue.imported[SKU, NAME])}
    assert words == {"a" * 26: (2, HoldingState.SOLD), "b" * 26: (0, HoldingState.RELEASED)}


def test_a_card_that_the_ledger_still_holds_for_an_order_that_was_paid_is_sold(shop: Shop, audit: AuditStock) -> None:
    """Nothing is missing, but an operator would see it wrong."""
    order = held(shop, shop.sells(SKU, 5, PRICE)[:2])
    now = shop.orders.record(order, paid(order))
    assert missing(audit) == {NAME: 0}
    (word,) = shop.holdings.of(shop.catalogue.imported[SKU, NAME])
    assert word == Holding(SKU, NAME, TRADE_ID, now.version, 2, HoldingState.SOLD)


def test_a_ledger_that_was_put_right_does_not_hide_a_card_that_is_missing(shop: Shop, audit: AuditStock) -> None:
    dealt = shop.sells(SKU, 5, PRICE)
    closed(shop, held(shop, dealt[:2]))
    shop.stock.take(dealt[4])
    assert missing(audit) == {NAME: 1}


def test_an_old_record_that_comes_after_all_does_not_undo_it(shop: Shop, audit: AuditStock) -> None:
    dealt = shop.sells(SKU, 5, PRICE)
    order = held(shop, dealt[:2])
    closed(shop, order)
    assert missing(audit) == {NAME: 0}
    told(shop, order)
    assert missing(audit) == {NAME: 0}


@pytest.mark.parametrize(
    "wrong",
    [(Listed(NAME, (3, 3)),), (Listed(NAME, (0, 1)),), (Listed(NAME, (2, 3)),), ()],
    ids=["too many", "too few", "of the wrong pool", "not listed"],
)
def test_a_list_that_is_not_as_the_pools_are_is_put_right(
    shop: Shop, audit: AuditStock, wrong: tuple[Listed, ...]
) -> None:
    shop.sells(SKU, 5, PRICE, shards=2)
    shop.sells(OTHER, 2, PRICE)
    shop.catalogue.products[SKU] = replace(shop.catalogue.products[SKU], batches=wrong)
    assert missing(audit) == {NAME: 0, f"batch-of-{OTHER}": 0}
    assert shop.catalogue.products[SKU].batches == (Listed(NAME, (3, 2)),)
    assert shop.catalogue.products[OTHER].batches == (Listed(f"batch-of-{OTHER}", (2,)),)


def test_a_batch_that_is_sold_out_is_not_listed_any_more(shop: Shop, audit: AuditStock) -> None:
    sold(shop, shop.sells(SKU, 2, PRICE))
    assert missing(audit) == {NAME: 0}
    assert shop.catalogue.products[SKU].batches == ()


# ---- buyers beside it ----


@dataclass
class Market:
    """`ports.CardPool`: one more card is sold just after its pool was counted for these times."""

    shop: Shop
    times: set[int]

    def __post_init__(self) -> None:
        self._counts = count()

    def look(self, pool: Pool, wanted: int, *, consistent: bool) -> list[Card]:
        return self.shop.stock.look(pool, wanted, consistent=consistent)

    def count(self, pool: Pool) -> int:
        found = self.shop.stock.count(pool)
        now = next(self._counts)
        if now in self.times:
            sold(self.shop, self.look(pool, 1, consistent=True), f"{now:026}")
        return found


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({0}, {NAME: 0}),
        ({1}, {NAME: 0}),
        ({1, 2}, {}),
        ({1, 3}, {}),
        ({0, 1, 2, 3}, {}),
    ],
    ids=["before", "at the first count", "and at the second", "and at the third", "all the time"],
)
def test_a_batch_that_is_sold_from_while_it_is_counted_is_left_for_the_next_time(
    shop: Shop, audit: AuditStock, times: set[int], expected: dict[str, int]
) -> None:
    shop.sells(SKU, 9, PRICE)
    assert missing(auditing(shop, Market(shop, times))) == expected
    assert missing(audit) == {NAME: 0}
