"""Routes: one method each, a path that can be matched, none of our own, none twice; and the params of the path."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from app.catalog.defaults import METHODS
from app.catalog.faults import Faults, Place, did_you_mean
from app.catalog.nodes import Entry, Leaf, Table, tables, text
from app.catalog.resolve import ROUTE_PARAM, hidden_params, path_params, route_of

OWN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/asyncapi.json", "/console", "/ws")
"""Paths that are ours; what is under /docs and /console is, too."""
_OURS = re.compile("|".join(re.escape(path) for path in OWN) + "|/(docs|console)/.*")
_Shape = tuple[tuple[str, ...], ...]
"""A path by its segments, each the texts round its params, decoded: what a request's path is held against."""
_SEGMENT = re.compile(r"(?:[^\s{}?#%/]|%[0-9A-Fa-f]{2}|\{[^{}]*\})*")


def check_routes(root: Table, faults: Faults) -> None:
    """Every endpoint's method and path."""
    taken: dict[tuple[str, _Shape], tuple[str, Place]] = {}
    for name, entry, endpoint in tables(root, "endpoints"):
        _check_methods(name, entry, endpoint, faults)
        route = route_of(endpoint)
        leaf = route[1].node if route else None
        path = text(leaf)
        if route is None or path is None or not isinstance(leaf, Leaf) or not _is_path(path, leaf, hidden_params(endpoint), faults):
            continue
        method, shape = route[0], (route[0], _shape(path))
        if shape in taken:
            other, first = taken[shape]
            faults.add(leaf.place, f"the route {method.upper()} {leaf.shown} of '{name}' is that of '{other}' ({first.file}, line {first.line})")
        else:
            taken[shape] = (name, leaf.place)
        _check_path_params(endpoint, faults)


def _check_methods(name: str, entry: Entry, endpoint: Table, faults: Faults) -> None:
    written = [key for key in METHODS if key in endpoint.entries]
    if not written:
        faults.add(entry.key, f"'{name}' has no route", "give it one of get, post, put, patch, delete with a path")
    for more in written[1:]:
        faults.add(endpoint.key(more), f"a second method: '{name}' has {written[0]} already", "an endpoint is one operation; write another endpoint")


def _is_path(path: str, node: Leaf, hidden: frozenset[str], faults: Faults) -> bool:
    """Whether the path can be a route; tells why not, without the params in `hidden`."""
    if not path.startswith("/"):
        faults.add(node.place, f"the path {node.shown} does not begin with '/'")
        return False
    for segment in path.split("/"):
        if not _SEGMENT.fullmatch(segment):
            faults.add(node.place, f"the path {node.shown} cannot be matched", "it holds no spaces, '?' or '#', and braces only as {name}")
            return False
        if (sent := unquote_to_bytes(segment)) in (b".", b".."):
            faults.add(node.place, f"the path {node.shown} holds a segment '.' or '..', which no client sends")
            return False
        if not _is_utf8(sent):
            faults.add(node.place, f"the path {node.shown} is no UTF-8, percent-decoded")
            return False
    names = ROUTE_PARAM.findall(path)
    for name in sorted({name for name in names if names.count(name) > 1}):
        shown = "a param" if name in hidden else f"the param '{name}'"
        faults.add(node.place, f"the path {node.shown} has {shown} twice")
    if _OURS.fullmatch("/".join("{}".join(texts).replace("/", "%2F") for texts in _shape(path))):
        faults.add(node.place, f"the path {node.shown} is one of our own", f"ours are {', '.join(OWN)}")
        return False
    return True


def _shape(path: str) -> _Shape:
    return tuple(tuple(unquote(text) for text in ROUTE_PARAM.split(segment)[::2]) for segment in path.split("/"))


def _is_utf8(sent: bytes) -> bool:
    try:
        sent.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_path_params(endpoint: Table, faults: Faults) -> None:
    """A param of the path stands in the path, and what stands in the path is one."""
    names, hidden = path_params(endpoint), hidden_params(endpoint)
    shown = [name for name in names if name not in hidden]
    for name, entry, param in tables(endpoint, "params"):
        place = text(param, "in")
        if place == "path" and name not in names:
            faults.add(entry.key, f"the path has no '{{{name}}}' for the path param '{name}'", did_you_mean(name, shown))
        if name in names and place in ("query", "header"):
            faults.add(param.entries["in"].node.place, f"'{name}' stands in the path, so it is a path param", "write `in: path`")
        required = param.get("required")
        if name in names and isinstance(required, Leaf) and required.value is False:
            faults.add(required.place, f"the path param '{name}' cannot be left out", "a path param is always required")
        if name in names and "default" in param.entries:
            faults.warn(param.key("default"), f"the path param '{name}' is always given: a default has no effect")
