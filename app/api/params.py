"""Params of a request, from text or JSON to their declared types, with every fault at once; compiled once per endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from app.api.problems import Fault, Problem
from app.api.shapes import param_schema
from app.api.values import BadValue, Rules, compile_rules, from_json, from_text
from app.catalog.schema import Endpoint, Param
from app.core.context import text_of

Pairs = Sequence[tuple[str, str]]
_MISSING = object()
_NOT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters but tab: HTTP brings none of them in a header (RFC 9110 section 5.5)."""


class Params:
    """The params of one endpoint: `bind` takes them from a request, `bind_json` from a mapping of JSON values."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._all = [_Declared(name, param) for name, param in endpoint.params.items()]
        forwarded = _forwarded(endpoint)
        self._in_query = {one.key for one in self._all if one.place == "query"}
        self._known = self._in_query | forwarded
        self._names = forwarded.union(one.name for one in self._all)
        self._strict = endpoint.strict_query and "*" not in forwarded
        self.headers = frozenset(one.key for one in self._all if one.place == "header")

    def bind(self, path: Mapping[str, str], query: Pairs, headers: Pairs) -> tuple[dict[str, Any], list[Fault]]:
        """Values by name, null where not given, and the faults; header names are lower case."""
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        sent = _by_name(query) if self._in_query else {}
        for one in self._all:
            if one.place == "query":
                given: Any = sent.get(one.key, _MISSING)
            elif one.place == "path":
                given = [path[one.key]] if one.key in path else _MISSING
            else:
                given = [text_of(v) for n, v in headers if n == one.key] or _MISSING
            values[one.name] = one.take(given, one.of_text, faults)
        if self._strict:
            faults += [_unknown(name) for name in dict.fromkeys(n for n, _ in query if n not in self._known)]
        return values, faults

    def bind_json(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Values by name of typed JSON or its text forms; the same rules. Problem 422 names every fault."""
        faults: list[Fault] = []
        values = {}
        for one in self._all:
            sent = given.get(one.name)
            values[one.name] = one.take(_MISSING if sent is None else sent, one.of_json, faults)
        if self._strict:
            faults += [_unknown(name) for name in given if name not in self._names]
        if faults:
            raise Problem(422, errors=faults)
        return values


def compile_params(endpoint: Endpoint) -> Params:
    """The binder of an endpoint's params; patterns and formats are compiled here."""
    return Params(endpoint)


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """Decoded pairs in their order, empty values kept. Problem 400 where they are not UTF-8."""
    if not raw:
        return []
    try:
        if b"%" not in raw and b"+" not in raw:
            cut = [pair.partition("=") for pair in raw.decode().split("&")]
            return [(name, value) for name, equals, value in cut if name or equals]
        return [(_decoded(n), _decoded(v)) for n, e, v in (pair.partition(b"=") for pair in raw.split(b"&")) if n or e]
    except UnicodeDecodeError:
        raise Problem(400, "The query is not UTF-8.") from None


def _forwarded(endpoint: Endpoint) -> set[str]:
    """Query parameters that go on to an upstream without being declared: they are known too."""
    return {name for forward in (endpoint.forward, *(call.forward for call in endpoint.calls.values())) for name in forward.query}


def _by_name(query: Pairs) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in query:
        found.setdefault(name, []).append(value)
    return found


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()


class _Declared:
    """One declared param, ready to take what was sent."""

    def __init__(self, name: str, param: Param) -> None:
        self.name, self.place = name, param.place
        self.key = name.lower() if param.place == "header" else name
        self._required = param.place == "path" or bool(param.required)
        self._default = param.default
        self._is_array = param.type == "array"
        self._splits = self._is_array and param.place != "query"
        self._rules, self._item = compile_rules(param_schema(param)), compile_rules(param.items or {"type": "string"})

    def take(self, given: Any, convert: Callable[[Any, list[Fault]], Any], faults: list[Fault]) -> Any:
        """The value of what was sent, the default, or null."""
        if given is _MISSING:
            if self._required and self._default is None:
                faults.append(self._fault("must be given", "required"))
            return self._default
        return convert(given, faults)

    def of_text(self, given: list[str], faults: list[Fault]) -> Any:
        """Of texts as sent; a scalar given twice is the last one."""
        if not self._is_array:
            return self._checked(given[-1], self._rules, from_text, faults)
        texts: Iterable[str] = [piece.strip() for text in given for piece in text.split(",")] if self._splits else given
        return self._array(texts, from_text, faults)

    def of_json(self, given: Any, faults: list[Fault]) -> Any:
        """Of a JSON value; one that stands alone is an array of one. A header's text is one that HTTP could bring."""
        texts = given if isinstance(given, list) else [given]
        if self.place == "header" and any(isinstance(text, str) and _NOT_IN_HEADER.search(text) for text in texts):
            faults.append(self._fault("must hold no control character", "pattern"))
            return None
        if self._is_array:
            return self._array(texts, from_json, faults)
        return self._checked(given, self._rules, from_json, faults)

    def _array(self, given: Iterable[Any], convert: Callable[[Any, Rules], Any], faults: list[Fault]) -> list[Any]:
        values = [self._checked(one, self._item, convert, faults, at) for at, one in enumerate(given)]
        return self._checked(values, self._rules, lambda v, rules: rules.checked(v), faults) or []

    def _checked(self, given: Any, rules: Rules, convert: Callable[[Any, Rules], Any], faults: list[Fault], *at: int) -> Any:
        try:
            return convert(given, rules)
        except BadValue as bad:
            faults.append(self._fault(bad.message, bad.rule, *at))
            return None

    def _fault(self, message: str, rule: str, *at: int) -> Fault:
        return {"loc": [self.place, self.name, *at], "msg": message, "type": rule}


def _unknown(name: str) -> Fault:
    return {"loc": ["query", name[:100]], "msg": "is not a parameter of this endpoint", "type": "unknown"}
