"""`merganser watch`: one subscription to a running server, kept over every loss; a table on a terminal, JSON lines in a pipe.

The client rules of docs/live.md: `offset` is kept from `subscribed`, `complete` and `update`, never from `part`; an
`update` whose `prev` is another offset means that something was lost, and the subscription resumes from where it stands;
a lost connection is opened again after a random, growing pause, or in the window that `reconnect` named.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("merganser.v1")
FATAL = frozenset({1002, 1007, 1009, 4400, 4401, 4403, 4406, 4409})
"""Close codes after which trying again would end the same way."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
PATIENCE = 20.0
"""Seconds beyond the ping interval: after so much silence the connection is held to be dead."""

Told = Callable[[dict[str, Any]], None]


class WatchEnded(Exception):
    """The watch cannot go on: refused, or the subscription has ended with an error."""


class _Unheard(Exception):
    """Who is told cannot be: that is no loss of the connection."""

    def __init__(self, fault: OSError) -> None:
        self.fault = fault
        super().__init__(str(fault))


@dataclass(slots=True)
class Watched:
    """One subscription as its client sees it: no I/O; `take` gives whether the chain holds."""

    state: Any = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    complete: bool = False
    epoch: str | None = None
    offset: int = 0
    is_keyed: bool = True
    is_over: bool = False

    def request(self, endpoint: str, params: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The payload that subscribes, resuming where there is something to resume."""
        resume = {"resume": {"epoch": self.epoch, "offset": self.offset}} if self.epoch is not None else {}
        return {"endpoint": endpoint, "params": dict(params), **options, **resume}

    def take(self, message: Mapping[str, Any]) -> bool:
        """Takes one message of the subscription; False where something before it was lost."""
        kind = message["type"]
        if kind == "subscribed":
            self._begin(message["payload"])
        elif kind == "part":
            self.state = {**self.state, message["part"]: message["data"]}
        elif kind == "complete":
            self._complete(message)
        elif kind == "update":
            if message["prev"] != self.offset:
                return False
            if "data" in message:
                self.state = {**self.state, **message["data"]} if self.is_keyed else message["data"]
            self.offset = message["offset"]
        self.sources = {**self.sources, **message.get("sources", {})}
        self.complete = message.get("complete", self.complete)
        return True

    def _begin(self, payload: Mapping[str, Any]) -> None:
        if payload["recovered"] is not True:
            self.state, self.sources = {}, {}
        self.epoch, self.offset, self.is_keyed = payload["epoch"], payload["offset"], True

    def _complete(self, message: Mapping[str, Any]) -> None:
        self.is_keyed = "data" not in message
        if not self.is_keyed:
            self.state = message["data"]
        self.offset, self.is_over = message["offset"], not message["live"]


@dataclass(slots=True)
class Watch:
    """Subscribes and stays subscribed. `told` gets every message of the subscription and, as `{"type": "status"}`, what the connection does."""

    url: str
    endpoint: str
    params: Mapping[str, Any]
    told: Told
    token: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    watched: Watched = field(default_factory=Watched)
    _failures: int = 0
    _window: tuple[float, float] | None = None
    _count: int = 0

    async def run(self) -> None:
        """Until the subscription has ended; raises WatchEnded where it cannot go on, and the OSError that `told` raises."""
        try:
            while not self.watched.is_over:
                await self._once()
        except _Unheard as unheard:
            raise unheard.fault from None

    async def _once(self) -> None:
        """One connection, to its end, and the pause after it."""
        try:
            await self._connected()
        except InvalidStatus as exc:
            if exc.response.status_code < 500:
                raise WatchEnded(f"the server answers {exc.response.status_code}") from exc
            self._lost("the server refuses for now")
        except ConnectionClosed as exc:
            code = exc.rcvd.code if exc.rcvd else 1006
            if code in FATAL:
                raise WatchEnded(f"closed by the server: {code} {exc.rcvd.reason if exc.rcvd else ''}".strip()) from exc
            self._lost(f"connection lost ({code})")
        except (OSError, EOFError, InvalidHandshake) as exc:
            self._lost(f"no connection ({type(exc).__name__})")
        if not self.watched.is_over:
            await asyncio.sleep(self._pause())

    def _lost(self, why: str) -> None:
        self._failures += 1
        self._tell({"type": "status", "status": "reconnecting", "detail": why})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.told(message)
        except OSError as fault:
            raise _Unheard(fault) from fault

    def _pause(self) -> float:
        """A random time in the server's window, else up to a bound that doubles ("full jitter")."""
        window, self._window = self._window, None
        if window is not None:
            return random.uniform(*window)  # noqa: S311 - spreads reconnects, no secret
        return random.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)))  # noqa: S311

    async def _connected(self) -> None:
        async with connect(socket_url(self.url), subprotocols=[PROTOCOL], compression=None, max_size=None, close_timeout=1) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {} if self.token is None else {"token": self.token}}))
            silence = None
            while not self.watched.is_over:
                async with asyncio.timeout(silence):
                    message: dict[str, Any] = json.loads(await socket.recv())
                if message["type"] == "connection_ack":
                    silence = message["payload"]["ping_interval_ms"] / 1000 + PATIENCE
                    self._tell({"type": "status", "status": "connected"})
                    await self._subscribe(socket)
                else:
                    await self._take(socket, message)

    async def _subscribe(self, socket: ClientConnection) -> None:
        self._count += 1
        payload = self.watched.request(self.endpoint, self.params, self.options)
        await socket.send(json.dumps({"type": "subscribe", "id": f"w{self._count}", "payload": payload}))

    async def _take(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ping":
            await socket.send(json.dumps({**message, "type": "pong"}))
        elif kind == "reconnect":
            window = message["payload"]
            self._window = (window["min_delay_ms"] / 1000, window["max_delay_ms"] / 1000)
        elif message.get("id") == f"w{self._count}":
            await self._take_own(socket, message)

    async def _take_own(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        if message["type"] == "error":
            await self._failed(socket, message["payload"])
        elif self.watched.take(message):
            self._failures = 0
            self._tell(message)
            self._judge(message)
        else:
            await socket.send(json.dumps({"type": "unsubscribe", "id": message["id"]}))
            await self._subscribe(socket)

    def _judge(self, message: Mapping[str, Any]) -> None:
        """Ends the watch where the answer has ended with an error: nothing follows."""
        if self.watched.is_over and (error := message.get("error")) is not None:
            raise WatchEnded(f"{error['code']}: {error['message']}")

    async def _failed(self, socket: ClientConnection, payload: Mapping[str, Any]) -> None:
        if not payload["retryable"]:
            raise WatchEnded(f"{payload['code']}: {payload['message']}")
        self._lost(f"{payload['code']}: {payload['message']}")
        wait = payload.get("retry_after_ms")
        await asyncio.sleep(wait / 1000 if wait is not None else self._pause())
        await self._subscribe(socket)


def socket_url(url: str) -> str:
    """The server's `/ws`: `http` becomes `ws`, and a path of its own is kept."""
    parts = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/ws", "", ""))
