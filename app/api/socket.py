"""The WebSocket connection under `/ws`: uvicorn's, with small kernel buffers and an end for those who do not read.

A reader that stops would otherwise be sent megabytes of old states by the kernel (4 MB on Linux by default), and one that
never answers a ping would keep its connection for ever, since closing waits for a buffer that never drains.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader, InvalidState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import StatusLike

from app.api import head, refusals
from app.api.problems import Problem, title
from app.api.seen import seen

DROP = "merganser.drop"
"""The scope's extension that ends a connection even where nothing can be written: `drop(code)`."""

SEND_BUFFER = 64 * 1024
UNSENT = 16 * 1024
USER_TIMEOUT_MS = 20_000
FLUSH = 2.0
"""Seconds for a slow client to take in the close frame behind what waits already."""

_REFUSALS = {403: Problem(403), 414: head.TARGET_TOO_LONG, 431: head.HEAD_TOO_LARGE, 500: refusals.BROKEN}


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's websockets-sansio protocol, bounded. `on_lost` is called when the connection has ended."""

    on_lost: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.reject = self._rejected  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bounds what the kernel takes in for a reader that does not read."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            for option, value in (("TCP_NOTSENT_LOWAT", UNSENT), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS)):
                if hasattr(socket, option):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def follow(self, on_lost: Callable[[], None], rest: bytes) -> None:
        """Goes on where the guard hands the connection over; `rest` came behind the handshake."""
        self.on_lost = on_lost
        if rest:
            self.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the guard that handed the connection over."""
        super().connection_lost(exc)
        self.on_lost()

    def data_received(self, data: bytes) -> None:
        """Takes what came. A head that the protocol library gives up on is refused, which it leaves to us."""
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def _rejected(self, status: StatusLike, text: str) -> Response:
        """The problem document that stands in for whatever the protocol library would say instead of upgrading."""
        fault, request = self.conn.handshake_exc, getattr(self, "request", None)
        is_version = isinstance(fault, InvalidHeader) and fault.name == "Sec-WebSocket-Version"
        problem = refusals.OTHER_WEBSOCKET if is_version else _REFUSALS.get(int(status), refusals.NO_HANDSHAKE)
        ids = request.headers.get_all("x-request-id") if request is not None else []
        scope: Scope = {"headers": [(b"x-request-id", one.encode("ascii", "replace")) for one in ids]}
        mark = seen(scope).request_id
        fields, body = problem.response(mark)
        fields = [*self.default_headers, *fields, (b"x-request-id", mark.encode()), (b"connection", b"close")]
        return Response(problem.status, title(problem.status), Headers([(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields]), body)

    def handle_connect(self, event: Request) -> None:
        """Lets the application drop the connection: the scope is made here and read a moment later."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            cast(dict[str, Any], scope["extensions"])[DROP] = self.drop

    def handle_cont(self, event: Frame) -> None:
        """A further piece of a message. Empty ones are not kept: they count for no limit, so there could be any number of them."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answers, unless the client does not read what it is sent: its pongs would pile up (RFC 6455 section 5.5.3 lets some out)."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def send_receive_event_to_app(self) -> None:
        """Hands a message to the application; a text that is none ends the connection, which is the client's fault and not worth a log line."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(self.frames):
            self.frames = []
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        """Sends; what comes after an end that the application did not make itself finds a client that has left.

        A text on an open connection goes out as its one unmasked frame (RFC 6455 section 5.2), which is all that the
        protocol library would make of it, at a third of the cost.
        """
        text = message.get("text") if message["type"] == "websocket.send" else None
        if text is not None and self.writable.is_set() and self.conn.state is State.OPEN and not self.close_sent and not self.disconnected:
            self.transport.write(framed(text.encode()))
            return
        try:
            await super().send(message)
        except RuntimeError as fault:
            if self.close_sent:
                raise ClientDisconnected from fault
            raise
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # by an answer; uvicorn logs an error otherwise

    def keepalive_timeout(self) -> None:
        """No pong: the connection ends, and not only once its buffer has drained."""
        super().keepalive_timeout()
        self.loop.call_later(FLUSH, self.transport.abort)

    def shutdown(self) -> None:
        """The process ends: nobody who does not read holds it up."""
        super().shutdown()
        self.loop.call_later(FLUSH, self.transport.abort)

    def drop(self, code: int) -> None:
        """Puts a close frame behind what waits, and ends the connection a moment later whether that was read or not."""
        if not self.close_sent and not self.transport.is_closing():
            try:
                self.conn.send_close(code)
            except InvalidState:
                self.transport.abort()
                return
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.close()
        self.loop.call_later(FLUSH, self.transport.abort)


def _is_utf8(pieces: list[bytes]) -> bool:
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True


def framed(payload: bytes) -> bytes:
    """A whole text message as one frame of a server."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)
