"""Overload is served, not suffered: at ten times the capacity goodput holds, and saying no is cheap."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes.process import Process, serving
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = pytest.mark.slow

CATALOG = """
upstreams:
  u: {{url: {url}, coalesce: false}}
endpoints:
  x: {{get: "/x/{{n}}", deadline: 60s, calls: {{{calls}}}}}
"""
DOCUMENT = b'{"it": [%b1]}' % (b"1234, " * 250)
"""A body of the size that services send, 1.5 KB."""
CALLS = ", ".join(f'{name}: {{upstream: u, path: "/{name}/{{n}}"}}' for name in "abcdef")
CLIENTS = 16
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /x/1 HTTP/1.1\r\nhost: x\r\n\r\n"


async def _script(asked: Asked, line: Line) -> None:
    if asked.path.endswith("/slow"):
        await asyncio.sleep(0.05)
    elif asked.path.endswith("/hang"):
        await asyncio.sleep(60)
    await line.send(answer(DOCUMENT))


async def _client(port: int, until: float, seen: dict[int, list[float]]) -> None:
    """Asks again and again on one connection; who is told to wait waits a little."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        began = time.monotonic()
        writer.write(REQUEST.replace(b"/x/1", b"/x/slow"))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        status = int(head[9:12])
        seen.setdefault(status, []).append(time.monotonic() - began)
        if status == 503:
            assert b"retry-after: " in head.lower()
            await asyncio.sleep(0.05)
    writer.transport.abort()


async def load(server: Process, clients: int, seconds: float) -> dict[int, list[float]]:
    """Latencies by status."""
    seen: dict[int, list[float]] = {}
    until = time.monotonic() + seconds
    async with asyncio.timeout(seconds + 15):
        await asyncio.gather(*(_client(server.port, until, seen) for _ in range(clients)))
    return seen


def cpu(server: Process) -> float:
    """Processor seconds used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_goodput_holds_at_ten_times_the_capacity(tmp_path: Path) -> None:
    """Four places are the capacity. Forty clients: as many good answers as with four, as quick, every other a cheap 503."""
    async with FakeUpstream(_script) as upstream:
        (tmp_path / "merganser.yaml").write_text(CATALOG.format(url=upstream.url, calls=CALLS))
        async with serving(tmp_path / "merganser.yaml", MERGANSER_MAX_IN_FLIGHT="4", MERGANSER_LOG_LEVEL="warning") as server:
            await load(server, 4, 0.5)
            peak = await load(server, 4, 2)
            over = await load(server, 40, 2)
            calm = await load(server, 4, 1)
    assert set(peak) == set(calm) == {200}
    assert set(over) == {200, 503}
    assert len(over[200]) >= 0.8 * len(peak[200])
    assert _median(over[200]) < 2 * _median(peak[200])


async def test_saying_no_costs_a_tenth_of_serving(tmp_path: Path) -> None:
    """CPU of a request that is shed, against CPU of one with six calls that is served; the application hears nothing of the former.

    Of several turns the best counts, of the one as of the other: what else runs on the machine only adds.
    """
    async with FakeUpstream(_script) as upstream:
        (tmp_path / "merganser.yaml").write_text(CATALOG.format(url=upstream.url, calls=CALLS))
        async with serving(tmp_path / "merganser.yaml", MERGANSER_MAX_IN_FLIGHT=str(CLIENTS), MERGANSER_LOG_LEVEL="warning") as server:
            lines = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CLIENTS)]
            await _cost(server, lines, b"/x/1", 10, {200})
            served = min([await _cost(server, lines, b"/x/1", 50, {200}) for _ in range(3)])
            holders = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CLIENTS)]
            asked = len(upstream.asked)
            for _, writer in holders:
                writer.write(REQUEST.replace(b"/x/1", b"/x/hang"))
            while len(upstream.asked) < asked + 6 * CLIENTS:  # noqa: ASYNC110 - sockets tell no event
                await asyncio.sleep(0.01)
            shed = min([await _cost(server, lines, b"/x/1", 500, {503}) for _ in range(3)])
            for _, writer in (*lines, *holders):
                writer.transport.abort()
    assert len(upstream.asked) == asked + 6 * CLIENTS
    assert shed < served / 10, f"{shed * 1e6:.0f} against {served * 1e6:.0f} microseconds"


async def _cost(server: Process, lines: Sequence[Connection], path: bytes, number: int, expected: set[int]) -> float:
    """CPU seconds of the server per request, of so many on each line."""
    before = cpu(server)
    await asyncio.gather(*(_ask(*line, path, number, expected) for line in lines))
    return (cpu(server) - before) / (number * len(lines))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: bytes, number: int, expected: set[int]) -> None:
    for _ in range(number):
        writer.write(REQUEST.replace(b"/x/1", path))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        assert int(head[9:12]) in expected


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]
