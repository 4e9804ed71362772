"""A file of codes: one a line."""

from __future__ import annotations

import re

from cardshop.domain.errors import BodyTooLarge, Unprocessable

MAX_BYTES = 4 * 1024 * 1024
MAX_LINES = 10_000
MAX_LINE_BYTES = 4 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def codes(raw: bytes) -> list[tuple[int, str]]:
    """(line number from 1, code) of every line that is not blank. Refused whole: too large, or not text."""
    if len(raw) > MAX_BYTES:
        raise BodyTooLarge(f"at most {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unprocessable("the file is not UTF-8 text") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    if control := [number for number, line in lines if _CONTROL.search(line)]:
        raise Unprocessable(f"NUL or control characters in line {_some(control)}")
    if long := [number for number, line in lines if len(line.encode()) > MAX_LINE_BYTES]:
        raise Unprocessable(f"over {MAX_LINE_BYTES} bytes in line {_some(long)}")
    found = [(number, line) for number, line in lines if line]
    if len(found) > MAX_LINES:
        raise Unprocessable(f"more than {MAX_LINES} lines, from line {found[MAX_LINES][0]}")
    if not found:
        raise Unprocessable("no card in the file")
    return found


def _some(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers[:20]) + ("…" if len(numbers) > 20 else "")
