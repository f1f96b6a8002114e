"""One client of `/ws`: takes its messages in order, keeps its subscriptions, and writes what they have to say.

A `Session` knows the protocol and not the socket: `receive` and `send` are ASGI's. It reads in the connection's own task
and writes in another, so that a client which does not read is still listened to.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from starlette.types import Message, Receive, Send

from app.api import frames
from app.api.messages import (
    MAX_MESSAGE,
    MAX_SUBSCRIPTIONS,
    AckPayload,
    ConnectionAck,
    ConnectionInit,
    ErrorMessage,
    ErrorPayload,
    FromClient,
    Named,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    SubscribedPayload,
    Unsubscribe,
    Unsubscribed,
    Unusable,
    read,
    write,
)
from app.api.outbox import Close, Outbox
from app.api.problems import Problem
from app.api.subscribe import Desk, Refused
from app.core.events import RequestEnded
from app.live.events import Complete, Draining, Ended, Failed
from app.live.hub import KEEP
from app.live.subscription import Subscription

BURST, RATE = 150, 20.0
"""Messages that a client may send at once, and each second after that."""
INIT_TIMEOUT = 10.0
SEND_TIMEOUT = 10.0
PING_AFTER = 25.0

Headers = Sequence[tuple[str, str]]
_PING = write(Ping())


@dataclass(slots=True, eq=False)
class Feed:
    """One subscription of the client: its id, also as JSON text."""

    id: str
    quoted: str
    subscription: Subscription
    endpoint: str
    request_id: str
    began: float


class Session:
    """The protocol's state for one connection."""

    def __init__(self, desk: Desk, headers: Headers, address: str, receive: Receive, send: Send) -> None:
        self._desk, self._headers, self._address = desk, headers, address
        self._receive, self._send = receive, send
        self._runtime = desk.runtime
        self._outbox: Outbox[Feed] = Outbox()
        self._feeds: dict[str, Feed] = {}
        self._client = desk.nobody(headers, address)
        self._is_ready = False
        self._tokens = float(BURST)
        self._began = self._counted = self._last_sent = self._runtime.now()
        self._sending_since: float | None = None
        self._writer: asyncio.Task[None] | None = None

    # --- the connection

    async def run(self) -> None:
        """Serves the client until the connection ends."""
        writer = self._writer = self._runtime.tasks.spawn(self._write(), name="live writer")
        try:
            while not self._outbox.is_closing and (message := await self._receive())["type"] != "websocket.disconnect":
                await self._take(message)
                if self._outbox.is_full:
                    await self._outbox.room()
            await writer if self._outbox.is_closing else None
        finally:
            writer.cancel()
            for feed in self._feeds.values():
                feed.subscription.close()
            self._feeds.clear()

    async def _write(self) -> None:
        """Sends what waits, one message after the other; ends with the connection."""
        outbox = self._outbox
        try:
            while True:
                item = outbox.next()
                if item is None:
                    await outbox.wait()
                elif isinstance(item, Close):
                    self._sending_since = self._runtime.now()
                    await self._send({"type": "websocket.close", "code": item.code, "reason": item.reason})
                    return
                elif (text := item if isinstance(item, str) else self._said_by(item)) is not None:
                    self._sending_since = self._last_sent = self._runtime.now()
                    await self._send({"type": "websocket.send", "text": text})
                    self._sending_since = None
        except OSError:  # the server's word for a client that has left; a reader that waits for room hears it only from here
            outbox.close(Close(1006, "gone"))

    def look(self, now: float) -> int | None:
        """What a clock has to see to, about once a second; the close code where the client does not read what it is sent."""
        if self._sending_since is not None and now - self._sending_since >= SEND_TIMEOUT:
            return 4421
        if self._writer is not None and self._writer.done() and not self._outbox.is_closing:
            return 1011  # it broke: a fault of ours
        if not self._is_ready and now - self._began >= INIT_TIMEOUT:
            self.close(4408, "no connection_init in time")
        elif self._is_ready and now - self._last_sent >= PING_AFTER:
            self._last_sent = now
            self._outbox.put(_PING)
        return None

    def tell(self, text: str) -> None:
        """Sends a message that belongs to no subscription."""
        self._outbox.put(text)

    def close(self, code: int, reason: str) -> None:
        """Ends the connection with this code."""
        self._outbox.close(Close(code, reason))

    # --- what the client says

    async def _take(self, message: Message) -> None:
        if not self._is_within_rate():
            return self.close(4429, "too many messages")
        text = message.get("text")
        if text is None:
            return self.close(4400, "a binary frame")
        if len(text) > MAX_MESSAGE or len(text.encode()) > MAX_MESSAGE:
            return self.close(1009, "over the message size")
        try:
            said = read(text)
        except Unusable as fault:
            return self.close(4400, str(fault))
        return await self._act(said)

    def _is_within_rate(self) -> bool:
        now = self._runtime.now()
        self._tokens = min(BURST, self._tokens + (now - self._counted) * RATE) - 1
        self._counted = now
        return self._tokens >= 0

    async def _act(self, said: FromClient | Named) -> None:
        if isinstance(said, ConnectionInit):
            await self._init(said)
        elif not self._is_ready:
            self.close(4401, "connection_init comes first")
        elif isinstance(said, Subscribe):
            await self._subscribe(said)
        elif isinstance(said, Unsubscribe):
            self._unsubscribe(said.id)
        elif isinstance(said, Ping):
            self._outbox.put(write(Pong(said.payload)))
        elif isinstance(said, Named):
            self._refuse(said.id, ErrorPayload("invalid_request", "The payload does not fit `subscribe`.", False))

    async def _init(self, said: ConnectionInit) -> None:
        if self._is_ready:
            return self.close(4429, "a second connection_init")
        try:
            self._client = await self._desk.client(self._headers, self._address, said.payload.token if said.payload else None)
        except Problem as problem:
            busy = problem.status == 503
            return self.close(1013 if busy else 4403, "credentials cannot be checked now" if busy else "credentials refused")
        self._is_ready = True
        ack = AckPayload(connection_id="c" + secrets.token_hex(6), resume_ms=round(KEEP * 1000))
        return self._outbox.put(write(ConnectionAck(ack)))

    async def _subscribe(self, said: Subscribe) -> None:
        if said.id in self._feeds:
            return self.close(4409, "the id is in use")
        if len(self._feeds) >= MAX_SUBSCRIPTIONS:
            text = f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions."
            return self._refuse(said.id, ErrorPayload("too_many_subscriptions", text, True))
        request_id = secrets.token_hex(8)
        try:
            subscription = await self._desk.subscribe(self._client, said.payload, request_id, lambda _: self._outbox.ready(feed))
        except Refused as refused:
            return self._refuse(said.id, refused.payload)
        feed = Feed(said.id, orjson.dumps(said.id).decode(), subscription, said.payload.endpoint, request_id, self._runtime.now())
        self._feeds[said.id] = feed
        at = SubscribedPayload(subscription.epoch, subscription.offset, subscription.recovered, list(subscription.parts), subscription.live)
        self._outbox.put(write(Subscribed(said.id, at)))
        return self._outbox.ready(feed)

    def _refuse(self, id: str, payload: ErrorPayload) -> None:
        if id in self._feeds:
            return self.close(4409, "the id is in use")
        return self._outbox.put(write(ErrorMessage(id, payload)))

    def _unsubscribe(self, id: str) -> None:
        feed = self._feeds.pop(id, None)
        if feed is not None:
            feed.subscription.close()
            self._outbox.drop(feed)
            self._outbox.put(write(Unsubscribed(id)))

    # --- what subscriptions say

    def _said_by(self, feed: Feed) -> str | None:
        """A subscription's next message; it waits for its next turn where it may have more."""
        event, plan = feed.subscription.take(), self._desk.plans[feed.endpoint]
        if event is None or isinstance(event, Draining):
            return None
        if isinstance(event, Failed | Ended):
            self._feeds.pop(feed.id, None)
            self._report(feed, frames.status_of(event, plan), None, 0)
            return frames.ended(event, plan, feed.id)
        if isinstance(event, Complete):
            self._report(feed, frames.status_of(event, plan), event.complete, len(event.sources))
            if not event.live:
                self._feeds.pop(feed.id, None)
                return frames.framed(event, feed.quoted)
        self._outbox.ready(feed)
        return frames.framed(event, feed.quoted)

    def _report(self, feed: Feed, status: int, complete: bool | None, calls: int) -> None:
        """Tells of a subscription as of a request: it is answered with its `complete`."""
        seconds = self._runtime.now() - feed.began
        self._runtime.emit(RequestEnded(feed.endpoint, "GET", status, seconds, feed.request_id, complete, calls, "ws"))
