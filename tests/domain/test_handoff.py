"""The code that hands an order over: nobody guesses it, and nobody reads it out of the store."""

from __future__ import annotations

import re

from cardshop.domain import handoff


def test_a_code_has_160_bits_that_stand_in_an_address() -> None:
    codes = {handoff.new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{27}", code) for code in codes)


def test_what_is_kept_of_a_code_names_it_and_does_not_show_it() -> None:
    code = handoff.new_code()
    assert handoff.digest(code) == handoff.digest(code) != handoff.digest(handoff.new_code())
    assert code not in handoff.digest(code)
