"""JSON is strict or refused, and what is good keeps its spelling."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.depth import MAX_DEPTH
from app.core.errors import DecodeFailed
from app.upstream.strict_json import checked

NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?\Z")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"1",
        b'"x"',
        b"null",
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"1e308",
        b"9" * 308,
        b"18446744073709551615",
        b'{"id": 18446744073709551616}',
        b"[99999999999999999999, -9223372036854775809]",
        b'"1e999"',
        b"1e-999",
        b"0e999",
        b'"\\ud83d\\ude00"',
        b'"\\\\ud800"',
        '"ü"'.encode(),
        b'["' + b"[" * 500 + b'"]',
        b"[" + b"[]," * 500 + b"[]]",
        b"[" + b"1," * 500 + b"1]",
        json.dumps(["[{" * 300, '"]\\"[\\', "\\\\"] * 50).encode(),
        b"[" + b'{"a":[{}]},' * 300 + b"1]",
    ],
)
def test_strict_json_passes_as_sent(body: bytes) -> None:
    """Brackets, digits and escapes in texts are texts."""
    assert checked(body) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"NaN",
        b"[Infinity]",
        b'{"x": -Infinity}',
        b"1 2",
        b'{"a": 1}{"b": 2}',
        b"{",
        b"<html>",
        b"{'a': 1}",
        b"[1,]",
        b"01",
        b"1.",
        b"+1",
        b'{"a": "\xe9"}',
        b"\xff\xfe[]",
        b"\xef\xbb\xbf[]",
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'{"\xff": 1}',
        b'"\x01"',
        b"\x00",
        b"1\x00",
        b"\x0b[]",
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ud800\\u0041"',
        b'"\\uDC00\\uD800"',
        b'{"\\ud800": 1}',
        b"1e309",
        b"-1E+400",
        b"9" * 309,
        b"1" * 250 + b"e60",
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 201 + b"1" + b"}" * 201,
        b"[" * 100_000,
        b'["\\"",' + b'["]",' * 200 + b"1" + b',"["]' * 200 + b"]",
    ],
)
def test_what_is_not_strict_is_refused(body: bytes) -> None:
    """NaN, two values, bad UTF-8, byte order marks, lone surrogates, numbers beyond float64, more than 200 levels."""
    with pytest.raises(DecodeFailed):
        checked(body)


def test_it_comes_on_one_line() -> None:
    """An NDJSON message is a line: line breaks can stand between tokens only, and go; all else stays."""
    assert checked(b' {"a":\r\n  [1.00,\n "x\\n"]}\n') == b'{"a":  [1.00, "x\\n"]}'


@given(st.lists(NUMBERS, min_size=1, max_size=3))
def test_numbers_end_where_float64_does(numbers: list[str]) -> None:
    """By the value, whatever the spelling."""
    fits = all(math.isfinite(float(number)) for number in numbers)
    body = f'{{"n": [{",".join(numbers)}]}}'.encode()
    try:
        checked(body)
        assert fits
    except DecodeFailed:
        assert not fits


SCALARS = st.none() | st.text(st.sampled_from('[]{}"\\,:aé1e'), max_size=8) | st.integers()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.sampled_from('[]{}"\\a'), max_size=3), inner, max_size=5)
)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((_depth(entry) for entry in inner), default=0)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(0, 3), st.sampled_from([0, 150]))
def test_levels_are_counted_exactly(value: object, over: int, siblings: int) -> None:
    """However many brackets stand in texts, and however many brothers a level has."""
    levels = MAX_DEPTH - 1 + over - _depth(value)
    beside = json.dumps([value] * siblings, ensure_ascii=False)
    body = f"[{beside},{'[' * levels}{json.dumps(value, ensure_ascii=False)}{']' * levels}]".encode()
    try:
        checked(body)
        assert over == 0
    except DecodeFailed:
        assert over > 0


@settings(max_examples=200)
@given(st.binary(max_size=40) | st.text(st.sampled_from('[]{}",:0123456789.eE+-truefalsn \\ud8'), max_size=30).map(str.encode))
def test_what_is_let_through_is_read_by_everyone(body: bytes) -> None:
    """Never a text that the standard library's parser refuses, nor one that it must read leniently."""
    try:
        found = checked(body)
    except DecodeFailed:
        return
    value = json.loads(found.decode(), parse_constant=pytest.fail)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
