"""What a catalog leaves unsaid: shorthands written out, defaults merged (defaults < upstream < call), `off` taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import BaseModel

from app.catalog.nodes import Entry, Items, Leaf, Node, Table, table
from app.catalog.schema import CallSpec, Endpoint, Upstream

POLICIES = ("timeout", "retry", "hedge", "breaker", "concurrency", "rate", "cache", "coalesce")
OVERRIDABLE = ("timeout", "retry", "hedge", "cache", "coalesce", "max_body", "decode")
"""What a call takes over from its upstream unless it says otherwise."""
METHODS = ("get", "post", "put", "patch", "delete")
HTTP_ONLY = ("url", "urls", "connect_timeout", "headers", "query", "auth", "tls", "redirects", "decode", "transport", "openapi")
"""Keys that mean nothing for a Python upstream."""
OFF_UPSTREAM = {*POLICIES, "auth", "tls", "redirects"}
OFF_CALL = {*OVERRIDABLE, "forward", "every"}
OFF_ENDPOINT = {"live", "limit", "auth", "forward", "allow"}
_NUMBERS = {"concurrency": "max", "redirects": "max"}
_VALUES = {"body", "fallback", "response"}
"""Keys of which null is a value."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What stands in a section: the keys that it knows, and those of which `off` takes the policy away."""

    keys: frozenset[str]
    offable: set[str]

    @classmethod
    def of(cls, model: type[BaseModel], offable: set[str]) -> _Kind:
        """The kind of a model's mappings."""
        return cls(frozenset(field.alias or name for name, field in model.model_fields.items()), offable)


_UPSTREAM, _ENDPOINT, _CALL = _Kind.of(Upstream, OFF_UPSTREAM), _Kind.of(Endpoint, OFF_ENDPOINT), _Kind.of(CallSpec, OFF_CALL)


def _is_off(node: Node, key: str, kind: _Kind) -> bool:
    """Whether a value takes its key away: null, or `off` where a policy stands. An unknown key stays, to be told."""
    if not isinstance(node, Leaf) or key not in kind.keys or (node.value is None and key in _VALUES):
        return False
    return node.value is None or (node.value == "off" and key in kind.offable)


def _written_out(key: str, entry: Entry) -> Entry:
    """`concurrency: 8`, `rate: 200/s`, `redirects: 1`, `coalesce: off`, `forward: {headers: ["*"]}` in their long forms."""
    node = entry.node
    if isinstance(node, Leaf):
        is_number = isinstance(node.value, int) and not isinstance(node.value, bool)
        is_rate = key == "rate" and isinstance(node.value, str) and node.value != "off"
        if is_rate or (key in _NUMBERS and is_number):
            return replace(entry, node=Table({_NUMBERS.get(key, key): Entry(node.place, node)}, node.place))
        if key == "coalesce" and node.value == "off":
            return replace(entry, node=replace(node, value=False))
    if key == "forward" and isinstance(node, Table):
        stars = {name: replace(inner, node=_star(inner.node)) for name, inner in node.entries.items()}
        return replace(entry, node=node.with_entries(stars))
    return entry


def _star(node: Node) -> Node:
    """`["*"]` is `"*"`; beside other names (`x-forwarded-for` goes by name only) it stays in the list."""
    if isinstance(node, Items) and len(node.items) == 1 and isinstance(node.items[0], Leaf) and node.items[0].value == "*":
        return node.items[0]
    return node


def written_out(node: Table) -> Table:
    """A mapping with its shorthands in their long forms; `off` and null stay, for merging."""
    return replace(node, entries={key: _written_out(key, entry) for key, entry in node.entries.items()})


def _merged(base: Node, over: Node) -> Node:
    """Two values over one another: mappings deeply, anything else is replaced."""
    if not isinstance(base, Table) or not isinstance(over, Table):
        return over
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = base.entries.get(key)
        entries[key] = replace(entry, node=_merged(below.node, entry.node)) if below else entry
    return replace(over, entries=entries, inherited=frozenset(base.entries.keys() - over.entries.keys()))


def _laid_over(base: Table | None, over: Table, kind: _Kind) -> Table:
    """`over` on top of `base`, top-level keys that are off or null taken away."""
    if base is not None:
        kept = {key: entry for key, entry in base.entries.items() if not _is_off(entry.node, key, kind)}
        base = replace(base, entries=_without_namesakes(_without_rivals(kept, over), over))
        merged = _merged(base, over)
        assert isinstance(merged, Table)  # noqa: S101 - both are
        over = merged
    gone: dict[str, Entry | None] = {key: None for key, entry in over.entries.items() if _is_off(entry.node, key, kind)}
    return over.with_entries(gone) if gone else over


def _without_rivals(base: dict[str, Entry], over: Table) -> dict[str, Entry]:
    """The inherited entries without credentials of another kind: they are alternatives, not to be merged."""
    inherited, own = base.get("auth"), table(over, "auth")
    if inherited and own and isinstance(inherited.node, Table) and inherited.node.entries.keys() != own.entries.keys():
        return {key: entry for key, entry in base.items() if key != "auth"}
    return base


def _without_namesakes(base: dict[str, Entry], over: Table) -> dict[str, Entry]:
    """The inherited entries without headers that are written anew: their names have no case."""
    inherited, own = base.get("headers"), table(over, "headers")
    if inherited is None or own is None or not isinstance(inherited.node, Table):
        return base
    names = {name.lower() for name in own.entries}
    gone: dict[str, Entry | None] = {name: None for name in inherited.node.entries if name.lower() in names}
    return {**base, "headers": replace(inherited, node=inherited.node.with_entries(gone))}


def _less(base: Table | None, keys: Callable[[str], bool]) -> Table | None:
    """The inherited mapping without the keys that cannot hold for this heir."""
    return base and replace(base, entries={key: entry for key, entry in base.entries.items() if not keys(key)})


def upstream(own: Table, defaults: Table | None) -> Table:
    """An upstream with what it inherits. Of the defaults a Python upstream takes what is not HTTP's."""
    own = written_out(own)
    if "python" in own.entries:
        defaults = _less(defaults, lambda key: key in HTTP_ONLY)
    elif "url" in own.entries or "urls" in own.entries:
        defaults = _less(defaults, lambda key: key in ("url", "urls", "python", "run"))
    return _laid_over(defaults, own, _UPSTREAM)


def endpoint(own: Table, defaults: Table | None) -> Table:
    """An endpoint with what it inherits, but for what its kind cannot have: no `live` where it is not GET or a proxy."""
    own = written_out(own)
    is_proxy, methods = "proxy" in own.entries, own.entries.keys() & set(METHODS)

    def impossible(key: str) -> bool:
        if key in METHODS:
            return bool(methods)
        if key == "live":
            return is_proxy or "get" not in methods
        return key in ("response", "envelope", "calls") if is_proxy else key == "proxy"

    return _laid_over(_less(defaults, impossible), own, _ENDPOINT)


def of(root: Table, kind: str) -> Table | None:
    """`defaults.upstream` or `defaults.endpoint`, its shorthands written out, and without what is off anyway."""
    found = table(table(root, "defaults"), kind)
    return _laid_over(None, written_out(found), _UPSTREAM if kind == "upstream" else _ENDPOINT) if found else None


def call(own: Table, of_upstream: Table | None, of_endpoint: Table) -> Table:
    """A call with the effective policies of its upstream, and the endpoint's `forward` unless it has its own."""
    own = replace(own, entries={key: entry if key == "concurrency" else _written_out(key, entry) for key, entry in own.entries.items()})
    inherited = {key: entry for key in OVERRIDABLE if of_upstream and (entry := of_upstream.entries.get(key))}
    if "forward" not in own.entries and "forward" in of_endpoint.entries:
        inherited["forward"] = of_endpoint.entries["forward"]
    return _laid_over(Table(inherited, own.place), own, _CALL)
