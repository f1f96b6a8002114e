"""Expressions: each parsed, each name in it declared where it stands; and who waits for whom, without a cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from app.catalog.check_names import RESERVED
from app.catalog.faults import Faults, Place, did_you_mean
from app.catalog.nodes import Items, Leaf, Table, leaves, table, tables, text
from app.catalog.places import CALL_TEMPLATES, UPSTREAM_TEMPLATES, merged_names
from app.catalog.resolve import hidden_params
from app.expressions.bind import path_binder
from app.expressions.expression import parse_expression
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import parse_template

_NO_DEPENDENCY = ("fallback",)
_MESSAGE_PER_CLIENT = "in a live endpoint, where it would make every client a topic of its own"


class Reads(Protocol):
    """What a parsed expression tells of the names that it reads."""

    @property
    def names(self) -> frozenset[str]: ...
    @property
    def paths(self) -> frozenset[tuple[str, ...]]: ...


Parse = Callable[[str], Reads]


@dataclass(slots=True)
class _Endpoint:
    """One endpoint under check: what its expressions may name, and who waits for whom.

    `told` is shared by all: an upstream's templates are read for every call, and an unknown name in one is told once; so is
    `parsed`: what is written many times is parsed once. `hidden`: params that no hint shows.
    """

    name: str
    node: Table
    faults: Faults
    params: dict[str, None] = field(default_factory=dict)
    calls: dict[str, None] = field(default_factory=dict)
    waits: dict[str, list[str]] = field(default_factory=dict)
    told: set[tuple[Place, str]] = field(default_factory=set)
    parsed: dict[tuple[Parse, str], Reads] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    @property
    def is_live(self) -> bool:
        return "live" in self.node.entries

    def read(self, leaf: Leaf, parse: Parse) -> Reads | None:
        """The expression of a leaf, None where there is none; a fault too tells what is read."""
        if not isinstance(leaf.value, str) or leaf.place in self.faults.spoilt:
            return None
        if (parse, leaf.value) not in self.parsed:
            try:
                self.parsed[parse, leaf.value] = parse(leaf.value)
            except ExpressionSyntax as fault:
                for one in fault.each:
                    self.faults.add(leaf.place, one.message, one.hint)
                return fault
        return self.parsed[parse, leaf.value]

    def names_of(self, leaf: Leaf, parse: Parse, *, but: tuple[str, ...] = (), calls: bool = True) -> frozenset[str]:
        """The names that a leaf reads, every unknown one told. `but`: reserved names that have no meaning here."""
        found = self.read(leaf, parse)
        if found is None:
            return frozenset()
        self._check_per_client(leaf, found)
        for name in sorted(found.names):
            is_known = name not in but if name in RESERVED else name in self.params or (calls and name in self.calls)
            if not is_known and (leaf.place, name) not in self.told:
                self.told.add((leaf.place, name))
                self.faults.add(leaf.place, *self._unknown(name))
        return found.names

    def _unknown(self, name: str) -> tuple[str, str | None]:
        if name == "item":
            return "'item' is known inside of `each` alone", "give the call an `each`, or name a call or a param"
        if name in self.calls:
            return f"'{name}' is a call: what stands here is asked before the calls", None
        if name in RESERVED:
            return f"'{name}' is not known here", None
        known = [*(param for param in self.params if param not in self.hidden), *self.calls]
        return f"unknown name '{name}' in the endpoint '{self.name}'", did_you_mean(name, [*known, *RESERVED]) or _listed(known)

    def _check_per_client(self, leaf: Leaf, found: Reads) -> None:
        if not self.is_live:
            return
        for path in sorted(found.paths):
            if path in (("request", "id"), ("request", "address")):
                self.faults.add(leaf.place, f"request.{path[1]} {_MESSAGE_PER_CLIENT}")
            elif path == ("request",):
                self.faults.add(leaf.place, f"the whole request, its id and address with it, {_MESSAGE_PER_CLIENT}", "name what you need of it")


def _listed(names: Iterable[str]) -> str | None:
    first = list(islice(names, 9))
    return f"declared are {', '.join(first[:8])}{', ...' if len(first) > 8 else ''}" if first else None


def _over_body(expression: str) -> Reads:
    return parse_expression(expression, over="body")


def check_expressions(root: Table, faults: Faults) -> None:
    """Every expression of the catalog."""
    upstreams = table(root, "upstreams")
    used: set[str] = set()
    told, parsed = set[tuple[Place, str]](), dict[tuple[Parse, str], Reads]()
    for name, _, node in tables(root, "endpoints"):
        params, calls = (dict.fromkeys(_keys(node, key)) for key in ("params", "calls"))
        endpoint = _Endpoint(name, node, faults, params, calls, told=told, parsed=parsed, hidden=hidden_params(node))
        for call, _, spec in tables(node, "calls"):
            upstream = text(spec, "upstream") or ""
            used.add(upstream)
            _check_call(call, spec, table(upstreams, upstream), endpoint)
        _check_answer(endpoint)
        _check_cycles(endpoint)
    for name, _, upstream_node in tables(root, "upstreams"):
        if name not in used:
            _check_syntax(upstream_node, faults)


def _keys(node: Table, key: str) -> Iterator[str]:
    inner = table(node, key)
    yield from inner.entries if inner else ()


def _check_syntax(upstream: Table, faults: Faults) -> None:
    """The templates of an upstream that no call uses: what they name cannot be known."""
    reader = _Endpoint("", upstream, faults)
    for key in UPSTREAM_TEMPLATES:
        for leaf in leaves(upstream.get(key)):
            reader.read(leaf, parse_template)


def _check_call(name: str, call: Table, upstream: Table | None, endpoint: _Endpoint) -> None:
    """A call's expressions; notes which calls it waits for."""
    waits: list[str] = []
    no_item: tuple[str, ...] = () if "each" in call.entries else ("item",)
    for key in ("when", "each"):
        if isinstance(leaf := call.get(key), Leaf):
            waits += endpoint.names_of(leaf, parse_expression, but=("item",))
    if isinstance(select := call.get("select"), Leaf):
        endpoint.read(select, _over_body)
    for key in CALL_TEMPLATES:
        for leaf in leaves(call.get(key)):
            parse: Parse = path_binder if key == "path" else parse_template
            is_fallback = key in _NO_DEPENDENCY
            names = endpoint.names_of(leaf, parse, but=("item",) if is_fallback else no_item)
            waits += () if is_fallback else names
    for key in UPSTREAM_TEMPLATES if upstream else ():
        for leaf in leaves(upstream.get(key) if upstream else None):
            waits += endpoint.names_of(leaf, parse_template, but=no_item)
    waits += _check_after(call, endpoint)
    endpoint.waits[name] = [one for one in dict.fromkeys(waits) if one in endpoint.calls]


def _check_after(call: Table, endpoint: _Endpoint) -> list[str]:
    """The calls of `after`, every unknown one told."""
    listed, names = call.get("after"), []
    for item in listed.items if isinstance(listed, Items) else ():
        if (name := text(item)) is not None and isinstance(item, Leaf):
            names.append(name)
            _check_is_call(name, item, endpoint)
    return names


def _check_is_call(name: str, leaf: Leaf, endpoint: _Endpoint) -> None:
    if name in endpoint.calls:
        return
    near = did_you_mean(name, endpoint.calls) if leaf.pieces is None else None
    hint = "write the name without braces" if "{" in leaf.written.replace("${", "") else near or _listed(endpoint.calls)
    kind = "a param, no call" if name in endpoint.params else f"no call of the endpoint '{endpoint.name}'"
    endpoint.faults.add(leaf.place, f"{leaf.shown} is {kind}", hint)


def _check_answer(endpoint: _Endpoint) -> None:
    """`response`, `allow` and the path of a proxy."""
    response = endpoint.node.get("response")
    merged = merged_names(response)
    for leaf in leaves(response) if merged is None else ():
        endpoint.names_of(leaf, parse_template, but=("item",))
    for item in merged.items if merged is not None else ():
        if isinstance(item, Leaf) and isinstance(item.value, str):
            _check_is_call(item.value, item, endpoint)
        else:
            endpoint.faults.add(item.place, "merge: a list of names of calls", "quote a name that is a number")
    if isinstance(allow := endpoint.node.get("allow"), Leaf):
        endpoint.names_of(allow, parse_expression, but=("item",), calls=False)
    if isinstance(path := (table(endpoint.node, "proxy") or endpoint.node).get("path"), Leaf):
        endpoint.names_of(path, path_binder, but=("item", "body"), calls=False)


# --- cycles


def _check_cycles(endpoint: _Endpoint) -> None:
    """A call that waits for itself in the end is never started: each cycle is printed once."""
    calls = table(endpoint.node, "calls")
    told: set[str] = set()
    for name in endpoint.waits:
        cycle = _cycle(name, endpoint.waits)
        if cycle and calls is not None and not told & set(cycle):
            told |= set(cycle)
            place: Place = calls.entries[name].key
            endpoint.faults.add(place, f"a cycle: {' -> '.join(cycle)}", "an arrow means: waits for")


def _cycle(start: str, waits: dict[str, list[str]]) -> list[str] | None:
    """The shortest way from a call back to itself."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        further = []
        for way in ways:
            for name in waits.get(way[-1], ()):
                if name == start:
                    return [*way, name]
                if name not in seen:
                    seen.add(name)
                    further.append([*way, name])
        ways = further
    return None
