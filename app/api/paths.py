"""Finds the route of a path: literal segments win over params, whatever the order of declaration.

A path is taken segment by segment, as sent: `%2F` belongs to its segment's value, nothing is collapsed, and nobody is
redirected to another spelling. Each segment is percent-decoded by itself; `.` and `..` are no segment of any route,
because clients and proxies on the way resolve them (RFC 3986 section 6.2.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct
from starlette.types import Scope

T = TypeVar("T")

_PARAM = re.compile(r"\{([A-Za-z0-9_][A-Za-z0-9_.-]*)\}")


class BadPath(Exception):
    """The path is not UTF-8."""


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    mixed: list[tuple[tuple[int, int, str], re.Pattern[str], _Node[T]]] = field(default_factory=list)
    param: _Node[T] | None = None
    ends: dict[str, tuple[T, tuple[str, ...]]] = field(default_factory=dict)


class Found(Struct, Generic[T]):
    """What a path leads to: the route for the method, if any, and the methods of every route that the path fits."""

    route: T | None
    values: Mapping[str, str]
    methods: frozenset[str]


class Paths(Generic[T]):
    """A tree of segments. `add` at start, `find` per request: its cost is the path's length, not the number of routes."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, template: str, method: str, route: T) -> None:
        """Adds a route such as `/cities/{city}/brief`; a segment may be part text, part params (`{name}.json`)."""
        node, names = self._root, list[str]()
        for segment in template.removeprefix("/").split("/"):
            found = _PARAM.findall(segment)
            names += found
            if not found:
                node = node.literals.setdefault(_decoded(segment.encode()), _Node())
            elif segment == "{" + found[0] + "}":
                node.param = node = node.param or _Node()
            else:
                node = _mixed(node, segment)
        node.ends[method] = (route, tuple(names))

    def find(self, path: bytes, method: str) -> Found[T]:
        """The best route for a path as sent, without its query. BadPath where it is not UTF-8."""
        sent = path.removeprefix(b"/")
        segments = [_decoded(segment) for segment in sent.split(b"/")] if b"%" in sent else _decoded(sent).split("/")
        if "." in segments or ".." in segments:
            return Found(None, {}, frozenset())
        methods: set[str] = set()
        found = _find(self._root, segments, 0, (), method, methods)
        return found if found is not None else Found(None, {}, frozenset(methods))


def path_sent(scope: Scope) -> bytes:
    """The path as the client sent it, below the application's root."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        raw = quote(scope["path"], safe="/%:@!$&'()*+,;=~-._").encode()
    root = scope.get("root_path", "").encode()
    return raw.removeprefix(root) if root else raw


def has_encoded_slash(scope: Scope) -> bool:
    """Whether a segment of the path holds a slash: it then leads nowhere but to endpoints, whatever it looks like decoded."""
    return b"%2f" in path_sent(scope).lower()


def _mixed(node: _Node[T], segment: str) -> _Node[T]:
    """The way on from a segment of text and params: of several that fit, the one with the most text wins, then that with the fewest params."""
    texts = [_decoded(text.encode()) for text in _PARAM.split(segment)[::2]]
    shape = re.compile("(.+)".join(map(re.escape, texts)), re.DOTALL)
    for _, known, below in node.mixed:
        if known.pattern == shape.pattern:
            return below
    fresh: _Node[T] = _Node()
    node.mixed.append(((-sum(map(len, texts)), len(texts), shape.pattern), shape, fresh))
    node.mixed.sort(key=lambda entry: entry[0])
    return fresh


def _find(node: _Node[T], segments: list[str], at: int, values: tuple[str, ...], method: str, methods: set[str]) -> Found[T] | None:
    """The first route for the method, the most literal way first; on the way, the methods of those that the path fits otherwise."""
    while at < len(segments) and not node.mixed and (node.param is None or not node.literals):  # one way at most leads on
        segment = segments[at]
        if node.param is not None and segment:
            node, values = node.param, (*values, segment)
        elif (below := node.literals.get(segment)) is not None:
            node = below
        else:
            return None
        at += 1
    if at == len(segments):
        end = node.ends.get(method) or (node.ends.get("GET") if method == "HEAD" else None)
        if end is not None:
            return Found(end[0], dict(zip(end[1], values, strict=True)), frozenset())
        methods.update(node.ends)
        return None
    segment, found = segments[at], None
    if (below := node.literals.get(segment)) is not None:
        found = _find(below, segments, at + 1, values, method, methods)
    for _, shape, below in node.mixed:
        if found is None and (match := shape.fullmatch(segment)) is not None:
            found = _find(below, segments, at + 1, values + match.groups(), method, methods)
    if found is None and node.param is not None and segment:
        found = _find(node.param, segments, at + 1, (*values, segment), method, methods)
    return found


def _decoded(segment: bytes) -> str:
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise BadPath from None
