"""The functions of expressions: JMESPath's own, and ours beside them. Of null each of ours is null.

`jmespath` finds them by the prefix `_func_` and checks arguments by their `signature`. docs/expressions.md shows each one
with an example that a test runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from jmespath.exceptions import JMESPathTypeError
from jmespath.functions import Functions, signature

from app.core.data import encode
from app.core.errors import ExpressionFailed
from app.expressions.values import equal, identity, is_in_range, written

OURS = frozenset({"lookup", "index_by", "group_by", "unique", "pick", "omit", "add", "sub", "mul", "div", "mod", "round", "concat"})
"""The functions beyond JMESPath's own."""

_OPTIONAL: dict[str, tuple[Any, ...]] = {"round": (0,)}
"""What stands for the last arguments where they are left out."""

_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
_MAX_DIGITS = 400
"""A float64 has no digit further from the point (the smallest is about 5e-324, with 17 digits)."""
_EXACT = Context(prec=2 * _MAX_DIGITS)


def arity(name: str) -> tuple[int, int | None] | None:
    """How many arguments a function takes, at least and at most (None: any number); None if there is no such function."""
    if (entry := CatalogFunctions.FUNCTION_TABLE.get(name)) is None:
        return None
    count = len(entry["signature"])
    return count - len(_OPTIONAL.get(name, ())), None if entry["signature"][-1].get("variadic") else count


def takes_expression(name: str, position: int) -> bool:
    """Whether this argument of a function is an expression (`&key`)."""
    declared = CatalogFunctions.FUNCTION_TABLE[name]["signature"]
    return "expref" in declared[min(position, len(declared) - 1)]["types"]


class CatalogFunctions(Functions):
    """Every function that an expression may call."""

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """The function's value. A number beyond float64 is a failure: no NaN or infinity leaves an expression."""
        arguments = list(resolved_args)
        if function_name in OURS and any(argument is None for argument in arguments):
            return None
        missing = len(self.FUNCTION_TABLE[function_name]["signature"]) - len(arguments)
        if missing > 0:
            arguments += _OPTIONAL[function_name][-missing:]
        try:
            result = super().call_function(function_name, arguments)
        except JMESPathTypeError as exc:
            raise ExpressionFailed(f"{function_name}() of a value that it does not take") from exc
        except ZeroDivisionError as exc:
            raise ExpressionFailed(f"{function_name}() by zero") from exc
        if not is_in_range(result):
            raise ExpressionFailed(f"{function_name}() gives a number that is too large")
        return result

    @signature({"types": ["array"]}, {"types": ["string"]}, {"types": []})
    def _func_lookup(self, items: list[Any], key: str, value: Any) -> Any:
        """The first object of a list whose key has the value."""
        return next((item for item in items if isinstance(item, dict) and key in item and equal(item[key], value)), None)

    @signature({"types": ["array"]}, {"types": ["string"]})
    def _func_index_by(self, items: list[Any], key: str) -> dict[str, Any]:
        """The objects of a list by the value of a key, the last where several have it."""
        return dict(_named(items, key))

    @signature({"types": ["array"]}, {"types": ["string"]})
    def _func_group_by(self, items: list[Any], key: str) -> dict[str, list[Any]]:
        """The objects of a list in lists by the value of a key."""
        groups: dict[str, list[Any]] = {}
        for name, item in _named(items, key):
            groups.setdefault(name, []).append(item)
        return groups

    @signature({"types": ["array"]})
    def _func_unique(self, items: list[Any]) -> list[Any]:
        """The items of a list, of equal ones the first."""
        first: dict[Any, Any] = {}
        for item in items:
            first.setdefault(identity(item), item)
        return list(first.values())

    @signature({"types": ["object"]}, {"types": ["array-string"]})
    def _func_pick(self, item: dict[str, Any], names: list[str]) -> dict[str, Any]:
        """An object with these of its keys alone."""
        return {name: item[name] for name in names if name in item}

    @signature({"types": ["object"]}, {"types": ["array-string"]})
    def _func_omit(self, item: dict[str, Any], names: list[str]) -> dict[str, Any]:
        """An object without these of its keys."""
        return {name: value for name, value in item.items() if name not in names}

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_add(self, left: float, right: float) -> float:
        """The sum of two numbers."""
        return left + right

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_sub(self, left: float, right: float) -> float:
        """The difference of two numbers."""
        return left - right

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_mul(self, left: float, right: float) -> float:
        """The product of two numbers."""
        return left * right

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_div(self, left: float, right: float) -> float:
        """The quotient of two numbers; an integer where two integers come out even."""
        if isinstance(left, int) and isinstance(right, int) and left % right == 0:
            return left // right
        return left / right

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_mod(self, left: float, right: float) -> float:
        """What is left of a division, with the sign of the divisor."""
        return left % right

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_round(self, number: float, digits: float) -> float:
        """A number with so many digits after the point (none: an integer); a half goes away from zero."""
        if digits != int(digits):
            raise ExpressionFailed("round() to a number of digits that is no integer")
        places = max(-_MAX_DIGITS, min(_MAX_DIGITS, int(digits)))
        exact = Decimal(number) if isinstance(number, int) else Decimal(repr(number))
        rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
        return int(rounded) if places <= 0 or isinstance(number, int) else float(rounded)

    @signature({"types": ["string", "number", "boolean"], "variadic": True})
    def _func_concat(self, *texts: Any) -> str:
        """Texts one after another; numbers and booleans are written as in a template."""
        return "".join(map(written, texts))

    # --- JMESPath's own, where the library strays from its specification or from JSON

    @signature({"types": []})
    def _func_to_number(self, arg: Any) -> int | float | None:
        """The number that a text spells, null for any other text: the library takes `nan`, `inf` and `1_000` too."""
        if isinstance(arg, str):
            spelled = _NUMBER.fullmatch(arg)
            return None if spelled is None else float(arg) if spelled[1] or spelled[2] else int(arg)
        return arg if isinstance(arg, int | float) and not isinstance(arg, bool) else None

    @signature({"types": []})
    def _func_to_string(self, arg: Any) -> str:
        """A text as it is, anything else as its JSON text: the library escapes what is not ASCII."""
        return arg if isinstance(arg, str) else encode(arg).decode()

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: Any, search: Any) -> bool:
        """Whether a list has an equal item, or a text the text: the library takes true for 1, and fails on other types."""
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(equal(item, search) for item in subject)


def _named(items: list[Any], key: str) -> Iterator[tuple[str, Any]]:
    """The objects of a list that have something at a key, with that written as text."""
    return ((written(item[key]), item) for item in items if isinstance(item, dict) and item.get(key) is not None)
