"""Readers that never read cost bounded memory, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests.fakes.served import Served, load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = pytest.mark.slow
PAD = "x" * 50_000


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """One live endpoint whose 50 KB change with every poll."""
    count = 0

    async def script(asked: Asked, line: Line) -> None:
        nonlocal count
        count += 1
        await line.send(answer(json.dumps({"n": count, "at": time.time(), "pad": PAD}).encode()))

    async with FakeUpstream(script) as upstream:
        catalog = {
            "upstreams": {"u": {"url": upstream.url}},
            "endpoints": {"x": {"get": "/x", "calls": {"v": {"upstream": "u", "path": "/v"}}, "live": {"every": "100ms"}}},
        }
        async with serve(load(catalog, tmp_path)) as running:
            yield running


def rss() -> int:
    """Bytes that this process holds: server and test are one."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def stalled(served: Served) -> socket.socket:
    """A client that subscribes and never reads a byte again."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", served.port))
    protocol = ClientProtocol(parse_uri(served.ws))
    protocol.send_request(protocol.connect())
    await loop.sock_sendall(sock, b"".join(protocol.data_to_send()))
    protocol.receive_data(await loop.sock_recv(sock, 4096))
    for message in ({"type": "connection_init"}, {"type": "subscribe", "id": "1", "payload": {"endpoint": "x"}}):
        protocol.send_text(json.dumps(message).encode())
        await loop.sock_sendall(sock, b"".join(protocol.data_to_send()))
    return sock


async def lags(served: Served, seconds: float) -> list[float]:
    """How old updates are when a reader that reads gets them, in seconds."""
    found: list[float] = []
    async with served.live(max_size=None) as reader:
        await reader.subscribe("x")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            update = await reader.next("update")
            found.append(time.time() - update["data"]["v"]["at"])
            reader.messages.clear()
    return sorted(found)


async def test_fifty_readers_that_never_read_cost_bounded_memory(served: Served) -> None:
    """Each at most what the kernel and one frame take; a reader beside them is not late, and they are gone after the send time-out."""
    alone = await lags(served, 2)
    socks = [await stalled(served) for _ in range(50)]
    try:
        await asyncio.sleep(1)
        before = rss()
        beside = await lags(served, 5)
        grown = rss() - before
        assert grown < 50 * 100_000, f"{grown / 1e6:.1f} MB more after 50 updates of 50 KB to 50 readers"
        assert beside[len(beside) // 2] < max(0.1, alone[len(alone) // 2] * 2)
        assert served.service.sockets.snapshot()["connections"] == 50
        async with asyncio.timeout(12):
            while served.service.sockets.snapshot()["connections"]:  # noqa: ASYNC110 - sockets tell no event
                await asyncio.sleep(0.1)
    finally:
        for sock in socks:
            sock.close()


async def test_a_slow_reader_gets_the_newest_state_and_its_chain_holds(served: Served) -> None:
    """What it was not sent is counted in `conflated`."""
    async with served.live(max_size=None, max_queue=1) as slow:
        await slow.subscribe("x")
        complete = await slow.next("complete")
        await asyncio.sleep(3)
        at, left_out = complete["offset"], 0
        async with asyncio.timeout(5):
            while left_out < 5:
                update = await slow.next("update")
                assert update["prev"] == at
                at, left_out = update["offset"], left_out + update.get("conflated", 0)
        assert time.time() - update["data"]["v"]["at"] < 1
