"""The HTTP/1.1 transport under the one client: pools by origin, a narrow way for calls, and httpx's way for everything else.

It speaks HTTP/1.1 only and knows no forward proxies; an upstream that needs either says `transport: httpx`.
Calls use `Pool.request` and `Pool.stream` directly and build no `httpx.Request`, `URL` or `Response`, which cost ten times
the call itself. Failures on that way are `CallFailure`s, on httpx's way httpx's exceptions.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx

from app.core.errors import CallFailure, ConnectFailed, TimedOut, TlsFailed
from app.core.http import IDEMPOTENT
from app.upstream.dial import Dialer
from app.upstream.origin import Origin
from app.upstream.pool import Bounds, Pool
from app.upstream.resolve import Resolver
from app.upstream.stream import Stream
from app.upstream.tls import context

CONNECT_SECONDS = 5.0
"""For requests through httpx that name no connect timeout; httpx's own default."""
_BOUNDS = Bounds()


class Transport(httpx.AsyncBaseTransport):
    """Owns every connection to upstreams. Belongs to the event loop in which it was made."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver(self._loop)
        self._tls = tls
        self._pools: list[Pool] = []
        self._by_origin: dict[tuple[Origin, ssl.SSLContext | None, float], Pool] = {}

    def open_pool(self, origin: Origin, *, tls: ssl.SSLContext | None = None, connect_timeout: float = 1.0, bounds: Bounds = _BOUNDS) -> Pool:
        """A pool of its own for one upstream: no other's trouble, certificates or limits touch it. `close_pool` ends it."""
        secure = (tls or self.tls) if origin.is_tls else None
        pool = Pool(self._loop, Dialer(self._loop, self._resolver, origin, secure, connect_timeout), bounds)
        self._pools.append(pool)
        return pool

    def close_pool(self, pool: Pool) -> None:
        """Closes a pool and its connections."""
        self._pools.remove(pool)
        pool.close()

    @property
    def tls(self) -> ssl.SSLContext:
        """What servers are verified with where nothing else is said; made on first need."""
        if self._tls is None:
            self._tls = context()
        return self._tls

    # --- httpx.AsyncBaseTransport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request of httpx's. `extensions["tls"]` may hold an SSLContext of its own; `timeout` is honoured, `read` for each read."""
        limits = request.extensions.get("timeout", {})
        connect, read, waits = (limits.get(key) for key in ("connect", "read", "pool"))
        pool = self._pool(request, CONNECT_SECONDS if connect is None else connect)
        bounds = [limit for limit in (connect or CONNECT_SECONDS, waits, read) if limit is not None]
        expires = float("inf") if read is None else self._loop.time() + sum(bounds)
        body, is_chunked = _body(request)
        try:
            stream = await pool.stream(
                _head(request),
                body,
                is_chunked=is_chunked,
                is_idempotent=request.method in IDEMPOTENT and body is None,  # a generator that was left does not go on
                is_bodiless=request.method == "HEAD",
                expires=expires,
                read_timeout=read,
            )
        except CallFailure as failure:
            raise _as_httpx(failure, request) from failure
        return httpx.Response(stream.status, headers=stream.fields, stream=_Body(stream, request), extensions={"http_version": b"HTTP/1.1"})

    def _pool(self, request: httpx.Request, connect_timeout: float) -> Pool:
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("only http and https", request=request)
        origin = Origin.of(f"{url.scheme}://{url.netloc.decode('ascii')}")
        tls: ssl.SSLContext | None = request.extensions.get("tls")
        key = (origin, tls, connect_timeout)
        pool = self._by_origin.get(key)
        if pool is None:
            pool = self._by_origin[key] = self.open_pool(origin, tls=tls, connect_timeout=connect_timeout)
        return pool

    async def aclose(self) -> None:
        """Closes every connection."""
        for pool in self._pools:
            pool.close()
        self._pools.clear()
        self._by_origin.clear()

    def __repr__(self) -> str:
        return f"<Transport {len(self._pools)} pools, {sum(pool.count for pool in self._pools)} connections>"


class _Body(httpx.AsyncByteStream):
    """A streamed answer as httpx reads it."""

    def __init__(self, stream: Stream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except CallFailure as failure:
            raise _as_httpx(failure, self._request) from failure

    async def aclose(self) -> None:
        await self._stream.aclose()


def _head(request: httpx.Request) -> bytes:
    """The request's head as httpx has made it."""
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b\r\n" % pair for pair in request.headers.raw]
    return b"".join([*lines, b"\r\n"])


def _body(request: httpx.Request) -> tuple[httpx.AsyncByteStream | None, bool]:
    """The request's body, None where there is none, and whether it goes in chunks."""
    is_chunked = "transfer-encoding" in request.headers
    if not is_chunked and request.headers.get("content-length", "0") == "0":
        return None, False
    if not isinstance(request.stream, httpx.AsyncByteStream):
        raise RuntimeError("an async client sends async bodies")  # httpx's own words for the same fault
    return request.stream, is_chunked


def _as_httpx(failure: CallFailure, request: httpx.Request) -> httpx.TransportError:
    """What httpx's own transport would have raised."""
    kind: type[httpx.TransportError] = httpx.RemoteProtocolError
    if isinstance(failure, TimedOut):
        kind = httpx.ReadTimeout if failure.sent else httpx.ConnectTimeout
    elif isinstance(failure, TlsFailed) or (isinstance(failure, ConnectFailed) and not failure.sent):
        kind = httpx.ConnectTimeout if failure.detail.endswith("in time") else httpx.ConnectError
    return kind(failure.detail, request=request)
