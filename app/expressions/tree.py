"""A JSON value whose texts are templates: bodies, args, variables, responses, fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

from app.core.data import NULL, Data, encode
from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import OnNull, Template, parse_template

_encode = msgspec.json.Encoder().encode  # takes raw JSON among values, and integers of any size

_Make: TypeAlias = Callable[[Scope, bool, OnNull | None], Any]
"""Makes one node's value of a scope; with the flag, the bytes of lone names are spliced instead of decoded."""


class Tree:
    """A parsed value. `constant`: its data, where it reads nothing. `lone`: the name, where it is `{name}` and nothing else."""

    __slots__ = ("_make", "_text", "constant", "lone", "names", "paths")

    def __init__(self, value: Any) -> None:
        templates = list(_templates(value))
        self.names: frozenset[str] = frozenset().union(*(t.names for t in templates))
        self.paths: frozenset[tuple[str, ...]] = frozenset().union(*(t.paths for t in templates))
        self._text = ", ".join(t.text for t in templates if t.constant is None)
        self.lone = value.alone.lone if isinstance(value, Template) and value.alone is not None else None
        self._make = _maker(value)
        is_constant = all(template.constant is not None for template in templates)
        self.constant = Data.of_raw(encode(self._make(Scope(), False, None))) if is_constant else None

    def value(self, scope: Scope) -> Any:
        """The decoded value, types kept; treat it as read-only. Raises ExpressionFailed."""
        return self._make(scope, False, None)

    def data(self, scope: Scope) -> Data:
        """The same as data, which decodes no more than it must. Raises ExpressionFailed."""
        return self._data(scope, None)

    def data_or_null(self, scope: Scope, on_null: OnNull) -> Data:
        """The same, but what cannot be computed is null, and nothing inside a text; `on_null` is told which expression.

        All of it is null where what was computed is no JSON.
        """
        try:
            return self._data(scope, on_null)
        except ExpressionFailed:
            on_null(self._text)
            return NULL

    def _data(self, scope: Scope, on_null: OnNull | None) -> Data:
        if self.constant is not None:
            return self.constant
        if self.lone is not None and type(found := dict.get(scope, self.lone)) is Data:
            return found
        try:
            return Data.of_raw(_encode(self._make(scope, True, on_null)))
        except (ValueError, TypeError, RecursionError) as exc:  # a lone surrogate of a credential's claims, mostly
            raise ExpressionFailed("a value that is no JSON") from exc


def parse_tree(value: Any) -> Tree:
    """Parses the texts of a JSON value; raises ExpressionSyntax, with the way to the text in `where`."""
    return Tree(_parsed(value))


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        return parse_template(value)
    if isinstance(value, dict):
        return {key: _under(key, entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_under(position, entry) for position, entry in enumerate(value)]
    return value


def _under(key: str | int, value: Any) -> Any:
    try:
        return _parsed(value)
    except ExpressionSyntax as fault:
        raise fault.under(key) from None


def _templates(value: Any) -> Iterator[Template]:
    if isinstance(value, Template):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _templates(entry)


def _maker(value: Any) -> _Make:
    if isinstance(value, Template):
        return _text_maker(value)
    if isinstance(value, dict):
        entries = [(key, _maker(entry)) for key, entry in value.items()]
        return lambda scope, splice, on_null: {key: make(scope, splice, on_null) for key, make in entries}
    if isinstance(value, list):
        makers = [_maker(entry) for entry in value]
        return lambda scope, splice, on_null: [make(scope, splice, on_null) for make in makers]
    return lambda scope, splice, on_null: value


def _text_maker(template: Template) -> _Make:
    lone = template.alone.lone if template.alone is not None else None
    if lone is None:
        return lambda scope, splice, on_null: template.value(scope, on_null)

    def make(scope: Scope, splice: bool, on_null: OnNull | None) -> Any:
        if splice and type(found := dict.get(scope, lone)) is Data:
            return msgspec.Raw(found.raw)
        return template.value(scope, on_null)

    return make
