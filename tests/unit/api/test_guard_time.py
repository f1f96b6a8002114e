"""How long a client may take, how many there may be, and how it is noticed that one has left."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from app.api.edge import PIPELINE, Limits
from tests.fakes.guarded import Echo, Guarded, Line, guarded
from tests.unit.api.test_guard_requests import get, problem, status

pytestmark = pytest.mark.slow
QUICK = Limits(keep_alive=1.5, header=0.6, body=0.6, write=1, max_connections=20)


@pytest.fixture
def app() -> Echo:
    """The application behind the guard."""
    return Echo()


@pytest.fixture
async def site(app: Echo) -> AsyncIterator[Guarded]:
    """A guard with a short patience."""
    async with guarded(app, QUICK) as one:
        yield one


async def until(is_so: Callable[[], bool], within: float = 3) -> None:
    """Waits for it."""
    async with asyncio.timeout(within):
        while not is_so():  # noqa: ASYNC110 - real sockets tell nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("half", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b"])
async def test_a_head_that_does_not_end_is_408(site: Guarded, half: bytes) -> None:
    """The deadline runs from its first byte, on a used connection too."""
    for first in (b"", get("/a", closes=False)):
        line = await site.dial(first)
        if first:
            assert status(await line.answer()) == 200
        line.writer.write(half)
        answer = await line.answer()
        assert problem(answer)["status"] == 408
        assert await line.ended() < 3


async def test_blank_lines_behind_a_request_are_none(site: Guarded) -> None:
    """RFC 9112 section 2.2: the next request may follow them, and where none does the connection ends without a word."""
    line = await site.dial(get("/a", closes=False))
    assert status(await line.answer()) == 200
    line.writer.write(b"\r\n")
    await asyncio.sleep(0.01)
    line.writer.write(get("/a", closes=False))
    assert status(await line.answer()) == 200
    line.writer.write(b"\r\n")
    async with asyncio.timeout(3):
        assert await line.reader.read() == b""


async def test_trickling_does_not_extend_the_deadline_of_a_head(site: Guarded) -> None:
    """A byte now and then is no progress (slowloris)."""
    line = await site.dial(b"GET / HTTP/1.1\r\nhost: x\r\n")

    async def trickle() -> None:
        while True:
            line.writer.write(b"x-a: b\r\n")
            await asyncio.sleep(0.1)

    task = asyncio.create_task(trickle())
    answer = await line.answer()
    task.cancel()
    assert status(answer) == 408


async def test_a_body_that_does_not_come_is_408_and_the_application_is_told(site: Guarded) -> None:
    """It hears that the client is gone: half a body is no request."""
    line = await site.dial(get("/body", "content-length: 10", method="POST") + b"abc")
    assert problem(await line.answer())["status"] == 408
    await until(lambda: site.gone == ["/body"])


async def test_a_body_that_flows_may_take_its_time(site: Guarded) -> None:
    """A second more for every KiB."""
    line = await site.dial(get("/body", "content-length: 20480", method="POST"))
    for _ in range(10):
        line.writer.write(b"x" * 2048)
        await asyncio.sleep(0.12)
    assert (await line.answer()).endswith(b"20480")


async def test_an_idle_connection_is_kept_for_its_time(site: Guarded) -> None:
    """Then it is closed without a word, whether it was ever used or not."""
    for data in (b"", get("/a", closes=False)):
        line = await site.dial(data)
        if data:
            assert status(await line.answer()) == 200
        assert 1.2 < await line.ended() < 3


async def test_who_does_not_read_is_dropped(app: Echo, site: Guarded) -> None:
    """An answer that nobody takes does not wait for ever; others are served meanwhile."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", site.port))
    await loop.sock_sendall(sock, get("/large/30000000"))
    await until(lambda: len(site.seen) == 1)
    assert len(site.state.connections) == 1
    assert status(await site.ask(get("/a"))) == 200
    await until(lambda: not site.state.connections, within=5)
    sock.close()


async def test_who_reads_slowly_is_served(site: Guarded) -> None:
    """Any progress within the time is enough."""
    line = await site.dial(get("/large/20000000"))
    taken = 0
    while chunk := await line.reader.read(1 << 20):
        taken += len(chunk)
        await asyncio.sleep(0.05)
    assert taken > 20_000_000


async def test_a_half_closed_client_is_gone(site: Guarded) -> None:
    """The application hears of it at once, and the connection ends."""
    line = await site.dial(get("/hang", closes=False))
    await until(lambda: len(site.seen) == 1)
    line.writer.write_eof()
    await until(lambda: site.gone == ["/hang"], within=0.5)
    assert await line.ended() < 1


@pytest.mark.parametrize("behind", [0, 3])
async def test_a_client_that_leaves_is_gone_for_the_request_in_service(site: Guarded, behind: int) -> None:
    """Also when others wait behind it on the connection; those are never started."""
    line = await site.dial(get("/hang", closes=False) + get("/a", closes=False) * behind)
    await until(lambda: len(site.seen) == 1)
    line.writer.transport.abort()
    await until(lambda: site.gone == ["/hang"], within=0.5)
    await until(lambda: site.edge.admission.in_flight == 0)
    assert len(site.seen) == 1


LEAVING: dict[str, Callable[[Line], None]] = {
    "closes": lambda line: line.writer.transport.close(),
    "half-closes": lambda line: line.writer.write_eof(),
    "resets": lambda line: reset(line),
}


def reset(line: Line) -> None:
    """Ends a connection by a reset."""
    line.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()


@pytest.mark.parametrize("way", LEAVING)
async def test_a_client_that_leaves_while_it_is_not_read_is_gone(site: Guarded, way: str) -> None:
    """The body of a request that waits its turn is not read beyond 64 KiB: the end behind it is noticed all the same."""
    line = await site.dial(get("/hang", closes=False))
    await until(lambda: len(site.seen) == 1)
    line.writer.write(get("/a", "content-length: 900000", method="POST") + b"x" * 90_000)
    await until(lambda: repr(site.edge.unread) == "<Unread 1>")
    assert not site.gone
    LEAVING[way](line)
    await until(lambda: site.gone == ["/hang"], within=0.5)
    await until(lambda: not site.state.connections)
    await until(lambda: repr(site.edge.unread) == "<Unread 0>")
    assert [scope["path"] for scope in site.seen] == ["/hang"]


async def test_pipelined_requests_are_answered_in_order(app: Echo, site: Guarded) -> None:
    """One after another, however they came."""
    line = await site.dial(get("/hang", closes=False) + b"".join(get(f"/{i}", closes=False) for i in range(10)))
    await until(lambda: len(site.seen) == 1)
    app.release.set()
    answers = [await line.answer() for _ in range(11)]
    assert [answer.rpartition(b"\n")[2] for answer in answers] == [b"/hang", *(b"/%d" % i for i in range(10))]


async def test_a_pipeline_is_bounded(app: Echo, site: Guarded) -> None:
    """What came before the excess is answered, then the connection ends."""
    line = await site.dial(get("/hang", closes=False) + get("/a", closes=False) * 5000)
    await until(lambda: len(site.seen) == 1)
    app.release.set()
    answers = [await line.answer() for _ in range(PIPELINE + 2)]
    assert [status(answer) for answer in answers] == [200] * (PIPELINE + 1) + [400]
    assert len(site.seen) == PIPELINE + 1


async def test_a_broken_request_behind_a_good_one_is_refused_in_its_turn(app: Echo, site: Guarded) -> None:
    """The good one gets its answer first."""
    line = await site.dial(get("/hang", closes=False) + get(host=None))
    await until(lambda: len(site.seen) == 1)
    app.release.set()
    assert [status(await line.answer()) for _ in range(2)] == [200, 400]


async def test_the_longest_idle_connection_makes_room(site: Guarded) -> None:
    """Silent connections cannot lock others out: at the cap the one that was idle longest goes."""
    silent = [await site.dial() for _ in range(60)]
    assert status(await site.ask(get("/a"))) == 200
    assert len(site.state.connections) <= 20
    assert await silent[0].ended() < 0.5
    for line in silent:
        line.writer.transport.abort()


async def test_where_every_connection_is_busy_a_new_one_is_told_so(site: Guarded) -> None:
    """503 with Retry-After, at once."""
    busy = [await site.dial(get("/hang")) for _ in range(20)]
    await until(lambda: len(site.seen) == 20)
    answer = await site.ask(b"")
    assert status(answer) == 503
    assert b"retry-after: 1" in answer
    for line in busy:
        line.writer.transport.abort()


async def test_a_request_too_many_is_shed_without_the_application(app: Echo) -> None:
    """503 with Retry-After on a connection that stays; probes are always answered; places are given back."""
    async with guarded(app, QUICK, most=2) as site:
        busy = [await site.dial(get("/hang", closes=False)) for _ in range(2)]
        await until(lambda: len(site.seen) == 2)
        line = await site.dial(get("/a", closes=False))
        answer = await line.answer()
        assert status(answer) == 503
        assert b"retry-after: 1\r\n" in answer
        assert b"connection: close" not in answer
        line.writer.write(get("/readyz", closes=False))
        assert status(await line.answer()) == 200
        app.release.set()
        assert [status(await one.answer()) for one in busy] == [200, 200]
        line.writer.write(get("/a"))
        assert status(await line.answer()) == 200
        assert repr(site.edge.admission) == "<Admission 0/2 of 2, 1 shed>"


async def test_while_draining_every_answer_ends_its_connection(app: Echo, site: Guarded) -> None:
    """Requests in service too; new ones are still served; no WebSocket is opened."""
    line = await site.dial(get("/hang", closes=False))
    await until(lambda: len(site.seen) == 1)
    site.edge.is_draining = True
    app.release.set()
    late = await site.ask(get("/late", closes=False))
    for answer in (await line.answer(), late):
        assert status(answer) == 200
        assert b"connection: close" in answer
    upgrade = ("upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
    assert status(await site.ask(get("/ws", *upgrade, closes=False))) == 503


async def test_an_early_answer_to_an_upload_can_be_read(site: Guarded) -> None:
    """Who is refused while still sending gets its answer, not a reset; the rest of its body is not kept."""
    line = await site.dial(get("/a", "content-length: 30000000", method="POST", closes=False))
    for _ in range(100):
        line.writer.write(b"x" * 65536)
    answer = await line.answer()
    assert status(answer) == 200
    assert b"connection: close" in answer
    assert await line.ended() < 4


async def test_a_large_head_may_come_in_pieces(site: Guarded) -> None:
    """What counts is its size, not how often we were woken for it."""
    line = await site.dial()
    sent = get("/a", *(f"x-{i}: " + "a" * 1000 for i in range(30)))
    for start in range(0, len(sent), 1400):
        line.writer.write(sent[start : start + 1400])
        await asyncio.sleep(0.005)
    assert status(await line.answer()) == 200
