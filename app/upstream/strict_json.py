"""Checks that bytes are strict JSON, without decoding them where that can be known more cheaply.

Strict is RFC 8259 and I-JSON's care (RFC 7493): UTF-8 without a byte order mark, one value, no NaN, no lone surrogate, no
number beyond float64, at most 200 levels. msgspec's parser sees to the grammar in one pass. Fewer brackets than levels
nest no deeper; and a number that large has a long exponent or very many digits, which a sketch of the text shows, in which
all digits are alike. What looks suspicious is looked at closely.
"""

from __future__ import annotations

import re
from itertools import accumulate

import msgspec
import orjson

from app.core.depth import MAX_DEPTH
from app.core.errors import DecodeFailed

_grammar = msgspec.json.Decoder(msgspec.Raw).decode

_SKETCH = bytes(ord("0") if chr(c) in "0123456789+" else ord("e") if chr(c) in "eE" else ord(" ") for c in range(256))
"""Digits, and the sign of an exponent, as 0; e and E as e; all else as spaces. (Deleting bytes would take three times as long.)"""
_LARGE_EXPONENT = b"e000"
_MANY_DIGITS = b"0" * 200
"""1e308 and more takes an exponent of three digits, or one of two after more than 200 digits."""

_ESCAPES = re.compile(rb'\\["\\]')
_NOT_BRACKETS_OR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_PEELS = 8
"""How often the innermost brackets are peeled off, which is fast and enough for most documents, before they are counted."""


def checked(body: bytes) -> bytes:
    """The JSON text on one line, otherwise as sent; raises DecodeFailed where it is not strict."""
    try:
        _grammar(body)
        if not body.isascii():
            body.decode()
        sketch = body.translate(_SKETCH)
        if _LARGE_EXPONENT in sketch or _MANY_DIGITS in sketch:
            orjson.loads(body)  # refuses what would be infinity
    except (msgspec.DecodeError, UnicodeDecodeError, orjson.JSONDecodeError, RecursionError) as exc:
        raise DecodeFailed from exc
    if len(body) - len(body.translate(None, b"[]{}")) > 2 * MAX_DEPTH and _is_too_deep(body):
        raise DecodeFailed("an answer nested too deep")
    return body.translate(None, b"\r\n").strip() if b"\n" in body or b"\r" in body else body.strip()


def _is_too_deep(body: bytes) -> bool:
    """Whether brackets nest too deep, for a text whose grammar is good.

    Two quotes in a row hold nothing between them that counts, whether they are one string or the end of one and the
    beginning of the next: without those, few are left, and what stands between every second pair is in a string.
    """
    text = _ESCAPES.sub(b"", body) if b'\\"' in body else body  # escaped quotes, perhaps
    sketch = text.translate(None, _NOT_BRACKETS_OR_QUOTES)
    brackets = sketch.replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(brackets.split(b'"')[::2])
    rest = brackets
    for _ in range(_PEELS):
        rest = rest.replace(b"{}", b"").replace(b"[]", b"")
        if not rest:
            return False
    return max(accumulate(_STEPS[bracket] for bracket in brackets)) > MAX_DEPTH
