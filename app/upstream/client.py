"""The one httpx client of the process: everything that is no call of a catalog uses it as anyone would; calls use the transport under it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy

import httpx

from app.upstream.transport import Transport


def refuse_cookies(client: httpx.AsyncClient) -> None:
    """Makes a client store no cookie and send none: it is shared by all users, and a jar would mix up their sessions."""
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))


@asynccontextmanager
async def open_client(transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The client, closed at the end with its transport; a test gives another transport. It follows no redirects and reads no environment."""
    own = Transport() if transport is None else transport
    async with httpx.AsyncClient(transport=own, trust_env=False, follow_redirects=False, timeout=httpx.Timeout(5.0)) as client:
        refuse_cookies(client)
        yield client
