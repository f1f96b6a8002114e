"""`MERGANSER_MAX_CONNECTIONS_PER_CLIENT`: what one address may have open, WebSockets included; trusted proxies aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.served import Served, load, serve

CATALOG: dict[str, Any] = {
    "upstreams": {"u": {"url": "http://up.test"}},
    "endpoints": {"x": {"get": "/x", "calls": {"a": {"upstream": "u", "path": "/"}}}},
}
UPSTREAM = httpx.MockTransport(lambda _: httpx.Response(200, json=1))


class Lines:
    """Connections that stay open for the block."""

    def __init__(self, served: Served) -> None:
        self._port = served.port
        self.open: list[asyncio.StreamWriter] = []

    async def status(self, source: str = "127.0.0.1") -> int:
        """What a new connection from an address of loopback is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(source, 0))
        self.open.append(writer)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


@asynccontextmanager
async def lines(folder: Path, **settings: Any) -> AsyncIterator[tuple[Served, Lines]]:
    """A service and connections to it."""
    async with serve(load(CATALOG, folder), UPSTREAM, **settings) as served:
        made = Lines(served)
        yield served, made
        for writer in made.open:
            writer.transport.abort()


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for it."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(0.005)


async def test_over_its_share_a_client_is_told_429(tmp_path: Path) -> None:
    """Others are served; a connection that ends gives its place back."""
    async with lines(tmp_path, max_connections_per_client=3) as (served, made):
        assert [await made.status() for _ in range(4)] == [200, 200, 200, 429]
        assert await made.status("127.0.0.2") == 200
        assert len(served.server.edge.crowd) == 4
        made.open[0].transport.abort()
        await until(lambda: len(served.server.edge.crowd) == 3)
        assert await made.status() == 200


async def test_websockets_count_as_long_as_they_last(tmp_path: Path) -> None:
    """The upgrade does not make room for more."""
    async with lines(tmp_path, max_connections_per_client=2) as (served, made):
        async with served.live(), served.live():
            assert len(served.server.edge.crowd) == 2
            assert await made.status() == 429
        await until(lambda: len(served.server.edge.crowd) == 0)
        assert await made.status() == 200


@pytest.mark.parametrize(
    "settings", [{}, {"max_connections_per_client": 1, "trusted_proxies": (ip_network("127.0.0.0/8"),)}], ids=["default", "proxy"]
)
async def test_a_proxy_may_have_any_number(tmp_path: Path, settings: dict[str, Any]) -> None:
    """So may everyone, unless it is set."""
    async with lines(tmp_path, **settings) as (_, made):
        assert [await made.status() for _ in range(20)] == [200] * 20
