"""The keep-alive connections to one origin: warmest first, bounded, with waiters in line.

`count` is the number of connections and of those being made; every one of them is in use, idle, or promised to a waiter.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterable
from dataclasses import dataclass

from app.core.errors import ConnectFailed, unsent
from app.upstream.answer import Answer
from app.upstream.connection import Connection
from app.upstream.dial import Dialer
from app.upstream.exchange import Unanswered
from app.upstream.gather import Gather
from app.upstream.lookout import Lookout
from app.upstream.stream import Stream
from app.upstream.upload import Upload


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections a pool holds (1024 as Envoy; the `concurrency` policy is what a catalog sets), and for how many seconds.

    Most upstreams close idle connections after 60 s or more; those that do earlier are noticed. A connection is used no
    longer than `age`, a fifth more or less, so that a change of DNS is followed.
    """

    connections: int = 1024
    idle: float = 30.0
    age: float = 60.0


class Pool:
    """The connections of one upstream to one origin. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dialer: Dialer, bounds: Bounds) -> None:
        self._loop = loop
        self._dialer = dialer
        self._bounds = bounds
        self._idle: dict[Connection, None] = {}  # in the order of their last use
        self._busy: set[Connection] = set()
        self._lookout = Lookout()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.count = 0

    # --- exchanges

    async def request(self, data: bytes, *, is_idempotent: bool, is_bodiless: bool, expires: float, limit: int) -> Answer:
        """Sends a whole request and gives its whole answer, before `expires`, at most `limit` decoded bytes. Raises CallFailure."""
        connection = self._take()
        is_reused, is_second = connection is not None, False
        while True:
            if connection is None:
                connection, is_reused = await self._acquire(expires, is_fresh=is_second)
            gather = Gather(self._loop.create_future(), limit, is_bodiless=is_bodiless)
            connection.begin(gather, data, expires)
            try:
                return await gather.answer
            except Unanswered as failure:
                if is_second or not is_reused or (failure.sent and not is_idempotent):
                    raise
            except BaseException:
                connection.abandon(gather)  # nothing to abandon where the exchange has ended by itself
                raise
            connection, is_second = None, True

    async def stream(
        self,
        head: bytes,
        body: AsyncIterable[bytes] | None = None,
        *,
        is_chunked: bool,
        is_idempotent: bool,
        is_bodiless: bool,
        expires: float,
        read_timeout: float | None = None,
    ) -> Stream:
        """Sends a request and gives its answer as soon as its head is there, before `expires`. `aclose` what is returned.

        A body is sent while the answer is read. It is sent again, once, where the request may be and `Upload` has all of it.
        """
        upload = None if body is None else Upload(body)
        is_fresh = False
        while True:
            connection, is_reused = await self._acquire(expires, is_fresh=is_fresh)
            stream = Stream(connection, is_bodiless=is_bodiless, read_timeout=read_timeout)
            connection.begin(stream, head, expires, is_whole=upload is None)
            if upload is not None:
                stream.send(upload, is_chunked=is_chunked)
            try:
                await stream.answered
            except Unanswered:
                await stream.aclose()
                if not is_reused or is_fresh or not is_idempotent or (upload is not None and not upload.is_kept):
                    raise
            except BaseException:
                await stream.aclose()
                raise
            else:
                if upload is not None:
                    upload.forget()
                return stream
            is_fresh = True
            if upload is not None:
                upload.restart()

    # --- connections

    async def _acquire(self, expires: float, *, is_fresh: bool = False) -> tuple[Connection, bool]:
        """A connection for one exchange, and whether it has been used before. `is_fresh` passes idle ones by."""
        while True:
            if self._is_closed:
                raise ConnectFailed("shutting down", sent=False)
            if expires <= self._loop.time():
                raise unsent()
            if not is_fresh and (connection := self._take()) is not None:
                return connection, True
            if self.count < self._bounds.connections:
                self.count += 1
                return await self._dial(expires), False
            handed = await self._wait(expires)
            if handed is None:
                return await self._dial(expires), False
            if self._is_good(handed, self._loop.time()):
                return handed, True
            handed.close()

    def _take(self) -> Connection | None:
        """The warmest idle connection that is still good."""
        idle = self._idle
        if not idle:
            return None
        now = self._loop.time()
        while idle:
            connection, _ = idle.popitem()
            if self._is_good(connection, now):
                self._busy.add(connection)
                return connection
            connection.close()
        return None

    def _is_good(self, connection: Connection, now: float) -> bool:
        """Whether another request may be written: no byte and no end that nobody asked for waits in the socket."""
        return connection.is_usable(now) and not self._lookout.has_news(connection.fd, connection.emptied)

    async def _wait(self, expires: float) -> Connection | None:
        """Stands in line for a connection, or for the right to make one (None; then it is counted already)."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(None if expires == float("inf") else expires):
                return await waiter
        except BaseException as exc:
            self._give_back(waiter)
            if isinstance(exc, TimeoutError):
                raise unsent() from None
            raise

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """A waiter has left: what it was handed in that very moment goes to the next."""
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return
        handed = waiter.result()
        if handed is None:
            self._free()
        else:
            self.released(handed)

    async def _dial(self, expires: float) -> Connection:
        """A new connection; `count` holds it already."""
        try:
            connection, timing = await self._dialer.dial(expires)
        except BaseException:
            self._free()
            raise
        if connection.is_closed or self._is_closed:
            connection.close()
            self._free()
            raise Unanswered(sent=False)
        connection.adopt(self, timing, self._loop.time() + self._bounds.age * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        self._lookout.watch(connection.fd, connection)
        self._busy.add(connection)
        return connection

    def _free(self) -> None:
        """One connection fewer: the first who waits may make another."""
        self.count -= 1
        while self._waiters and self.count < self._bounds.connections:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.count += 1
                waiter.set_result(None)
                return

    # --- what connections tell

    def released(self, connection: Connection) -> None:
        """Takes back a connection whose exchange has ended well: it goes to the first who waits, else it is idle."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._busy.discard(connection)
        connection.idle_since = self._loop.time()
        self._idle[connection] = None
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._bounds.idle, self._sweep)

    def closed(self, connection: Connection) -> None:
        """Forgets a connection that is gone."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)
        self._lookout.leave(connection.fd, connection)
        self._free()

    def _sweep(self) -> None:
        """Closes what has been idle for too long; the first has been so the longest."""
        self._sweeper = None
        now = self._loop.time()
        for connection in list(self._idle):
            ends = connection.idle_since + self._bounds.idle
            if ends > now + 0.001:
                self._sweeper = self._loop.call_at(ends, self._sweep)
                return
            connection.close()

    def close(self) -> None:
        """Closes every connection; exchanges that still run fail with ConnectFailed, and so does who comes later."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectFailed("shutting down", sent=False))
        self._waiters.clear()
        for connection in [*self._idle, *self._busy]:
            connection.shut_down()
        self._lookout.close()

    def __repr__(self) -> str:
        return f"<Pool {self.count} connections, {len(self._idle)} idle, {len(self._waiters)} waiting>"
