"""The guard: uvicorn's HTTP/1.1 protocol with the deadlines, bounds and strictness that a public port needs.

Stock uvicorn waits for ever for a head, a body or a reader, takes a 20 MB header, and answers without a `Host`. Here
(`head.py` says what a head may be):

    idle     nothing of a request has come            keep_alive, or until its place is needed
    head     from the first byte to the empty line    header_timeout -> 408; 32 KiB, 100 fields -> 431; target -> 414
    body     until the last byte                      body_timeout, at least 1 KiB/s -> 408; 32 KiB that are no body -> 431
    lingering  refused; what still comes is thrown away, so that the client can read why    2 s
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import Any, Literal, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api import head, refusals
from app.api.edge import BODY_RATE, LINGER, LOOKS_EVERY, PIPELINE, TICK, Edge, Stall
from app.api.exchange import Exchange
from app.api.problems import Problem
from app.api.socket import LiveProtocol

NEVER = float("inf")


class _Refusal(Exception):
    """Stops the parser; the problem is in `Guard._refusal`."""


class Guard(HttpToolsProtocol):
    """One connection. `edge` is what it shares with the others: uvicorn makes it, with `edge` filled in by `app/draining.py`."""

    def __init__(self, edge: Edge, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.edge, self.limits = edge, edge.limits
        self.phase: Literal["idle", "head", "body", "lingering"] = "idle"
        self.deadline, self.is_deaf = NEVER, False
        self.active: Exchange | None = None
        self.cycle: Exchange = None  # type: ignore[assignment]
        self.queue: deque[Exchange] = deque()
        self._refusal: Problem | None = None
        self._farewell: Problem | None = None
        self._began = self.loop.time()
        self._pending = self._head_size = self._fields = 0
        self._stall = Stall()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, if need be in the place of one that has been idle longest."""
        super().connection_made(transport)
        self.edge.connections.add(self)
        if not self.edge.crowd.enter(self.transport, self.client and self.client[0]):
            self._say(refusals.GREEDY)
        elif len(self.connections) > self.limits.max_connections and not self.edge.make_room():
            self._say(refusals.FULL)
        else:
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells every request of the connection that its client is gone."""
        super().connection_lost(exc)
        self.edge.forget(self)
        self.edge.crowd.leave(self.transport)
        self._all_gone()

    def eof_received(self) -> None:
        """A client that closes its direction counts as gone; the transport closes ours when what is written is out."""
        self._all_gone()

    def hung_up(self) -> None:
        """The client has left while nothing was read: what it has sent is thrown away, and its end comes as any other's."""
        self.is_deaf = True
        self.flow.resume_reading()

    def _all_gone(self) -> None:
        for exchange in filter(None, (*self.queue, self.active)):
            exchange.gone()
        self.queue.clear()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed."""
        return self.active is not None and not self.active.response_complete

    def _rest(self) -> None:
        self.phase, self.deadline = "idle", self.loop.time() + self.limits.keep_alive
        self.edge.idle[self] = None

    def shutdown(self) -> None:
        """Ends after the answers that are owed; at once where none is. Called by the server when it stops listening."""
        for exchange in filter(None, (*self.queue, self.active)):
            exchange.keep_alive = False
        if not self.is_busy:
            self.transport.close()

    def drop(self) -> None:
        """Ends an idle connection; what was written and never taken goes with it."""
        self.edge.forget(self)
        (self.transport.abort if self.transport.get_write_buffer_size() else self.transport.close)()

    def look(self, now: float) -> None:
        """Ends what is overdue: a head, a body, an idle connection, an answer that nobody takes."""
        if self._stall.seconds(now, self.transport.get_write_buffer_size()) >= self.limits.write:
            self.transport.abort()
        if self.phase == "body" and self.flow.read_paused:
            self.deadline += LOOKS_EVERY * TICK  # it is us who do not read
        elif now >= self.deadline:
            self.deadline = NEVER
            if self.phase != "lingering" and self.scope is not None:
                self._refuse(refusals.TOO_SLOW)
            elif self.is_busy:
                self.phase = "idle"
            else:
                self.drop()  # at rest, also behind blank lines, which begin no request (RFC 9112 section 2.2)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, whose callbacks below do the rest."""
        if self.is_deaf:
            return
        if self.phase == "idle":
            self.edge.idle.pop(self, None)
            self._expect_head()
        self._pending += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self._refusal is None and isinstance(error, httptools.HttpParserCallbackError):
                self.logger.exception("a fault of the guard")
            self._refuse(self._refusal or refusals.MALFORMED)
        if self._pending > self.limits.max_head and not self.is_deaf:
            self._refuse(head.HEAD_TOO_LARGE)

    def _expect_head(self) -> None:
        """`_pending` counts what came since, to the end of the head, then since the last piece of the body: a field is only told when it ends."""
        self.phase, self._began = "head", self.loop.time()
        self.deadline = self._began + self.limits.header
        self._pending = self._head_size = self._fields = 0

    def _stop(self, problem: Problem) -> _Refusal:
        """What a parser callback raises to refuse the request."""
        self._refusal = problem
        return _Refusal()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        if self.phase != "head":
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self.url += url
        self._head_size += len(url)
        if self._head_size > self.limits.max_head or len(self.url) > self.limits.max_url:
            raise self._stop(head.HEAD_TOO_LARGE if self._head_size > self.limits.max_head else head.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; trailers are counted and dropped."""
        self._fields += 1
        self._head_size += len(name) + len(value) + 4
        if self._fields > self.limits.max_headers or self._head_size > self.limits.max_head:
            raise self._stop(head.HEAD_TOO_LARGE)
        if self.phase == "head":
            if b"_" in name:
                raise self._stop(head.FIELD_NAME)
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: checks it and starts the request, or lets it wait behind the one that is served."""
        self._pending = 0
        self.scope["http_version"] = version = self.parser.get_http_version()
        self.scope["method"] = method = self.parser.get_method().decode("ascii")
        read = head.read(method, self.headers, self.url, version, self.limits.hosts)
        if isinstance(read, Problem):
            raise self._stop(read)
        self.url = read.target
        if self.parser.should_upgrade():
            return
        if len(self.queue) >= PIPELINE:
            raise self._stop(refusals.CROWDED)
        self.scope.update(head.located(read.target))  # type: ignore[typeddict-item]
        exchange = self.cycle = Exchange(
            self.scope, self.transport, self.flow, edge=self.edge, state=self.server_state, expects_continue=read.expects_continue,
            keep_alive=version == "1.1" and self.parser.should_keep_alive(), on_response=self.on_response_complete,
        )  # fmt: skip
        self.phase, self.deadline = "body", self.loop.time() + self.limits.body
        if self.is_busy or self.queue:
            self.queue.append(exchange)
        else:
            self._start(exchange)

    def on_body(self, body: bytes) -> None:
        """A piece of the body; a slow one is given a second more per KiB. Nothing is read ahead of the application."""
        self.deadline += len(body) / BODY_RATE
        self._pending = 0
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
            self.edge.unread.add(self)
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.parser.should_upgrade():
            return
        self.phase, self.deadline, self._pending = "idle", NEVER, 0
        self.scope = None  # type: ignore[assignment]
        self.cycle.more_body = False
        self.cycle.message_event.set()
        if self.cycle.response_complete and not self.is_busy:
            self._rest()

    def _start(self, exchange: Exchange) -> None:
        """Hands a request to the application, if the load allows."""
        self.active = exchange
        if not exchange.enter():
            exchange.shed()
            return
        task = self.loop.create_task(exchange.run_asgi(self.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """An answer is out: the next one, a last word, rest, or the end."""
        self.server_state.total_requests += 1
        exchange = self.active
        if exchange is None or self.transport.is_closing():
            return
        if not exchange.keep_alive:
            self._end(lingers=exchange.more_body)
            return
        self.flow.resume_reading()
        if self.queue:
            self._start(self.queue.popleft())
        elif self._farewell is not None:
            self._say(self._farewell)
        elif self.phase == "idle":
            self._rest()

    def _refuse(self, problem: Problem) -> None:
        """Takes no more of this connection. What came before is answered first, then the client is told."""
        self.is_deaf = True
        if self.phase == "body" and self.cycle is not None:
            if self.cycle in self.queue:
                self.queue.remove(self.cycle)
            elif self.cycle.response_started:
                self.cycle.gone()
                self.transport.close()
                return
            else:
                self.cycle.refuse(problem.status)
                self.active = None
        if self.is_busy:
            self._farewell, self.phase, self.deadline = problem, "idle", NEVER
        else:
            self._say(problem)

    def _say(self, problem: Problem) -> None:
        self.transport.write(refusals.last_word(problem, cast(Scope, self.scope or {}), self.loop.time() - self._began, self.edge.emit))
        self._end(lingers=True)

    def _end(self, *, lingers: bool) -> None:
        """Closes: at once when all was read, else after a while of throwing away what still comes."""
        self.is_deaf = True
        self.edge.idle.pop(self, None)
        if not lingers:
            self.transport.close()
            return
        self.phase, self.deadline = "lingering", self.loop.time() + LINGER
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _upgrade(self, rest: bytes) -> None:
        """A WebSocket handshake goes to its own protocol. Any other upgrade is declined, as is one of HTTP/1.0 (RFC 9110
        section 7.8): the request is read again without it, since the parser takes what follows an upgrade for another protocol."""
        method, version = self.scope["method"], self.scope["http_version"]
        if method != "GET" or version != "1.1" or self._get_upgrade() != b"websocket" or self.ws_protocol_class is None:
            self.parser = httptools.HttpRequestParser(self)
            self.phase = "idle"
            self.data_received(head.without_upgrade(method, self.url, version, self.headers) + rest)
        elif self.is_busy:
            self._refuse(refusals.CROWDED)
        elif self.edge.is_draining or self.edge.admission.is_full:
            self._refuse(refusals.DRAINING if self.edge.is_draining else refusals.OVERLOADED)
        else:
            self.edge.forget(self)
            self.handle_websocket_upgrade()
            live = cast(LiveProtocol, self.transport.get_protocol())
            live.follow(functools.partial(self.edge.crowd.leave, self.transport), rest)
