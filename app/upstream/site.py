"""One origin of one upstream: how heads are written for it, and through what its requests go."""

from __future__ import annotations

import ssl
from functools import partial
from importlib.util import find_spec

import httpx

from app.upstream.foreign import Foreign, open_httpx
from app.upstream.head import HeadWriter
from app.upstream.origin import Origin, base_path
from app.upstream.pool import Pool
from app.upstream.tls import context
from app.upstream.transport import Transport


class Site:
    """Made once per URL of an upstream.

    Which transport carries its requests is asked of the client each time, so that a test that mounts another one
    (`httpx.MockTransport`, respx) sees every call; with ours the pool is used directly.
    """

    def __init__(self, url: str, client: httpx.AsyncClient, *, tls: ssl.SSLContext | None, connect_timeout: float, is_httpx: bool = False) -> None:
        self.origin = Origin.of(url)
        self.base = base_path(url)
        self.heads = HeadWriter(self.origin, self.base)
        self.bare_heads = HeadWriter(self.origin, "")
        self.raw_heads = HeadWriter(self.origin, self.base, decodes=False)
        self._client = client
        self._url = httpx.URL(str(self.origin))
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._transport: Transport | None = None
        self._pool: Pool | None = None
        self._is_httpx = is_httpx
        lend = partial(open_httpx, tls or context(), is_http2=find_spec("h2") is not None) if is_httpx else lambda: client
        self._foreign = Foreign(lend, self.origin, connect_timeout, is_own=is_httpx)

    def wire(self) -> Pool | Foreign:
        """What carries the next request."""
        if self._is_httpx:
            return self._foreign
        transport = self._client._transport_for_url(self._url)
        if transport is self._transport and self._pool is not None:
            return self._pool
        if not isinstance(transport, Transport):
            return self._foreign
        self.close()
        self._transport = transport
        self._pool = transport.open_pool(self.origin, tls=self._tls, connect_timeout=self._connect_timeout)
        return self._pool

    def close(self) -> None:
        """Closes its connections."""
        if self._transport is not None and self._pool is not None:
            self._transport.close_pool(self._pool)
        self._transport = self._pool = None

    def __repr__(self) -> str:
        return f"<Site {self.origin}{self.base} {self._pool or 'unused'}>"
