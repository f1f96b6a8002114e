"""Content codings of answers: gzip for those who take it, over a size where it pays, off the loop where it is long."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

SMALLEST = 1024
"""Bytes below which an answer goes out as it is: smaller ones fit into a packet or two either way."""

_LONG = 64 * 1024
"""Bytes above which compressing takes over a millisecond and goes to a thread."""

_LEVEL = 4
"""Within a few percent of zlib's default on JSON, at half its time."""


async def gzipped(body: bytes, accept_encoding: str) -> bytes | None:
    """The body in gzip, or None where it goes out as it is."""
    if len(body) <= SMALLEST or len(accept_encoding) > 500 or not takes_gzip(accept_encoding):
        return None
    if len(body) > _LONG:
        return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
    return gzip.compress(body, _LEVEL, mtime=0)


async def packed(request: Request, body: bytes, media_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A page of ours, coded as its reader likes it."""
    coded = await gzipped(body, request.headers.get("accept-encoding", ""))
    coding = {} if coded is None else {"content-encoding": "gzip"}
    return Response(body if coded is None else coded, status, {**(headers or {}), **coding, "vary": "accept-encoding"}, media_type)


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether gzip is accepted and no less welcome than the plain body (RFC 9110 section 12.5.3)."""
    weights: dict[str, float] = {}
    for entry in accept_encoding.lower().split(","):
        coding, _, params = entry.partition(";")
        weights[coding.strip()] = weight(params)
    gzip_weight = max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0.0))
    return gzip_weight > 0 and gzip_weight >= weights.get("identity", 0.0)


def weight(params: str) -> float:
    """The `q` among an entry's parameters: 1 where there is none, 0 where it cannot be read."""
    for param in params.split(";"):
        name, _, value = param.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
