"""The bound of a pool, and those who wait in line for a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.core.errors import CallFailure
from app.upstream.origin import Origin
from app.upstream.pool import Bounds, Pool
from app.upstream.transport import Transport
from tests.fakes.upstream import Asked, FakeUpstream, Line, always, answer, by_path, silence

GET = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n"


@asynccontextmanager
async def pool(upstream: FakeUpstream, limit: int) -> AsyncIterator[Pool]:
    """A pool of at most so many connections."""
    transport = Transport()
    yield transport.open_pool(Origin.of(upstream.url), bounds=Bounds(connections=limit))
    await transport.aclose()


async def ask(pool: Pool, path: bytes = b"/", timeout: float = 3.0) -> bytes:
    """One GET."""
    expires = asyncio.get_running_loop().time() + timeout
    return (await pool.request(GET % path, is_idempotent=True, is_bodiless=False, expires=expires, limit=99999)).body


async def named(asked: Asked, line: Line) -> None:
    """Answers with the path, after a moment."""
    await asyncio.sleep(0.002)
    await line.send(answer(asked.path.encode()))


async def test_no_more_connections_than_the_limit() -> None:
    """The others wait, and get their own answer."""
    async with FakeUpstream(named) as upstream, pool(upstream, 3) as p:
        answers = await asyncio.gather(*(ask(p, b"/%d" % i) for i in range(40)))
        assert answers == [b"/%d" % i for i in range(40)]
        assert (upstream.peak, p.count) == (3, 3)
        assert repr(p) == "<Pool 3 connections, 3 idle, 0 waiting>"


async def test_those_who_wait_are_served_in_order() -> None:
    """First come, first served."""
    async with FakeUpstream(named) as upstream, pool(upstream, 1) as p:
        await asyncio.gather(*(ask(p, b"/%d" % i) for i in range(10)))
        assert [asked.path for asked in upstream.asked] == [f"/{i}" for i in range(10)]


async def test_waiting_in_line_ends_with_the_attempt_and_blames_nobody() -> None:
    """The upstream has not heard of the call."""
    async with FakeUpstream(silence) as upstream, pool(upstream, 1) as p:
        first = asyncio.ensure_future(ask(p))
        await upstream.until_asked(1)
        with pytest.raises(CallFailure) as caught:
            await ask(p, timeout=0.02)
        assert (caught.value.type, caught.value.sent, caught.value.blames_upstream) == ("timeout", False, False)
        assert repr(p).endswith("0 waiting>") or "0 idle" in repr(p)
        first.cancel()
        await asyncio.wait([first])
        assert p.count == 0


async def test_a_connection_that_failed_makes_room_for_the_next() -> None:
    """Whether it failed while connecting or later."""
    script = by_path({"/good": answer(b"good"), "/bad": b"garbage", "/hang": silence})
    async with FakeUpstream(script) as upstream, pool(upstream, 1) as p:
        paths = (b"/bad", b"/hang", b"/good", b"/bad", b"/good")
        results = await asyncio.gather(*(ask(p, path, 0.05 if path == b"/hang" else 3) for path in paths), return_exceptions=True)
        assert [getattr(r, "type", r) for r in results] == ["protocol", "timeout", b"good", "protocol", b"good"]
    async with FakeUpstream(always(answer())) as gone:
        pass
    async with pool(gone, 1) as p:
        results = await asyncio.gather(*(ask(p) for _ in range(5)), return_exceptions=True)
        assert [getattr(r, "type", r) for r in results] == ["connect"] * 5
        assert p.count == 0


async def test_who_leaves_the_line_in_the_moment_of_being_served_loses_nothing() -> None:
    """The connection handed to one who is cancelled goes to the next."""
    async with FakeUpstream(named) as upstream, pool(upstream, 1) as p:
        first = asyncio.ensure_future(ask(p, b"/first"))
        await upstream.until_asked(1)
        second = asyncio.ensure_future(ask(p, b"/second"))
        third = asyncio.ensure_future(ask(p, b"/third"))
        await asyncio.sleep(0)
        first.add_done_callback(lambda _: second.cancel())
        assert await third == b"/third"
        assert second.cancelled() or second.done()
        await asyncio.wait([second])
        assert (p.count, upstream.made) == (1, 1) or p.count == 1


async def test_a_closed_pool_fails_everyone_at_once() -> None:
    """Those who wait for an answer, in line, and those who come later; no connection stays."""
    async with FakeUpstream(silence) as upstream, pool(upstream, 1) as p:
        waiting = [asyncio.ensure_future(ask(p)) for _ in range(3)]
        await upstream.until_asked(1)
        p.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(r, "type", r) for r in results] == ["connect"] * 3
        with pytest.raises(CallFailure):
            await ask(p)
        await upstream.until_open(0)
        assert p.count == 0
