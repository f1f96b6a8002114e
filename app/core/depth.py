"""How deep JSON of others may nest: Python's own limit differs by version, and not all parsers after us bear what one accepts."""

from __future__ import annotations

import re
from typing import Any

MAX_DEPTH = 200
"""Levels of objects and lists: below what every parser and writer after us bears (orjson writes 254, Python 3.11 recurses 1000)."""

_TEXTS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than `MAX_DEPTH`; without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [one for one in level if isinstance(one, list | dict)]
        if not inner:
            return False
        level = [one for holder in inner for one in (holder.values() if isinstance(holder, dict) else holder)]
    return True


def surface(text: str) -> str:
    """The text itself, or where it nests deeper than `MAX_DEPTH`, with what its outermost list or object holds emptied: for any parser to read."""
    pieces, depth, deepest, since = [], 0, 0, 0
    for found in _TEXTS_AND_BRACKETS.finditer(text):
        if found[0] in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
            if depth == 2:
                pieces.append(text[since : found.end()])
        elif found[0] in ("]", "}"):
            if depth == 2:
                since = found.start()
            depth -= 1
    return "".join((*pieces, text[since:])) if deepest > MAX_DEPTH else text
