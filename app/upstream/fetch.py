"""One bounded GET through the process's httpx client, for documents of our own: key sets, schemas."""

from __future__ import annotations

import asyncio

import httpx

from app.core.errors import ConnectFailed, ProtocolFailed, StatusFailed, TimedOut, TooLarge

PATIENCE = 5.0
"""Seconds for the whole document."""
MOST = 1 << 20
"""Bytes of a document."""


async def fetch(client: httpx.AsyncClient, url: str) -> bytes:
    """The body of a 200. Raises CallFailure; no redirect is followed, nothing over 1 MiB is read."""
    try:
        async with asyncio.timeout(PATIENCE), client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != 200:
                raise StatusFailed(response.status_code)
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST:
                    raise TooLarge
            return bytes(body)
    except (TimeoutError, httpx.TimeoutException) as late:
        raise TimedOut from late
    except (httpx.ConnectError, httpx.InvalidURL, httpx.UnsupportedProtocol) as refused:
        raise ConnectFailed from refused
    except httpx.HTTPError as broken:
        raise ProtocolFailed from broken
