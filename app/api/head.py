"""Whether the head of a request means the same to everybody: its host, its framing and its target (RFC 9112).

A request that two parsers read differently is how requests are smuggled, so whatever is ambiguous is refused. Pure: no
connection, no clock. `named` holds the fields that decide, names in lower case, as `decisive` collects them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from app.api.problems import Problem

HEAD_TOO_LARGE = Problem(431)
TARGET_TOO_LONG = Problem(414, "The request target is over the limit.")
HOST = Problem(400, "A request has exactly one valid Host.")
FRAMING = Problem(400, "The length of the body is ambiguous.")
TARGET = Problem(400, "The request target is malformed.")
FIELD_NAME = Problem(400, "A header name has an underscore.")
VERSION = Problem(400, "The request is not HTTP/1.1.")

_ONCE = {b"host": HOST, b"content-length": FRAMING, b"transfer-encoding": FRAMING}
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d{0,5})?")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^#]*)?(\?[^#]*)?", re.IGNORECASE)


def decisive(headers: Iterable[tuple[bytes, bytes]], named: dict[bytes, bytes]) -> Problem | None:
    """Collects the fields into `named`; the fault, if one that must be single is there twice."""
    for name, value in headers:
        if name in named and name in _ONCE:
            return _ONCE[name]
        named[name] = value
    return None


def fault(named: Mapping[bytes, bytes], version: str, hosts: frozenset[str]) -> Problem | None:
    """What is wrong with version, framing or host. `hosts`: the names that Host may have, lower case; none: any."""
    if version not in ("1.1", "1.0"):
        return VERSION
    coding = named.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or version == "1.0" or b"content-length" in named):
        return FRAMING
    host = named.get(b"host")
    if host is None:
        return HOST if version == "1.1" or hosts else None
    found = _HOST.fullmatch(host)
    if found is None or (hosts and found[1].lower().decode("ascii") not in hosts):
        return HOST
    return None


def origin_form(target: bytes, host: bytes | None) -> bytes | None:
    """The target as path and query. An absolute one must name the request's own host; None if it is no target."""
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or host is None or absolute[1].lower() != host.lower():
            return None
        target = (absolute[2] or b"/") + (absolute[3] or b"")
    return target if _TARGET.fullmatch(target) else None
