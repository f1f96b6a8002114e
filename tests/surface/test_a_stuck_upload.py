"""A proxied upload that its upstream does not take: what its client does is noticed all the same."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from app.core.events import RequestEnded
from tests.fakes.served import Served, load, serve

pytestmark = pytest.mark.slow
HEAD = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n"


class Unread(asyncio.Protocol):
    """An upstream that reads nothing."""

    def __init__(self, lines: list[Any]) -> None:
        self._lines = lines

    def connection_made(self, transport: Any) -> None:
        """Takes the connection."""
        transport.pause_reading()
        self._lines.append(transport)


async def told(served: Served, within: float) -> list[RequestEnded]:
    """The requests that end in that time."""
    events: list[Any] = []
    served.service.telemetry._takes[RequestEnded] = (events.append,)
    async with asyncio.timeout(within):
        while not events:  # noqa: ASYNC110 - the service tells no event
            await asyncio.sleep(0.005)
    return events


async def test_a_client_that_leaves_in_the_middle_takes_its_call_along(tmp_path: Path) -> None:
    """Its connection is not read, and what has been read of it waits for the upstream: it is heard of all the same."""
    lines: list[Any] = []
    upstream = await asyncio.get_running_loop().create_server(lambda: Unread(lines), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    catalog = {"upstreams": {"u": {"url": url}}, "endpoints": {"p": {"post": "/p", "deadline": "20s", "proxy": {"upstream": "u", "path": "/"}}}}
    async with serve(load(catalog, tmp_path)) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"x" * 12_000_000)
        while repr(served.server.edge.unread) == "<Unread 0>":  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        assert [(event.endpoint, event.status) for event in await told(served, 1)] == [("p", 499)]
    for line in lines:
        line.abort()
    upstream.close()
