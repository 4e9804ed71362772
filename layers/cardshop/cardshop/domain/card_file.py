"""A file of codes: one a line."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass

from cardshop.domain.errors import BodyTooLarge, NothingToImport, Unprocessable

MAX_BYTES = 4 * 1024 * 1024
MAX_LINES = 10_000
MAX_LINE_BYTES = 4 * 1024
_ENCODINGS = (("utf-8", "utf-8"), ("gbk", "gb18030"))
#: No code has these; the last stands where somebody before us could not read what there was.
_NO_TEXT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ufffd]")


@dataclass(frozen=True, slots=True)
class CardFile:
    codes: list[tuple[int, str]]  # (line number from 1, code) of every line that is not blank
    encoding: str  # utf-8 | gbk, as it was found to be


def read(raw: bytes) -> CardFile:
    """Refused whole, naming the lines: too large, too long, not text, or nothing in it."""
    if len(raw) > MAX_BYTES:
        raise BodyTooLarge(f"at most {MAX_BYTES} bytes")
    text, encoding = _decoded(raw)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    if broken := [number for number, line in lines if _NO_TEXT.search(line)]:
        raise Unprocessable(f"NUL, control or broken characters in line {some_lines(broken)}")
    if long := [number for number, line in lines if len(line.encode()) > MAX_LINE_BYTES]:
        raise Unprocessable(f"over {MAX_LINE_BYTES} bytes in line {some_lines(long)}")
    found = [(number, line) for number, line in lines if line]
    if len(found) > MAX_LINES:
        raise Unprocessable(f"more than {MAX_LINES} lines, from line {found[MAX_LINES][0]}")
    if not found:
        raise NothingToImport("no card in the file")
    return CardFile(found, encoding)


def some_lines(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers[:20]) + ("…" if len(numbers) > 20 else "")


def _decoded(raw: bytes) -> tuple[str, str]:
    """UTF-8 if it can be; else GBK, in which Chinese spreadsheets save text, unless it bears UTF-8's own mark.

    GB 18030 holds all of GBK, and what GBK's own decoder would leave out. Marks are no part of a code, wherever files
    were joined.
    """
    broken = 0
    for encoding, codec in _ENCODINGS[:1] if raw.startswith(BOM_UTF8) else _ENCODINGS:
        try:
            return raw.decode(codec).replace("\ufeff", ""), encoding
        except UnicodeDecodeError as error:  # in the encoding it was saved in, it breaks later
            broken = max(broken, raw.count(b"\n", 0, error.start) + 1)
    raise Unprocessable(f"neither UTF-8 nor GBK text in line {broken}")
