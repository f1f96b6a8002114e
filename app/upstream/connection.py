"""One socket to an upstream and the one exchange on it: framing (RFC 9112), limits, and what ends a connection.

An exchange ends in exactly one way: its answer is whole (`end`), or it `failed`. The connection then hands itself back to
its pool, in the same step, so that no caller can lose one by being cancelled; it is reused only after a whole answer
without a byte too many, with nothing of the request left to send.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, cast

import httptools

from app.core.errors import CallFailure, ConnectFailed, ProtocolFailed, TimedOut, TlsFailed, TooLarge
from app.upstream.answer import Fields, Timing
from app.upstream.exchange import Exchange, Owner, Unanswered
from app.upstream.limits import MAX_FIELDS, MAX_FRAMING, MAX_HEAD, MAX_INTERIM, UNAWAITED_SECONDS

_NOTED = frozenset((b"content-length", b"content-encoding", b"transfer-encoding"))
_BODILESS = frozenset((204, 304))


class Connection(asyncio.Protocol):
    """A keep-alive connection; `retires` is the moment (loop's clock) after which it is not used again.

    `emptied` is when its socket was last seen empty (time.monotonic).
    """

    __slots__ = (
        "_deadline", "_exchange", "_fed", "_fires", "_has_head", "_has_length", "_headers", "_interim", "_is_awaited", "_is_complete",
        "_is_dirty", "_keep", "_loop", "_owner", "_parser", "_resumed", "_started", "_timer", "_timing", "_transport",
        "emptied", "fd", "idle_since", "is_closed", "is_sent", "retires",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._owner: Owner | None = None
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser: Any = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires = 0.0
        self._resumed: asyncio.Future[None] | None = None
        self._timing: Timing | None = None
        self.retires = float("inf")
        self.is_closed = False
        self.idle_since = 0.0
        self.emptied = 0.0
        self.fd = -1

    # --- what its pool and its exchange ask of it

    def adopt(self, owner: Owner, timing: Timing, retires: float) -> None:
        """From now on `owner` is told what becomes of it; `timing` is what making it took, told with its first answer."""
        self._owner = owner
        self._timing = timing
        self.retires = retires

    def begin(self, exchange: Exchange, data: bytes, deadline: float, *, is_whole: bool = True) -> None:
        """Writes a request, or its beginning, and expects the answer before `deadline`; then the exchange fails with `TimedOut`."""
        self._exchange = exchange
        self._headers: Fields = []
        self._interim = self._fed = 0
        self._has_head = self._has_length = self._is_complete = self._is_dirty = self._keep = False
        self._is_awaited = True
        self._started = time.monotonic()
        self.is_sent = is_whole
        exchange.timing = self._timing or Timing()
        self._timing = None
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
            self._parser.set_dangerous_leniencies(lenient_chunked_length=True)  # a trailer may be a length; a head of both we refuse
        self.expect_by(deadline)
        self._transport.write(data)

    def expect_by(self, deadline: float) -> None:
        """Moves the deadline of the exchange. One timer serves all exchanges of a connection: it is set anew only when it fires too late."""
        self._deadline = deadline
        if self._timer is not None:
            if self._fires <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            self._fires = deadline
            self._timer = self._loop.call_at(deadline, self._on_time)

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for this exchange any more: if it still runs, the connection is closed, for what comes is another's answer."""
        if self._exchange is exchange:
            self._exchange = None
            self.close()

    def is_usable(self, now: float) -> bool:
        """Whether another request may be written, as far as it knows: it is young, and open. Its pool looks into the socket."""
        return not (self.is_closed or now >= self.retires or self._transport.is_closing())

    def close(self) -> None:
        """Ends the connection at once; an exchange on it is the caller's to inform."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parser = None
        self.resume_writing()
        self._transport.abort()
        if self._owner is not None:
            self._owner.closed(self)

    def shut_down(self) -> None:
        """Ends the connection, and fails the exchange on it."""
        exchange, self._exchange = self._exchange, None
        self.close()
        if exchange is not None:
            exchange.failed(ConnectFailed("shutting down"))

    def pause(self) -> None:
        """Stops reading: the reader of a stream is slower than the upstream."""
        if not self.is_closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Goes on reading."""
        if not self.is_closed:
            self._transport.resume_reading()

    async def write(self, data: bytes) -> None:
        """Writes more of the request and waits until the socket takes more."""
        if self.is_closed:
            raise Unanswered
        self._transport.write(data)
        if self._resumed is not None:
            await asyncio.shield(self._resumed)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.fd = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.close()  # nobody asked for these bytes
            return
        if not self._fed:
            self._exchange.timing.first_byte = time.monotonic() - self._started
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as exc:
            if not isinstance(exc.__context__, CallFailure):
                raise  # a fault of ours must not pass for the upstream's
            self._fail(exc.__context__)
            return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                self._fail(ProtocolFailed())
                return
            self._is_dirty = True  # what follows a whole answer is no answer
        if self._is_complete:
            self._finish()
        elif self._fed > (MAX_FRAMING if self._has_head else MAX_HEAD):
            self._fail(TooLarge(http_status=self._parser.get_status_code() or None))
        elif not self._is_awaited:
            self._is_awaited = True
            self.expect_by(min(self._deadline, self._loop.time() + UNAWAITED_SECONDS))

    def eof_received(self) -> bool:
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc or ConnectionError())  # no end was told: a connection broken, or TLS cut short (RFC 9112 section 9.8)

    def pause_writing(self) -> None:
        if self._resumed is None:
            self._resumed = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._resumed is not None:
            if not self._resumed.done():
                self._resumed.set_result(None)
            self._resumed = None

    # --- httptools; a failure raised here comes out of feed_data

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._is_dirty = True
            raise ProtocolFailed  # stops the parser: a second answer is never looked at

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))  # their number is bounded by their size, until it is looked at

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if len(self._headers) > MAX_FIELDS:
            raise TooLarge(http_status=status)
        if status < 200:
            self._on_interim(status)
            return
        if parser.get_http_version() not in ("1.1", "1.0"):
            raise ProtocolFailed
        fields = [(name.lower(), value.rstrip(b" \t")) for name, value in self._headers]
        noted: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            if name in _NOTED:
                noted.setdefault(name, []).append(value)
        self._has_head = True
        self._headers = []  # trailers are dropped
        codings = noted.get(b"transfer-encoding")
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or b"content-length" in noted):
            raise ProtocolFailed(http_status=status)
        if self._fed > MAX_HEAD and sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD:
            raise TooLarge(http_status=status)
        exchange = cast(Exchange, self._exchange)
        self._has_length = b"content-length" in noted or codings is not None or status in _BODILESS
        self._fed = 1
        if exchange.is_bodiless:
            self._is_complete = True
            self._keep = codings is None and parser.should_keep_alive()
        self._is_awaited = exchange.head(status, fields, noted)

    def on_body(self, data: bytes) -> None:
        if self._is_complete:
            self._is_dirty = True
            return
        self._fed = 1
        cast(Exchange, self._exchange).body(data)

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_complete:
            self._is_complete = True
            self._keep = self._parser.should_keep_alive()

    # --- ends

    def _on_interim(self, status: int) -> None:
        self._interim += 1
        self._headers, self._fed = [], 1
        if status < 100 or status == 101 or self._interim > MAX_INTERIM:
            raise ProtocolFailed

    def _finish(self) -> None:
        """The answer is whole: tells the exchange, and gives the connection back or closes it."""
        exchange = cast(Exchange, self._exchange)
        self._exchange = None
        if exchange.is_bodiless:
            self._parser = None  # it still waits for a body
        try:
            exchange.end()
        except CallFailure as failure:
            exchange.failed(failure)
        if self._keep and self.is_sent and not self._is_dirty and not self.is_closed and not self._transport.get_write_buffer_size():
            self.emptied = time.monotonic()
            cast(Owner, self._owner).released(self)
        else:
            self.close()

    def _fail(self, failure: CallFailure) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()
            return
        if self._is_complete:
            self._is_dirty = True
            self._finish()
            return
        self._exchange = None
        self.close()
        exchange.failed(failure)

    def _ended(self, exc: Exception | None) -> None:
        """The other side closed, or the connection broke."""
        if self._exchange is None:
            self.close()
        elif not self._fed:
            self._fail(TlsFailed() if isinstance(exc, ssl.SSLError) else Unanswered())
        elif self._has_head and not self._has_length and exc is None:
            self._is_complete = self._is_dirty = True  # a body that ends with its connection (RFC 9112 section 6.3, rule 8)
            self._finish()
        else:
            self._fail(ProtocolFailed())

    def _on_time(self) -> None:
        self._timer = None
        if self._exchange is None:
            return
        if self._loop.time() + 0.001 < self._deadline:
            self.expect_by(self._deadline)
        else:
            self._fail(TimedOut())
