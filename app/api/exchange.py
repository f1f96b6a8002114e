"""One request and its answer on a connection: what the application receives and sends, as HTTP/1.1.

uvicorn's, with six differences: the head leaves together with the first piece of the body, in one segment where it fits, or
by itself at the end of the loop's turn; a fault before the head is a problem document; the connection is closed where the
server drains or the request's body has not been read; the place that the request takes is given back when its answer
has gone out, or when a live stream begins (streams are held open on purpose and are bounded elsewhere); the client's
half-close is a disconnect; and to HTTP/1.0 a body of unknown length goes out as it is, and ends with the connection.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from app.api import refusals
from app.api.edge import Edge
from app.api.seen import Seen, seen

_NOT_A_NAME = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
_VALUE = bytes(code for code in range(256) if code == 9 or (code >= 32 and code != 127))
"""What a header's value may hold: no control character leaves, whoever wrote it."""
_STATUS_LINES = STATUS_LINE | {status: b"HTTP/1.1 %d \r\n" % status for status in range(600, 1000)}
"""A proxied status that HTTP has no class for is passed on as it is (RFC 9110 section 15)."""
_FRAMING = frozenset((b"connection", b"content-length", b"content-type", b"transfer-encoding"))
PROBES = frozenset({b"/healthz", b"/readyz", b"/metrics"})
"""Paths that are answered however great the load: who watches must see."""
_UNSENT = 16 << 10
"""Bytes of a live stream that the kernel keeps unsent; without it megabytes of stale updates lie there."""
_RESETS = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose close is a reset."""
_log = logging.getLogger("uvicorn.error")


def keep_little_unsent(transport: Any) -> None:
    """Makes a slow reader felt after 16 KiB instead of megabytes, where the system can."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_NOTSENT_LOWAT") and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


class Exchange(RequestResponseCycle):
    """See the module. `is_admitted` says that it holds a place among the requests in flight."""

    def __init__(
        self,
        scope: Any,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        edge: Edge,
        state: ServerState,
        expects_continue: bool,
        keep_alive: bool,
        on_response: Callable[[], None],
    ) -> None:
        super().__init__(
            scope=scope,
            transport=transport,
            flow=flow,
            logger=_log,
            access_logger=_log,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=keep_alive,
            on_response=on_response,
        )
        self._edge, self._state = edge, state
        self.is_admitted = False
        self._watcher: Callable[[], None] | None = None
        self._ends_by_close = False
        self._head = b""
        self._flush: asyncio.Handle | None = None
        scope["merganser.gone"] = self.tell
        scope["merganser.cut"] = transport.abort

    def tell(self, watcher: Callable[[], None] | None, *, reads: bool = False) -> bool:
        """Has `watcher` called when the client leaves, at once if it has left; None ends that.

        What `http.disconnect` says, without a task that waits for it. False while there is a body to receive, unless the
        caller `reads` it: who leaves it lying hears of nothing that comes behind it.
        """
        if not reads and (self.more_body or self.body):
            return False
        self._watcher = watcher
        if watcher is not None and self.disconnected:
            watcher()
        return True

    def gone(self) -> None:
        """The client has left: `http.disconnect` reaches the application."""
        if not self.response_complete:
            self.disconnected = True
            if self._watcher is not None:
                self._watcher()
        self.message_event.set()

    @property
    def _about(self) -> Seen:
        return seen(cast(Scope, self.scope))

    def refuse(self, status: int) -> None:
        """The guard answers in the application's place: to it the client is gone, and what is told at its end is `status`."""
        self._about.status = status
        self.gone()
        self.response_started = self.response_complete = True

    def enter(self) -> bool:
        """Takes a place, if there is one; a probe needs none."""
        if self.scope["raw_path"] in PROBES:
            return True
        self.is_admitted = self._edge.admission.enter()
        return self.is_admitted

    def leave(self) -> None:
        """Gives the request's place back, once."""
        if self.is_admitted:
            self.is_admitted = False
            self._edge.admission.leave()

    async def send(self, message: Any) -> None:
        """Writes a part of the answer; waits while the client does not take it."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._begin(message)
        elif not self.response_complete:
            self._continue(message)
        else:
            raise RuntimeError(f"{message['type']} after the answer was complete")

    def _begin(self, message: Any) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"http.response.start comes first, not {message['type']}")
        status, own = message["status"], list(message.get("headers", ()))
        named = {name for name, _ in own}
        headers = [*(pair for pair in self._state.default_headers if pair[0] not in named), *own]
        if b"".join([value for _, value in headers]).translate(None, _VALUE):
            raise RuntimeError("a header value that HTTP does not allow")
        self.waiting_for_100_continue = False
        if self.more_body or self._edge.is_draining:
            self.keep_alive = False
        lines = [_STATUS_LINES[status]]
        for name, value in headers:
            key = _field_name(name)
            if key in _FRAMING:
                self._frame(key, value)
            if key != b"connection":
                lines += (key, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if status in (204, 304):
            self.expected_content_length = 0  # a 304 may say how long the 200 would be (RFC 9110 section 8.6)
        elif self.chunked_encoding is None and self.scope["method"] != "HEAD":
            self._ends_by_close = self.scope["http_version"] == "1.0"  # which knows no chunks (RFC 9112 section 6.1)
            self.chunked_encoding = not self._ends_by_close
            if self.chunked_encoding:
                lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.response_started = True  # not before: a fault in writing the head is answered with a 500
        self._head = b"".join(lines)
        self._flush = asyncio.get_running_loop().call_soon(self._write, b"")

    def _write(self, data: bytes) -> None:
        """Writes, behind the head if that is still waiting."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
            data = self._head + data
        if data:
            self.transport.write(data)

    def _frame(self, key: bytes, value: bytes) -> None:
        """Takes what a header says of the answer's length and of the connection, and whether it is a live stream."""
        if key == b"connection":
            self.keep_alive = self.keep_alive and b"close" not in value.lower()
        elif key == b"content-length" and self.chunked_encoding is None:
            self.expected_content_length = int(value)
            self.chunked_encoding = False
        elif key == b"transfer-encoding" and value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True
        elif key == b"content-type" and value.startswith(b"text/event-stream"):
            self.leave()
            keep_little_unsent(self.transport)

    def _continue(self, message: Any) -> None:
        if message["type"] != "http.response.body":
            raise RuntimeError(f"http.response.body comes next, not {message['type']}")
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            self._write(b"")
        elif self.chunked_encoding:
            self._write_chunk(body, more)
        elif self._ends_by_close:
            self._write(body)
        elif len(body) > self.expected_content_length:
            raise RuntimeError("the answer is longer than its Content-Length")
        else:
            self.expected_content_length -= len(body)
            self._write(body)
        if not more:
            self._end()

    def _write_chunk(self, body: bytes, more: bool) -> None:
        pieces = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
        if not more:
            pieces.append(b"0\r\n\r\n")
        self._write(b"".join(pieces))

    def _end(self) -> None:
        if self.expected_content_length != 0:
            raise RuntimeError("the answer is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        self.leave()
        self.on_response()

    def shed(self) -> None:
        """Answers that the server is over its load, without the application. The connection stays if there is no body to skip."""
        headers = self.scope["headers"]
        if not {name for name, _ in headers} & {b"content-length", b"transfer-encoding"}:
            self.more_body = False
        if self.more_body or self._edge.is_draining:
            self.keep_alive = False
        is_head = self.scope["method"] == "HEAD"
        self.transport.write(refusals.answer(refusals.OVERLOADED, self._about.request_id, closes=not self.keep_alive, is_head=is_head))
        self.response_started = True
        self._end()

    async def run_asgi(self, app: Any) -> None:
        """Runs the application. What it leaves open is ended here: a 500 before the head, a cut connection after it."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # the last resort, outside the framework: the process goes on, the client learns nothing
            _log.exception("a fault of the application")
        finally:
            self.leave()
            if not self.response_started and not self.disconnected:
                self._fail()
            elif not self.response_complete:
                self._break_off()

    def _break_off(self) -> None:
        """Ends an answer short of its end, so that the client can tell: where the end of the connection is that of the body, by a reset."""
        self._write(b"")
        sock = self.transport.get_extra_info("socket")
        if self._ends_by_close and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
        self.transport.close()

    def _fail(self) -> None:
        self.keep_alive = False
        self.expected_content_length = 0  # which a head that was not sent may have said
        self.transport.write(refusals.answer(refusals.BROKEN, self._about.request_id, is_head=self.scope["method"] == "HEAD"))
        self.response_started = True
        self._end()


@functools.lru_cache(maxsize=1024)
def _field_name(name: bytes) -> bytes:
    """The name in lower case; services send few different ones. RuntimeError for what is none: an answer cannot be split."""
    if _NOT_A_NAME.search(name):
        raise RuntimeError("a header name that HTTP does not allow")
    return name.lower()
