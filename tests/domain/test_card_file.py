"""A file of codes is read whole or refused whole, and a refusal names the lines as an editor counts them."""

from __future__ import annotations

import pytest
from cardshop.domain.card_file import MAX_BYTES, MAX_LINE_BYTES, MAX_LINES, CardFile, read
from cardshop.domain.errors import BodyTooLarge, NothingToImport, Unprocessable
from hypothesis import assume, given
from hypothesis import strategies as st

plain_codes = st.lists(st.from_regex(r"[A-Za-z0-9卡号-]{1,40}", fullmatch=True), min_size=1, max_size=30)
#: Any text but what a line cannot hold: controls, half a surrogate pair, a mark, what nobody could read.
any_codes = st.lists(
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffd"), min_size=1, max_size=40)
    .map(str.strip)
    .filter(bool),
    min_size=1,
    max_size=30,
)
newlines = st.sampled_from(["\n", "\r\n"])
GBK = "卡号".encode("gb18030")


def codes(raw: bytes) -> list[tuple[int, str]]:
    return read(raw).codes


def is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---- what is read ----


@given(plain_codes | any_codes, newlines, st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]), st.booleans())
def test_every_code_is_read_with_its_line_number_in_the_encoding_it_was_saved_in(
    written: list[str], newline: str, codec: str, closed: bool
) -> None:
    raw = (newline.join(written) + (newline if closed else "")).encode(codec)
    expected = "gbk" if codec == "gb18030" and not is_utf_8(raw) else "utf-8"
    if codec == "gb18030" and expected == "utf-8":
        assume(raw.isascii())  # else some Chinese happens to be good UTF-8 too, and is read as that
    assert read(raw) == CardFile(list(enumerate(written, start=1)), expected)


@pytest.mark.parametrize("letter", ["卡", "€", "镕", "㐀", "𠮷", "é"])
def test_what_a_chinese_spreadsheet_saves_is_read_even_what_gbk_itself_leaves_out(letter: str) -> None:
    assert read(f"序列号,{letter}-1\r\nB-2".encode("gb18030")) == CardFile(
        [(1, f"序列号,{letter}-1"), (2, "B-2")], "gbk"
    )


def test_a_mark_is_no_part_of_the_first_code() -> None:
    assert read(b"\xef\xbb\xbfA-1\r\nB-2\r\n") == CardFile([(1, "A-1"), (2, "B-2")], "utf-8")


def test_the_mark_of_a_file_that_was_appended_to_another_is_no_part_of_a_code() -> None:
    """Nobody sees it: a buyer could not use the code, and it would not be known as the duplicate that it is."""
    marked = b"\xef\xbb\xbfA-1\r\n"
    assert codes(marked + marked) == [(1, "A-1"), (2, "A-1")]


def test_blank_lines_are_left_out_but_counted() -> None:
    assert codes(b"\n  \nA-1\r\n\r\n\tB-2  \n\n") == [(3, "A-1"), (5, "B-2")]


def test_a_code_may_have_blanks_and_tabs_within() -> None:
    assert codes(b"user name\tpass word\n") == [(1, "user name\tpass word")]


# ---- what is refused ----


@pytest.mark.parametrize("raw", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", " \u3000\n".encode()])
def test_a_file_without_a_card_is_refused(raw: bytes) -> None:
    with pytest.raises(NothingToImport, match="no card"):
        read(raw)


@pytest.mark.parametrize(
    "broken", ["\0", *map(chr, range(1, 9)), *map(chr, range(0x0B, 0x20)), "\x7f", "\ufffd"], ids=ascii
)
def test_what_no_code_can_hold_is_refused_by_line(broken: str) -> None:
    with pytest.raises(Unprocessable, match=r"NUL, control or broken characters in line 2, 4$"):
        read(f"A\nB{broken}B\r\nC\nD{broken}D\n".encode())


def test_a_file_of_the_old_macintosh_is_refused_not_read_as_one_card() -> None:
    with pytest.raises(Unprocessable, match=r"characters in line 1$"):
        read(b"one\rtwo\rthree")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_a_file_of_wide_characters_without_a_mark_is_refused_for_its_nul_bytes(codec: str) -> None:
    with pytest.raises(Unprocessable, match=r"NUL, control or broken characters in line 1, 2$"):
        read("A-1\nB-2".encode(codec))


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "卡" * (MAX_LINE_BYTES // 3) + "A" * (MAX_LINE_BYTES % 3)
    assert codes(f"  {longest}\r\n".encode()) == [(1, longest)]
    with pytest.raises(Unprocessable, match=rf"over {MAX_LINE_BYTES} bytes in line 2, 4$"):
        read(f"A\n{longest}X\nB\n{longest}Y\n".encode())


def test_a_refusal_names_twenty_lines_and_says_if_there_are_more() -> None:
    for lines, end in ((20, "19, 20"), (21, "19, 20…")):
        with pytest.raises(Unprocessable) as refused:
            read(b"A\0\n" * lines)
        assert refused.value.detail.endswith(end)


def test_ten_thousand_cards_are_read_and_one_more_is_refused_by_its_line() -> None:
    lines = [f"CODE-{number}" for number in range(MAX_LINES)]
    assert len(codes("\n".join(lines).encode())) == MAX_LINES
    with pytest.raises(Unprocessable, match=rf"more than {MAX_LINES} lines, from line {MAX_LINES + 2}$"):
        read("\n".join([*lines, "", "ONE-MORE", "AND-ANOTHER"]).encode())  # a blank line stands before it


def test_a_file_may_be_as_large_as_the_limit_and_no_larger() -> None:
    card = b"A" * 1023 + b"\n"
    full = card * (MAX_BYTES // len(card))
    assert len(full) == MAX_BYTES
    assert len(codes(full)) == MAX_BYTES // len(card)
    with pytest.raises(BodyTooLarge, match=str(MAX_BYTES)):
        read(full + b"\n")


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"\xff\xfeA\x001\x00", 1),  # wide characters, with a mark
        (b"A\n\xc3(\n", 2),
        (b"A\nB\nC\xff", 3),
        (GBK + b"\n" + GBK + b"\n\n" + GBK[:-1], 4),  # cut off in the middle of a character
        ("卡\nB\n".encode() + b"\xff", 3),
        (b"\xef\xbb\xbfA\n\xff", 2),
    ],
    ids=["utf-16", "half a character", "no character", "gbk, cut off", "utf-8, broken", "marked utf-8, broken"],
)
def test_what_is_neither_utf_8_nor_gbk_is_refused_by_its_line(raw: bytes, line: int) -> None:
    with pytest.raises(Unprocessable, match=rf"neither UTF-8 nor GBK text in line {line}$"):
        read(raw)


def test_a_file_with_the_mark_of_utf_8_is_not_read_as_anything_else() -> None:
    """Given one file appended to another, its mark would become the first letters of a card."""
    with pytest.raises(Unprocessable, match=r"in line 2$"):
        read(b"\xef\xbb\xbfAB-1\n" + GBK)


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("gb18030", "ignore")))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        found = read(raw)
    except Unprocessable:
        return
    assert found.encoding == ("utf-8" if is_utf_8(raw) else "gbk")
    assert all(code and code == code.strip() and "\0" not in code and "\n" not in code for _, code in found.codes)
    assert [number for number, _ in found.codes] == sorted({number for number, _ in found.codes})
    assert all(code.encode() for _, code in found.codes), "it can be sealed"
