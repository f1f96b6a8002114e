"""A small ASGI application behind the real guard on a real socket, in the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from app.api.admission import Admission
from app.api.edge import Edge, Limits
from app.draining import config
from app.settings import Settings
from uvicorn.server import ServerState

Handle = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Guarded:
    """What a test sees of it: the port, the edge, and the requests that reached the application."""

    port: int
    edge: Edge
    state: ServerState
    seen: list[Any] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    async def ask(self, data: bytes, within: float = 5) -> bytes:
        """Sends bytes on a connection of its own and reads until its end, or until nothing comes for a while."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = b""
        try:
            async with asyncio.timeout(within):
                while chunk := await reader.read(65536):
                    answer += chunk
        except (TimeoutError, ConnectionError):
            pass
        writer.transport.abort()
        return answer


class Echo:
    """Answers every request with its path; `/slow` after `slow` seconds or when told, `/large` with so many bytes."""

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
    server = await loop.create_server(
        lambda: settings.http_protocol_class(config=settings, server_state=state, app_state={}),  # type: ignore[call-arg]
        "127.0.0.1",
        0,
    )
    edge.start(loop)
    try:
        yield Guarded(server.sockets[0].getsockname()[1], edge, state, getattr(app, "seen", []), getattr(app, "gone", []))
    finally:
        edge.stop()
        server.close()
        for connection in (*edge.connections, *state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        for task in tuple(state.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await server.wait_closed()
