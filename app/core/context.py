"""What a request brings along besides its params and body: id, address, headers, identity, trace."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.core.identity import Identity


def text_of(value: str) -> str:
    """A header's value as text: its octets are UTF-8 where they can be, else latin-1, which `value` is as it came."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


class Context(Struct):
    """One inbound request, or one subscription.

    `headers`: the client's, names in lower case, as sent, repeated ones repeated. `query`: the client's decoded pairs.
    `traceparent`: what goes upstream (W3C Trace Context), continuing the client's trace where it sent one.
    """

    id: str
    method: str = "GET"
    address: str = ""
    headers: Sequence[tuple[str, str]] = ()
    query: Sequence[tuple[str, str]] = ()
    identity: Identity | None = None
    traceparent: str | None = None
    tracestate: str | None = None
