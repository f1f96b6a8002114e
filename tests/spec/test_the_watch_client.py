"""`merganser watch` keeps the client rules: it resumes after a loss, checks the chain, and ends where going on is no use."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.datastructures import Headers

from app.watch import Watch, Watched, WatchEnded, pause_asked, socket_url
from tests.fakes.cuttable import Cuttable
from tests.fakes.served import Served, load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer
from tests.fakes.virtual_time import virtual

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("url", "socket"), [
    ("http://h:1", "ws://h:1/ws"), ("https://h/", "wss://h/ws"), ("ws://h/other", "ws://h/other"), ("h:8000", "ws://h:8000/ws"),
    ("http://h?x=1", "ws://h/ws"),
])  # fmt: skip
def test_the_servers_url_leads_to_its_socket(url: str, socket: str) -> None:
    """`/ws`, unless a path is given."""
    assert socket_url(url) == socket


def test_a_gap_is_noticed() -> None:
    """An update that follows on another offset is not applied."""
    watched = Watched()
    for message in (
        {"type": "subscribed", "payload": {"epoch": "e", "offset": 0, "recovered": None}},
        {"type": "part", "part": "a", "offset": 1, "data": 1, "sources": {}},
        {"type": "complete", "offset": 1, "live": True, "complete": True, "sources": {}},
        {"type": "update", "prev": 1, "offset": 2, "data": {"a": 2}, "sources": {}, "complete": True},
    ):
        assert watched.take(message)
    assert not watched.take({"type": "update", "prev": 3, "offset": 4, "data": {"a": 4}, "sources": {}, "complete": True})
    assert (watched.state, watched.offset) == ({"a": 2}, 2)
    assert watched.request("x", {}, {})["resume"] == {"epoch": "e", "offset": 2}


@pytest.fixture
async def values() -> dict[str, Any]:
    """What the upstream answers, by path; 500 for any other."""
    return {"/a": 1, "/b": 1}


@pytest.fixture
async def served(tmp_path: Path, values: dict[str, Any]) -> AsyncIterator[Served]:
    """A live endpoint, one that is not, and one that fails behind its first part."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(answer(json.dumps(values[asked.path]).encode()) if asked.path in values else answer(b"{}", 500))

    async with FakeUpstream(script) as upstream:
        calls = {name: {"upstream": "u", "path": f"/{name}"} for name in "ab"}
        must = {"must": {"upstream": "u", "path": "/none", "required": True, "after": ["a"]}}
        endpoints = {
            "x": {"get": "/x", "calls": calls, "live": {"every": "100ms"}}, "once": {"get": "/once", "calls": calls},
            "fails": {"get": "/fails", "calls": calls | must, "live": {"every": "100ms"}},
        }  # fmt: skip
        async with serve(load({"upstreams": {"u": {"url": upstream.url}}, "endpoints": endpoints}, tmp_path)) as running:
            yield running


async def until(check: Any, within: float = 8) -> None:
    """Waits for something that comes over a socket."""
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_it_resumes_after_a_loss(served: Served, values: dict[str, Any]) -> None:
    """Only what changed meanwhile is sent again."""
    told: list[dict[str, Any]] = []
    async with Cuttable(served.port) as proxy:
        watch = Watch(f"http://127.0.0.1:{proxy.port}", "x", {}, told.append)
        task = asyncio.create_task(watch.run())
        await until(lambda: watch.watched.complete)
        values["/a"] = 2
        await until(lambda: watch.watched.state == {"a": 2, "b": 1})
        before = len(told)
        proxy.cut()
        values["/b"] = 2
        await until(lambda: watch.watched.state == {"a": 2, "b": 2})
        assert [m["status"] for m in told[before:] if m["type"] == "status"] == ["reconnecting", "connected"]
        assert {m["part"] for m in told[before:] if m["type"] == "part"} <= {"b"}
        assert next(m for m in told[before:] if m["type"] == "subscribed")["payload"]["recovered"] is True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.slow
async def test_it_ends_where_there_is_nothing_more_to_come(served: Served) -> None:
    """With `complete` of an endpoint that is not live, and with an error that trying again would repeat."""
    told: list[dict[str, Any]] = []
    await Watch(served.url, "once", {}, told.append).run()
    assert told[-1]["type"] == "complete"
    with pytest.raises(WatchEnded, match="unknown_endpoint"):
        await Watch(served.url, "none", {}, told.append).run()


@pytest.mark.slow
async def test_an_answer_that_ends_with_an_error_ends_the_watch_with_it(served: Served) -> None:
    """`complete` is told first; nothing follows."""
    told: list[dict[str, Any]] = []
    with pytest.raises(WatchEnded, match="failed"):
        await Watch(served.url, "fails", {}, told.append).run()
    assert (told[-1]["type"], told[-1]["live"], "error" in told[-1]) == ("complete", False, True)


class Scripted:
    """A connection to a server that gives the same messages to every `subscribe`; `asked`: when each came."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = messages
        self._sent: asyncio.Queue[str] = asyncio.Queue()
        self.asked: list[float] = []

    async def send(self, text: str) -> None:
        said = json.loads(text)
        if said["type"] == "connection_init":
            ack = {"connection_id": "c", "ping_interval_ms": 25000, "resume_ms": 1, "limits": {"max_subscriptions": 1, "max_message_bytes": 1}}
            self._sent.put_nowait(json.dumps({"type": "connection_ack", "payload": ack}))
        elif said["type"] == "subscribe":
            self.asked.append(asyncio.get_running_loop().time())
            for message in self._messages:
                self._sent.put_nowait(json.dumps({**message, "id": said["id"]}))

    async def recv(self) -> str:
        return await self._sent.get()


SUBSCRIBED = {"type": "subscribed", "payload": {"epoch": "e", "offset": 0, "recovered": None, "parts": ["a"], "live": True}}
PART = {"type": "part", "offset": 1, "part": "a", "data": 1, "sources": {}}


async def followed(told: list[dict[str, Any]], *messages: dict[str, Any]) -> Sequence[float]:
    """When a watch subscribes within ten minutes."""
    line = Scripted(*messages)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(600):
            await Watch("http://h", "x", {}, told.append).follow(line)
    return line.asked


def error(**payload: object) -> dict[str, Any]:
    """An `error` after which to try again."""
    return {"type": "error", "payload": {"code": "failed", "message": "no", "retryable": True, **payload}}


@virtual
async def test_an_endpoint_that_keeps_failing_is_asked_less_and_less() -> None:
    """On average four times a minute in the end: `subscribed` before each `error` is no success. The connection stands."""
    told: list[dict[str, Any]] = []
    assert 20 < len(await followed(told, SUBSCRIBED, error())) < 100
    assert {m["status"] for m in told if m["type"] == "status"} == {"connected", "subscribing again"}


@virtual
async def test_an_endpoint_that_answers_in_between_is_asked_soon_again() -> None:
    """What arrives is a success: pauses start afresh."""
    assert len(await followed([], SUBSCRIBED, PART, error())) > 300


@virtual
async def test_no_subscription_is_asked_for_sooner_than_the_server_wants() -> None:
    """`retry_after_ms` is the least; pauses grow over it."""
    asked = await followed([], error(retry_after_ms=10_000))
    pauses = [after - before for before, after in pairwise(asked)]
    assert min(pauses) >= 10
    assert max(pauses) > 11


class Saying:
    """A connection to a server that does not listen."""

    def __init__(self, messages: asyncio.Queue[str | bytes]) -> None:
        self._messages = messages

    async def send(self, text: str) -> None:
        """To nobody."""

    async def recv(self) -> str | bytes:
        return await self._messages.get()


@pytest.mark.parametrize(
    "said", ["hello", '{"type":"hi"}', "[1]", "7", "{}", b"\xff", '{"type":"connection_ack"}', '{"type":"ping","payload":NaN}', "[" * 9999]
)
async def test_a_server_that_speaks_something_else_ends_the_watch(said: str | bytes) -> None:
    """In one line."""
    messages: asyncio.Queue[str | bytes] = asyncio.Queue()
    messages.put_nowait(said)
    with pytest.raises(WatchEnded, match=r"^this is no Merganser server$"):
        await Watch("http://h", "x", {}, lambda message: None).follow(Saying(messages))


@virtual
async def test_a_server_that_says_nothing_is_none() -> None:
    """It is given up like a connection that went dead: another one may answer."""
    with pytest.raises(TimeoutError):
        await Watch("http://h", "x", {}, lambda message: None).follow(Saying(asyncio.Queue()))


@pytest.mark.parametrize(("fields", "pause"), [
    ([], 0), (["7"], 7), (["7", "9"], 7), (["9" * 5000], 999_999_999), (["soon"], 0), (["-5"], 0), ([""], 0),
    (["Thu, 01 Jan 1970 00:01:40 GMT"], 40), (["Thu, 01 Jan 1970 00:00:10 GMT"], 0),
])  # fmt: skip
def test_a_refusal_says_how_long_to_wait(fields: list[str], pause: float) -> None:
    """In seconds, or as a date (here it is a minute past the epoch)."""
    assert pause_asked(Headers([("Retry-After", value) for value in fields]), 60.0) == pause


@pytest.mark.slow
async def test_a_refusal_that_passes_is_waited_out() -> None:
    """408 and 429 as 5xx, and no sooner than `Retry-After` says. Any other status is final."""
    answers = iter(["429 Too Many Requests\r\nRetry-After: 1", "408 Request Timeout", "403 Forbidden"])
    moments: list[float] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        moments.append(asyncio.get_running_loop().time())
        writer.write(f"HTTP/1.1 {next(answers)}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server, asyncio.timeout(10):
        with pytest.raises(WatchEnded, match="403"):
            await Watch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "x", {}, lambda message: None).run()
    assert moments[1] - moments[0] >= 1


@pytest.mark.slow
async def test_who_is_told_and_is_gone_is_no_lost_connection(served: Served) -> None:
    """There is nobody to reconnect for."""
    told: list[dict[str, Any]] = []

    def tell(message: dict[str, Any]) -> None:
        told.append(message)
        if message["type"] == "part":
            raise BrokenPipeError

    async with asyncio.timeout(8):
        with pytest.raises(BrokenPipeError):
            await Watch(served.url, "x", {}, tell).run()
    assert [m["type"] for m in told] == ["status", "subscribed", "part"]


async def watching(served: Served, endpoint: str, stdout: int) -> asyncio.subprocess.Process:
    """The command, in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "watch", served.url, endpoint, cwd=ROOT, stdout=stdout, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.slow
async def test_a_closed_pipe_ends_the_command_quietly(served: Served, values: dict[str, Any]) -> None:
    """`merganser watch ... | head -1`: as SIGPIPE ends other tools."""
    reads, writes = os.pipe()
    process = await watching(served, "x", writes)
    os.close(writes)
    async with asyncio.timeout(30):
        assert json.loads((await asyncio.to_thread(os.read, reads, 1 << 16)).splitlines()[0])["type"] == "subscribed"
        os.close(reads)
        values["/a"] = 2
        _, said = await process.communicate()
    assert (process.returncode, said) == (141, b"")


@pytest.mark.slow
async def test_the_command_says_by_its_exit_code_how_the_answer_ended(served: Served) -> None:
    """1 with an error, 0 without."""
    async with asyncio.timeout(30):
        for endpoint, code in (("fails", 1), ("once", 0)):
            process = await watching(served, endpoint, asyncio.subprocess.PIPE)
            told, said = await process.communicate()
            assert (process.returncode, b"failed" in said) == (code, bool(code))
            assert json.loads(told.splitlines()[-1])["type"] == "complete"
