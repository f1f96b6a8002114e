"""A scripted HTTP/1.1 upstream on a real socket: what it answers, byte for byte, is the test's to say.

    async with FakeUpstream(script) as upstream:      # script: async (asked, line) -> None
        ... upstream.url, upstream.asked, upstream.open, upstream.made

`script` gets each request and the line that it came on; when it returns, the next request of that connection is read.
`always(bytes)` and `by_path({...})` are the scripts that most tests need.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def values(self, name: str) -> list[str]:
        """Every value of a header, its name in lower case."""
        return [value for key, value in self.headers if key.lower() == name]


class Line:
    """The upstream's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Sends each piece by itself: the other side reads it before the next goes out."""
        for piece in pieces:
            self.writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await self.writer.drain()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def close(self) -> None:
        """Closes the connection after what has been sent."""
        self.writer.close()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def half_close(self) -> None:
        """Sends no more, and goes on reading."""
        self.writer.write_eof()

    async def gone(self) -> None:
        """Waits until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script: TypeAlias = Callable[[Asked, Line], Awaitable[None]]


def answer(body: bytes = b"{}", status: int = 200, *headers: str, kind: str = "application/json") -> bytes:
    """A whole answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def always(*pieces: bytes, ends: bool = False) -> Script:
    """The same bytes to every request, piece by piece; then the connection is kept, or closed."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(*pieces)
        if ends:
            line.close()

    return script


def by_path(answers: Mapping[str, bytes | Script]) -> Script:
    """Bytes or a script for each path; 404 for every other."""

    async def script(asked: Asked, line: Line) -> None:
        found = answers.get(asked.path, answer(b"{}", 404))
        if isinstance(found, bytes):
            await line.send(found)
        else:
            await found(asked, line)

    return script


async def silence(asked: Asked, line: Line) -> None:
    """Takes the request and never answers."""
    await line.gone()


async def refuse(asked: Asked, line: Line) -> None:
    """Closes without a byte."""
    line.close()


async def reset(asked: Asked, line: Line) -> None:
    """Resets without a byte."""
    line.reset()


@dataclass
class FakeUpstream:
    """The server, and what it has seen: requests, connections made so far, connections open now, the most at once."""

    script: Script
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    name: str | None = None
    asked: list[Asked] = field(default_factory=list)
    made: int = 0
    open: int = 0
    peak: int = 0
    port: int = 0

    async def __aenter__(self) -> FakeUpstream:
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._server = await asyncio.start_server(self._accepted, self.host, 0, ssl=self.tls, backlog=1024, family=family)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in set(self._lines):
            writer.transport.abort()
        for task in set(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    @property
    def url(self) -> str:
        """Where it is, by the name of its certificate if it has one."""
        host = self.name or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    async def until_open(self, count: int, within: float = 2.0) -> None:
        """Waits until so many connections are open."""
        async with asyncio.timeout(within):
            while self.open != count:  # noqa: ASYNC110 - sockets tell no event
                await asyncio.sleep(0.001)

    async def until_asked(self, count: int, within: float = 2.0) -> None:
        """Waits until so many requests have come."""
        async with asyncio.timeout(within):
            while len(self.asked) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        self._lines.add(writer)
        try:
            # RuntimeError: uvloop's word for writing to what the other side has closed
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, RuntimeError):
                while not writer.is_closing() and (asked := await _read(reader)) is not None:
                    self.asked.append(asked)
                    await self.script(asked, Line(reader, writer))
        finally:
            self.open -= 1
            self._lines.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request; None where the connection ends before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    asked = Asked(method, target, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)])
    if lengths := asked.values("content-length"):
        asked.body = await reader.readexactly(int(lengths[0]))
    elif asked.values("transfer-encoding"):
        while size := int(await reader.readline(), 16):
            asked.body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return asked


@asynccontextmanager
async def serving(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """The URL of an upstream that reads requests itself; each connection is closed when `serve` returns, and waited for at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(one(reader, writer)))

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)
