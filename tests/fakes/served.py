"""The whole service behind its real server on a real socket, in the loop of the test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.api.socket import LiveProtocol
from app.catalog.load import Loaded, load_text
from app.draining import Server
from app.main import Service, create_app
from app.settings import Settings


@dataclass
class Served:
    """A running service."""

    port: int
    service: Service
    server: Server

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Its live channel."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @asynccontextmanager
    async def live(self, **options: Any) -> AsyncIterator[LiveClient]:
        """A client of `/ws`, past its `connection_ack`."""
        async with connect(self.ws, subprotocols=[Subprotocol("merganser.v1")], compression=None, ping_interval=None, **options) as socket:
            client = LiveClient(socket)
            await client.send({"type": "connection_init"})
            await client.next("connection_ack")
            yield client


class LiveClient:
    """Sends and reads messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        """One message."""
        await self.socket.send(json.dumps(message))

    async def subscribe(self, endpoint: str, params: dict[str, Any] | None = None, id: str = "1", **payload: Any) -> None:
        """Subscribes."""
        await self.send({"type": "subscribe", "id": id, "payload": {"endpoint": endpoint, "params": params or {}, **payload}})

    async def next(self, kind: str, within: float = 5) -> dict[str, Any]:
        """Reads until a message of this kind has come."""
        async with asyncio.timeout(within):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                self.messages.append(message)
                if message["type"] == kind:
                    return message


def load(catalog: dict[str, Any], folder: Path) -> Loaded:
    """A catalog from a mapping."""
    return load_text(json.dumps(catalog), folder=folder, environ={})


@asynccontextmanager
async def serve(loaded: Loaded, transport: httpx.AsyncBaseTransport | None = None, **settings: Any) -> AsyncIterator[Served]:
    """Serves a catalog on a free port until the block ends."""
    given = Settings(_env_file=None, **{"log_level": "error", **settings})  # type: ignore[call-arg]
    app = create_app(given, loaded, transport=transport)
    server = Server(app, given, ws=LiveProtocol)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn tells no event
            await asyncio.sleep(0.005)
        try:
            yield Served(sock.getsockname()[1], app.state.service, server)
        finally:
            server.should_exit = True
            await task
