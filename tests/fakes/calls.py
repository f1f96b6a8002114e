"""Calls without an engine: one HTTP upstream over the real transport, asked directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.catalog.schema import Upstream
from app.core.call import Call, Headers, Reading, Record
from app.core.context import Context
from app.core.events import Event
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.upstream.client import open_client
from app.upstream.http import HttpUpstream
from app.upstream.transport import Transport


def call_of(
    target: str = "/",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Headers = (),
    timeout: float = 5.0,
    reading: Reading | None = None,
    record: Record | None = None,
    **more: Any,
) -> Call:
    """A call with a deadline `timeout` seconds from now."""
    deadline = asyncio.get_running_loop().time() + timeout
    context = Context("request-1", traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    return Call("it", "u", method, target, headers, body, None, deadline, reading or Reading(), context, record or Record(), **more)


class Asker:
    """One upstream, what it told, and the transport under it (None where another is mounted)."""

    def __init__(self, upstream: HttpUpstream, client: httpx.AsyncClient, events: list[Event]) -> None:
        self.upstream = upstream
        self.client = client
        self.events = events

    async def get(self, target: str = "/", **more: Any) -> Reply:
        """One attempt."""
        return await self.upstream.send(call_of(target, **more))

    @property
    def transport(self) -> Transport:
        """Ours, under the client."""
        transport = self.client._transport
        assert isinstance(transport, Transport)
        return transport

    @property
    def connections(self) -> int:
        """Connections that our transport holds, idle ones included."""
        return sum(pool.count for pool in self.transport._pools)


@asynccontextmanager
async def asking(url: str, *, over: httpx.AsyncBaseTransport | None = None, **spec: Any) -> AsyncIterator[Asker]:
    """An upstream of this URL and these catalog keys; `over` is mounted in the client instead of our transport."""
    events: list[Event] = []
    runtime = Runtime(tasks=Tasks(_fault), now=asyncio.get_running_loop().time, emit=events.append)
    async with open_client(over) as client:
        upstream = HttpUpstream("u", Upstream.model_validate({"url": url, **spec}), client, runtime)
        try:
            yield Asker(upstream, client, events)
        finally:
            await upstream.aclose()


def _fault(name: str, fault: BaseException) -> None:
    raise AssertionError(name) from fault
