"""A payment id tells its trade; a channel tells nobody its secrets."""

from __future__ import annotations

import re

import pytest
from cardshop.domain.payment import Channel, payment_id, trade_id_of
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import TRADE_ID, trade_ids


@given(trade_ids, st.integers(1, 99))
def test_a_payment_id_leads_back_to_its_trade(trade_id: str, number: int) -> None:
    payment = payment_id(trade_id, number)
    assert trade_id_of(payment) == trade_id
    assert re.fullmatch(r"[a-z0-9]{28}", payment)  # WeChat allows 32 of these


@given(trade_ids, st.integers(1, 99), st.integers(1, 99))
def test_payments_of_one_trade_have_different_ids(trade_id: str, one: int, other: int) -> None:
    assert (payment_id(trade_id, one) == payment_id(trade_id, other)) == (one == other)


@pytest.mark.parametrize(
    "junk",
    ["", TRADE_ID, f"{TRADE_ID}1", f"{TRADE_ID}001", f"{TRADE_ID}-1", f"{TRADE_ID} 1", "é" * 28, "１" * 28, "a\n" * 14],
)
def test_what_has_not_the_shape_of_a_payment_id_belongs_to_no_trade(junk: str) -> None:
    assert trade_id_of(junk) is None


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9]{28}", fullmatch=True))
def test_a_trade_is_only_found_in_what_a_trade_can_have_made(text: str) -> None:
    if trade_id_of(text) is not None:
        assert re.fullmatch(r"[a-z2-7]{26}[0-9]{2}", text)


def test_a_channel_shows_no_secret_when_it_is_printed() -> None:
    channel = Channel("epay", "epay", {"pid": "1001"}, {"key": "merchant-key"})
    assert "merchant-key" not in f"{channel} {channel!r}"
