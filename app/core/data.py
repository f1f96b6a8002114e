"""A JSON value that is known as bytes, as Python objects, or both; each form is made once, on first need.

An upstream's JSON that no expression looks into is never decoded: its checked bytes are joined into the answer
(an order of magnitude cheaper than decode and encode, and numbers, key order and spelling stay as sent).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson

_decode = msgspec.json.Decoder().decode
_UNSET: Any = object()


def encode(value: Any) -> bytes:
    """The JSON text of decoded JSON; integers of any size are exact. TypeError if it is none."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def canonical(value: Any) -> bytes:
    """JSON text that is equal for equal values: keys sorted, no spaces."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True, default=str).encode()


class Data:
    """The data of a call, of a part, of a body. Treat `value` as read-only: it is shared."""

    __slots__ = ("_raw", "_value")

    def __init__(self, raw: bytes | None, value: Any = _UNSET) -> None:
        self._raw = raw
        self._value = value

    @classmethod
    def of(cls, value: Any) -> Data:
        """Data of decoded JSON."""
        return cls(None, value)

    @classmethod
    def of_raw(cls, raw: bytes) -> Data:
        """Data of JSON text that has been checked: strict, UTF-8, one value."""
        return cls(raw)

    @property
    def raw(self) -> bytes:
        """The JSON text."""
        if self._raw is None:
            self._raw = encode(self._value)
        return self._raw

    @property
    def value(self) -> Any:
        """The decoded value; integers of any size are exact."""
        if self._value is _UNSET:
            assert self._raw is not None  # noqa: S101 - one of the two is always there
            self._value = _decode(self._raw)
        return self._value

    @property
    def is_null(self) -> bool:
        """Whether this is JSON's null."""
        return self._value is None or self._raw == b"null"

    @property
    def is_decoded(self) -> bool:
        """Whether the decoded value is kept, beside the text or instead of it."""
        return self._value is not _UNSET

    def __len__(self) -> int:
        """The size of the JSON text in bytes."""
        return len(self.raw)

    def __repr__(self) -> str:
        raw = self.raw
        return f"<Data {raw[:60].decode(errors='replace')}{'...' if len(raw) > 60 else ''}>"


NULL = Data(b"null", None)
