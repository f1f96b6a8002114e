"""Whether the head of a request means the same to everybody: its host, its framing and its target (RFC 9112).

A request that two parsers read differently is how requests are smuggled, so whatever is ambiguous is refused. Pure: no
connection, no clock.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from app.api.problems import Problem

HEAD_TOO_LARGE = Problem(431)
NO_TUNNEL = Problem(405, "This server opens no tunnels.", headers=[("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")])
TARGET_TOO_LONG = Problem(414, "The request target is over the limit.")
HOST = Problem(400, "A request has exactly one valid Host.")
FRAMING = Problem(400, "The length of the body is ambiguous.")
TARGET = Problem(400, "The request target is malformed.")
FIELD_NAME = Problem(400, "A header name has an underscore.")
VERSION = Problem(400, "The request is not HTTP/1.1.")

_NOT_OURS = frozenset({b"upgrade", b"http2-settings"})
_ONCE = {b"host": HOST, b"content-length": FRAMING, b"transfer-encoding": FRAMING}
_DECISIVE = frozenset({*_ONCE, b"expect"})
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d{0,5})?")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^#]*)?(\?[^#]*)?", re.IGNORECASE)


class Head(NamedTuple):
    """A head that means one thing. `target` is in origin-form."""

    target: bytes
    expects_continue: bool


def read(method: str, headers: Iterable[tuple[bytes, bytes]], target: bytes, version: str, hosts: frozenset[str]) -> Head | Problem:
    """The head, or what is wrong with it. `hosts`: the names that Host may have, lower case; none: any."""
    named: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _DECISIVE:
            if name in named and name in _ONCE:
                return _ONCE[name]
            named[name] = value
    host = named.get(b"host")
    if (fault := _fault(named, version, host, hosts)) is not None:
        return fault
    located = origin_form(target, host)
    if located is None or method == "CONNECT":
        return TARGET if located is None else NO_TUNNEL
    return Head(located, named.get(b"expect", b"").lower() == b"100-continue")


def _fault(named: Mapping[bytes, bytes], version: str, host: bytes | None, hosts: frozenset[str]) -> Problem | None:
    """What is wrong with version, framing or host."""
    if version not in ("1.1", "1.0"):
        return VERSION
    coding = named.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or version == "1.0" or b"content-length" in named):
        return FRAMING
    if host is None:
        return HOST if version == "1.1" or hosts else None
    name = _name(host)
    return HOST if name is None or (hosts and name not in hosts) else None


@functools.lru_cache(maxsize=256)
def _name(host: bytes) -> str | None:
    """The name in a Host, without its port; None if it is no Host. Clients of a service say few different ones."""
    found = _HOST.fullmatch(host)
    return found[1].lower().decode("ascii") if found else None


def origin_form(target: bytes, host: bytes | None) -> bytes | None:
    """The target as path and query. An absolute one must name the request's own host; None if it is no target."""
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or host is None or absolute[1].lower() != host.lower():
            return None
        target = (absolute[2] or b"/") + (absolute[3] or b"")
    return target if _TARGET.fullmatch(target) else None


def located(target: bytes) -> dict[str, Any]:
    """What an ASGI scope says of a target in origin-form."""
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    return {"path": unquote(path) if "%" in path else path, "raw_path": raw_path, "query_string": query}


def without_upgrade(method: str, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of the same request, had it not asked for another protocol. What else `Connection` names stays named."""
    kept = [(name, _other_words(value) if name == b"connection" else value) for name, value in headers if name not in _NOT_OURS]
    fields = [name + b": " + value + b"\r\n" for name, value in kept if value or name != b"connection"]
    return b"".join((f"{method} ".encode("ascii"), target, f" HTTP/{version}\r\n".encode("ascii"), *fields, b"\r\n"))


def _other_words(connection: bytes) -> bytes:
    words = [word.strip() for word in connection.split(b",")]
    return b", ".join(word for word in words if word.lower() not in _NOT_OURS)
