"""The exchange of a proxy: the body is handed on as it comes, and read no faster than it is taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

from app.core.errors import CallFailure
from app.upstream.answer import NO_TIME, Fields, Timing
from app.upstream.connection import Connection
from app.upstream.exchange import Unanswered

HIGH = 256 * 1024
"""Reading pauses over so many bytes that wait to be taken, and goes on below a quarter of it."""
LOW = HIGH // 4


class Stream(AsyncIterator[bytes]):
    """One streamed answer. Iterate it once; `aclose` it always. `read_timeout` bounds each wait for a piece of the body."""

    def __init__(self, connection: Connection, *, is_bodiless: bool, read_timeout: float | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._read_timeout = read_timeout
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._is_paused = False
        self._has_ended = False
        self._failure: BaseException | None = None
        self._wakes: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self.answered: asyncio.Future[None] = self._loop.create_future()
        self.is_bodiless = is_bodiless
        self.timing: Timing = NO_TIME
        self.status = 0
        self.fields: Fields = []

    # --- what the connection tells

    def head(self, status: int, fields: Fields, noted: dict[bytes, list[bytes]]) -> bool:
        """Takes the head; from here on no deadline holds but that of each read."""
        self.status, self.fields = status, fields
        self._connection.expect_by(float("inf"))
        if not self.answered.done():
            self.answered.set_result(None)
        return True

    def body(self, data: bytes) -> None:
        """Takes a piece of the body; stops reading when too much waits."""
        self._chunks.append(data)
        self._held += len(data)
        if self._held > HIGH and not self._is_paused:
            self._is_paused = True
            self._connection.pause()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self._has_ended = True
        if self._is_paused:
            self._is_paused = False
            self._connection.resume()
        self._wake()

    def failed(self, failure: BaseException) -> None:
        """There will be no more."""
        if isinstance(failure, CallFailure) and self.status:
            failure.http_status = self.status
        self._failure = failure
        if not self.answered.done():
            self.answered.set_exception(failure)
        self._wake()

    # --- what the reader asks

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._has_ended:
                raise StopAsyncIteration
            await self._wait()
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        if self._is_paused and self._held < LOW:
            self._is_paused = False
            self._connection.resume()
        return chunk

    async def _wait(self) -> None:
        self._wakes = self._loop.create_future()
        if self._read_timeout is not None:
            self._connection.expect_by(self._loop.time() + self._read_timeout)
        try:
            await self._wakes
        finally:
            self._wakes = None
            if self._read_timeout is not None and not self._has_ended:
                self._connection.expect_by(float("inf"))

    def _wake(self) -> None:
        if self._wakes is not None and not self._wakes.done():
            self._wakes.set_result(None)

    async def aclose(self) -> None:
        """Ends the exchange where it still runs: its connection is closed then, and what sends the request is stopped."""
        self._connection.abandon(self)
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()

    # --- the request's body

    def send(self, body: AsyncIterable[bytes], *, is_chunked: bool) -> None:
        """Begins to send a body, as fast as the socket takes it, beside the reading of the answer."""
        self._pump = self._loop.create_task(self._send(body, is_chunked), name="send a proxied body")
        self._pump.add_done_callback(self._sent)

    async def _send(self, body: AsyncIterable[bytes], is_chunked: bool) -> None:
        async for piece in body:
            if piece:
                await self._connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            await self._connection.write(b"0\r\n\r\n")

    def _sent(self, pump: asyncio.Task[None]) -> None:
        """The body is sent, or cannot be: what its source raised is what the exchange fails with."""
        failure = None if pump.cancelled() else pump.exception()
        if failure is None:
            self._connection.is_sent = not pump.cancelled()
        elif not isinstance(failure, Unanswered) and not self._has_ended:
            self._connection.abandon(self)
            self.failed(failure)
