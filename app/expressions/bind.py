"""Values by place: what an expression's value becomes in a path, a query, headers or a form. Bound once, called per request.

A binder is called with the scope and raises ExpressionFailed where a value does not fit its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote, quote_plus

from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import Template, parse_template
from app.expressions.values import written

T = TypeVar("T")
Pairs = list[tuple[str, str]]

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*", re.ASCII)
"""RFC 3986 section 2.3: never encoded."""

_PATH_LEGAL = "/!$&'()*+,;=:@%"
"""What may stand in a path besides the unreserved (RFC 3986 section 3.3)."""

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Controls but the tab: RFC 9110 section 5.5 calls them invalid, and three of them dangerous."""


class Binder(Generic[T]):
    """What a place is filled with. `constant`: where it reads nothing, what it always is, and None elsewhere."""

    __slots__ = ("_fill", "constant", "names", "paths")

    def __init__(self, templates: Iterable[Template], fill: Callable[[Scope], T]) -> None:
        read = list(templates)
        self.names: frozenset[str] = frozenset().union(*(t.names for t in read))
        self.paths: frozenset[tuple[str, ...]] = frozenset().union(*(t.paths for t in read))
        self._fill = fill
        self.constant: T | None = fill(Scope()) if all(t.constant is not None for t in read) else None

    def __call__(self, scope: Scope) -> T:
        return self._fill(scope) if self.constant is None else self.constant


# --- path


def path_binder(template: str) -> Binder[str]:
    """An origin-form path. A value is one percent-encoded segment or a piece of one; null, empty and dot segments fail.

    The catalog's own text stays as written, encoded where it is no legal path. Raises ExpressionSyntax.
    """
    parsed = parse_template(template)
    _check_path(template, parsed)
    segments = _segments(parsed)

    def fill(scope: Scope) -> str:
        return "/".join([segment if type(segment) is str else _segment(segment, scope) for segment in segments])  # type: ignore[arg-type]

    return Binder([parsed], fill)


def _check_path(template: str, parsed: Template) -> None:
    first = parsed.pieces[0] if parsed.pieces else ""
    if not (isinstance(first, str) and first.startswith("/")):
        raise ExpressionSyntax("a path starts with '/'", 0, f"write /{parsed.text}")
    for piece in parsed.pieces:
        if isinstance(piece, str) and (found := re.search("[?#]", piece)):
            raise ExpressionSyntax(
                f"a '{found[0]}' in a path", max(template.find(found[0]), 0), "parameters go under `query`; a literal one is %3F or %23"
            )


def _segments(parsed: Template) -> list[str | list[Any]]:
    """The path, split at its literal slashes: texts, and where there are expressions lists of texts and expressions."""
    segments: list[list[Any]] = [[]]
    for piece in parsed.pieces:
        if not isinstance(piece, str):
            segments[-1].append(piece)
            continue
        first, *more = _legal(piece).split("/")
        segments[-1].append(first)
        segments.extend([text] for text in more)
    return ["".join(s) if all(isinstance(piece, str) for piece in s) else s for s in segments]


def _legal(text: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_PATH_LEGAL)


def _segment(pieces: list[Any], scope: Scope) -> str:
    segment = "".join([piece if type(piece) is str else _path_value(piece.search(scope)) for piece in pieces])
    if len(segment) <= len("%2e%2e") and segment.lower().replace("%2e", ".") in (".", ".."):
        raise ExpressionFailed("a dot segment in a path")
    return segment


def _path_value(value: Any) -> str:
    if value is None or value == "":
        raise ExpressionFailed("nothing to put into a path")
    return percent_encoded(value if type(value) is str else written(value))


def percent_encoded(text: str) -> str:
    """The text with all but unreserved characters percent-encoded, as UTF-8."""
    if _UNRESERVED.fullmatch(text):
        return text
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as exc:
        raise ExpressionFailed("a text with a lone surrogate") from exc


# --- query, headers, form


def query_binder(entries: Mapping[str, Any]) -> Binder[Pairs]:
    """Query pairs in their order; one with a null in it is left out, a list repeats the name. Raises ExpressionSyntax."""
    templates = _parsed(entries)

    def fill(scope: Scope) -> Pairs:
        pairs: Pairs = []
        for name, template in templates:
            value = _entry(template, scope)
            if type(value) is str:
                pairs.append((name, value))
            elif isinstance(value, list):
                pairs += [(name, written(item)) for item in value if item is not None]
            elif value is not None:
                pairs.append((name, written(value)))
        return pairs

    return Binder([template for _, template in templates], fill)


def header_binder(entries: Mapping[str, Any]) -> Binder[tuple[tuple[str, str], ...]]:
    """Header pairs, names in lower case; one with a null in it is left out. Raises ExpressionSyntax.

    CR, LF, NUL and other controls fail. What is not ASCII goes as the octets of its UTF-8, one character each.
    """
    templates = [(name.lower(), template) for name, template in _parsed(entries)]

    def fill(scope: Scope) -> tuple[tuple[str, str], ...]:
        return tuple([(name, _octets(written(value))) for name, template in templates if (value := _entry(template, scope)) is not None])

    return Binder([template for _, template in templates], fill)


def form_binder(entries: Mapping[str, Any]) -> Binder[bytes]:
    """A form's bytes (application/x-www-form-urlencoded): null is left out, a list repeats the name. Raises ExpressionSyntax."""
    templates = _parsed(entries)

    def fill(scope: Scope) -> bytes:
        values = [(name, value) for name, template in templates for value in _listed(template.value(scope)) if value is not None]
        try:
            return "&".join([f"{quote_plus(name)}={quote_plus(written(value))}" for name, value in values]).encode()
        except UnicodeEncodeError as exc:
            raise ExpressionFailed("a text with a lone surrogate") from exc

    return Binder([template for _, template in templates], fill)


def urlencode(pairs: Iterable[tuple[str, str]]) -> str:
    """The pairs as the query of a URL, without its question mark; a space is %20."""
    return "&".join([f"{percent_encoded(name)}={percent_encoded(value)}" for name, value in pairs])


def _parsed(entries: Mapping[str, Any]) -> list[tuple[str, Template]]:
    """A template for each entry, one for each item where it is a list; a null of the catalog's own has none."""
    parsed = []
    for name, value in entries.items():
        try:
            parsed += [(name, parse_template(item if isinstance(item, str) else written(item))) for item in _listed(value) if item is not None]
        except ExpressionSyntax as fault:
            raise fault.under(name) from None
    return parsed


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _entry(template: Template, scope: Scope) -> Any:
    """The value of a query's or header's entry: null where there is a null in it."""
    if template.constant is not None:
        return template.constant
    if template.alone is not None:
        return template.alone.search(scope)
    values = template.values(scope)
    return None if None in values else "".join(map(written, values))


def _octets(text: str) -> str:
    """A header's value, fit to be written as latin-1."""
    if NOT_IN_HEADERS.search(text):
        raise ExpressionFailed("a line break or other control character in a header")
    if text.isascii():
        return text
    try:
        return text.encode().decode("latin-1")
    except UnicodeEncodeError as exc:
        raise ExpressionFailed("a text with a lone surrogate") from exc
