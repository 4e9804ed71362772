"""A provider's call: only its own word is queued, and nothing is acknowledged that is not queued."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import InvalidNotice, NotFound, Unavailable
from cardshop.domain.payment import EventKind, Notice, PaymentEvent, Reply
from cardshop.ports import QueuedNotice
from cardshop.usecases.receive_notice import ReceiveNotice

from tests.domain.builders import NOW, PAYMENT_ID, PRICE, TRADE_ID
from tests.usecases.fakes import Shop


@pytest.fixture
def receive(shop: Shop) -> ReceiveNotice:
    return ReceiveNotice(shop.channels, shop.provider, shop.queue, shop.clock)


def test_a_genuine_notice_is_queued_as_it_came_and_acknowledged(shop: Shop, receive: ReceiveNotice) -> None:
    notice = shop.bank.says(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, None))
    assert receive("epay", notice) == (Reply("received"), [TRADE_ID])
    assert shop.queue.messages == [(QueuedNotice("epay", notice, NOW), TRADE_ID)]


def test_a_notice_that_tells_of_no_payment_is_acknowledged_and_forgotten(shop: Shop, receive: ReceiveNotice) -> None:
    notice = shop.bank.says(PaymentEvent(PAYMENT_ID, EventKind.OPEN, PRICE, None))
    assert receive("epay", notice) == (Reply("received"), [])
    assert shop.queue.messages == []


def test_a_payment_id_that_is_not_ours_is_queued_for_a_person_to_see(shop: Shop, receive: ReceiveNotice) -> None:
    """It is signed: money that belongs to no order is not thrown away at the door."""
    notice = shop.bank.says(PaymentEvent("somebody else's", EventKind.PAID, PRICE, None))
    assert receive("epay", notice) == (Reply("received"), [""])
    assert len(shop.queue.messages) == 1


def test_a_forged_notice_is_refused_and_not_queued(shop: Shop, receive: ReceiveNotice) -> None:
    with pytest.raises(InvalidNotice):
        receive("epay", Notice("POST", (), {}, b"forged"))
    assert shop.queue.messages == []


def test_an_unknown_channel_is_not_found(shop: Shop, receive: ReceiveNotice) -> None:
    with pytest.raises(NotFound):
        receive("nowhere", shop.bank.says(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, None)))
    assert shop.queue.messages == []


def test_what_cannot_be_queued_is_not_acknowledged(shop: Shop, receive: ReceiveNotice) -> None:
    shop.queue.down = True
    with pytest.raises(Unavailable):
        receive("epay", shop.bank.says(PaymentEvent(PAYMENT_ID, EventKind.PAID, PRICE, None)))
