"""Calls and proxies: their upstream is there, and they say what a call to its kind can say."""

from __future__ import annotations

from app.catalog.faults import Faults, did_you_mean
from app.catalog.nodes import Entry, Items, Leaf, Node, Table, table, tables, text

_OF_HTTP = ("path", "method", "query", "headers", "body", "form", "graphql", "variables", "stream")
_NOT_PROXIED = ("response", "live", "envelope")
_FIRST_FAILURE = 300


def check_calls(root: Table, faults: Faults) -> None:
    """Every endpoint's calls, or its proxy."""
    upstreams = table(root, "upstreams")
    for name, entry, endpoint in tables(root, "endpoints"):
        _check_kind(name, entry, endpoint, faults)
        for call, place, spec in tables(endpoint, "calls"):
            upstream = _upstream_of(spec, upstreams, faults)
            _check_request(call, place, spec, upstream, faults)
            _check_form(spec, faults)
            _check_statuses(spec, faults)
            _warn_of_no_effect(spec, upstream, endpoint, faults)
        _check_proxy(endpoint, upstreams, faults)


def _check_kind(name: str, entry: Entry, endpoint: Table, faults: Faults) -> None:
    """An endpoint has calls, or is a proxy; only GET can be live."""
    calls = table(endpoint, "calls")
    if "proxy" in endpoint.entries:
        for key in ("calls", *_NOT_PROXIED):
            if key in endpoint.entries:
                faults.add(endpoint.key(key), f"`{key}` beside `proxy`: '{name}' passes an answer through and shapes none")
        if "body" in endpoint.entries:
            faults.warn(endpoint.key("body"), f"`body` beside `proxy` has no effect: '{name}' passes bodies through unread")
    elif "calls" not in endpoint.entries:
        faults.add(entry.key, f"'{name}' has neither calls nor a proxy")
    elif calls is not None and not calls.entries:
        faults.add(endpoint.key("calls"), f"'{name}' has no calls")
    if "live" in endpoint.entries and "get" not in endpoint.entries:
        faults.add(endpoint.key("live"), f"`live` needs GET: '{name}' has another method")


def _upstream_of(spec: Table, upstreams: Table | None, faults: Faults) -> Table | None:
    """The upstream that a call or proxy names; a fault where there is none of the name."""
    leaf, name = spec.get("upstream"), text(spec, "upstream")
    if name is None or not isinstance(leaf, Leaf):
        return None
    known = upstreams.entries if upstreams else {}
    if name not in known:
        hint = did_you_mean(name, known) if leaf.pieces is None else None
        faults.add(
            leaf.place, f"unknown upstream {leaf.shown}", hint or (f"declared are {', '.join(list(known)[:8])}" if known else "none is declared")
        )
        return None
    return table(upstreams, name)


def _check_request(name: str, place: Entry, spec: Table, upstream: Table | None, faults: Faults) -> None:
    """A call asks in one way, and in one that its upstream understands."""
    if upstream is not None and "python" in upstream.entries and not {"url", "urls"} & upstream.entries.keys():
        for key in _OF_HTTP:
            if key in spec.entries:
                faults.add(spec.key(key), f"`{key}` means nothing to a Python function", "a function takes `args`")
        return
    if "args" in spec.entries and upstream is not None:
        faults.add(spec.key("args"), "`args` are for Python functions", "HTTP takes path, query, headers, body or form")
        return
    bodies = [key for key in ("body", "form", "graphql") if key in spec.entries]
    for key in bodies[1:]:
        faults.add(spec.key(key), f"`{key}` beside `{bodies[0]}`: a request has one body")
    if "variables" in spec.entries and "graphql" not in spec.entries:
        faults.add(spec.key("variables"), "`variables` without `graphql`")
    method = spec.get("method")
    if "graphql" in spec.entries and isinstance(method, Leaf) and method.value not in (None, "POST"):
        faults.add(method.place, f"GraphQL goes by POST, not {method.shown}")
    if upstream is not None and not {"path", "graphql"} & spec.entries.keys():
        faults.add(place.key, f"the call '{name}' has no path", 'such as path: "/things/{id}"')


def _check_form(spec: Table, faults: Faults) -> None:
    """A form has texts: a field has one or a list of them."""
    form = table(spec, "form")
    for name, entry in form.entries.items() if form else ():
        listed: tuple[Node, ...] = entry.node.items if isinstance(entry.node, Items) else (entry.node,)
        for node in listed:
            if not isinstance(node, Leaf):
                kind = "an object" if isinstance(node, Table) else "a list in a list"
                faults.add(node.place, f"form: {kind} cannot be the field '{name}'", "a field is a text, a number, true or false, or a list of these")


def _check_statuses(spec: Table, faults: Faults) -> None:
    """`pass_status` and `null_on` speak of failures."""
    for key in ("pass_status", "null_on"):
        listed = spec.get(key)
        for item in listed.items if isinstance(listed, Items) else ():
            if not isinstance(item, Leaf) or not isinstance(item.value, int) or isinstance(item.value, bool):
                continue
            if 100 <= item.value < _FIRST_FAILURE:
                faults.add(item.place, f"{key}: {item.shown} is no failure", "statuses from 300 on are")


def _warn_of_no_effect(spec: Table, upstream: Table | None, endpoint: Table, faults: Faults) -> None:
    """Keys that need another one to mean anything."""
    needs = {"every": "`live` on the endpoint", "concurrency": "`each`", "max_items": "`each`", "validate": "a `schema`"}
    there = {"every": "live" in endpoint.entries, "concurrency": "each" in spec.entries, "max_items": "each" in spec.entries}
    there["validate"] = "schema" in spec.entries or text(spec, "validate") == "off" or upstream is None or "openapi" in upstream.entries
    for key, need in needs.items():
        if key in spec.entries and not there[key]:
            faults.warn(spec.key(key), f"`{key}` has no effect without {need}")


def _check_proxy(endpoint: Table, upstreams: Table | None, faults: Faults) -> None:
    proxy = table(endpoint, "proxy")
    upstream = _upstream_of(proxy, upstreams, faults) if proxy else None
    if proxy and upstream and "python" in upstream.entries:
        faults.add(proxy.entries["upstream"].node.place, "a Python function cannot be proxied", "make it a call")
