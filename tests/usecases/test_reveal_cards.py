"""Revealing: to the holder of a delivered order, and on record before the first code is opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.domain.card import Card, Pool, card_id
from cardshop.domain.errors import NotFound, NotRevealable, Unavailable
from cardshop.domain.order import Actor
from cardshop.domain.payment import PaymentState
from cardshop.domain.trade import REVEALABLE, Status
from cardshop.ports import SealedCard
from cardshop.usecases.reveal_cards import RevealCards, RevealedCard

from tests.domain.builders import BUYER, NOW, PAYMENT_ID, SKU, TRADE_ID, placed
from tests.usecases.fakes import SECRET, Shop

CODES = ["AAAA-1111", "BBBB-2222", "CCCC-3333"]


@pytest.fixture
def reveal(shop: Shop) -> RevealCards:
    return RevealCards(shop.orders, shop.sealed, shop.sealer, shop.clock)


def sealed(shop: Shop, batch: str, *codes: str) -> list[Card]:
    """Cards as an import of these codes leaves them."""
    key, plain = shop.sealer.new_key(SKU, batch)
    shop.sealed.add_key(key)
    pool = Pool(SKU, batch, 0)
    cards = [Card(pool, card_id(SECRET, code)) for code in codes]
    shop.sealed.add(
        [
            SealedCard(card.card_id, pool, key.key_id, shop.sealer.seal(plain, SKU, card.card_id, code))
            for card, code in zip(cards, codes, strict=True)
        ]
    )
    return cards


def given_an_order(shop: Shop, status: Status) -> None:
    """An order for the cards of two imports, in another sequence than they were imported in."""
    held = sealed(shop, "first", CODES[0], CODES[1]) + sealed(shop, "second", CODES[2])
    shop.orders.put(replace(placed(3, held=tuple(reversed(held))), status=status))


@pytest.mark.parametrize("status", sorted(REVEALABLE))
def test_the_codes_come_in_the_orders_own_sequence(shop: Shop, reveal: RevealCards, status: Status) -> None:
    given_an_order(shop, status)
    assert reveal(TRADE_ID, BUYER) == [RevealedCard(SKU, code) for code in reversed(CODES)]


def test_a_reveal_is_on_record_even_if_the_codes_then_do_not_open(shop: Shop, reveal: RevealCards) -> None:
    given_an_order(shop, Status.DELIVERED)
    shop.sealer.down = True
    with pytest.raises(Unavailable):
        reveal(TRADE_ID, BUYER)
    change = shop.orders.by_id[TRADE_ID].last_change
    assert (change.what, change.version, change.actor) == ("cards_revealed", 2, BUYER)


def test_a_reveal_may_be_asked_for_again_and_each_is_on_record(shop: Shop, reveal: RevealCards) -> None:
    given_an_order(shop, Status.DELIVERED)
    phone = Actor("buyer", "mobile", "device-2", "198.51.100.1")
    assert reveal(TRADE_ID, BUYER) == reveal(TRADE_ID, phone)
    order = shop.orders.by_id[TRADE_ID]
    assert (order.version, order.last_change.actor, order.status) == (3, phone, Status.DELIVERED)


@pytest.mark.parametrize("status", sorted(set(Status) - REVEALABLE))
def test_nothing_is_revealed_before_delivery_and_nothing_recorded(
    shop: Shop, reveal: RevealCards, status: Status
) -> None:
    given_an_order(shop, status)
    before = shop.orders.by_id[TRADE_ID]
    with pytest.raises(NotRevealable):
        reveal(TRADE_ID, BUYER)
    assert shop.orders.by_id[TRADE_ID] == before


@pytest.mark.parametrize("status", sorted(REVEALABLE))
def test_nothing_is_revealed_while_the_payer_contests_what_he_paid(
    shop: Shop, reveal: RevealCards, status: Status
) -> None:
    """Once it is decided for the shop, the codes are the buyer's again."""
    given_an_order(shop, status)
    before = shop.orders.by_id[TRADE_ID]
    paid = replace(before.payments[0], state=PaymentState.ACCEPTED, paid=before.amount)
    contested = shop.orders.put(replace(before, payments=(paid,)).charged_back(PAYMENT_ID, NOW))
    with pytest.raises(NotRevealable):
        reveal(TRADE_ID, BUYER)
    assert shop.orders.by_id[TRADE_ID] == contested
    shop.orders.put(contested.reinstated(PAYMENT_ID, NOW))
    assert len(reveal(TRADE_ID, BUYER)) == 3


def test_when_the_codes_were_first_read_is_on_the_order(shop: Shop, reveal: RevealCards) -> None:
    given_an_order(shop, Status.DELIVERED)
    assert shop.orders.by_id[TRADE_ID].revealed_at is None
    reveal(TRADE_ID, BUYER)
    shop.clock.now += 5
    reveal(TRADE_ID, BUYER)
    assert shop.orders.by_id[TRADE_ID].revealed_at == NOW


def test_a_card_that_is_missing_is_no_partial_answer(shop: Shop, reveal: RevealCards) -> None:
    given_an_order(shop, Status.DELIVERED)
    shop.sealed.cards.popitem()
    with pytest.raises(Unavailable):
        reveal(TRADE_ID, BUYER)


def test_an_unknown_order_is_not_found(reveal: RevealCards) -> None:
    with pytest.raises(NotFound):
        reveal(TRADE_ID, BUYER)


def test_a_revealed_card_shows_no_code_when_it_is_printed() -> None:
    card = RevealedCard(SKU, "AAAA-1111")
    assert "AAAA" not in f"{card} {card!r} {[card]}"
