"""JSON values as expressions see them: truth, equality, and how a value is written into a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from app.core.errors import ExpressionFailed

_BEYOND = 2**1024 - 2**970
"""The least integer that float64 does not have: it would be rounded up to 2 to the 1024th (IEEE 754)."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_true(value: Any) -> bool:
    """JMESPath's truth: false, null, and empty text, list and object are falsy; 0 is not."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


def equal(left: Any, right: Any) -> bool:
    """Equality of JSON values; true is not 1, at any depth."""
    if left != right:
        return False
    if type(left) is list or type(left) is dict:
        return bool(identity(left) == identity(right))
    return (left is True or left is False) == (right is True or right is False)


def identity(value: Any) -> Any:
    """Something hashable that is equal for equal JSON values, at any depth; true is not 1, a list is no object."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(identity, value))
    if isinstance(value, dict):
        return ("object", frozenset((key, identity(entry)) for key, entry in value.items()))
    return value


def is_number(value: Any) -> bool:
    """Whether this is a JSON number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_in_range(value: Any) -> bool:
    """Whether a number is within float64's range; what is no number is."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -_BEYOND < value < _BEYOND


def is_unicode(value: Any) -> bool:
    """Whether a text can be written as UTF-8, which one with a lone surrogate cannot; what is no text can."""
    return not isinstance(value, str) or _SURROGATE.search(value) is None


def leaves(value: Any) -> Iterator[Any]:
    """The keys of a JSON value, and what in it is no list or object."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from leaves(entry)
    else:
        yield value


def written(value: Any) -> str:
    """A value in a text: `true`, `3`, `3.5`, null as nothing; ExpressionFailed for an object or list."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return orjson.dumps(value).decode()
    raise ExpressionFailed(f"{'a list' if isinstance(value, list) else 'an object'} cannot be written into a text")
