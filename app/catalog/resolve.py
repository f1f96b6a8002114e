"""A catalog made whole: defaults merged, path params added, references to files followed. What `check` checks and `serve` serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from app.catalog import defaults, places
from app.catalog.faults import Faults, Place, did_you_mean
from app.catalog.json_schemas import Shapes, checked
from app.catalog.nodes import Entry, Leaf, Node, Table, planted, table, tables, text
from app.catalog.schema import Catalog, Endpoint, Upstream
from app.catalog.shape import check_inherited

ROUTE_PARAM = re.compile(r"\{([^{}]*)\}")
_HEIRS: dict[str, type[BaseModel]] = {"upstream": Upstream, "endpoint": Endpoint}
_FILES_OF_TLS = ("ca", "cert", "key")


def resolved(root: Table, folder: Path, faults: Faults) -> Table:
    """The whole catalog as `schema.Catalog` describes it; what is of a wrong shape is left as it is, for `shape` to tell."""
    shapes = Shapes(folder)
    _check_defaults(root, faults)
    of_upstreams, of_endpoints = defaults.of(root, "upstream"), defaults.of(root, "endpoint")
    root = _each(root, "upstreams", lambda node: _upstream(node, of_upstreams, folder, faults))
    root = _each(root, "auth", lambda node: _scheme(node, folder, faults))
    upstreams = table(root, "upstreams")
    root = _each(root, "endpoints", lambda node: _endpoint(node, of_endpoints, upstreams, shapes, faults))
    empty: dict[str, Entry | None] = {
        key: None for key, entry in root.entries.items() if key in Catalog.model_fields and isinstance(entry.node, Leaf) and entry.node.value is None
    }
    return root.with_entries({**empty, "defaults": None})


def _check_defaults(root: Table, faults: Faults) -> None:
    """The form of `defaults`, told even where nothing inherits."""
    entry = root.entries.get("defaults")
    if entry is None or (isinstance(entry.node, Leaf) and entry.node.value is None):
        return
    if not isinstance(entry.node, Table):
        faults.add(entry.node.place, "defaults should be a mapping with `upstream` or `endpoint`")
        return
    for key, one in entry.node.entries.items():
        if key not in _HEIRS:
            faults.add(one.key, f"unknown key '{key}' in defaults", did_you_mean(key, _HEIRS) or "there are `upstream` and `endpoint`")
        elif (node := defaults.of(root, key)) is not None:
            check_inherited(node, _HEIRS[key], faults, f"{key}s")
        elif not isinstance(one.node, Leaf) or one.node.value is not None:
            faults.add(one.node.place, f"defaults: {key} should be a mapping")


def _each(node: Table, key: str, change: Callable[[Table], Table]) -> Table:
    """The mapping with every mapping under `key` changed."""
    entry = node.entries.get(key)
    if entry is None or not isinstance(entry.node, Table):
        return node
    changed: dict[str, Entry | None] = {name: replace(one, node=change(inner)) for name, one, inner in tables(node, key)}
    return node.with_entries({key: replace(entry, node=entry.node.with_entries(changed))})


def _upstream(own: Table, inherited: Table | None, folder: Path, faults: Faults) -> Table:
    node = places.marked_upstream(defaults.upstream(own, inherited))
    tls = table(node, "tls")
    if tls is not None:
        files = {key: _file(tls.entries[key], folder, faults) for key in _FILES_OF_TLS if text(tls, key) is not None}
        node = node.with_entries({"tls": replace(node.entries["tls"], node=tls.with_entries(files))})
    if text(node, "openapi") is not None:
        node = node.with_entries({"openapi": _file(node.entries["openapi"], folder, faults)})
    return node


def _scheme(node: Table, folder: Path, faults: Faults) -> Table:
    """A scheme whose `jwks` is a URL or an absolute file."""
    jwks = text(node, "jwks")
    if jwks is None or jwks.startswith(("http://", "https://")):
        return node
    return node.with_entries({"jwks": _file(node.entries["jwks"], folder, faults)})


def _file(entry: Entry, folder: Path, faults: Faults) -> Entry:
    """A file's name made absolute, from the main catalog's folder; a fault where it cannot be read."""
    leaf = entry.node
    assert isinstance(leaf, Leaf)  # noqa: S101 - the callers have looked
    path = folder / str(leaf.value)
    try:
        with path.open("rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as error:
        faults.add(leaf.place, f"the file {leaf.shown} cannot be read: {getattr(error, 'strerror', None) or 'no file name'}")
    return replace(entry, node=replace(leaf, value=str(path.absolute())))


def _endpoint(own: Table, inherited: Table | None, upstreams: Table | None, shapes: Shapes, faults: Faults) -> Table:
    node = places.marked_endpoint(defaults.endpoint(own, inherited))
    node = _with_path_params(node)
    body = table(node, "body")
    if body is not None and "schema" in body.entries:
        schema = checked("schema", body.entries["schema"], shapes, faults)
        node = node.with_entries({"body": replace(node.entries["body"], node=body.with_entries({"schema": schema}))})
    return _each(node, "calls", lambda call: _call(call, node, upstreams, shapes, faults))


def _call(own: Table, endpoint: Table, upstreams: Table | None, shapes: Shapes, faults: Faults) -> Table:
    node = places.marked_call(defaults.call(own, table(upstreams, text(own, "upstream") or ""), endpoint))
    if "schema" in node.entries:
        node = node.with_entries({"schema": checked("schema", node.entries["schema"], shapes, faults)})
    return node


def route_of(endpoint: Table) -> tuple[str, Entry] | None:
    """An endpoint's method key and its entry; None where there is none, or more than one."""
    found = [(key, endpoint.entries[key]) for key in defaults.METHODS if key in endpoint.entries]
    return found[0] if len(found) == 1 else None


def path_params(endpoint: Table) -> list[str]:
    """The names in braces of an endpoint's path."""
    route = route_of(endpoint)
    path = text(route[1].node) if route else None
    return ROUTE_PARAM.findall(path) if path else []


def hidden_params(endpoint: Table) -> frozenset[str]:
    """The params of an endpoint's path whose names were substituted, at least in part: no message shows them."""
    route = route_of(endpoint)
    leaf = route[1].node if route else None
    if not isinstance(leaf, Leaf) or leaf.pieces is None:
        return frozenset()
    return frozenset(path_params(endpoint)) - frozenset(ROUTE_PARAM.findall(leaf.written))


def _with_path_params(endpoint: Table) -> Table:
    """The endpoint with the params of its path that are not listed, as texts; a path param is always required."""
    names, route = path_params(endpoint), route_of(endpoint)
    if not names or route is None:
        return endpoint
    at = route[1].node.place
    listed = table(endpoint, "params")
    if listed is None and "params" in endpoint.entries:
        return endpoint
    entries = dict(listed.entries) if listed else {}
    for name in names:
        entries[name] = _path_param(entries.get(name), at)
    params: Node = replace(listed, entries=entries) if listed else Table(entries, at)
    return endpoint.with_entries({"params": Entry(endpoint.key("params") if listed else at, params)})


def _path_param(listed: Entry | None, at: Place) -> Entry:
    if listed is None:
        return Entry(at, planted({"in": "path", "type": "string", "required": True}, at))
    if not isinstance(listed.node, Table):
        return listed
    missing: dict[str, Entry | None] = {
        key: Entry(listed.node.place, planted(value, listed.node.place))
        for key, value in (("in", "path"), ("required", True))
        if key not in listed.node.entries
    }
    return replace(listed, node=listed.node.with_entries(missing)) if missing else listed
