"""Dates in header fields."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime


def moment(text: str) -> float:
    """Seconds since the epoch of an HTTP-date in any of its three forms, all of them GMT (RFC 9110 section 5.6.7). ValueError, OverflowError."""
    found = parsedate_to_datetime(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
