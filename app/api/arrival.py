"""What a request brings along, as a `Context`: its id, the client's address and headers, and the trace that it continues."""

from __future__ import annotations

import random
import re
from ipaddress import IPv4Network, IPv6Network

from starlette.types import Scope

from app.api.address import client_address
from app.api.seen import seen
from app.core.context import Context

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")

Networks = tuple[IPv4Network | IPv6Network, ...]


def context_of(scope: Scope, trusted: Networks) -> Context:
    """The context of one HTTP request; its query is still to be read."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    peer = scope.get("client")
    context = Context(seen(scope).request_id, scope["method"], "", headers)
    context.address = client_address(peer[0] if peer else "", headers, trusted)
    context.traceparent, context.tracestate = scope.get("merganser.trace") or continued(headers)
    return context


def continued(headers: list[tuple[str, str]]) -> tuple[str, str | None]:
    """`traceparent` and `tracestate` for upstreams (W3C Trace Context): the client's trace with a span of our own, else a new trace."""
    sent = [value for name, value in headers if name == "traceparent"]
    match = _TRACEPARENT.fullmatch(sent[0].strip()) if len(sent) == 1 else None
    if match is None or (match[1] == "00" and match[4]):
        fresh = f"{random.getrandbits(192):048x}"
        return f"00-{fresh[:32]}-{fresh[32:]}-00", None
    state = ",".join(value for name, value in headers if name == "tracestate")
    return f"00-{match[2]}-{random.getrandbits(64):016x}-{match[3]}", state or None
