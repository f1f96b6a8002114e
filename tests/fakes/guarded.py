"""A small ASGI application behind the real guard on a real socket, in the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from uvicorn.server import ServerState

from app.api.admission import Admission
from app.api.edge import Edge, Limits
from app.draining import config
from app.settings import Settings

Handle = Callable[[Any, Any, Any], Awaitable[None]]


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self, within: float = 4) -> bytes:
        """One answer with a Content-Length, or what came until the end."""
        async with asyncio.timeout(within):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or b"0")
            return head + await self.reader.readexactly(length)

    async def ended(self, within: float = 4) -> float:
        """Seconds until the other side closes."""
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(within):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return asyncio.get_running_loop().time() - began


@dataclass
class Guarded:
    """What a test sees of it: the port, the edge, and the requests that reached the application."""

    port: int
    edge: Edge
    state: ServerState
    seen: list[Any] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    async def dial(self, data: bytes = b"") -> Line:
        """Connects and sends; closed at the end at the latest."""
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port))
        self.lines.append(line)
        line.writer.write(data)
        return line

    async def ask(self, data: bytes, within: float = 5) -> bytes:
        """Sends bytes on a connection of its own and reads until its end, or until nothing comes for a while."""
        line = await self.dial(data)
        answer = b""
        try:
            async with asyncio.timeout(within):
                while chunk := await line.reader.read(65536):
                    answer += chunk
        except (TimeoutError, ConnectionError):
            pass
        line.writer.transport.abort()
        return answer


class Echo:
    """Answers every request with its path; `/hang` when told, `/large/N` with so many bytes, `/dated` with a date of its own.

    `/pieces` says no length; `/torn` breaks in the middle of that.
    """

    def __init__(self) -> None:
        self.state = SimpleNamespace(draining=False)
        self.seen: list[Any] = []
        self.gone: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.seen.append(scope)
        path = scope["path"]
        if path == "/crash":
            raise RuntimeError("a secret of ours")
        if path == "/304":
            await send({"type": "http.response.start", "status": 304, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if path in ("/pieces", "/torn"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one,", "more_body": True})
            if path == "/torn":
                raise RuntimeError("in the middle")
            await send({"type": "http.response.body", "body": b"two", "more_body": False})
            return
        if path == "/dated":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if path.startswith("/body"):
            body = b""
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.gone.append(path)
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
            await self._answer(send, b"%d" % len(body))
            return
        if path.startswith("/hang") and not await self._wait(receive, path):
            return
        await self._answer(send, b"x" * int(path[7:]) if path.startswith("/large/") else path.encode())

    async def _live(self, receive: Any, send: Any) -> None:
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    async def _wait(self, receive: Any, path: str) -> bool:
        released = asyncio.ensure_future(self.release.wait())
        left = asyncio.ensure_future(self._left(receive))
        await asyncio.wait((released, left), return_when=asyncio.FIRST_COMPLETED)
        is_gone = left.done()
        for task in (released, left):
            task.cancel()
        if is_gone:
            self.gone.append(path)
        return not is_gone

    async def _left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, send: Any, body: bytes) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def guarded(app: Any, limits: Limits | None = None, most: int = 1000) -> AsyncIterator[Guarded]:
    """Serves `app` for the block."""
    edge = Edge(limits or Limits(), Admission(most))
    settings = config(app, Settings(_env_file=None), edge, "websockets-sansio")
    settings.load()
    loop, state = asyncio.get_running_loop(), ServerState()
    state.default_headers = [(b"date", b"Fri, 02 Jan 1970 00:00:00 GMT")]  # the server writes it each second
    server = await loop.create_server(
        lambda: settings.http_protocol_class(config=settings, server_state=state, app_state={}),  # type: ignore[call-arg]
        "127.0.0.1",
        0,
    )
    edge.start(loop)
    site = Guarded(server.sockets[0].getsockname()[1], edge, state, getattr(app, "seen", []), getattr(app, "gone", []))
    try:
        yield site
    finally:
        for line in site.lines:
            line.writer.transport.abort()
        edge.stop()
        server.close()
        for connection in (*edge.connections, *state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        for task in tuple(state.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await server.wait_closed()
