"""Proxied bodies: both ways, as they come, no faster than they are taken, and ended by whoever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.core.errors import CallFailure
from app.upstream.stream import HIGH
from app.upstream.upload import KEPT
from tests.fakes.calls import Asker, asking, call_of
from tests.fakes.upstream import Asked, FakeUpstream, Line, always, answer, by_path, refuse, serving, silence

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A body in pieces."""
    for part in parts:
        yield part


async def test_an_answer_passes_as_it_comes() -> None:
    """Its first piece is there before its last is sent; coded bytes stay coded; hop-by-hop fields are taken out."""
    gate = asyncio.Event()
    fields = b"Content-Encoding: br\r\nConnection: x-hop\r\nX-Hop: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n"

    async def script(asked: Asked, line: Line) -> None:
        await line.send(CHUNKED[:-2] + fields + b"5\r\nfirst\r\n")
        await gate.wait()
        await line.send(b"4\r\nlast\r\n0\r\n\r\n")

    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:
        stream = await u.upstream.open_stream(call_of("/x"))
        assert (stream.status, stream.fields) == (200, [(b"content-encoding", b"br"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
        chunks = aiter(stream)
        assert await anext(chunks) == b"first"
        gate.set()
        assert [chunk async for chunk in chunks] == [b"last"]
        await stream.aclose()
        assert u.connections == 1
        assert not {"accept-encoding"} & {name for name, _ in upstream.asked[0].headers}


@pytest.mark.parametrize("length", [None, 9])
async def test_a_body_goes_up_as_it_comes(length: int | None) -> None:
    """With its length where that is known, else in chunks."""
    async with FakeUpstream(always(answer(b"ok"))) as upstream, asking(upstream.url) as u:
        headers = (("content-length", str(length)),) if length else ()
        for _ in range(2):
            stream = await u.upstream.open_stream(call_of("/x", method="POST", headers=headers), pieces(b"one", b"", b"two", b"six"))
            assert b"".join([chunk async for chunk in stream]) == b"ok"
            await stream.aclose()
        assert [asked.body for asked in upstream.asked] == [b"onetwosix"] * 2
        assert upstream.asked[0].values("transfer-encoding") == ([] if length else ["chunked"])
        assert upstream.made == 1


async def test_bytes_flow_both_ways_at_once() -> None:
    """The answer begins before the request has ended."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while size := int(await reader.readline(), 16):
            data = await reader.readexactly(size + 2)
            writer.write(b"%x\r\n%b" % (size, data))
        writer.write(b"0\r\n\r\n")
        await reader.read()

    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        assert await heard.get() == b"one"
        yield b"two"

    async with serving(echo) as url, asking(url) as u:
        stream = await u.upstream.open_stream(call_of("/x", method="POST"), body())
        async for chunk in stream:
            heard.put_nowait(chunk)
        assert heard.get_nowait() == b"two"
        await stream.aclose()


async def test_a_slow_reader_slows_the_upstream() -> None:
    """What waits to be taken is bounded; all of it arrives."""
    sent = 0

    async def flood(asked: Asked, line: Line) -> None:
        nonlocal sent
        await line.send(CHUNKED)
        for _ in range(400):
            await line.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
        await line.send(b"0\r\n\r\n")

    async with FakeUpstream(flood) as upstream, asking(upstream.url) as u:
        stream = await u.upstream.open_stream(call_of("/x"))
        await asyncio.sleep(0.2)
        assert sent < 20 << 20  # the rest fits neither our buffer nor the kernel's
        total = 0
        async for chunk in stream:
            total += len(chunk)
            assert stream._chunks._held <= HIGH + 262144  # type: ignore[attr-defined]
        assert total == 400 * 65536
        await stream.aclose()
        assert u.connections == 1


async def test_who_leaves_a_stream_closes_its_connection() -> None:
    """Closed twice is closed once; the task that sends the request's body ends too."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.001)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"1\r\nx\r\n")
        while await reader.read(65536):
            pass
        left.set()

    left = asyncio.Event()
    async with serving(script) as url, asking(url) as u:
        tasks = len(asyncio.all_tasks())
        stream = await u.upstream.open_stream(call_of("/x", method="PUT"), endless())
        assert await anext(aiter(stream)) == b"x"
        await stream.aclose()
        await stream.aclose()
        async with asyncio.timeout(1):
            await left.wait()
        await asyncio.sleep(0)
        assert u.connections == 0
        assert len(asyncio.all_tasks()) <= tasks + 1


async def test_a_failure_behind_the_head_breaks_the_stream() -> None:
    """The reader is told, with the type of the failure."""
    async with FakeUpstream(always(CHUNKED + b"5\r\nfirst\r\nzz\r\n")) as upstream, asking(upstream.url) as u:
        stream = await u.upstream.open_stream(call_of("/x"))
        chunks = aiter(stream)
        assert await anext(chunks) == b"first"
        with pytest.raises(CallFailure) as caught:
            await anext(chunks)
        assert caught.value.type == "protocol"
        await stream.aclose()
        assert u.connections == 0


async def test_the_deadline_holds_until_the_head() -> None:
    """And no longer: a stream may last."""

    async def slow(asked: Asked, line: Line) -> None:
        await line.send(CHUNKED)
        await asyncio.sleep(0.1)
        await line.send(b"1\r\nx\r\n0\r\n\r\n")

    async with FakeUpstream(by_path({"/slow": slow, "/hang": silence, "/refuse": refuse})) as upstream, asking(upstream.url) as u:
        stream = await u.upstream.open_stream(call_of("/slow", timeout=0.05))
        assert [chunk async for chunk in stream] == [b"x"]
        await stream.aclose()
        for path, kind in (("/hang", "timeout"), ("/refuse", "connect")):
            with pytest.raises(CallFailure) as caught:
                await u.upstream.open_stream(call_of(path, timeout=0.05))
            assert caught.value.type == kind


class Queued(AsyncIterator[bytes]):
    """A body that comes when the test says so."""

    def __init__(self, *parts: bytes | None) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        for part in parts:
            self.parts.put_nowait(part)

    async def __anext__(self) -> bytes:
        if (part := await self.parts.get()) is None:
            raise StopAsyncIteration
        return part


def losing(after: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """An upstream that ends its first connection without a word, so many bytes into the second request's body; others it answers with that."""
    made = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or b"0")
            if length and made == 1:
                await reader.readexactly(after)
                return
            writer.write(answer(await reader.readexactly(length)))

    return serve


async def echoed(u: Asker, body: AsyncIterator[bytes], length: int, method: str = "PUT") -> bytes:
    """What came back of a body, sent on a connection that has been used before."""
    await (await u.upstream.open_stream(call_of("/first"))).aclose()
    stream = await u.upstream.open_stream(call_of("/x", method=method, headers=(("content-length", str(length)),)), body)
    back = b"".join([chunk async for chunk in stream])
    await stream.aclose()
    return back


@pytest.mark.parametrize("after", [0, 3, 6])
async def test_a_body_is_sent_again_where_its_connection_was_lost(after: int) -> None:
    """Once, from its first byte, as long as all that was taken of it is at hand; what had not come yet follows."""
    async with serving(losing(after)) as url, asking(url) as u:
        body = Queued(b"one", b"two")
        asyncio.get_running_loop().call_later(0.02, lambda: [body.parts.put_nowait(part) for part in (b"six", None)])
        assert await echoed(u, body, 9) == b"onetwosix"


@pytest.mark.parametrize(("method", "size", "first"), [("POST", 9, 9), ("PUT", KEPT + 1, KEPT + 1), ("PUT", KEPT + 1, 10)])
async def test_a_body_that_may_not_or_cannot_be_sent_again_is_not(method: str, size: int, first: int) -> None:
    """A method that is not idempotent; more than is kept, in one piece or in two."""
    async with serving(losing(size)) as url, asking(url) as u:
        with pytest.raises(CallFailure) as caught:
            await echoed(u, Queued(b"x" * first, b"x" * (size - first), None), size, method)
        assert caught.value.type == "connect"
        await asyncio.sleep(0)
        assert u.connections == 0


async def test_a_source_that_fails_fails_the_exchange() -> None:
    """The client left in the middle of its body: the upstream's connection is broken, and the reason goes up."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise EOFError("the client is gone")

    async with FakeUpstream(always(answer())) as upstream, asking(upstream.url) as u:
        with pytest.raises(EOFError):
            await u.upstream.open_stream(call_of("/x", method="POST"), broken())
        await upstream.until_open(0)
        assert (u.connections, upstream.asked) == (0, [])


async def test_an_answer_before_the_end_of_the_request_is_passed_on() -> None:
    """A 413, say; the connection is not used again."""

    async def forever() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"no", 413))
        await reader.read()

    async with serving(early) as url, asking(url) as u:
        stream = await u.upstream.open_stream(call_of("/x", method="POST"), forever())
        assert stream.status == 413
        assert [chunk async for chunk in stream] == [b"no"]
        await stream.aclose()
        assert u.connections == 0
