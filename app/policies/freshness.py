"""How long an answer is fresh, and what an old one is still good for (RFC 9111, RFC 5861)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from app.catalog.schema_policies import Cache
from app.core.http_date import moment
from app.policies.store import Entry

Fields = Iterable[tuple[bytes, bytes]]
Use = Literal["fresh", "revalidate", "if_error", "none"]
_ANY = re.compile(rb"(^|,)\s*\*\s*(,|$)")
"""A `*` in a Vary list: the answer may depend on anything (RFC 9111 section 4.1)."""
_REFUSED = ("private", "no-store", "no-cache")
_STRICT = ("must-revalidate", "proxy-revalidate")
"""Directives that forbid a shared cache to answer stale data (RFC 9111 sections 5.2.2.2 and 5.2.2.8)."""


def use(entry: Entry, spec: Cache, now: float) -> Use:
    """What an entry is good for at `now`: an answer, one while it is asked for anew, one when that fails, or none."""
    over = now - entry.stored - lifetime(entry, spec)
    if over < 0:
        return "fresh"
    if over < _said(entry.revalidate, spec.stale_while_revalidate):
        return "revalidate"
    if over < _said(entry.if_error, spec.stale_if_error):
        return "if_error"
    return "none"


def lifetime(entry: Entry, spec: Cache) -> float:
    """Seconds of freshness: what the upstream said, else `ttl`."""
    return _said(entry.lifetime, spec.ttl)


def kept_for(entry: Entry, spec: Cache) -> float:
    """Seconds after which an entry is of no use, unless it can be validated."""
    windows = _said(entry.revalidate, spec.stale_while_revalidate), _said(entry.if_error, spec.stale_if_error)
    return lifetime(entry, spec) + max(windows)


def _said(upstream: float | None, own: float) -> float:
    return own if upstream is None else upstream


def is_storable(headers: Fields) -> bool:
    """Whether the upstream lets a shared cache keep the answer."""
    control = directives(headers)
    return not any(word in control for word in _REFUSED) and not any(name == b"vary" and _ANY.search(value) for name, value in headers)


def obey(entry: Entry, headers: Fields, wall: float) -> None:
    """Writes into an entry what the upstream says about it; `wall` is the time of the calendar."""
    control = directives(headers)
    entry.lifetime = _lifetime(control, headers, wall)
    entry.revalidate = _seconds(control.get("stale-while-revalidate"))
    entry.if_error = _seconds(control.get("stale-if-error"))
    if any(word in control for word in _STRICT):
        entry.revalidate = entry.if_error = 0.0


def _lifetime(control: Mapping[str, str], headers: Fields, wall: float) -> float | None:
    """`s-maxage` before `max-age` before `Expires`, less the `Age` that the answer has already (RFC 9111 section 4.2).

    What cannot be read as seconds is none: such an answer is stale from the start (section 4.2.1), as is one whose `Expires` is
    past. Negative where its `Age` is over it: the stale windows count from the end of its freshness (RFC 5861 section 3).
    """
    seconds, expires = control.get("s-maxage", control.get("max-age")), field(headers, b"expires")
    if seconds is not None:
        said = _seconds(seconds) or 0.0
    elif expires is not None:
        said = _until(expires, field(headers, b"date"), wall)
    else:
        return None
    return said - (_seconds(field(headers, b"age")) or 0.0)


def _until(expires: str, date: str | None, wall: float) -> float:
    """Seconds from `Date`, or now, until `Expires`; one that cannot be read is in the past (RFC 9111 section 5.3)."""
    try:
        return max(0.0, moment(expires) - (wall if date is None else moment(date)))
    except (ValueError, OverflowError):
        return 0.0


def _seconds(text: str | None) -> float | None:
    """Delta-seconds (RFC 9111 section 1.2.2); None for anything else."""
    return float(text[:10]) if text is not None and text.isascii() and text.isdigit() else None


def directives(headers: Fields) -> dict[str, str]:
    """Cache-Control, all its fields together: names in lower case, the first of a name counts, arguments unquoted."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name == b"cache-control":
            for item in value.decode("latin-1").split(","):
                word, _, argument = item.partition("=")
                found.setdefault(word.strip().lower(), argument.strip().strip('"'))
    return found


def field(headers: Fields, wanted: bytes) -> str | None:
    """The first value of a field; names are in lower case."""
    return next((value.decode("latin-1").strip() for name, value in headers if name == wanted), None)
