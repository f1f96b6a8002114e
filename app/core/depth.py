"""How deep JSON of others may nest: Python's own limit differs by version, and not all parsers after us bear what one accepts."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 200
"""Levels of objects and lists: below what every parser and writer after us bears (orjson writes 254, Python 3.11 recurses 1000)."""


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than `MAX_DEPTH`; without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [one for one in level if isinstance(one, list | dict)]
        if not inner:
            return False
        level = [one for holder in inner for one in (holder.values() if isinstance(holder, dict) else holder)]
    return True
