"""Checks that bytes are strict JSON, without making Python objects of them.

Strict is RFC 8259 and I-JSON's care (RFC 7493): UTF-8 without a byte order mark, one value, no NaN, no lone surrogate, no
number beyond float64, at most 200 levels. simdjson sees to it in one pass, at a gigabyte a second (Langdale and Lemire,
"Parsing gigabytes of JSON per second", 2019).
"""

from __future__ import annotations

import codecs

import orjson
import simdjson

from app.core.depth import MAX_DEPTH, is_too_deep
from app.core.errors import DecodeFailed

_SPARE = 1024 - MAX_DEPTH
"""simdjson bears 1023 levels, not counting empty lists and objects: within so many more, a text of fewer than MAX_DEPTH passes."""
_OPEN, _CLOSE = b"[" * _SPARE, b"]" * _SPARE
_SMALL = 4096
"""Bytes up to which counting brackets costs less than a second pass."""


def checked(body: bytes) -> bytes:
    """The JSON text on one line, otherwise as sent; raises DecodeFailed where it is not strict."""
    try:
        if body.startswith(codecs.BOM_UTF8):
            raise DecodeFailed
        simdjson.Parser().parse(body)
        if _may_be_deep(body):
            simdjson.Parser().parse(_OPEN + body + _CLOSE)
    except ValueError as exc:
        if "NUMBER" not in str(exc):
            raise DecodeFailed from exc
        _check_slowly(body)  # no number, perhaps, or an integer of twenty digits
    except RuntimeError:  # too deep, perhaps, or an integer of more digits
        _check_slowly(body)
    return body.translate(None, b"\r\n").strip() if b"\n" in body or b"\r" in body else body.strip()


def _may_be_deep(body: bytes) -> bool:
    """Whether there are brackets enough to nest too deep; those in strings count too."""
    return len(body) > 2 * MAX_DEPTH and (len(body) > _SMALL or body.count(b"[") + body.count(b"{") > MAX_DEPTH)


def _check_slowly(body: bytes) -> None:
    """The same by a parser that knows integers of any size, and makes objects."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise DecodeFailed from exc
    if is_too_deep(value):
        raise DecodeFailed("an answer nested too deep")
