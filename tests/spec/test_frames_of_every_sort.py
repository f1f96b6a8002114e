"""Whatever frames a client of `/ws` sends: an answer of the protocol or a close code, no fault of ours, no harm to others.

The corpus is tests/corpus/frames: `*.frames` hold a text message a line, `*.wire` the bytes after the handshake in hex.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.api.socket import LiveProtocol
from tests.fakes.served import Served, load, serve
from tests.fakes.ws_client import check

CORPUS = Path(__file__).parent.parent / "corpus" / "frames"
MESSAGES = {path.stem: path.read_text(encoding="utf-8").split("\n")[:-1] for path in sorted(CORPUS.glob("*.frames"))}
WIRE = {path.stem: bytes.fromhex(re.sub("#.*", "", path.read_text())) for path in sorted(CORPUS.glob("*.wire"))}
ENDS = {4400, 4401, 4403, 4409, 4429, 1009}
"""Close codes for a message that cannot be taken."""
ENDS_OF_WIRE = {1000, 1002, 1005, 1007, 1009, 4400}
"""And for what is no frame (RFC 6455 section 7.4.1), or a client's own end."""
LIVE = {"connection_ack", "subscribed", "part", "complete", "update"}
EXAMPLES = max(5, int(os.environ.get("SOAK", "0")) // 2000)
CATALOG: dict[str, Any] = {
    "auth": {"k": {"type": "api_key", "keys": {"a": "sha256:" + "a" * 64}}},
    "upstreams": {"u": {"url": "http://up.test"}},
    "endpoints": {
        "ticks": {
            "get": "/ticks", "calls": {"a": {"upstream": "u", "path": "/a"}}, "live": {"every": "100ms"},
            "params": {"n": {"type": "integer"}, "word": {"type": "string", "pattern": "[a-z]*"}, "words": {"type": "array"}},
        },
        "once": {"get": "/once", "calls": {"a": {"upstream": "u", "path": "/a"}, "b": {"upstream": "u", "path": "/fails"}}},
        "failing": {"get": "/failing", "calls": {"a": {"upstream": "u", "path": "/fails"}}},
        "secret": {"get": "/secret", "auth": ["k"], "calls": {"a": {"upstream": "u", "path": "/a"}}},
        "posted": {"post": "/posted", "calls": {"a": {"upstream": "u", "path": "/a"}}},
        "raw": {"get": "/raw", "proxy": {"upstream": "u", "path": "/a"}},
    },
}  # fmt: skip
STRANGE: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "a",
    "ticks",
    "once",
    "secret",
    "\x00",
    "🦆" * 50,
    [],
    [[]],
    {},
    {"n": 1},
    {"epoch": "e", "offset": 0},
]
EDITS = st.tuples(
    st.integers(0, 10_000), st.integers(0, 9), st.sampled_from(['"', "{", "}", "[", ",", ":", "\\", "\\u0000", "\x00", "é", "1", "e9", "null", ""])
)


def strange(text: str, at: int, value: Any) -> str:
    """The message with another value somewhere; the text itself where it is no JSON object."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return text
    holder, places = message, list[tuple[Any, Any]]()
    waiting = [holder]
    while waiting and len(places) < 200:
        holder = waiting.pop()
        inner = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, one in inner:
            places.append((holder, key))
            waiting.append(one)
    if not places:
        return text
    holder, key = places[at % len(places)]
    holder[key] = value
    return json.dumps(message)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A message of the corpus, with one or two things changed."""
    text = draw(st.sampled_from([line for lines in MESSAGES.values() for line in lines if len(line) < 2000]))
    if draw(st.booleans()):
        text = strange(text, draw(st.integers(0, 50)), draw(st.sampled_from(STRANGE)))
    for at, cut, put in draw(st.lists(EDITS, max_size=2)):
        place = at % (len(text) + 1)
        text = text[:place] + put + text[place + cut :]
    return text


class Witness:
    """A service, and a live subscriber that must not notice anything."""

    def __init__(self, served: Served) -> None:
        self.served, self.updates = served, 0
        self._more = asyncio.Event()

    async def client(self, *, begins: bool = True, id: str = "my own") -> ClientConnection:
        """A client; one that begins has a subscription of its own."""
        socket = await connect(self.served.ws, subprotocols=[Subprotocol("merganser.v1")], compression=None, ping_interval=None, max_queue=None)
        if begins:
            await socket.send('{"type": "connection_init"}')
            await socket.send(json.dumps({"type": "subscribe", "id": id, "payload": {"endpoint": "ticks"}}))
        return socket

    async def watch(self, socket: ClientConnection) -> None:
        """Reads what the subscriber is sent."""
        async for text in socket:
            message = json.loads(text)
            assert message["type"] in LIVE, message
            self.updates += message["type"] == "update"
            self._more.set()

    async def is_well(self) -> None:
        """Two more updates come."""
        wanted = self.updates + 2
        async with asyncio.timeout(10):
            while self.updates < wanted:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def witnessed(folder: Path) -> AsyncIterator[Witness]:
    """A service with a live subscriber, for the block."""
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(500) if request.url.path == "/fails" else httpx.Response(200, json={"n": asked})

    async with serve(load(CATALOG, folder), httpx.MockTransport(answer)) as served:
        witness = Witness(served)
        async with await witness.client() as socket, asyncio.TaskGroup() as group:
            watching = group.create_task(witness.watch(socket))
            yield witness
            await witness.is_well()
            watching.cancel()


async def said(socket: ClientConnection, *texts: str) -> tuple[list[dict[str, Any]], int | None]:
    """What is answered to messages, up to a marked `pong`, and the close code if that came instead."""
    answers: list[dict[str, Any]] = []
    try:
        for text in (*texts, '{"type": "ping", "payload": "the mark"}'):
            await socket.send(text)
        async with asyncio.timeout(5):
            while True:
                frame = await socket.recv()
                check(frame)
                answers.append(json.loads(frame))
                if answers[-1] == {"type": "pong", "payload": "the mark"}:
                    return answers, None
    except ConnectionClosed as closed:
        return answers, closed.rcvd.code if closed.rcvd else 1006


def faults(logged: str) -> list[str]:
    """The lines of a log that tell of a fault; a machine that stalls is none."""
    return [line for line in logged.splitlines() if "event loop blocked" not in line]


@pytest.mark.parametrize("begins", [True, False], ids=["begun", "not_begun"])
async def test_the_corpus(tmp_path: Path, begins: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """Every file, on a connection of its own: answers of the protocol, or one of its close codes."""
    async with witnessed(tmp_path) as witness:
        for name, texts in MESSAGES.items():
            async with await witness.client(begins=begins) as socket:
                answers, code = await said(socket, *texts)
                assert code is None or code in ENDS, (name, code, answers[-3:])
                assert begins or code is not None or any("connection_init" in text for text in texts), name
    assert not faults(capfd.readouterr().err)


@pytest.mark.slow
async def test_bytes_that_are_no_frames(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A close code of RFC 6455, or nothing while the rest may still come."""

    async def sent(witness: Witness, name: str, data: bytes) -> None:
        socket = await witness.client()
        await socket.recv()
        socket.transport.write(data)
        code: int | None = None
        try:
            async with asyncio.timeout(1):
                while True:
                    check(await socket.recv())
        except TimeoutError:
            socket.transport.abort()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
        assert code is None or code in ENDS_OF_WIRE, (name, code)

    async with witnessed(tmp_path) as witness:
        await asyncio.gather(*(sent(witness, name, data) for name, data in WIRE.items()))
    assert not faults(capfd.readouterr().err)


async def test_pongs_do_not_pile_up_for_who_does_not_read(tmp_path: Path) -> None:
    """Nor pieces of nothing: whatever is sent that counts for no limit takes no memory."""
    ping, nothing = bytes.fromhex("89fd00000000") + b"x" * 125, bytes.fromhex("008000000000")
    async with witnessed(tmp_path) as witness:
        socket = await witness.client(begins=False)
        protocols = witness.served.server.server_state.connections
        (ours,) = (one for one in protocols if isinstance(one, LiveProtocol) and one.client == socket.transport.get_extra_info("sockname"))
        socket.transport.pause_reading()
        socket.transport.write(ping * 60_000)
        while socket.transport.get_write_buffer_size():  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(0.01)
        assert ours.transport.get_write_buffer_size() < 512 * 1024, "one read of asyncio is 256 KiB, of 7.6 MB"
        socket.transport.write(bytes.fromhex("018000000000") + nothing * 100_000)
        while socket.transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await witness.is_well()
        assert len(ours.frames) <= 2
        socket.transport.abort()


@pytest.mark.slow
@pytest.mark.timeout(60 + EXAMPLES * 10)
def test_the_corpus_changed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Mutated messages one after the other: while the connection stands, its own subscription lives on too."""

    async def example(texts: list[str]) -> None:
        async with witnessed(tmp_path) as witness:
            socket = await witness.client()
            for text in texts:
                answers, code = await said(socket, text)
                assert code is None or code in ENDS, (text, code)
                assert not [a for a in answers if a.get("id") == "my own" and a["type"] not in LIVE], text
                if code is not None:
                    socket = await witness.client()
            await socket.close()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize="SOAK" not in os.environ, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(mutated(), min_size=30, max_size=60))
    def run(texts: list[str]) -> None:
        asyncio.run(example(texts))

    run()
    assert not faults(capfd.readouterr().err)
