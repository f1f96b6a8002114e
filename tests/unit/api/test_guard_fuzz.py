"""Whatever bytes come, the guard answers with a 2xx or 4xx or ends the connection, and never breaks."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from app.api.admission import Admission
from app.api.edge import Edge, Limits
from app.draining import config
from app.settings import Settings

GET = b"GET /a?b=c HTTP/1.1\r\nhost: x\r\naccept: */*\r\n\r\n"
POST = b"POST /body HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc"
CHUNKED = b"POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
ODD = [
    b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"HTTP/1.0", b"HTTP/2.0", b"host: y\r\n", b"content-length: 5\r\n", b"0\r\n\r\n",
    b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"fffffffff\r\n", b"_", b"//", b"http://x/", b"*", b"CONNECT",
    b"upgrade: websocket\r\n", b"x: " + b"a" * 40_000,
]  # fmt: skip


class Wire:
    """A transport that keeps what is written; told to close, it does so at the next turn of the loop, as real ones do."""

    def __init__(self) -> None:
        self.out, self.closed = b"", False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Addresses."""
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def write(self, data: bytes) -> None:
        """Takes bytes."""
        assert not self.closed
        self.out += data

    def close(self) -> None:
        """Ends it."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """Everything is taken at once."""
        return 0

    def can_write_eof(self) -> bool:
        """As TCP."""
        return True

    def write_eof(self) -> None:
        """Half-closes."""

    def pause_reading(self) -> None:
        """Nothing reads here."""

    resume_reading = pause_reading


class App:
    """Reads the body and answers."""

    state = SimpleNamespace()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request."""
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def serve(pieces: list[bytes]) -> tuple[bytes, Edge]:
    """What comes out for what goes in."""
    edge = Edge(Limits(), Admission(10))
    made = config(App(), Settings(_env_file=None), edge, "websockets-sansio")
    made.load()
    state, wire = ServerState(), Wire()
    guard: Any = made.http_protocol_class(config=made, server_state=state, app_state={})  # type: ignore[call-arg]
    guard.ws_protocol_class = None
    guard.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            guard.data_received(piece)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    guard.look(asyncio.get_running_loop().time() + 1000)
    guard.eof_received()
    guard.connection_lost(None)
    async with asyncio.timeout(2):
        while state.tasks:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)
    return wire.out, edge


@contextmanager
def faults() -> Iterator[list[logging.LogRecord]]:
    """What is logged of faults meanwhile."""
    said: list[logging.LogRecord] = []
    handler, logger = logging.Handler(logging.ERROR), logging.getLogger("uvicorn.error")
    handler.emit = said.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Requests with odd bytes put in, cut anywhere."""
    whole = b"".join(draw(st.lists(st.sampled_from([GET, POST, CHUNKED, UPGRADE]), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(whole)))
        whole = whole[:at] + draw(st.sampled_from(ODD)) + whole[at + draw(st.integers(0, 3)) :]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if b > a]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=streams())
@example([GET, POST, CHUNKED, UPGRADE])
@example([UPGRADE + POST])
@example([b"\r\n" * 50_000])
async def test_no_bytes_are_an_error_of_ours(pieces: list[bytes]) -> None:
    """Every answer is whole and no 5xx; every place is given back."""
    with faults() as said:
        out, edge = await serve(pieces)
    assert not said
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", out)]
    assert all(status < 500 for status in statuses), (statuses, pieces)
    assert (edge.admission.in_flight, edge.connections, edge.idle) == (0, set(), {})
