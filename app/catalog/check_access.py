"""Who may call: schemes that are there and sound, CORS that browsers accept, credentials that do not spread."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from app.catalog.check_upstreams import TOKEN, check_origin, url_problem
from app.catalog.faults import Faults, did_you_mean
from app.catalog.nodes import Items, Leaf, Node, Table, table, tables, text

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "HS256", "HS384", "HS512",
)  # fmt: skip
_TOLD = ("authorization", "cookie")
_LARGEST_SET = 1024 * 1024


def check_access(root: Table, faults: Faults) -> None:
    """Schemes, CORS, and what endpoints ask for and forward."""
    for _, _, scheme in tables(root, "auth"):
        _check_scheme(scheme, faults)
    _check_cors(table(root, "cors"), faults)
    known = table(root, "auth")
    for name, _, endpoint in tables(root, "endpoints"):
        listed = endpoint.get("auth")
        for item in listed.items if isinstance(listed, Items) else ():
            _check_listed(item, list(known.entries) if known else [], faults)
        _check_forwarded_names(endpoint, faults)
        _warn_of_spreading(name, endpoint, table(root, "upstreams"), faults)


def _check_listed(item: Node, known: list[str], faults: Faults) -> None:
    if isinstance(item, Leaf) and isinstance(item.value, str) and item.value not in known:
        hint = did_you_mean(item.value, known) if item.pieces is None else None
        faults.add(
            item.place, f"unknown scheme {item.shown}", hint or (f"declared are {', '.join(known[:8])}" if known else "none is declared under `auth`")
        )


def _check_scheme(scheme: Table, faults: Faults) -> None:
    header = text(scheme, "header")
    if header is not None and not TOKEN.fullmatch(header):
        faults.add(scheme.entries["header"].node.place, "no name that a header can have")
    digests: dict[str, str] = {}
    keys = table(scheme, "keys")
    for name, entry in keys.entries.items() if keys else ():
        if isinstance(entry.node, Leaf) and isinstance(entry.node.value, str):
            if entry.node.value in digests:
                faults.add(entry.key, f"the key of '{name}' is that of '{digests[entry.node.value]}'")
            digests.setdefault(entry.node.value, name)
    listed = scheme.get("algorithms")
    for item in listed.items if isinstance(listed, Items) else ():
        if isinstance(item, Leaf) and isinstance(item.value, str) and item.value not in ALGORITHMS:
            faults.add(item.place, f"unknown algorithm {item.shown}", did_you_mean(item.value, ALGORITHMS) or f"known are {', '.join(ALGORITHMS)}")
    if isinstance(jwks := scheme.get("jwks"), Leaf) and isinstance(jwks.value, str):
        _check_jwks(jwks, jwks.value, faults)


def _check_jwks(leaf: Leaf, jwks: str, faults: Faults) -> None:
    """A URL that can be asked, or a file that holds a JWK Set (RFC 7517 section 5)."""
    if re.match(r"https?://", jwks):
        if wrong := url_problem(jwks, may_have_query=True):
            faults.add(leaf.place, f"jwks: {wrong}")
        return
    try:
        with Path(jwks).open("rb") as file:
            found = orjson.loads(file.read(_LARGEST_SET))
    except OSError:
        return
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        faults.add(leaf.place, f"the file {leaf.shown} is no JWK Set", 'it is JSON of the form {"keys": [...]}')


def _check_cors(cors: Table | None, faults: Faults) -> None:
    origins = cors.get("origins") if cors else None
    if cors is None or not isinstance(origins, Items):
        return
    for item in origins.items:
        if isinstance(item, Leaf) and item.value != "*":
            check_origin(item, faults)
    credentials = cors.get("credentials")
    has_star = any(isinstance(item, Leaf) and item.value == "*" for item in origins.items)
    if has_star and isinstance(credentials, Leaf) and credentials.value is True:
        faults.add(credentials.place, "credentials with the origin '*': no browser accepts that", "list the origins that may bring credentials")
    for key in ("methods", "headers", "expose"):
        listed = cors.get(key)
        for item in listed.items if isinstance(listed, Items) else ():
            if isinstance(item, Leaf) and isinstance(item.value, str) and not TOKEN.fullmatch(item.value):
                faults.add(item.place, f"cors: {item.shown} is no name for one of `{key}`")


# --- forwarding


def _check_forwarded_names(endpoint: Table, faults: Faults) -> None:
    for holder in (endpoint, *(call for _, _, call in tables(endpoint, "calls"))):
        listed = (table(holder, "forward") or holder).get("headers") if "forward" in holder.entries else None
        for item in listed.items if isinstance(listed, Items) else ():
            if isinstance(item, Leaf) and isinstance(item.value, str) and not TOKEN.fullmatch(item.value):
                faults.add(item.place, f"forward: {item.shown} is no name that a header can have")


def _warn_of_spreading(name: str, endpoint: Table, upstreams: Table | None, faults: Faults) -> None:
    """A client's credential that goes to more than one origin is worth a look."""
    for header in _TOLD:
        origins: dict[str, Node] = {}
        for _, _, call in tables(endpoint, "calls"):
            where = _forwarding(call, header)
            if where is not None:
                origins.update(dict.fromkeys(_origins(table(upstreams, text(call, "upstream") or "")), where))
        if len(origins) > 1:
            place = next(iter(origins.values())).place
            faults.warn(place, f"'{header}' is forwarded to {len(origins)} origins in the endpoint '{name}'", "give each call its own `forward`")


def _forwarding(call: Table, header: str) -> Node | None:
    """Where a call's `forward` names a header, or all of them."""
    listed = (table(call, "forward") or Table({}, call.place)).get("headers")
    for one in listed.items if isinstance(listed, Items) else [listed] if listed else []:
        if isinstance(one, Leaf) and isinstance(one.value, str) and one.value.lower() in (header, "*"):
            return one
    return None


def _origins(upstream: Table | None) -> list[str]:
    listed = upstream.get("urls") if upstream else None
    urls = [upstream.get("url")] if upstream else []
    found = []
    for node in (*urls, *(listed.items if isinstance(listed, Items) else ())):
        if isinstance(node, Leaf) and isinstance(node.value, str) and url_problem(node.value) is None:
            parts = urlsplit(node.value)
            found.append(f"{parts.scheme}://{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}")
    return list(dict.fromkeys(found))
