"""Where a redirect leads and whether it is followed: to the same origin, or to those that the catalog lists."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from app.core.call import Headers
from app.upstream.origin import Origin

STATUSES = frozenset((301, 302, 303, 307, 308))
_LEGAL = "!#$%&'()*+,/:;=?@[]~"
_PRIVATE = frozenset(("authorization", "cookie"))


@dataclass(frozen=True, slots=True)
class Hop:
    """The request that a redirect asks for. `is_home`: it goes to the upstream's own origin, so credentials go along."""

    origin: Origin
    method: str
    target: str
    headers: Headers
    body: bytes | None
    is_home: bool


def hop(status: int, location: bytes | None, asked: Hop, home: Origin, listed: Set[Origin]) -> Hop | None:
    """The next request, None where the redirect is not to be followed. `asked` is what was answered with it; `home` the upstream's own origin."""
    if status not in STATUSES or not location:
        return None
    try:
        url = urljoin(f"{asked.origin}{asked.target}", quote(location.decode("utf-8"), safe=_LEGAL))
        origin, parts = Origin.of(url), urlsplit(url)
    except ValueError:  # UnicodeError among them
        return None
    if "@" in parts.netloc or not (origin in (asked.origin, home) or origin in listed):
        return None
    method, body, headers = asked.method, asked.body, asked.headers
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None  # RFC 9110 sections 15.4.2 to 15.4.4
        headers = tuple(pair for pair in headers if not pair[0].lower().startswith("content-"))
    if origin not in (asked.origin, home):
        headers = tuple(pair for pair in headers if pair[0].lower() not in _PRIVATE)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Hop(origin, method, target, headers, body, origin == home)
