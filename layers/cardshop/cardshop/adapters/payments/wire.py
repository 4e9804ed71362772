"""What providers send, read strictly: forms, JSON, times and amounts. Errors quote nothing of what came."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from cardshop.domain.errors import InvalidNotice, StaleNotice, Unavailable
from cardshop.domain.payment import Notice

MAX_NOTICE = 64 * 1024  # bytes
SECONDS = re.compile("[0-9]{1,12}")  # a Unix time, as it is signed
LINK = re.compile(r"https?://[!-~]+")

_TOLERANCE = 300_000  # milliseconds
_MAX_FIELDS = 64
_DIGITS = 20  # on either side of an amount's point
_UNSAFE_IN_NAME = re.compile(r"[^\w .,()+-]")
_PLAIN = re.compile(rf"[0-9]{{1,{_DIGITS}}}(?:\.[0-9]{{1,{_DIGITS}}})?")


@contextmanager
def as_notice() -> Iterator[None]:
    """A notice that makes no sense is none."""
    try:
        yield
    except ValueError as error:
        raise InvalidNotice(str(error)) from None


@contextmanager
def as_answer(of: str = "the provider's answer") -> Iterator[None]:
    """An answer that makes no sense is none."""
    try:
        yield
    except ValueError as error:
        raise Unavailable(f"{of}: {error}") from None


def check_age(signed: str, now: int, where: str) -> None:
    """StaleNotice unless this time (Unix seconds) is within five minutes of `now` (milliseconds)."""
    if abs(now - int(signed) * 1000) > _TOLERANCE:
        raise StaleNotice(where)


def plain_name(name: str) -> str:
    """A product's name without the characters that mean something to a signature over joined fields."""
    return _UNSAFE_IN_NAME.sub(" ", name)


def form(notice: Notice) -> dict[str, str]:
    """The fields of a notice's query and, by POST, of its form. InvalidNotice if one is there twice.

    Some platforms write `&` as `&amp;` or `;` between them.
    """
    pairs = list(notice.query)
    if len(pairs) == 1:  # the gateway splits a query at `&` only
        pairs = _pairs_in(f"{pairs[0][0]}={pairs[0][1]}")
    if notice.method == "POST":
        pairs += _pairs(notice.body)
    if len(pairs) > _MAX_FIELDS:
        raise InvalidNotice("too many fields")
    fields: dict[str, str] = {}
    for written, value in pairs:
        name = written.removeprefix("amp;")
        if name in fields:
            raise InvalidNotice("a field twice")
        if not _clean(name + value):
            raise InvalidNotice("not text")
        fields[name] = value
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    if len(body) > MAX_NOTICE:
        raise InvalidNotice("too large")
    try:
        written = body.decode().replace("&amp;", "&")
        separator = "&" if "&" in written else ";"
        return parse_qsl(written, keep_blank_values=True, errors="strict", separator=separator)
    except ValueError:
        raise InvalidNotice("not a form") from None


def _pairs_in(query: str) -> list[tuple[str, str]]:
    """The pairs of a query that is decoded already."""
    split = (pair.partition("=") for pair in query.split(";") if pair)
    return [(name, value) for name, _, value in split]


def _clean(given: str) -> bool:
    """No NUL, and no half of a surrogate pair, which no signature could be computed over."""
    return not re.search("[\0\ud800-\udfff]", given)


def json_object(data: bytes, limit: int = MAX_NOTICE) -> dict[str, Any]:
    """The JSON object in `data`, of at most `limit` bytes; numbers are int or Decimal. ValueError for anything else.

    Refused as well: a name twice at any depth, NaN and infinities, anything but UTF-8, a byte order mark.
    """
    if len(data) > limit:
        raise ValueError("too large")
    try:
        found = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False, default=str).encode()  # "\ud800" is JSON, and no text
    except (ValueError, ArithmeticError, RecursionError):
        raise ValueError("not strict JSON") from None
    if isinstance(found, dict):
        return found
    raise ValueError("not a JSON object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError("not a number")


def body_object(notice: Notice) -> dict[str, Any]:
    """The JSON object that is a notice's body; InvalidNotice if it is none."""
    with as_notice():
        return json_object(notice.body)


def text(value: Mapping[str, Any], *path: str) -> str:
    """The text at this path of names; ValueError, naming the path, if there is none."""
    found = _at(value, path)
    if not isinstance(found, str):
        raise _not("text", path)
    return found


def optional_text(value: Mapping[str, Any], *path: str) -> str | None:
    """The text at this path, None if it is missing or null; ValueError if something else is there."""
    return None if _at(value, path) is None else text(value, *path)


def integer(value: Mapping[str, Any], *path: str) -> int:
    found = _at(value, path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise _not("integer", path)
    return found


def part(value: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The object at this path."""
    found = _at(value, path)
    if not isinstance(found, dict):
        raise _not("object", path)
    return found


def _at(value: Mapping[str, Any], path: tuple[str, ...]) -> object:
    """What is there: None if anything on the way is missing or null."""
    found: object = value
    for depth, name in enumerate(path):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise _not("object", path[:depth])
        found = found.get(name)
    return found


def _not(kind: str, path: tuple[str, ...]) -> ValueError:
    return ValueError(f"{'.'.join(path)}: no {kind}")


def same(given: str, expected: str) -> bool:
    """Compare a signature in a time that does not tell how much of it is right."""
    return given.isascii() and hmac.compare_digest(given.encode(), expected.encode())


def decimal_text(value: object) -> str:
    """An amount that came as a text, an int or a Decimal, as `Money.parse` reads it: `1e2` of a JSON is `100`."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= _DIGITS:  # 1e999999 is short
        value = f"{value:f}"
    elif isinstance(value, int):
        value = str(value)
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise ValueError("no plain decimal")
    return value
