"""`merganser watch`: one subscription to a running server, kept over every loss; a table on a terminal, JSON lines in a pipe.

The client rules of docs/live.md: `offset` is kept from `subscribed`, `complete` and `update`, never from `part`; an
`update` whose `prev` is another offset means that something was lost, and the subscription resumes from where it stands;
a lost connection is opened again after a random, growing pause, or in the window that `reconnect` named; a subscription
that has failed for now is asked for again in the same way, over the connection that stands.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from app.api.messages import SUBPROTOCOL, FromServer
from app.core.http_date import moment

PROTOCOL = Subprotocol(SUBPROTOCOL)
FATAL = frozenset({1002, 1007, 1009, 4400, 4401, 4403, 4406, 4409})
"""Close codes after which trying again would end the same way."""
PASSING = frozenset({408, 429})
"""Statuses of a refused upgrade that pass with time, as those from 500 on do."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
PATIENCE = 20.0
"""Seconds beyond the ping interval (until that is known: in all): after so much silence the connection is held to be dead."""

Told = Callable[[dict[str, Any]], None]
_message = msgspec.json.Decoder(FromServer)


class Line(Protocol):
    """An open connection, as far as the protocol needs it."""

    async def send(self, message: str, /) -> None:
        """Sends one message."""
        ...

    async def recv(self) -> str | bytes:
        """The next message."""
        ...


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
        asked = 0.0
        try:
            await self._connected()
        except InvalidStatus as exc:
            status = exc.response.status_code
            if status < 500 and status not in PASSING:
                raise WatchEnded(f"the server answers {status}") from exc
            asked = pause_asked(exc.response.headers, time.time())
            self._lost("the server refuses for now")
        except ConnectionClosed as exc:
            code = exc.rcvd.code if exc.rcvd else 1006
            if code in FATAL:
                raise WatchEnded(f"closed by the server: {code} {exc.rcvd.reason if exc.rcvd else ''}".strip()) from exc
            self._lost(f"connection lost ({code})")
        except (OSError, EOFError, InvalidHandshake) as exc:
            self._lost(f"no connection ({type(exc).__name__})")
        if not self.watched.is_over:
            await asyncio.sleep(max(asked, self._pause()))

    def _lost(self, why: str, then: str = "reconnecting") -> None:
        self._failures += 1
        self._tell({"type": "status", "status": then, "detail": why})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.told(message)
        except OSError as fault:
            raise _Unheard(fault) from fault

    def _pause(self) -> float:
        """A random time in the server's window, else that of `_backoff`."""
        window, self._window = self._window, None
        return self._backoff() if window is None else random.uniform(*window)  # noqa: S311 - spreads reconnects, no secret

    def _backoff(self) -> float:
        """A random time up to a bound that doubles with each failure ("full jitter")."""
        return random.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)))  # noqa: S311

    async def _connected(self) -> None:
        async with connect(socket_url(self.url), subprotocols=[PROTOCOL], compression=None, max_size=None, close_timeout=1) as socket:
            await self.follow(socket)

    async def follow(self, line: Line) -> None:
        """Stays subscribed over one connection, until the subscription has ended or the connection is lost."""
        await line.send(json.dumps({"type": "connection_init", "payload": {} if self.token is None else {"token": self.token}}))
        silence = PATIENCE
        while not self.watched.is_over:
            async with asyncio.timeout(silence):
                message = read(await line.recv())
            if message["type"] == "connection_ack":
                silence = message["payload"]["ping_interval_ms"] / 1000 + PATIENCE
                self._tell({"type": "status", "status": "connected"})
                await self._subscribe(line)
            else:
                await self._take(line, message)

    async def _subscribe(self, line: Line) -> None:
        self._count += 1
        payload = self.watched.request(self.endpoint, self.params, self.options)
        await line.send(json.dumps({"type": "subscribe", "id": f"w{self._count}", "payload": payload}))

    async def _take(self, line: Line, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ping":
            await line.send(json.dumps({**message, "type": "pong"}))
        elif kind == "reconnect":
            window = message["payload"]
            self._window = (window["min_delay_ms"] / 1000, window["max_delay_ms"] / 1000)
        elif message.get("id") == f"w{self._count}":
            await self._take_own(line, message)

    async def _take_own(self, line: Line, message: dict[str, Any]) -> None:
        if message["type"] == "error":
            await self._failed(line, message["payload"])
        elif self.watched.take(message):
            if message["type"] != "subscribed":  # which also comes before each `error` of an endpoint that fails
                self._failures = 0
            self._tell(message)
            self._judge(message)
        else:
            await line.send(json.dumps({"type": "unsubscribe", "id": message["id"]}))
            await self._subscribe(line)

    def _judge(self, message: Mapping[str, Any]) -> None:
        """Ends the watch where the answer has ended with an error: nothing follows."""
        if self.watched.is_over and (error := message.get("error")) is not None:
            raise WatchEnded(f"{error['code']}: {error['message']}")

    async def _failed(self, line: Line, payload: Mapping[str, Any]) -> None:
        """The subscription alone: it is asked for again after a pause, no sooner than the server wants it."""
        if not payload["retryable"]:
            raise WatchEnded(f"{payload['code']}: {payload['message']}")
        self._lost(f"{payload['code']}: {payload['message']}", "subscribing again")
        await asyncio.sleep(max(payload.get("retry_after_ms", 0) / 1000, self._backoff()))
        await self._subscribe(line)


def read(text: str | bytes) -> dict[str, Any]:
    """A message of the server. Raises WatchEnded where it is none of the protocol."""
    try:
        _message.decode(text)
        message: dict[str, Any] = json.loads(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise WatchEnded("this is no Merganser server") from fault
    return message


def pause_asked(headers: Headers, wall: float) -> float:
    """Seconds that a refused upgrade asks to wait, by Retry-After of either form (RFC 9110 section 10.2.3); 0 where none can be read."""
    value = next(iter(headers.get_all("Retry-After")), "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, moment(value) - wall)
    except (ValueError, OverflowError):
        return 0.0


def socket_url(url: str) -> str:
    """The server's `/ws`: `http` becomes `ws`, and a path of its own is kept."""
    parts = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/ws", "", ""))
