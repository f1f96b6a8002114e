"""Upstreams that push: one connection per request, whose latest value is the answer to every call that makes it.

A connection is opened by the first call, kept while calls or live topics use it, and reconnected with back-off when it
ends. While it is down the latest value is stale, but for the short gap that a server makes which ends its answers by
design; a call waits for the first value until it runs out of time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import aclosing
from typing import Literal, Protocol

from msgspec.structs import replace

from app.catalog.schema import CallSpec, Upstream
from app.core.call import Call, Record, Send
from app.core.data import Data
from app.core.errors import CallFailure, ConnectFailed, DecodeFailed, Overloaded, TimedOut
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.upstream.decode import Decoder
from app.upstream.feeds import Feed, sse_feed, websocket_feed
from app.upstream.http import HttpUpstream
from app.upstream.target import without_parameter

MAX_SOURCES = 1000
"""Connections kept open at once; the one unused longest makes room."""
IDLE = 30.0
"""Seconds that a source nobody listens to is kept after its last call."""
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
GAP = 2.0
"""Seconds beyond the upstream's own pause in which a connection that ended without a fault is open again, or its value is stale."""
CONNECT_TIMEOUT = 10.0


class HasStreams(Protocol):
    """The upstreams of the catalog."""

    def stream(self, name: str) -> HttpUpstream:
        """An HTTP upstream by its name."""
        ...


class Pushes:
    """All push sources of the process."""

    def __init__(self, specs: Mapping[str, Upstream], upstreams: HasStreams, runtime: Runtime) -> None:
        self._specs, self._upstreams, self._runtime = specs, upstreams, runtime
        self._sources: dict[Hashable, Source] = {}
        self._listeners: dict[Hashable, dict[object, Callable[[], None]]] = {}
        self._decoder = Decoder("push")

    def terminal(self, upstream: str, spec: CallSpec) -> Send:
        """The innermost service of a call with `stream`: gives the latest value."""
        assert spec.stream is not None  # noqa: S101 - asked for such calls only
        kind = spec.stream

        async def send(call: Call) -> Reply:
            key = self._key(call)
            source = self._sources.get(key)
            if source is None:
                source = self._open(key, upstream, kind, call)
            return await source.latest(call)

        return send

    def listen(self, key: Hashable, told: Callable[[], None]) -> Callable[[], None]:
        """Calls `told` when the source of requests with this key has news, soon where it has any already; gives what ends that."""
        mark = object()
        listeners = self._listeners.setdefault(key, {})
        listeners[mark] = told
        if (source := self._sources.get(key)) is not None and source.has_news:
            asyncio.get_running_loop().call_soon(told)

        def end() -> None:
            listeners.pop(mark, None)
            if not listeners and self._listeners.get(key) is listeners:
                del self._listeners[key]

        return end

    def _key(self, call: Call) -> Hashable:
        """The request as the catalog makes it: without the credential that the stack may have put into the query."""
        auth = self._specs[call.upstream].auth
        if auth is None or auth.query is None:
            return call.key
        return replace(call, target=without_parameter(call.target, auth.query.name)).key

    def _open(self, key: Hashable, upstream: str, kind: Literal["sse", "websocket"], call: Call) -> Source:
        if len(self._sources) >= MAX_SOURCES:
            unused = [s for s in self._sources.values() if s.key not in self._listeners]
            if not unused:
                raise Overloaded
            min(unused, key=lambda s: s.used).close()
        feed = sse_feed(self._upstreams.stream(upstream)) if kind == "sse" else websocket_feed(self._specs[upstream])
        source = self._sources[key] = Source(key, feed, call, self._runtime, self._decoder, self)
        return source

    def changed(self, key: Hashable) -> None:
        """Tells those who listen."""
        for told in list(self._listeners.get(key, {}).values()):
            told()

    def is_heard(self, key: Hashable) -> bool:
        """Whether anybody listens."""
        return key in self._listeners

    def forget(self, source: Source) -> None:
        """A source has closed."""
        if self._sources.get(source.key) is source:
            del self._sources[source.key]

    def close(self) -> None:
        """Closes every source."""
        for source in list(self._sources.values()):
            source.close()
        self._decoder.close()

    def __repr__(self) -> str:
        return f"<Pushes {len(self._sources)} open>"


class Source:
    """One connection that pushes, and the latest that came over it."""

    def __init__(self, key: Hashable, feed: Feed, call: Call, runtime: Runtime, decoder: Decoder, pushes: Pushes) -> None:
        self.key = key
        self.used = runtime.now()
        self._feed, self._call, self._runtime, self._decoder, self._pushes = feed, call, runtime, decoder, pushes
        self._value: Data | None = None
        self._failure: CallFailure | None = None
        self._status: int | None = None
        self._waiters: dict[asyncio.Future[None], Record] = {}
        self._hurry = asyncio.Event()
        self._gap: asyncio.TimerHandle | None = None
        self._timer = asyncio.get_running_loop().call_later(IDLE, self._look)
        self._task = runtime.tasks.spawn(self._run(), name=f"push source of {call.upstream}.{call.name}")
        self._task.add_done_callback(lambda _: pushes.forget(self))

    @property
    def has_news(self) -> bool:
        """Whether it has ever said anything."""
        return self._value is not None or self._failure is not None

    async def latest(self, call: Call) -> Reply:
        """The latest value, stale while the connection is down; waits for the first until the call runs out of time."""
        self.used = self._runtime.now()
        self._call = call
        call.record.http_status = self._status
        if self._value is None:
            self._failure = None
            self._hurry.set()
            await self._wait(call.record, min(call.expires, call.deadline))
        if self._value is not None:
            return Reply(self._value, state="stale" if self._failure else "ok", within_window=self._failure is None, error=self._failure)
        raise self._failure or TimedOut()

    async def _wait(self, record: Record, until: float) -> None:
        """Waits for news; what is begun for it meanwhile is written into `record` at once, since a call may end in the middle."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = record
        try:
            async with asyncio.timeout_at(until):
                await waiter
        except TimeoutError:
            return
        finally:
            del self._waiters[waiter]

    async def _run(self) -> None:
        """Connects, takes what comes, and again when that ends; waits longer each time that nothing came of it."""
        failed = 0
        while True:
            self._hurry.clear()
            try:
                failed = 0 if await self._connect() else failed + 1
                self._bridge()
            except CallFailure as failure:
                failed += 1
                failure.__traceback__ = None
                self._say(None, failure)
            await self._pause(failed)

    async def _connect(self) -> bool:
        """One connection, to its end; whether a value came, or it was open for so long that there may have been none."""
        came, began, record = False, self._runtime.now(), Record()
        for waiting in self._waiting():
            waiting.attempts += 1
        call = replace(self._call, record=record, expires=began + CONNECT_TIMEOUT, deadline=float("inf"))
        messages: AsyncIterator[str | bytes] = self._feed.messages(replace(call, flight=None), lambda: self._opened(record))
        try:
            async with aclosing(messages) as open_messages:  # type: ignore[type-var]
                async for message in open_messages:
                    came = True
                    await self._take(message, call.reading.decode)
        finally:
            self._status = record.http_status
        return came or self._runtime.now() - began >= MAX_BACKOFF

    def _opened(self, record: Record) -> None:
        """The upstream has accepted: whoever waits for a value has its status, should none come in time."""
        self._end_gap()
        self._status = record.http_status
        for waiting in self._waiting():
            waiting.http_status = self._status

    async def _take(self, message: str | bytes, how: str) -> None:
        try:
            self._say(await self._decoded(message, how), None)
        except CallFailure as failure:
            self._say(None, failure)

    async def _decoded(self, message: str | bytes, how: str) -> Data:
        """A message's data: JSON, or where the catalog leaves it open and it is none, the text itself."""
        body = message.encode() if isinstance(message, str) else message
        try:
            return await self._decoder.decode(body, None, how)
        except DecodeFailed:
            if how != "auto":
                raise
            return Data.of(body.decode("utf-8", "replace"))

    async def _pause(self, failed: int) -> None:
        """Full jitter; a call that waits for the first value cuts it short."""
        most = min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** min(failed, 10))
        seconds = self._feed.retry if self._feed.retry is not None and not failed else self._runtime.random.uniform(0.0, most)
        try:
            async with asyncio.timeout(max(0.05, seconds)):
                await self._hurry.wait()
        except TimeoutError:
            return

    def _waiting(self) -> list[Record]:
        """The records of the calls that still wait."""
        return [record for waiter, record in self._waiters.items() if not waiter.done()]

    def _bridge(self) -> None:
        """The connection has ended without a fault: a server may do so after each value, and is then back before the value is stale."""
        self._end_gap()
        own = min(self._feed.retry or 0.0, MAX_BACKOFF)
        self._gap = asyncio.get_running_loop().call_later(own + GAP, self._say, None, ConnectFailed())

    def _end_gap(self) -> None:
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None

    def _say(self, value: Data | None, failure: CallFailure | None) -> None:
        self._end_gap()
        self._failure = failure
        if value is not None:
            self._value = value
        for waiter, record in self._waiters.items():
            if not waiter.done():
                record.http_status = self._status
                waiter.set_result(None)
        self._pushes.changed(self.key)

    def _look(self) -> None:
        """Closes it where nobody has used it for a while."""
        idle = self._runtime.now() - self.used
        if not self._waiters and not self._pushes.is_heard(self.key) and idle >= IDLE:
            return self.close()
        self._timer = asyncio.get_running_loop().call_later(max(IDLE - idle, 1.0), self._look)
        return None

    def close(self) -> None:
        """Ends the connection."""
        self._timer.cancel()
        self._end_gap()
        self._task.cancel()
        self._pushes.forget(self)

    def __repr__(self) -> str:
        state = "down" if self._failure else "up" if self._value is not None else "waiting"
        return f"<Source {self._call.upstream}.{self._call.name} {state}>"
