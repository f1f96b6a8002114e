"""Which connections are used again and which never: the rule that keeps one client's answer from another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.core.call import Reading, Record
from app.core.errors import CallFailure
from app.upstream.origin import Origin
from app.upstream.pool import Bounds, Pool
from app.upstream.transport import Transport
from tests.fakes.calls import Asker, asking
from tests.fakes.upstream import Asked, FakeUpstream, Line, Script, always, answer, by_path, serving

POISON = answer(b'{"poison":1}')
REAL = answer(b'{"real":1}')


async def real(u: Asker, target: str = "/real", **more: object) -> None:
    """This call's answer is its own."""
    assert (await u.get(target, **more)).data.raw == b'{"real":1}'


async def test_the_warmest_connection_is_used_first() -> None:
    """So that those which are not needed grow old."""
    gate = asyncio.Event()

    async def script(asked: Asked, line: Line) -> None:
        await gate.wait()
        port = line.writer.get_extra_info("peername")[1]
        await line.send(answer(b"%d" % port))

    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:
        first = [asyncio.ensure_future(u.get()) for _ in range(3)]
        await upstream.until_asked(3)
        gate.set()
        last = [int((await each).data.raw) for each in first][-1]
        assert {int((await u.get()).data.raw) for _ in range(5)} == {last}
        assert upstream.made == 3


SURPLUS = {
    "a_second_answer": REAL + POISON,
    "half_of_a_second": REAL + POISON[:9],
    "garbage": REAL + b"garbage",
    "a_body_behind_204": b'HTTP/1.1 204 No Content\r\ncontent-length: 12\r\n\r\n{"poison":1}',
    "a_body_behind_304": b'HTTP/1.1 304 Not Modified\r\ncontent-length: 12\r\n\r\n{"poison":1}',
    "behind_chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + POISON,
    "said_to_close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    "http_10": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "behind_close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}" + POISON,
}


@pytest.mark.parametrize("case", SURPLUS)
async def test_a_connection_with_surplus_bytes_is_not_used_again(case: str) -> None:
    """Bytes behind an answer belong to nobody (RFC 9112 section 6.3)."""
    async with FakeUpstream(by_path({"/bad": SURPLUS[case], "/real": REAL})) as upstream, asking(upstream.url) as u:
        for _ in range(3):
            assert b"poison" not in (await u.get("/bad", reading=Reading(null_on=frozenset((304,))))).data.raw
            await real(u)
        assert upstream.made == 4  # each /real opened one, which the next /bad shared


@pytest.mark.parametrize("surplus", [b'{"poison":1}', POISON, b"5\r\nabcde\r\n0\r\n\r\n"])
@pytest.mark.parametrize("framing", [b"content-length: 12", b"transfer-encoding: chunked"])
async def test_a_body_behind_the_answer_to_head_is_nobodys(framing: bytes, surplus: bytes) -> None:
    """HEAD has none, whatever comes."""
    head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + surplus
    async with FakeUpstream(by_path({"/bad": head, "/real": REAL})) as upstream, asking(upstream.url) as u:
        for _ in range(3):
            assert (await u.get("/bad", method="HEAD")).data.is_null
            await real(u)


async def test_bytes_that_come_late_end_an_idle_connection() -> None:
    """What arrives on it is no answer to anything."""

    async def late(asked: Asked, line: Line) -> None:
        await line.send(REAL)
        await asyncio.sleep(0.002)
        await line.send(POISON)

    async with FakeUpstream(by_path({"/late": late, "/real": REAL})) as upstream, asking(upstream.url) as u:
        for turn in range(4):
            await real(u, "/late")
            await upstream.until_open(0)
            assert u.connections == 0
            await real(u)
            assert upstream.made == turn + 2  # /real and the next /late share one


async def test_bytes_that_the_loop_has_not_read_yet_are_seen_too() -> None:
    """The socket is asked before it is written to: between two steps of the loop anything may have come."""

    async def late(asked: Asked, line: Line) -> None:
        sock = line.writer.get_extra_info("socket")
        await line.send(REAL)
        sent.append(sock)

    sent: list[object] = []
    async with FakeUpstream(by_path({"/late": late, "/real": REAL})) as upstream, asking(upstream.url) as u:
        await real(u, "/late")
        os.write(sent[0].fileno(), POISON)  # type: ignore[attr-defined]
        await real(u)  # no step of the loop between the two
        assert upstream.made == 2


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
async def test_a_connection_that_the_upstream_ended_is_not_used_again(end: str) -> None:
    """Closed, reset or half closed while idle: noticed before the next request."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(REAL)
        getattr(line, end)()

    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:
        for _ in range(5):
            await real(u)
        assert upstream.made == 5


def dies_on_second(answers: list[bytes]) -> Script:
    """Answers the first request of a connection, and closes on the second without a byte."""
    seen: dict[object, int] = {}

    async def script(asked: Asked, line: Line) -> None:
        seen[line.writer] = seen.get(line.writer, 0) + 1
        if seen[line.writer] == 1:
            await line.send(*answers)
        else:
            line.close()

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_request_that_died_on_a_reused_connection_is_sent_once_more(method: str) -> None:
    """Idempotent ones, on a fresh connection; no attempt is counted."""
    async with FakeUpstream(dies_on_second([answer(b"")])) as upstream, asking(upstream.url) as u:
        await u.get(method=method)
        record = Record()
        await u.get(method=method, record=record)
        assert (len(upstream.asked), upstream.made, record.attempts) == (3, 2, 1)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_not_happen_twice_is_not_sent_twice(method: str) -> None:
    """A POST that was written may have been carried out."""
    async with FakeUpstream(dies_on_second([answer(b"")])) as upstream, asking(upstream.url) as u:
        await u.get(method=method, body=b"{}")
        with pytest.raises(CallFailure) as caught:
            await u.get(method=method, body=b"{}")
        assert (caught.value.type, caught.value.sent) == ("connect", True)
        assert len(upstream.asked) == 2


async def test_a_request_that_dies_on_a_fresh_connection_is_not_sent_again() -> None:
    """That is a failure, for the retry policy to judge."""
    script = by_path({"/real": REAL})

    async def closes(asked: Asked, line: Line) -> None:
        line.close()

    async with FakeUpstream(closes) as upstream, asking(upstream.url) as u:
        with pytest.raises(CallFailure):
            await u.get()
        assert len(upstream.asked) == 1
        upstream.script = script
        await real(u)


async def test_an_answer_that_broke_after_its_first_byte_is_not_asked_again() -> None:
    """Not even on a reused connection: that is `protocol`."""

    async def script(asked: Asked, line: Line) -> None:
        if asked.path == "/real":
            await line.send(REAL)
        else:
            await line.send(b"HTTP/1.1 2")
            line.close()

    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:
        await real(u)
        with pytest.raises(CallFailure) as caught:
            await u.get("/broken")
        assert (caught.value.type, len(upstream.asked)) == ("protocol", 2)


async def test_an_early_answer_to_a_large_request_is_not_followed_by_another_on_its_connection() -> None:
    """The rest of the request is still on its way there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"{}", 413))
        await asyncio.Event().wait()

    async with serving(serve) as url, asking(url) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get(method="PUT", body=b"x" * 30_000_000)
        assert caught.value.http_status == 413
        assert u.connections == 0


@asynccontextmanager
async def pool(upstream: FakeUpstream, bounds: Bounds) -> AsyncIterator[Pool]:
    """A pool with these bounds."""
    transport = Transport()
    yield transport.open_pool(Origin.of(upstream.url), bounds=bounds)
    await transport.aclose()


async def ask(pool: Pool, path: bytes) -> bytes:
    """One GET."""
    request = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path
    return (await pool.request(request, is_idempotent=True, is_bodiless=False, expires=float("inf"), limit=9999)).body


async def test_idle_connections_are_closed_in_time() -> None:
    """Those in use are not."""
    gate = asyncio.Event()

    async def slow(asked: Asked, line: Line) -> None:
        await gate.wait()
        await line.send(REAL)

    async with FakeUpstream(by_path({"/real": REAL, "/slow": slow})) as upstream, pool(upstream, Bounds(idle=0.03)) as p:
        running = asyncio.ensure_future(ask(p, b"/slow"))
        await upstream.until_asked(1)
        await ask(p, b"/real")
        assert p.count == 2
        await upstream.until_open(1)
        assert p.count == 1
        gate.set()
        await running
        await upstream.until_open(0)
        assert p.count == 0


async def test_a_connection_is_not_used_past_its_age() -> None:
    """So that a change of DNS is followed."""
    async with FakeUpstream(always(REAL)) as upstream, pool(upstream, Bounds(age=0.02)) as p:
        await ask(p, b"/")
        await asyncio.sleep(0.03)
        await ask(p, b"/")
        assert upstream.made == 2
        await upstream.until_open(1)
