"""A card's id: the same for the same code, and silent about it without the shop's secret."""

from __future__ import annotations

import re

from cardshop.domain.card import Card, Pool, card_id, random_place, text_hmac
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.domain.builders import pools, url_safe

secrets = st.binary(min_size=16, max_size=64)
parts = st.lists(st.text(max_size=8), min_size=1, max_size=4)


@given(secrets, st.text(min_size=1))
def test_a_code_has_one_id_of_22_url_safe_characters(secret: bytes, code: str) -> None:
    found = card_id(secret, code)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", found)
    assert found == card_id(secret, code)


@given(secrets, secrets, st.text(min_size=1))
def test_an_id_depends_on_the_secret(one: bytes, other: bytes, code: str) -> None:
    # HMAC pads a short key with zeros: only keys that differ otherwise are different keys
    assume(one.rstrip(b"\0") != other.rstrip(b"\0"))
    assert card_id(one, code) != card_id(other, code)


@given(secrets, parts, parts)
def test_parts_cannot_run_together(secret: bytes, one: list[str], other: list[str]) -> None:
    assert (text_hmac(secret, *one) == text_hmac(secret, *other)) == (one == other)


@given(secrets, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_a_boundary_moved_between_two_parts_is_another_text(secret: bytes, one: str, other: str) -> None:
    assert text_hmac(secret, one, other) != text_hmac(secret, one + other)
    assert text_hmac(secret, one + other[:1], other[1:]) != text_hmac(secret, one, other)


@given(pools)
def test_a_pool_is_found_again_by_its_key(pool: Pool) -> None:
    assert Pool.parse(pool.key) == pool


@given(pools, url_safe)
def test_a_returned_card_lies_in_its_own_pool_under_a_new_key(pool: Pool, identity: str) -> None:
    card = Card(pool, identity, random_place())
    back = card.returned()
    assert (back.pool, back.card_id) == (card.pool, card.card_id)
    assert back.place != card.place
    assert re.fullmatch(r"[0-9a-f]{16}", back.place)
