"""One origin of one upstream: how heads are written for it, and through what its requests go."""

from __future__ import annotations

import ssl

import httpx

from app.upstream.foreign import Foreign
from app.upstream.head import HeadWriter
from app.upstream.origin import Origin, base_path
from app.upstream.pool import Pool
from app.upstream.transport import Transport


class Site:
    """Made once per URL of an upstream.

    Which transport carries its requests is asked of the client each time, so that a test that mounts another one
    (`httpx.MockTransport`, respx) sees every call; with ours the pool is used directly.
    """

    def __init__(self, url: str, client: httpx.AsyncClient, *, tls: ssl.SSLContext | None, connect_timeout: float) -> None:
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
        self._foreign = Foreign(client, self.origin, connect_timeout)

    def wire(self) -> Pool | Foreign:
        """What carries the next request."""
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
