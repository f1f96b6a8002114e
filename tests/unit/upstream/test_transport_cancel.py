"""A call may be cancelled at any suspension, once or twice: no connection, no place in a pool and no task is lost, and the next is served."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from app.upstream.origin import Origin
from app.upstream.pool import Bounds
from app.upstream.transport import Transport
from tests.fakes.calls import asking, call_of
from tests.fakes.cancelling import cancelled_at
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer, by_path

CA = trustme.CA()


async def slow(asked: Asked, line: Line) -> None:
    """Head and body in pieces."""
    await line.send(b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 4\r\n\r\n", b"so", b"on")


async def drained(asked: Asked, line: Line) -> None:
    """An error whose body comes behind."""
    await line.send(b"HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\n", b"so", b"on")


PATHS = {"/": slow, "/error": drained, "/next": answer(b"next")}


def server_tls() -> ssl.SSLContext:
    """What the fake upstream shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """What trusts it."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


async def settle(transport: Transport, tasks: int) -> None:
    """Lets what was cancelled come to rest, then holds it against what was there before."""
    async with asyncio.timeout(2):
        while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - any task
            await asyncio.sleep(0)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("kind", ["plain", "tls", "error", "name"])
async def test_cancelled_anywhere_a_call_leaves_nothing(kind: str, twice: bool) -> None:
    """Connecting, handshaking, waiting in line, waiting for the answer; between the steps of the loop, too."""
    tls = (server_tls(), client_tls()) if kind == "tls" else (None, None)
    async with FakeUpstream(by_path(PATHS), tls=tls[0], name="localhost" if kind == "name" else None) as upstream:
        transport = Transport()
        pool = transport.open_pool(Origin.of(upstream.url), tls=tls[1], bounds=Bounds(connections=2))

        async def ask(path: bytes, expires: float = float("inf")) -> bytes:
            request = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path
            return (await pool.request(request, is_idempotent=True, is_bodiless=False, expires=expires, limit=99)).body

        path = b"/error" if kind == "error" else b"/"
        tasks = len(asyncio.all_tasks()) + 2
        for is_warm in (False, True):
            for step in range(1, 12):
                reached = False
                for after in range(6):
                    if not is_warm:
                        for connection in list(pool._idle):
                            connection.close()
                    others = [asyncio.ensure_future(ask(b"/next")) for _ in range(2)]
                    reached |= await cancelled_at(ask(path), step, after=after, twice=twice)
                    assert await asyncio.gather(*others) == [b"next"] * 2
                    assert await ask(b"/next") == b"next"
                    assert not pool._waiters
                    assert pool.count <= 2
                    assert len(pool._idle) + len(pool._busy) == pool.count
                if not reached:
                    break
        await settle(transport, tasks)
        await transport.aclose()
        await upstream.until_open(0)
        assert pool.count == 0


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_cancelled_anywhere_a_stream_leaves_nothing(twice: bool) -> None:
    """While it is opened, while its body goes up, while it is read: connection and sender are gone."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0)

    async with FakeUpstream(by_path(PATHS)) as upstream, asking(upstream.url) as u:

        async def proxy() -> None:
            stream = await u.upstream.open_stream(call_of("/", method="PUT"), body())
            try:
                assert b"".join([chunk async for chunk in stream]) == b"soon"
            finally:
                await stream.aclose()

        tasks = len(asyncio.all_tasks()) + 2
        for step in range(1, 20):
            reached = [await cancelled_at(proxy(), step, after=after, twice=twice) for after in range(6)]
            await proxy()
            assert u.connections <= 1
            if not any(reached):
                break
        assert step > 3
        await settle(u.transport, tasks)
        assert not u.transport._pools[0]._busy


async def test_a_storm_of_deadlines_and_cancellations_leaves_a_pool_that_serves() -> None:
    """Twenty callers of four connections, each cancelled or timed out at a moment of its own, over and over; every answer is its asker's."""

    async def named(asked: Asked, line: Line) -> None:
        await asyncio.sleep(0.001)
        await line.send(answer(asked.path.encode()))

    async with FakeUpstream(named) as upstream:
        transport = Transport()
        pool = transport.open_pool(Origin.of(upstream.url), bounds=Bounds(connections=4))
        loop = asyncio.get_running_loop()

        async def caller(number: int) -> None:
            for turn in range(15):
                path = b"/%d-%d" % (number, turn)
                request = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path
                patience = ((number * 31 + turn * 17) % 20) / 1000
                expires = loop.time() + (patience if turn % 2 else 5)
                asking = loop.create_task(pool.request(request, is_idempotent=True, is_bodiless=False, expires=expires, limit=99))
                if turn % 3 == 0:
                    loop.call_later(patience, asking.cancel)
                await asyncio.wait([asking])
                if not asking.cancelled() and asking.exception() is None:
                    assert asking.result().body == path

        await asyncio.gather(*(caller(number) for number in range(20)))
        assert not pool._waiters
        assert not pool._busy
        assert len(pool._idle) == pool.count <= 4
        assert (
            await pool.request(b"GET /end HTTP/1.1\r\n\r\n", is_idempotent=True, is_bodiless=False, expires=loop.time() + 1, limit=99)
        ).body == b"/end"
        await transport.aclose()
        await upstream.until_open(0)
