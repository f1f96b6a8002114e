"""Which form of an answer a client prefers, by its Accept header: JSON at once, or a stream."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from app.api.compress import weight

Form = Literal["json", "sse", "ndjson"]

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
_STREAMS: dict[str, Form] = {SSE: "sse", NDJSON: "ndjson"}


def form_of(accept: str) -> Form:
    """JSON unless a stream is named and weighs more; a wildcard never means a stream (RFC 9110 section 12.5.1)."""
    if not accept or accept == "*/*" or len(accept) > 500:
        return "json"
    return _form_of(accept)


@lru_cache(maxsize=256)
def _form_of(accept: str) -> Form:
    weights: dict[str, float] = {}
    for entry in accept.lower().split(","):
        kind, _, params = entry.partition(";")
        weights[kind.strip()] = weight(params)
    json = next((weights[kind] for kind in ("application/json", "application/*", "*/*") if kind in weights), 0.0)
    best = max(_STREAMS, key=lambda kind: weights.get(kind, 0.0))
    return _STREAMS[best] if weights.get(best, 0.0) > json else "json"
