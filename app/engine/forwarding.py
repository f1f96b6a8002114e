"""What of a client's request goes on to an upstream: by allow-list, never more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from app.catalog.schema import Forward
from app.core.call import Headers
from app.core.context import Context, text_of
from app.core.http import HOP_BY_HOP

Rule: TypeAlias = list[str] | Literal["*"]
"""Names, or `"*"` for all (also beside names, for those that it leaves out)."""

OURS = frozenset({"host", "content-length", "content-encoding", "accept-encoding", "expect", "x-request-id", "traceparent", "tracestate"})
"""Fields that we write ourselves: never forwarded, not even by name."""

_NOT_BY_STAR = frozenset(
    {
        "accept", "origin", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
        "last-event-id", "forwarded", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
    }
)  # fmt: skip


def named_by_connection(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The fields that the client's `Connection` names: hop-by-hop for this request."""
    return frozenset(word.strip().lower() for name, value in headers if name == "connection" for word in value.split(","))


def forwarded_headers(rule: Rule, context: Context) -> Headers:
    """The client's headers that `rule` lets pass, in the client's order, names in lower case."""
    if not rule or not context.headers:
        return ()
    dropped = named_by_connection(context.headers) | HOP_BY_HOP | OURS
    by_star = "*" in rule
    wanted = {name.lower() for name in rule}
    return tuple((n, v) for n, v in context.headers if n not in dropped and (n in wanted or (by_star and _passes_star(n))))


def _passes_star(name: str) -> bool:
    return not (name in HOP_BY_HOP or name in OURS or name in _NOT_BY_STAR or name.startswith(("content-", "x-forwarded-", "proxy-")))


def forwarded_query(rule: Rule, context: Context) -> Sequence[tuple[str, str]]:
    """The client's query pairs that `rule` lets pass, in the client's order."""
    if not rule:
        return ()
    if "*" in rule:
        return context.query
    wanted = set(rule)
    return [(name, value) for name, value in context.query if name in wanted]


def request_of(context: Context, forward: Forward) -> dict[str, object]:
    """The name `request` of a scope: id, method, address, and the headers as forwarded (repeated ones joined), as text."""
    headers: dict[str, str] = {}
    for name, value in forwarded_headers(forward.headers, context):
        text = text_of(value)
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return {"id": context.id, "method": context.method, "address": context.address, "headers": headers}
