"""Money is exact: what is written is what is read, and nothing but a plain decimal is read at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from cardshop.domain.money import Money, exponent
from hypothesis import example, given
from hypothesis import strategies as st

from tests.domain.builders import currencies


@given(st.integers(0, 10**12 - 1), currencies)
def test_an_amount_written_as_decimal_is_read_back_as_the_same_amount(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert Money.parse(amount.decimal(), currency) == amount


@given(st.integers(0, 10**10), st.integers(0, 8), currencies)
def test_zeros_after_the_point_do_not_change_an_amount(whole: int, zeros: int, currency: str) -> None:
    written = f"{whole}.{'0' * zeros}" if zeros else str(whole)
    assert Money.parse(written, currency) == Money(whole * 10 ** exponent(currency), currency)


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [(990, "CNY", "9.90"), (5, "CNY", "0.05"), (0, "USD", "0.00"), (100, "JPY", "100"), (1, "KWD", "0.001")],
)
def test_an_amount_is_written_with_its_currencys_digits(minor: int, currency: str, written: str) -> None:
    assert Money(minor, currency).decimal() == written


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        ("9.9", "CNY", 990),
        ("1.500", "CNY", 150),
        ("12.3456", "KWD", None),
        ("12.3450", "KWD", 12345),
        ("7.0", "JPY", 7),
    ],
)
def test_digits_finer_than_the_minor_unit_are_read_only_if_they_are_zeros(
    written: str, currency: str, minor: int | None
) -> None:
    if minor is None:
        with pytest.raises(ValueError, match="minor unit"):
            Money.parse(written, currency)
    else:
        assert Money.parse(written, currency) == Money(minor, currency)


SHAPES = [
    "",
    " ",
    "1.",
    ".5",
    "1,00",
    "1e2",
    "1E2",
    "+1",
    "-1",
    "nan",
    "inf",
    "0x10",
    "1_000",
    " 1",
    "1 ",
    "1\n",
    "1;2",
]
DIGITS = ["１", "٣", "1.٣", "1.2.3", "1.001", "9999999999999", "1.000000000"]


@pytest.mark.parametrize("junk", SHAPES + DIGITS)
def test_anything_but_a_plain_decimal_is_refused(junk: str) -> None:
    with pytest.raises(ValueError, match=r"decimal|minor unit"):
        Money.parse(junk, "CNY")


@given(st.text("0123456789.eE+-_ ", max_size=24) | st.text(max_size=8), currencies)
@example("00012.3", "CNY")
def test_whatever_is_read_is_exactly_what_was_written(text: str, currency: str) -> None:
    try:
        amount = Money.parse(text, currency)
    except ValueError:
        return
    assert Decimal(amount.minor) == Decimal(text).scaleb(exponent(currency))
