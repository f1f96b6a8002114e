"""What a catalog leaves unsaid: shorthands written out, defaults merged (defaults < upstream < call), `off` taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.catalog.nodes import Entry, Items, Leaf, Node, Table, table

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


def _is_off(node: Node, key: str, offable: set[str]) -> bool:
    """Whether a value takes its key away: null, or `off` where a policy stands."""
    if not isinstance(node, Leaf) or (node.value is None and key in _VALUES):
        return False
    return node.value is None or (node.value == "off" and key in offable)


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


def _laid_over(base: Table | None, over: Table, offable: set[str]) -> Table:
    """`over` on top of `base`, top-level keys that are off or null taken away."""
    if base is not None:
        kept = {key: entry for key, entry in base.entries.items() if not _is_off(entry.node, key, offable)}
        base = replace(base, entries=_without_rivals(kept, over))
        merged = _merged(base, over)
        assert isinstance(merged, Table)  # noqa: S101 - both are
        over = merged
    gone: dict[str, Entry | None] = {key: None for key, entry in over.entries.items() if _is_off(entry.node, key, offable)}
    return over.with_entries(gone) if gone else over


def _without_rivals(base: dict[str, Entry], over: Table) -> dict[str, Entry]:
    """The inherited entries without credentials of another kind: they are alternatives, not to be merged."""
    inherited, own = base.get("auth"), table(over, "auth")
    if inherited and own and isinstance(inherited.node, Table) and inherited.node.entries.keys() != own.entries.keys():
        return {key: entry for key, entry in base.items() if key != "auth"}
    return base


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
    return _laid_over(defaults, own, OFF_UPSTREAM)


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

    return _laid_over(_less(defaults, impossible), own, OFF_ENDPOINT)


def of(root: Table, kind: str) -> Table | None:
    """`defaults.upstream` or `defaults.endpoint`, its shorthands written out, and without what is off anyway."""
    found = table(table(root, "defaults"), kind)
    return _laid_over(None, written_out(found), OFF_UPSTREAM if kind == "upstream" else OFF_ENDPOINT) if found else None


def call(own: Table, of_upstream: Table | None, of_endpoint: Table) -> Table:
    """A call with the effective policies of its upstream, and the endpoint's `forward` unless it has its own."""
    own = replace(own, entries={key: entry if key == "concurrency" else _written_out(key, entry) for key, entry in own.entries.items()})
    inherited = {key: entry for key in OVERRIDABLE if of_upstream and (entry := of_upstream.entries.get(key))}
    if "forward" not in own.entries and "forward" in of_endpoint.entries:
        inherited["forward"] = of_endpoint.entries["forward"]
    return _laid_over(Table(inherited, own.place), own, OFF_CALL)
