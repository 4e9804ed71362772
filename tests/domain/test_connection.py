"""Tickets and places: what is written of a ticket opens nothing, and each ends when it says."""

from __future__ import annotations

import pytest
from cardshop.domain.connection import CONNECTION_MS, SHOP_FEED, TICKET_MS, Connection, Ticket
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import NOW, TRADE_ID

FEEDS = [TRADE_ID, SHOP_FEED]


@pytest.mark.parametrize("feed", FEEDS)
def test_a_ticket_is_read_back_as_it_was_given(feed: str) -> None:
    ticket = Ticket.new(feed)
    assert Ticket.parse(str(ticket)) == ticket
    assert Ticket.new(feed) != ticket


@pytest.mark.parametrize("feed", FEEDS)
def test_what_is_stored_of_a_ticket_does_not_tell_it(feed: str) -> None:
    ticket = Ticket.new(feed)
    assert ticket.secret not in ticket.name
    assert Ticket.parse(f"{feed}.{ticket.name}") is None


@pytest.mark.parametrize(
    "text",
    ["", ".", "shop", "shop.", f"{TRADE_ID}.short", f"Shop.{'a' * 32}", f"{'1' * 26}.{'a' * 32}", f"shop.{'a' * 31}é"],
)
def test_a_text_of_another_form_is_no_ticket(text: str) -> None:
    assert Ticket.parse(text) is None


@given(st.text())
def test_whatever_somebody_sends_is_a_ticket_or_none(text: str) -> None:
    ticket = Ticket.parse(text)
    assert ticket is None or str(ticket) == text


@given(st.integers(NOW, NOW + 10_000))
def test_a_place_ends_in_time(at: int) -> None:
    """Within a minute, or two hours; in whole seconds, as the table counts."""
    kept = Connection.kept(Ticket.new(TRADE_ID), "address", at)
    opened = kept.opened("Uq1pZdXfliACIxw=", at)
    assert at + TICKET_MS - 1000 < kept.until <= at + TICKET_MS
    assert at + CONNECTION_MS - 1000 < opened.until <= at + CONNECTION_MS
    assert kept.until % 1000 == opened.until % 1000 == 0
    assert (kept.is_open, opened.is_open) == (False, True)
    assert (opened.feed, opened.address, opened.connection_id) == (TRADE_ID, "address", "Uq1pZdXfliACIxw=")


def test_a_connection_may_be_shaking_hands_for_longer_than_the_gateway_waits() -> None:
    opened = Connection.kept(Ticket.new(TRADE_ID), None, NOW).opened("c", NOW)
    assert opened.may_be_shaking_hands(NOW + 59_000)
    assert not opened.may_be_shaking_hands(NOW + 60_000)
