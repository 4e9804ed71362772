"""A file of codes is read whole or refused whole, and a refusal names the lines as an editor counts them."""

from __future__ import annotations

import pytest
from cardshop.domain.card_file import MAX_BYTES, MAX_LINE_BYTES, MAX_LINES, codes
from cardshop.domain.errors import BodyTooLarge, Unprocessable
from hypothesis import given
from hypothesis import strategies as st

plain_codes = st.lists(st.from_regex(r"[A-Za-z0-9卡号-]{1,40}", fullmatch=True), min_size=1, max_size=30)


@given(plain_codes, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_every_code_is_read_with_its_line_number(
    written: list[str], newline: str, with_bom: bool, closed: bool
) -> None:
    text = newline.join(written) + (newline if closed else "")
    raw = text.encode("utf-8-sig" if with_bom else "utf-8")
    assert codes(raw) == list(enumerate(written, start=1))


def test_blank_lines_are_left_out_but_counted() -> None:
    assert codes(b"\n  \nA-1\r\n\r\n\tB-2  \n\n") == [(3, "A-1"), (5, "B-2")]


@pytest.mark.parametrize("raw", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_a_file_without_a_card_is_refused(raw: bytes) -> None:
    with pytest.raises(Unprocessable, match="no card"):
        codes(raw)


def test_nul_bytes_are_refused_by_line() -> None:
    with pytest.raises(Unprocessable, match=r"NUL or control characters in line 2, 4$"):
        codes(b"A\nB\0\nC\n\0D\n")


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "卡" * (MAX_LINE_BYTES // 3)
    assert codes(longest.encode()) == [(1, longest)]
    with pytest.raises(Unprocessable, match=f"over {MAX_LINE_BYTES} bytes in line 2"):
        codes(f"A\n{longest}XX\n".encode())


def test_a_refusal_names_twenty_lines_and_says_that_there_are_more() -> None:
    with pytest.raises(Unprocessable) as refused:
        codes(b"A\0\n" * 21)
    assert refused.value.detail.endswith("19, 20…")


def test_ten_thousand_cards_are_read_and_one_more_is_refused_by_its_line() -> None:
    lines = [f"CODE-{number}" for number in range(MAX_LINES)]
    assert len(codes("\n".join(lines).encode())) == MAX_LINES
    with pytest.raises(Unprocessable, match=f"from line {MAX_LINES + 2}"):  # a blank line stands before it
        codes("\n".join([*lines, "", "ONE-MORE"]).encode())


def test_a_file_over_the_limit_is_too_large() -> None:
    with pytest.raises(BodyTooLarge):
        codes(b"A" * (MAX_BYTES + 1))


@pytest.mark.parametrize("raw", [b"\xff\xfeA\x001\x00", "卡号".encode("gb18030"), b"A\n\xc3("])
def test_what_is_not_utf_8_is_refused(raw: bytes) -> None:
    with pytest.raises(Unprocessable, match="UTF-8"):
        codes(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        found = codes(raw)
    except Unprocessable:
        return
    assert all(code and code == code.strip() and "\0" not in code and "\n" not in code for _, code in found)
    assert [number for number, _ in found] == sorted({number for number, _ in found})


def test_a_file_of_the_old_macintosh_is_refused_not_read_as_one_card() -> None:
    with pytest.raises(Unprocessable, match=r"control characters in line 1$"):
        codes(b"one\rtwo\rthree")
