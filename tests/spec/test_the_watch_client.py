"""`merganser watch` keeps the client rules: it resumes after a loss, checks the chain, and ends where going on is no use."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.watch import Watch, Watched, WatchEnded, socket_url
from tests.fakes.cuttable import Cuttable
from tests.fakes.served import Served, load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

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
