"""Upstreams: exactly one way to reach each, URLs that are base URLs, headers that can be sent, files and functions that are there."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from app.catalog import python_target
from app.catalog.defaults import HTTP_ONLY
from app.catalog.faults import Faults, did_you_mean
from app.catalog.nodes import Entry, Items, Leaf, Node, Table, table, tables, text
from app.catalog.openapi import read
from app.expressions.bind import NOT_IN_HEADERS
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import parse_template

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name (RFC 9110 section 5.6.2)."""
_FRAMING = ("content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection")
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""The path of a URL (RFC 3986 section 3.3)."""
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")
_CONTROL = "a line break or other control character"


def check_upstreams(root: Table, folder: Path, faults: Faults) -> None:
    """Every upstream, and the headers of every call."""
    for name, entry, upstream in tables(root, "upstreams"):
        _check_reach(name, entry, upstream, folder, faults)
        check_headers(upstream.get("headers"), faults)
        _check_document(upstream, faults)
        auth = table(upstream, "auth")
        _check_credentials(auth, faults)
        if (oauth2 := table(auth, "oauth2")) is not None and isinstance(url := oauth2.get("token_url"), Leaf):
            _check_url(url, faults, "token_url")
        _check_tls(table(upstream, "tls"), faults)
        origins = table(upstream, "redirects") and table(upstream, "redirects").get("origins")  # type: ignore[union-attr]
        for origin in origins.items if isinstance(origins, Items) else ():
            check_origin(origin, faults)
    for _, _, endpoint in tables(root, "endpoints"):
        for _, _, call in tables(endpoint, "calls"):
            check_headers(call.get("headers"), faults)


def _check_reach(name: str, entry: Entry, upstream: Table, folder: Path, faults: Faults) -> None:
    ways = [key for key in ("url", "urls", "python") if key in upstream.entries]
    if not ways:
        faults.add(entry.key, f"'{name}' has no address", "give it `url`, `urls` or `python`")
    for more in ways[1:]:
        faults.add(upstream.key(more), f"`{more}` beside `{ways[0]}`: an upstream has one of url, urls and python")
    if ways == ["python"]:
        _check_function(upstream, folder, faults)
        for key in HTTP_ONLY:
            if upstream.has_own(key):
                faults.add(upstream.key(key), f"`{key}` means nothing to a Python function")
    elif "run" in upstream.entries and "python" not in upstream.entries:
        faults.add(upstream.key("run"), "`run` is for Python functions")
    if isinstance(url := upstream.get("url"), Leaf):
        _check_url(url, faults)
    urls = upstream.get("urls")
    for one in urls.items if isinstance(urls, Items) else ():
        if isinstance(one, Leaf):
            _check_url(one, faults)


def _check_function(upstream: Table, folder: Path, faults: Faults) -> None:
    target, leaf = text(upstream, "python"), upstream.get("python")
    if target is None or not isinstance(leaf, Leaf) or not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", target):
        return
    if (reason := python_target.problem(target, folder)) is not None:
        hint = did_you_mean(target.partition(":")[2], python_target.functions(target, folder))
        faults.add(
            leaf.place, reason if leaf.pieces is None else f"{leaf.shown} is no function that can be imported", hint if leaf.pieces is None else None
        )


def _check_document(upstream: Table, faults: Faults) -> None:
    """The upstream's own OpenAPI document can be read; that it is there has been seen to."""
    if (file := text(upstream, "openapi")) is None or not Path(file).is_file():
        return
    try:
        read(Path(file))
    except (OSError, ValueError) as exc:
        reason = "the file cannot be read" if isinstance(exc, OSError) else str(exc)
        faults.add(upstream.key("openapi"), f"openapi: {reason}", "an OpenAPI document of version 3, JSON or YAML")


def _check_tls(tls: Table | None, faults: Faults) -> None:
    """The files hold what they are for; that they are there has been seen to."""
    if tls is None:
        return
    if "key" in tls.entries and "cert" not in tls.entries:
        faults.add(tls.key("key"), "tls: a key without its `cert`")
    ca, cert, key = (text(tls, name) for name in ("ca", "cert", "key"))
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None and not _is_loaded(lambda: trial.load_verify_locations(ca)):
        faults.add(tls.entries["ca"].node.place, "tls: the file of `ca` holds no certificate", "a PEM file: -----BEGIN CERTIFICATE-----")
    if cert is None or _is_loaded(lambda: trial.load_cert_chain(cert, key, password="")):
        return
    if not _is_loaded(lambda: trial.load_verify_locations(cert)):
        faults.add(tls.entries["cert"].node.place, "tls: the file of `cert` holds no certificate", "a PEM file: -----BEGIN CERTIFICATE-----")
    elif key is not None:
        faults.add(tls.entries["key"].node.place, "tls: the file of `key` is not the private key of `cert`", "a PEM file, not encrypted")
    else:
        faults.add(tls.entries["cert"].node.place, "tls: the file of `cert` holds no private key", "give its `key`, a PEM file that is not encrypted")


def _is_loaded(load: Callable[[], None]) -> bool:
    """Whether OpenSSL takes a file; one that cannot be read is told elsewhere."""
    try:
        load()
    except ssl.SSLError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _check_url(leaf: Leaf, faults: Faults, key: str = "url") -> None:
    """A base URL: http or https, a host, perhaps a port and a path. Its text is not shown: it may hold a password."""
    if not isinstance(leaf.value, str):
        return
    wrong = url_problem(leaf.value, may_have_query=key == "token_url")
    if wrong is not None:
        faults.add(leaf.place, f"{key}: {wrong}", "such as https://api.example/v1")


def url_problem(url: str, *, may_have_query: bool = False) -> str | None:
    """Why a text is no URL to call, without showing it; None where it is one."""
    if re.search(r"[\x00-\x20\x7f{}\\]", url):
        return "a URL holds no spaces, braces or backslashes: percent-encode them; expressions go into a call's `path` and `query`"
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
        is_host = ":" in host or _HOST.fullmatch(host.encode("idna").decode()) is not None
        if _IPV4.fullmatch(host):
            IPv4Address(host)
    except ValueError:
        return "no URL: its host or port cannot be read"
    if parts.scheme not in ("http", "https"):
        return "a URL begins with http:// or https://"
    if not is_host or port == 0:
        return "a URL needs a host, and a port from 1 on if any"
    if parts.username is not None or parts.password is not None:
        return "a URL holds no credentials: they go under `auth`"
    if (parts.query or parts.fragment or url.endswith(("?", "#"))) and not may_have_query:
        return "a base URL has no query and no fragment: they go under `query`"
    if not may_have_query and not _PATH.fullmatch(parts.path):
        return "a URL's path holds ASCII letters, digits and -._~!$&'()*+,;=:@ alone: percent-encode the rest, as %C3%B1 for an n with a tilde"
    return None


def check_origin(node: Node, faults: Faults) -> None:
    """An origin: scheme, host and port, without a path."""
    if not isinstance(node, Leaf) or not isinstance(node.value, str):
        return
    wrong = url_problem(node.value)
    if wrong is None and urlsplit(node.value).path:
        wrong = "an origin ends after its host and port"
    if wrong is not None:
        faults.add(
            node.place, f"{node.shown} is no origin: {wrong}" if "@" not in node.written else f"no origin: {wrong}", "such as https://app.example"
        )


def _check_credentials(auth: Table | None, faults: Faults) -> None:
    """A credential in a header can be sent; nothing of it is shown."""
    header = table(auth, "header")
    name = text(header, "name")
    if header is not None and name is not None and (not TOKEN.fullmatch(name) or name.lower() in _FRAMING):
        faults.add(header.entries["name"].node.place, "no name that a header can have")
    for holder, key in ((auth, "bearer"), (header, "value")):
        if holder is not None and NOT_IN_HEADERS.search(text(holder, key) or ""):
            faults.add(holder.entries[key].node.place, f"{_CONTROL} in a header's value")


def check_headers(headers: Node | None, faults: Faults) -> None:
    """Names that are header names, each once whatever its case, none that frames the message; constant values without controls."""
    if not isinstance(headers, Table):
        return
    seen: dict[str, str] = {}
    for name, entry in headers.entries.items():
        lower = name.lower()
        if not TOKEN.fullmatch(name):
            faults.add(entry.key, f"'{name[:100]}' is no name that a header can have")
        elif lower in _FRAMING:
            faults.add(entry.key, f"the header '{name}' is the transport's own")
        elif lower in seen:
            faults.add(entry.key, f"the header '{name}' is '{seen[lower]}' again: names of headers have no case")
        seen.setdefault(lower, name)
        if isinstance(entry.node, Leaf) and isinstance(entry.node.value, str) and _has_control(entry.node.value):
            faults.add(entry.node.place, f"the header '{name}' has {_CONTROL} in its value")


def _has_control(value: str) -> bool:
    try:
        return any(NOT_IN_HEADERS.search(piece) for piece in parse_template(value).pieces if isinstance(piece, str))
    except ExpressionSyntax:
        return False
