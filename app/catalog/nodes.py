"""A document as a tree in which every key and value knows where it is written; immutable, so that parts can be shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from app.catalog.faults import Place

Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Substituted:
    """A piece of a text that came from the environment or a file: data, never an expression."""

    text: str
    name: str


Pieces: TypeAlias = "tuple[str | Substituted, ...]"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. `written` is its source text; `pieces` tells where text was substituted, None where none was."""

    value: Scalar
    place: Place
    written: str = ""
    pieces: Pieces | None = None
    size: int = 1
    depth: int = 0

    @property
    def shown(self) -> str:
        """The value as a message may show it: in quotes, as written, before substitution."""
        text = self.written if len(self.written) <= 60 else self.written[:57] + "..."
        return f"'{text}'"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    place: Place
    size: int = 1
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a mapping, and where its key is written."""

    key: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in its order."""

    entries: Mapping[str, Entry]
    place: Place
    size: int = 1
    depth: int = 0
    inherited: frozenset[str] = field(default=frozenset())

    def get(self, key: str) -> Node | None:
        """The value of a key, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None

    def key(self, key: str) -> Place:
        """Where a key is written; the mapping's own place where it is not there."""
        entry = self.entries.get(key)
        return entry.key if entry else self.place

    def has_own(self, key: str) -> bool:
        """Whether the key is written here, not inherited from `defaults` or the upstream."""
        return key in self.entries and key not in self.inherited

    def with_entries(self, changes: Mapping[str, Entry | None]) -> Table:
        """This mapping with other values; None takes a key away."""
        entries = {**self.entries, **changes}
        return replace(self, entries={key: entry for key, entry in entries.items() if entry is not None})


Node: TypeAlias = "Leaf | Items | Table"


def table(node: Node | None, key: str | None = None) -> Table | None:
    """The node (or its value under `key`) if that is a mapping."""
    if key is not None:
        node = node.get(key) if isinstance(node, Table) else None
    return node if isinstance(node, Table) else None


def tables(node: Node | None, key: str) -> Iterator[tuple[str, Entry, Table]]:
    """The entries of the mapping under `key` that are mappings themselves: name, entry, mapping."""
    inner = table(node, key)
    for name, entry in inner.entries.items() if inner else ():
        if isinstance(entry.node, Table):
            yield name, entry, entry.node


def text(node: Node | None, key: str | None = None) -> str | None:
    """The node's text (or that of its value under `key`) if it is one."""
    if key is not None:
        node = node.get(key) if isinstance(node, Table) else None
    return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else None


def leaves(node: Node | None) -> Iterator[Leaf]:
    """Every scalar in the tree, in its order."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Items):
        for item in node.items:
            yield from leaves(item)
    elif isinstance(node, Table):
        for entry in node.entries.values():
            yield from leaves(entry.node)


def plain(node: Node) -> Any:
    """The tree as plain JSON values."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def planted(value: Any, place: Place) -> Node:
    """Plain JSON values as a tree, all of it at one place: for what the loader adds by itself."""
    if isinstance(value, Mapping):
        return Table({key: Entry(place, planted(one, place)) for key, one in value.items()}, place)
    if isinstance(value, list):
        return Items(tuple(planted(one, place) for one in value), place)
    return Leaf(value, place, "" if value is None else str(value))
