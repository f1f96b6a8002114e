"""Whether two JSON texts say the same: by value, whatever the order of keys, the spelling of numbers and the spaces."""

from __future__ import annotations

from typing import Any

from app.core.data import Data, canonical


def same(old: Data, new: Data) -> bool:
    """Whether the data is equal by canonical JSON (RFC 8785: 1 and 1.0 are one number, true is none)."""
    if old is new or old.raw == new.raw:
        return True
    before, after = Data.of_raw(old.raw).value, Data.of_raw(new.raw).value  # decoded aside: what is kept stays small
    if before != after:
        return False
    return canonical(before) == canonical(after) or _same(before, after)


def _same(a: Any, b: Any) -> bool:
    """For values that Python holds to be equal: it takes true for 1, which JSON does not."""
    if isinstance(a, dict):
        return all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool)
