"""YAML text to nodes: the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), with line and column.

PyYAML's parser gives the events; what they mean is decided here, since PyYAML's own resolver is that of YAML 1.1, where
`on`, `no` and `12:30` are no texts. No tags, no merge keys; duplicate keys are faults; aliases are expanded, and the whole
is bounded in nodes and depth, so that no document is larger than it looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.catalog.faults import Faults, Place
from app.catalog.nodes import Entry, Items, Leaf, Node, Pieces, Scalar, Table
from app.expressions.values import is_in_range

MAX_NODES = 100_000
MAX_DEPTH = 100
_LONGEST_NUMBER = 400
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

Interpolate = Callable[[str, Place], "Pieces | None"]
"""Source text to pieces, None where nothing is substituted; raises `Spoilt` after telling the fault."""


class Spoilt(Exception):
    """A scalar whose fault has been told."""


class _Stop(Exception):
    """The document goes on in a way that makes reading on useless; the fault has been told."""


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar. ValueError where it is a number that JSON does not have."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text) or (len(text) > _LONGEST_NUMBER and any(form.fullmatch(text) for form in (_FLOAT, _OCTAL, _HEX))):
        raise ValueError
    number = _number(text)
    if number is not None and not is_in_range(number):
        raise ValueError
    return text if number is None else number


def _number(text: str) -> int | float | None:
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    return float(text) if _FLOAT.fullmatch(text) else None


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    place: Place
    is_table: bool
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, Place] | None = None
    is_dropped: bool = False
    size: int = 1
    depth: int = 0


class _Reader:
    """Builds the tree of one document from its events, without recursion."""

    def __init__(self, file: str, faults: Faults, interpolate: Interpolate) -> None:
        self.file = file
        self.faults = faults
        self.interpolate = interpolate
        self.open: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        self.total = 0
        self.root: Node | None = None

    def place(self, event: Any) -> Place:
        """Where an event starts."""
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def take(self, event: Any) -> None:
        """Adds one event to the tree."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self.faults.add(self.place(event), "a second document: a catalog file holds one")
            raise _Stop

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            self.faults.add(self.place(event), f"a tag ('{event.tag}'): a catalog has none", "write the value without it")

    def _scalar(self, event: Any) -> None:
        self._refuse_tag(event)
        place = self.place(event)
        if self._awaits_key():
            if event.anchor:
                self.anchors[event.anchor] = Leaf(event.value, place, event.value)
            self._key(event.value, place, is_plain=event.implicit[0])
            return
        self._put(self._leaf(event.value, place, is_plain=event.implicit[0]), event.anchor)

    def _leaf(self, written: str, place: Place, *, is_plain: bool) -> Leaf:
        try:
            pieces = self.interpolate(written, place)
        except Spoilt:
            return Leaf(written, place, written)
        text = written if pieces is None else "".join(one if isinstance(one, str) else one.text for one in pieces)
        if not is_plain:
            return Leaf(text, place, written, pieces)
        try:
            return Leaf(resolve(text), place, written, pieces)
        except ValueError:
            self.faults.spoil(place, "a number that JSON does not have: infinite, not a number, or too long", "quote it where a text is meant")
            return Leaf(0, place, written)

    def _alias(self, event: Any) -> None:
        place = self.place(event)
        node = self.anchors.get(event.anchor)
        if node is None:
            inside = "stands inside of what it names" if event.anchor in self.anchors else "has no anchor before it"
            self.faults.spoil(place, f"the alias '*{event.anchor}' {inside}")
            if self._awaits_key():
                raise _Stop
            node = Leaf(0, place, f"*{event.anchor}")
        if not self._awaits_key():
            self._put(node, None, place)
        elif isinstance(node, Leaf):
            self._key(node.written, place, is_plain=False)
        else:
            self._odd_key(place)

    def _awaits_key(self) -> bool:
        return bool(self.open) and self.open[-1].is_table and self.open[-1].key is None

    def _odd_key(self, place: Place) -> None:
        self.faults.add(place, "a key that is a list or a mapping: keys are texts", "quote it where it holds braces or brackets")
        raise _Stop

    def _key(self, key: str, place: Place, *, is_plain: bool) -> None:
        top = self.open[-1]
        if key == "<<" and is_plain:
            self.faults.add(place, "a merge key ('<<'): a catalog has none", "use `defaults`, or repeat the keys")
        top.is_dropped = key in top.entries or (key == "<<" and is_plain)
        if key in top.entries:
            first = top.entries[key].key
            self.faults.add(place, f"the key '{key}' is there twice, first in line {first.line}")
        top.key = (key, place)
        top.size += 1
        self.total += 1

    def _start(self, event: Any) -> None:
        self._refuse_tag(event)
        place = self.place(event)
        if self._awaits_key():
            self._odd_key(place)
        if len(self.open) >= MAX_DEPTH:
            self._too_deep(place)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(place, isinstance(event, yaml.MappingStartEvent), event.anchor))

    def _too_deep(self, place: Place) -> None:
        self.faults.add(place, f"nested more than {MAX_DEPTH} deep")
        raise _Stop

    def _end(self) -> None:
        done = self.open.pop()
        node: Node
        if done.is_table:
            node = Table(done.entries, done.place, done.size, done.depth)
        else:
            node = Items(tuple(done.items), done.place, done.size, done.depth)
        self._put(node, done.anchor, is_counted=True)

    def _put(self, node: Node, anchor: str | None, place: Place | None = None, *, is_counted: bool = False) -> None:
        """Adds a value where it belongs; an alias counts as many nodes as it stands for."""
        if anchor:
            self.anchors[anchor] = node
        self.total += 1 if is_counted else node.size
        if self.total > MAX_NODES:
            self.faults.add(place or node.place, f"more than {MAX_NODES:,} nodes, aliases expanded")
            raise _Stop
        if not self.open:
            self.root = node
            return
        if len(self.open) + node.depth > MAX_DEPTH:
            self._too_deep(place or node.place)
        top = self.open[-1]
        top.size += node.size
        top.depth = max(top.depth, node.depth + 1)
        if not top.is_table:
            top.items.append(node)
            return
        assert top.key is not None  # noqa: S101 - a value of a mapping comes after its key
        key, at = top.key
        top.key = None
        if not top.is_dropped:
            top.entries[key] = Entry(at, node)


def read(source: str, file: str, faults: Faults, interpolate: Interpolate) -> Node | None:
    """The document's tree, None where there is none to go on with; every fault of the text is told."""
    reader = _Reader(file, faults, interpolate)
    source = _without_old_breaks(source, file, faults)
    try:
        for event in yaml.parse(source, Loader=_Loader):
            reader.take(event)
    except _Stop:
        return reader.root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        faults.add(place, f"no YAML: {error.problem or error.context}", _syntax_hint(source, place))
        return None
    except yaml.reader.ReaderError as error:
        faults.add(_first_special(source, file), f"no YAML: {error.reason}")
        return None
    if reader.root is None:
        faults.add(Place(file, 1, 1), "the file is empty", "it needs `upstreams` and `endpoints`")
    return reader.root


_OLD_BREAK = re.compile("[\x85\u2028\u2029]")
"""Line breaks of YAML 1.1, and of PyYAML; in YAML 1.2 (section 5.4) characters like any other."""


def _without_old_breaks(source: str, file: str, faults: Faults) -> str:
    """The text with a space for each of them, every one of which is told: so lines are what an editor counts."""
    if not _OLD_BREAK.search(source):
        return source
    for number, line in enumerate(source.split("\n"), 1):
        for found in _OLD_BREAK.finditer(line):
            code = f"{ord(found[0]):04X}"
            faults.add(
                Place(file, number, found.start() + 1), f"a raw U+{code}: some take it for a line break", f"write it as \\u{code} in double quotes"
            )
    return _OLD_BREAK.sub(" ", source)


_SPECIAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _first_special(source: str, file: str) -> Place:
    """Where the first character stands that YAML does not allow."""
    found = _SPECIAL.search(source)
    at = found.start() if found else 0
    return Place(file, source.count("\n", 0, at) + 1, at - (source.rfind("\n", 0, at) + 1) + 1)


def _syntax_hint(source: str, place: Place) -> str | None:
    lines = source.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not with tabs"
    if "{" in line or "%" in line or "@" in line or "`" in line:
        return "quote a text that holds braces or starts with % @ `"
    return None
