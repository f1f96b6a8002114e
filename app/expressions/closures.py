"""Compiles JMESPath's syntax tree into closures: the library's semantics without its interpreter (4 to 10 times its speed).

Held to the library by a property test. Two differences, on the side of the specification: `<` of a number and a text is null,
where the library raises a TypeError, and `[true]` is not `[1]`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from app.expressions.functions import CatalogFunctions
from app.expressions.values import equal, is_number, is_true

Node: TypeAlias = dict[str, Any]
"""A node of jmespath's syntax tree: `type`, `children`, `value`."""

Search: TypeAlias = Callable[[Any], Any]
"""Looks into a document: an object (a scope, too) or any other JSON value."""

_ORDERING: dict[str, Callable[[Any, Any], bool]] = {"lt": operator.lt, "gt": operator.gt, "lte": operator.le, "gte": operator.ge}
_call_function = CatalogFunctions().call_function


def closure(node: Node) -> Search:
    """The function that a node of the syntax tree stands for."""
    return _MAKERS[node["type"]](node)


class _Expression:
    """An `&expression` handed to a function, which calls `visit`. jmespath knows its type by the name of this class."""

    __slots__ = ("expression",)

    def __init__(self, expression: Search) -> None:
        self.expression = expression

    def visit(self, expression: Search, value: Any) -> Any:
        """The expression's value for an item."""
        return expression(value)


def _field(node: Node) -> Search:
    name = node["value"]
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _index(node: Node) -> Search:
    position = node["value"]

    def search(value: Any) -> Any:
        try:
            return value[position] if isinstance(value, list) else None
        except IndexError:
            return None

    return search


def _chain(node: Node) -> Search:
    """One step after another: `a.b[0].c`, `a | b`. Fields and indexes, which are nearly all, are walked in one loop."""
    steps = _steps(node)
    if all(step["type"] in ("field", "index") for step in steps):
        return _walk([step["value"] for step in steps])
    searches = [closure(step) for step in steps]

    def search(value: Any) -> Any:
        for step in searches:
            value = step(value)
        return value

    return search


def _steps(node: Node) -> list[Node]:
    if node["type"] not in ("subexpression", "index_expression", "pipe"):
        return [node]
    return [step for child in node["children"] for step in _steps(child)]


def _walk(path: list[str | int]) -> Search:
    steps = tuple((step, type(step) is str) for step in path)

    def search(value: Any) -> Any:
        for step, is_field in steps:
            if is_field:
                if not isinstance(value, dict):
                    return None
                value = value.get(step)
            else:
                if not isinstance(value, list) or not -len(value) <= step < len(value):  # type: ignore[operator]
                    return None
                value = value[step]  # type: ignore[index]
        return value

    return search


def _itself(node: Node) -> Search:
    return lambda value: value


def _literal(node: Node) -> Search:
    literal = node["value"]
    return lambda value: literal


def _slice(node: Node) -> Search:
    piece = slice(*node["children"])
    return lambda value: value[piece] if isinstance(value, list) else None


def _flatten(node: Node) -> Search:
    base = closure(node["children"][0])

    def search(value: Any) -> Any:
        items = base(value)
        if not isinstance(items, list):
            return None
        flat: list[Any] = []
        for item in items:
            flat.extend(item) if isinstance(item, list) else flat.append(item)
        return flat

    return search


def _projection(node: Node) -> Search:
    base, each = map(closure, node["children"])

    def search(value: Any) -> Any:
        items = base(value)
        if not isinstance(items, list):
            return None
        return [found for item in items if (found := each(item)) is not None]

    return search


def _filter_projection(node: Node) -> Search:
    base, each, condition = map(closure, node["children"])

    def search(value: Any) -> Any:
        items = base(value)
        if not isinstance(items, list):
            return None
        return [found for item in items if is_true(condition(item)) and (found := each(item)) is not None]

    return search


def _value_projection(node: Node) -> Search:
    base, each = map(closure, node["children"])

    def search(value: Any) -> Any:
        entries = base(value)
        if not isinstance(entries, dict):
            return None
        return [found for item in entries.values() if (found := each(item)) is not None]

    return search


def _multi_select_list(node: Node) -> Search:
    searches = [closure(child) for child in node["children"]]
    return lambda value: None if value is None else [search(value) for search in searches]


def _multi_select_dict(node: Node) -> Search:
    searches = [(child["value"], closure(child["children"][0])) for child in node["children"]]
    return lambda value: None if value is None else {key: search(value) for key, search in searches}


def _or(node: Node) -> Search:
    left, right = map(closure, node["children"])
    return lambda value: found if is_true(found := left(value)) else right(value)


def _and(node: Node) -> Search:
    left, right = map(closure, node["children"])
    return lambda value: right(value) if is_true(found := left(value)) else found


def _not(node: Node) -> Search:
    inner = closure(node["children"][0])
    return lambda value: not is_true(inner(value))


def _comparator(node: Node) -> Search:
    left, right = map(closure, node["children"])
    if node["value"] in ("eq", "ne"):
        wanted = node["value"] == "eq"
        return lambda value: equal(left(value), right(value)) is wanted
    compare = _ORDERING[node["value"]]

    def search(value: Any) -> Any:
        low, high = left(value), right(value)
        if (is_number(low) and is_number(high)) or (isinstance(low, str) and isinstance(high, str)):
            return compare(low, high)
        return None

    return search


def _function(node: Node) -> Search:
    name = node["value"]
    arguments = [closure(child) for child in node["children"]]
    return lambda value: _call_function(name, [argument(value) for argument in arguments])


def _expref(node: Node) -> Search:
    expression = _Expression(closure(node["children"][0]))
    return lambda value: expression


_MAKERS: dict[str, Callable[[Node], Search]] = {
    "field": _field,
    "index": _index,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "current": _itself,
    "identity": _itself,
    "literal": _literal,
    "slice": _slice,
    "flatten": _flatten,
    "projection": _projection,
    "filter_projection": _filter_projection,
    "value_projection": _value_projection,
    "multi_select_list": _multi_select_list,
    "multi_select_dict": _multi_select_dict,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "comparator": _comparator,
    "function_expression": _function,
    "expref": _expref,
}
