"""Good and faulty exchanges by the thousand: every answer is its asker's, and memory, descriptors, connections and tasks stay where they were.

`SOAK=100000 pytest tests/soak` runs the long one (`make soak`); the suite runs a short one.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import random
import resource
from pathlib import Path

import pytest
import uvloop

from app.core.call import Reading
from app.core.errors import CallFailure
from tests.fakes.calls import Asker, asking
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer, by_path, refuse, reset, silence

EXCHANGES = int(os.environ.get("SOAK") or 3000)
WIDTH = 40
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def named(asked: Asked) -> bytes:
    """The JSON that this request's answer must be."""
    return b'"%b"' % asked.target.partition("?")[2].encode()


async def good(asked: Asked, line: Line) -> None:
    """With a length."""
    await line.send(answer(named(asked)))


async def chunks(asked: Asked, line: Line) -> None:
    """In chunks and segments."""
    body = named(asked)
    await line.send(OK + b"transfer-encoding: chunked\r\n\r\n1\r\n" + body[:1], b"\r\n%x\r\n%b\r\n0\r\n" % (len(body) - 1, body[1:]), b"\r\n")


async def coded(asked: Asked, line: Line) -> None:
    """With gzip."""
    await line.send(answer(gzip.compress(named(asked)), 200, "content-encoding: gzip"))


async def surplus(asked: Asked, line: Line) -> None:
    """With another answer behind it."""
    await line.send(answer(named(asked)) + answer(b'"poison"'))


async def lingering(asked: Asked, line: Line) -> None:
    """Closes a moment later."""
    await line.send(answer(named(asked)))
    await asyncio.sleep(0.001)
    line.close()


async def cut(asked: Asked, line: Line) -> None:
    """Ends in the body."""
    await line.send(OK + b"content-length: 100\r\n\r\n{")
    line.close()


SCRIPTS = {
    "/good": good, "/good2": good, "/good3": good, "/good4": good, "/chunks": chunks, "/coded": coded, "/surplus": surplus, "/lingering": lingering,
    "/cut": cut, "/refuse": refuse, "/reset": reset, "/hang": silence, "/503": answer(b"no", 503), "/garbage": b"\x00\x01 no http\r\n\r\n",
    "/large": OK + b"content-length: 99999\r\n\r\n" + b"x" * 99999,
    "/bomb": answer(gzip.compress(b"0" * 3_000_000), 200, "content-encoding: gzip"),
    "/fields": OK + b"x: y\r\n" * 200 + b"\r\n",
    "/deep": answer(b"[" * 300 + b"]" * 300),
}  # fmt: skip
SPOILT = {
    "/cut": "protocol", "/refuse": "connect", "/reset": "connect", "/hang": "timeout", "/503": "status", "/garbage": "protocol",
    "/large": "too_large", "/bomb": "too_large", "/fields": "too_large", "/deep": "decode",
}  # fmt: skip
READING = Reading(max_body=65536)


async def exchange(u: Asker, dice: random.Random, number: int) -> None:
    """One call, of which one in ten is cancelled on its way."""
    path = dice.choice(list(SCRIPTS))
    call = asyncio.ensure_future(u.get(f"{path}?{number}", reading=READING, timeout=0.02 if path == "/hang" else 9))
    if dice.random() < 0.1:
        asyncio.get_running_loop().call_later(dice.random() / 200, call.cancel)
    await asyncio.wait([call])
    if call.cancelled():
        return
    failure = call.exception()
    if failure is None:
        assert call.result().data.value == str(number), path
    else:
        assert isinstance(failure, CallFailure)
        assert SPOILT.get(path) == failure.type, (path, failure)


def descriptors() -> int:
    """Open files of this process."""
    return len(os.listdir("/proc/self/fd"))


async def lowest_descriptors() -> int:
    """The fewest of a moment: a socket's file is closed a turn of the loop or two after its connection."""
    counts = []
    for _ in range(20):
        await asyncio.sleep(0.01)
        counts.append(descriptors())
    return min(counts)


def resident() -> int:
    """KiB of memory in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


async def soak() -> None:
    """Warm up with a fifth, look, run the rest, look again."""
    dice = random.Random(7)
    async with FakeUpstream(by_path(SCRIPTS)) as upstream, asking(upstream.url) as u:
        numbers = iter(range(EXCHANGES))

        async def worker(until: int) -> None:
            for number in numbers:
                await exchange(u, dice, number)
                upstream.asked.clear()
                u.events.clear()
                if number >= until:
                    return

        async def run(until: int) -> tuple[int, int]:
            async with asyncio.TaskGroup() as group:
                for _ in range(WIDTH):
                    group.create_task(worker(until))
            pool = u.transport._pools[0]
            async with asyncio.timeout(3):
                while pool._busy or upstream.open > pool.count:  # noqa: ASYNC110 - sockets tell no event
                    await asyncio.sleep(0.01)
            assert not pool._waiters
            assert len(pool._idle) == pool.count <= WIDTH
            for connection in list(pool._idle):
                connection.close()
            await upstream.until_open(0)
            gc.collect()
            return await lowest_descriptors(), resident()

        before = await run(EXCHANGES // 5)
        tasks = len(asyncio.all_tasks())
        after = await run(EXCHANGES)
        assert len(asyncio.all_tasks()) == tasks
        assert after[0] <= before[0] + 2
        assert after[1] <= before[1] + 12 * 1024


@pytest.mark.slow
@pytest.mark.timeout(60 + EXCHANGES // 100)
def test_nothing_grows_and_nothing_gets_mixed_up() -> None:
    """On the loop that serves."""
    uvloop.run(soak())
