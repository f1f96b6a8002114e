"""Documents of our own through the process's httpx client, bounded: key sets, schemas, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import cast

import httpx

from app.core.errors import ConnectFailed, ProtocolFailed, StatusFailed, TimedOut, TooLarge
from app.upstream.coding import decoder

PATIENCE = 5.0
"""Seconds for the whole document."""
ACCEPTS = {"accept": "application/json", "accept-encoding": "gzip"}
MOST = 1 << 20
"""Bytes of a document."""


async def fetch(client: httpx.AsyncClient, url: str) -> bytes:
    """The body of a 200. Raises CallFailure; no redirect is followed, nothing over 1 MiB is read."""
    try:
        async with asyncio.timeout(PATIENCE), client.stream("GET", url, headers=ACCEPTS) as response:
            if response.status_code != 200:
                raise StatusFailed(response.status_code)
            return await read(response)
    except (TimeoutError, httpx.TimeoutException) as late:
        raise TimedOut from late
    except (httpx.ConnectError, httpx.InvalidURL, httpx.UnsupportedProtocol) as refused:
        raise ConnectFailed from refused
    except httpx.HTTPError as broken:
        raise ProtocolFailed from broken


async def read(response: httpx.Response) -> bytes:
    """The body of a streamed answer, decoded in bounded steps. TooLarge over 1 MiB, DecodeFailed where its coding cannot be undone."""
    coded = decoder([value for name, value in response.headers.raw if name.lower() == b"content-encoding"], MOST)
    body = bytearray()
    async for chunk in cast(AsyncIterable[bytes], response.stream):  # as it came: `aiter_raw` refuses answers that a mock has made whole
        for piece in (chunk,) if coded is None else coded.feed(chunk):
            body += piece
        if len(body) > MOST:
            raise TooLarge
    if coded is not None:
        coded.finish()
    return bytes(body)
