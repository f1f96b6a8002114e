"""One value of a param: converted to its type, held to its rules; the rules are those of JSON Schema."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from jsonschema_rs import validator_for

from app.api.patterns import whole_match

_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_NUMBER = re.compile(r"-?[0-9]{1,1000}(\.[0-9]{1,1000})?([eE][+-]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_TYPES = {
    "string": "must be a text", "integer": "must be an integer", "number": "must be a number",
    "boolean": "must be true or false", "array": "must be a list",
}  # fmt: skip
_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("must be at least {}", lambda v, n: v >= n),
    "maximum": ("must be at most {}", lambda v, n: v <= n),
    "exclusiveMinimum": ("must be greater than {}", lambda v, n: v > n),
    "exclusiveMaximum": ("must be less than {}", lambda v, n: v < n),
    "minLength": ("must have at least {} characters", lambda v, n: len(v) >= n),
    "maxLength": ("must have at most {} characters", lambda v, n: len(v) <= n),
    "minItems": ("must have at least {} items", lambda v, n: len(v) >= n),
    "maxItems": ("must have at most {} items", lambda v, n: len(v) <= n),
}
_OF_TYPE = {
    "minLength": str, "maxLength": str, "minItems": list, "maxItems": list,
    "minimum": (int, float), "maximum": (int, float), "exclusiveMinimum": (int, float), "exclusiveMaximum": (int, float),
}  # fmt: skip


class BadValue(Exception):
    """A value that breaks `rule`, a keyword of JSON Schema."""

    def __init__(self, message: str, rule: str) -> None:
        self.message, self.rule = message, rule
        super().__init__(message)


class Rules:
    """The type of a value and every constraint on it, compiled."""

    __slots__ = ("_checks", "type")

    def __init__(self, kind: str, checks: list[tuple[Callable[[Any], bool], str, str]]) -> None:
        self.type, self._checks = kind, checks

    def checked(self, value: Any) -> Any:
        """The value itself; BadValue names the first rule that it breaks."""
        for holds, message, rule in self._checks:
            if not holds(value):
                raise BadValue(message, rule)
        return value

    def wrong_type(self) -> BadValue:
        """For a value that is not, or cannot be read as, the type."""
        return BadValue(_TYPES[self.type], "type")


def compile_rules(schema: dict[str, Any]) -> Rules:
    """The rules of a JSON Schema of one scalar or one list: type, ranges, lengths, pattern, format, enum."""
    kind = schema.get("type", "string")
    checks: list[tuple[Callable[[Any], bool], str, str]] = []
    for rule, (message, holds) in _LIMITS.items():
        if (limit := schema.get(rule)) is not None and _fits(kind, rule):
            checks.append((_bound(holds, limit), message.format(limit), rule))
    if (pattern := schema.get("pattern")) is not None and kind == "string":
        checks.append((whole_match(pattern), f"must match {pattern}", "pattern"))
    if (form := schema.get("format")) is not None and kind == "string":
        is_of_form = validator_for({"type": "string", "format": form}, validate_formats=True, offline=True).is_valid
        checks.append((is_of_form, f"must be a {form}", "format"))
    if (enum := schema.get("enum")) is not None:
        words = ", ".join(str(one) for one in enum)
        checks.append((_member(enum), f"must be one of {words}", "enum"))
    return Rules(kind, checks)


def from_text(text: str, rules: Rules) -> Any:
    """A text as sent in a path, query or header, as its type, held to its rules."""
    match rules.type:
        case "string":
            value: Any = text
        case "boolean":
            value = _BOOLEANS.get(text)
        case "integer":
            value = _integer(text)
        case _:
            value = _number(text)
    if value is None:
        raise rules.wrong_type()
    return rules.checked(value)


def from_json(value: Any, rules: Rules) -> Any:
    """A JSON value, or its text form, as its type, held to its rules."""
    if isinstance(value, str):
        return from_text(value, rules)
    if rules.type == "boolean" and isinstance(value, int) and value in (0, 1):
        return rules.checked(bool(value))
    if rules.type in ("integer", "number") and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        if rules.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) or rules.type == "number":
            return rules.checked(value)
    raise rules.wrong_type()


def _integer(text: str) -> int | None:
    """None too for what no float64 holds: no reader of our JSON could take it."""
    return int(text) if _INTEGER.fullmatch(text) and math.isfinite(float(text)) else None


def _number(text: str) -> int | float | None:
    """An integer where it is written as one: it then goes on as it came."""
    if (whole := _integer(text)) is not None:
        return whole
    if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return None


def _fits(kind: str, rule: str) -> bool:
    wanted = {"string": str, "array": list, "integer": (int, float), "number": (int, float)}.get(kind)
    return wanted == _OF_TYPE[rule]


def _bound(holds: Callable[[Any, Any], bool], limit: Any) -> Callable[[Any], bool]:
    return lambda value: holds(value, limit)


def _member(enum: list[Any]) -> Callable[[Any], bool]:
    """Equality of JSON: true is not 1."""
    allowed = {(isinstance(one, bool), one) for one in enum if not isinstance(one, list | dict)}
    return lambda value: not isinstance(value, list) and (isinstance(value, bool), value) in allowed
