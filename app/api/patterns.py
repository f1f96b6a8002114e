"""Patterns of params: JSON Schema's regular expressions, that must match the whole text, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable

from jsonschema_rs import FancyRegexOptions, RegexOptions, ValidationError, validator_for

LONGEST = 1000
"""Characters that a text may have to be matched by a pattern that only a backtracking engine understands."""

_BACKTRACKS = 100_000
_WHOLE = re.compile(r"\^(?:[^|^$\\]|\\.)*\$")
"""A pattern without alternatives between its anchors."""


def whole(pattern: str) -> str:
    """The pattern that, searched for, matches the whole text alone; one that plainly does stays as it is."""
    return pattern if _WHOLE.fullmatch(pattern) else f"^(?:{pattern})$"


def whole_match(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches, anchors or not. Linear time where the pattern allows, else a bounded number of steps."""
    schema = {"type": "string", "pattern": whole(pattern)}
    for engine in (RegexOptions(), FancyRegexOptions(backtrack_limit=_BACKTRACKS)):
        try:
            return validator_for(schema, pattern_options=engine, offline=True).is_valid
        except ValidationError:
            continue
    compiled = re.compile(pattern)
    return lambda text: len(text) <= LONGEST and compiled.fullmatch(text) is not None
