"""A client of `/ws` without a socket: ASGI messages in and out, in virtual time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from app.api.auth import Gate
from app.api.messages import FromServer
from app.api.ws import Sockets
from app.live.hub import Hub
from tests.fakes.plans import Bench

check = msgspec.json.Decoder(FromServer).decode


class Wire:
    """The sockets of a process over a bench's plan."""

    def __init__(self, bench: Bench) -> None:
        self.hub = Hub(bench.runtime)
        gate = Gate(bench.catalog, Path(), None, bench.runtime)
        self.sockets = Sockets(bench.catalog, {"x": bench.plan}, self.hub, gate, bench.runtime)

    def open(self, *, offers: list[str] | None = None, headers: dict[str, str] | None = None, stalls: bool = False) -> Client:
        """A new connection."""
        return Client(self.sockets, offers or [], headers or {"host": "api.test"}, stalls)


class Client:
    """One connection; every frame that it is sent must be a message of the protocol."""

    def __init__(self, sockets: Sockets, offers: list[str], headers: dict[str, str], stalls: bool) -> None:
        self.sent: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.closed: int | None = None
        self.dropped: int | None = None
        self.accepted: dict[str, Any] | None = None
        self.refused: int | None = None
        self._stalls = stalls
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket", "path": "/ws", "client": ("10.0.0.1", 5), "subprotocols": offers,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "extensions": {"merganser.drop": self._drop, "websocket.http.response": {}},
        }  # fmt: skip
        self.task = asyncio.ensure_future(sockets(scope, self._inbox.get, self._take))

    def _drop(self, code: int) -> None:
        self.dropped = code
        self.leave()

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.accepted = message
        elif kind == "websocket.close":
            self.closed = message["code"]
            self.leave()
        elif kind == "websocket.http.response.start":
            self.refused = message["status"]
        elif kind == "websocket.send":
            check(message["text"])
            if self._stalls and '"connection_ack"' not in message["text"]:
                await asyncio.Event().wait()
            self.texts.append(message["text"])
            self.sent.append(json.loads(message["text"]))

    def say(self, message: dict[str, Any] | str) -> None:
        """Sends one message."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": message if isinstance(message, str) else json.dumps(message)})

    def begin(self) -> Client:
        """Sends `connection_init`."""
        self.say({"type": "connection_init"})
        return self

    def subscribe(self, id: str = "1", **payload: Any) -> Client:
        """Subscribes to `x`."""
        self.say({"type": "subscribe", "id": id, "payload": {"endpoint": "x", **payload}})
        return self

    def leave(self) -> None:
        """The connection ends."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was sent, of one type."""
        return [message for message in self.sent if message["type"] == kind]
