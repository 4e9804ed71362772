"""What providers send is read strictly: whatever else comes is refused by a declared error that quotes none of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from cardshop.adapters.payments import wire
from cardshop.domain.errors import InvalidNotice
from cardshop.domain.payment import Notice
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "whsec-5f1d"
bounded = settings(max_examples=100, deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def by_get(*query: tuple[str, str]) -> Notice:
    return Notice("GET", query, {}, b"")


def by_post(body: bytes, *query: tuple[str, str]) -> Notice:
    return Notice("POST", query, {}, body)


# ---- forms ----


def test_a_form_is_the_fields_of_query_and_body() -> None:
    notice = by_post("name=%E5%85%83+1&empty=&raw=元".encode(), ("channel", "a"), ("amount", "9.90"))
    assert wire.form(notice) == {"channel": "a", "amount": "9.90", "name": "元 1", "empty": "", "raw": "元"}


def test_a_body_that_was_not_posted_is_no_form() -> None:
    assert wire.form(Notice("GET", (("a", "1"),), {}, b"b=2")) == {"a": "1"}


@pytest.mark.parametrize("body", [b"a=1&b=x%3By&c=", b"a=1&amp;b=x%3By&amp;c=", b"a=1;b=x%3By;c="])
def test_a_posted_form_is_read_however_it_is_joined(body: bytes) -> None:
    assert wire.form(by_post(body)) == {"a": "1", "b": "x;y", "c": ""}


@pytest.mark.parametrize(
    "notice",
    [
        by_get(("a", "1"), ("b", "2=3"), ("c", "")),
        by_get(("a", "1"), ("amp;b", "2=3"), ("amp;c", "")),  # the gateway splits `&amp;` at `&`
        by_get(("a", "1;b=2=3;;c=")),  # and at nothing else
    ],
)
def test_a_query_is_read_however_it_was_joined(notice: Notice) -> None:
    assert wire.form(notice) == {"a": "1", "b": "2=3", "c": ""}


@pytest.mark.parametrize(
    ("notice", "why"),
    [
        (by_post(b"a=1&a=1"), "a field twice"),
        (by_post(b"a=1", ("a", "1")), "a field twice"),
        (by_get(("a", "1"), ("amp;a", "2")), "a field twice"),
        (by_post(b"a=%ff"), "not a form"),
        (by_post("a=商品".encode("gbk")), "not a form"),
        (by_post(b"a=%00"), "not text"),
        (by_post(b"a%00=1"), "not text"),
        (by_get(("a", "\ud800")), "not text"),
        (by_post(b"&".join(b"f%d=" % n for n in range(64)), ("a", "1")), "too many fields"),
        (by_post(b"a=" + b"x" * (wire.MAX_NOTICE - 1)), "too large"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(notice: Notice, why: str) -> None:
    with pytest.raises(InvalidNotice, match=f"^{why}$"):
        wire.form(notice)


def test_a_form_may_be_as_large_as_a_notice() -> None:
    assert len(wire.form(by_post(b"a=" + b"x" * (wire.MAX_NOTICE - 2)))["a"]) == wire.MAX_NOTICE - 2
    assert len(wire.form(by_post(b"&".join(b"f%d=" % n for n in range(64))))) == 64


@bounded
@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=4),
    st.binary(max_size=60) | st.lists(st.tuples(texts, texts), max_size=4).map(lambda p: urlencode(p).encode()),
)
def test_whatever_comes_is_a_form_that_can_be_signed_or_is_refused(
    method: str, query: list[tuple[str, str]], body: bytes
) -> None:
    try:
        fields = wire.form(Notice(method, tuple(query), {}, body))
    except InvalidNotice:
        return
    assert b"\0" not in "".join([*fields, *fields.values()]).encode()


# ---- JSON ----


def test_numbers_are_integers_or_decimals() -> None:
    found = wire.json_object(b'{"a": 10, "b": 9.90, "c": [1e2, -0.1], "d": true, "e": "\xe5\x85\x83"}')
    assert found == {"a": 10, "b": Decimal("9.90"), "c": [Decimal(100), Decimal("-0.1")], "d": True, "e": "元"}
    assert [type(each) for each in (found["a"], found["b"], *found["c"])] == [int, Decimal, Decimal, Decimal]
    assert str(found["b"]) == "9.90"


NOT_JSON = {
    "nothing": b"",
    "half": b'{"a": "%s"' % SECRET.encode(),
    "two": b"{}{}",
    "a list": b"[{}]",
    "a text": b'"%s"' % SECRET.encode(),
    "null": b"null",
    "a name twice": b'{"a": 1, "%s": 2, "%s": 3}' % (SECRET.encode(), SECRET.encode()),
    "a name twice, deep": b'{"a": [{"b": {"c": 1, "c": 1}}]}',
    "a name twice, once escaped": b'{"a": 1, "\\u0061": 1}',
    "NaN": b'{"a": NaN}',
    "an infinity": b'{"a": -Infinity}',
    "an exponent beyond decimals": b'{"a": 1e99999999999999999999}',
    "a number of 5000 digits": b'{"a": %s}' % (b"9" * 5000),
    "brackets without end": b'{"a": ' + b"[" * 60_000,
    "a deep nest": b'{"a": ' * 10_000 + b"1" + b"}" * 10_000,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "Latin 1": '{"a": "é"}'.encode("latin-1"),
    "half a surrogate pair": b'{"a": ["\\ud800"]}',
    "half a surrogate pair for a name": b'{"a": {"\\udfff": 1}}',
    "too much": b'{"a": "%s"}' % (b"x" * wire.MAX_NOTICE),
}


@pytest.mark.parametrize("data", list(NOT_JSON))
def test_anything_but_a_strict_object_is_refused_and_not_quoted(data: str) -> None:
    with pytest.raises(ValueError, match=r"^(too large|not strict JSON|not a JSON object)$") as refused:
        wire.json_object(NOT_JSON[data])
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    with pytest.raises(InvalidNotice, match=f"^{refused.value}$"):
        wire.body_object(by_post(NOT_JSON[data]))


def test_a_limit_is_in_bytes_and_may_be_reached() -> None:
    data = '{"a": "元"}'.encode()
    assert wire.json_object(data, len(data)) == wire.body_object(by_post(data)) == {"a": "元"}
    with pytest.raises(ValueError, match="too large"):
        wire.json_object(data, len(data) - 1)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert wire.json_object(b'{"a": "\\ud83c\\udf81"}') == {"a": "🎁"}


@bounded
@given(st.binary(max_size=60) | st.text('{}[]":,0.1e-NaN\\u d8', max_size=40).map(str.encode))
def test_whatever_comes_is_an_object_or_a_value_error(data: bytes) -> None:
    try:
        found = wire.json_object(data)
    except ValueError:
        return
    assert found == json.loads(data, parse_float=Decimal)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.decimals(allow_nan=False, allow_infinity=False, places=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def written(value: Any) -> str:
    """As JSON, decimals as they are."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name)}:{written(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


@bounded
@given(st.dictionaries(texts, values, max_size=4))
def test_what_was_written_is_read(value: dict[str, Any]) -> None:
    assert wire.json_object(written(value).encode()) == value


# ---- what is in it ----

EVENT = {
    "id": "evt_1",
    "none": None,
    "live": True,
    "data": {"object": {"amount": 990, "note": "", "rate": Decimal("1.5")}, "list": ["a"]},
}


def test_values_are_found_by_their_path() -> None:
    assert wire.text(EVENT, "id") == "evt_1"
    assert wire.text(EVENT, "data", "object", "note") == ""
    assert wire.integer(EVENT, "data", "object", "amount") == 990
    assert wire.part(EVENT, "data", "object") == EVENT["data"]["object"]  # type: ignore[index]
    assert wire.optional_text(EVENT, "id") == "evt_1"


@pytest.mark.parametrize("path", [("none",), ("missing",), ("none", "a", "b"), ("data", "object", "missing")])
def test_an_optional_text_may_be_missing_or_null(path: tuple[str, ...]) -> None:
    assert wire.optional_text(EVENT, *path) is None


@pytest.mark.parametrize(
    ("read", "path", "why"),
    [
        (wire.text, ("missing",), "missing: no text"),
        (wire.text, ("none",), "none: no text"),
        (wire.text, ("data", "missing", "id"), "data.missing.id: no text"),
        (wire.text, ("data", "object", "amount"), "data.object.amount: no text"),
        (wire.text, ("id", "id"), "id: no object"),
        (wire.text, ("data", "list", "0"), "data.list: no object"),
        (wire.integer, ("live",), "live: no integer"),
        (wire.integer, ("id",), "id: no integer"),
        (wire.integer, ("data", "object", "rate"), "data.object.rate: no integer"),
        (wire.integer, ("missing",), "missing: no integer"),
        (wire.part, ("id",), "id: no object"),
        (wire.part, ("data", "list"), "data.list: no object"),
        (wire.part, ("none",), "none: no object"),
        (wire.optional_text, ("live",), "live: no text"),
        (wire.optional_text, ("id", "id"), "id: no object"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_path(read: Callable[..., object], path: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        read(EVENT, *path)


# ---- signatures and amounts ----


@pytest.mark.parametrize("given_", ["", "abc", "abcde", "abcD", "ábcd", "ａｂｃｄ", "\ud800"])
def test_only_the_same_text_is_the_same(given_: str) -> None:
    assert wire.same("abcd", "abcd")
    assert not wire.same(given_, "abcd")
    assert not wire.same("abcd", "ábcd")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("9.90", "9.90"),
        ("0", "0"),
        (990, "990"),
        (0, "0"),
        (Decimal("9.90"), "9.90"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0E-2"), "0.00"),
        (Decimal("0E+5"), "0"),
    ],
)
def test_an_amount_is_written_plainly(value: object, text: str) -> None:
    assert wire.decimal_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *["", " 1", "1\n", "1.", ".5", "1e2", "1,000", "+1", "-1", "１", "1" * 21, "0." + "1" * 21, "NaN"],
        *[-1, True, None, 9.9, [1], 10**20, pytest.param(10**5000, id="5001 digits")],
        *map(Decimal, ["-1", "-0", "NaN", "Infinity", "sNaN", "1E+21", "1E-21", "1E+999999999", "0E-999999999"]),
    ],
)
def test_anything_but_an_amount_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^no plain decimal$|integer string conversion"):
        wire.decimal_text(value)


@bounded
@given(st.decimals(allow_nan=False) | st.integers() | st.floats() | st.text("0123456789.eE-+ ", max_size=12))
def test_an_amount_is_written_exactly_or_refused(value: object) -> None:
    try:
        text = wire.decimal_text(value)
    except ValueError:
        return
    assert Decimal(text) == (Decimal(value) if isinstance(value, str) else value)
