"""`merganser watch` keeps the client rules: it resumes after a loss, checks the chain, and ends where going on is no use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.watch import Watch, Watched, WatchEnded, socket_url
from tests.fakes.cuttable import Cuttable
from tests.fakes.served import Served, load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer


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
    """What the upstream answers, by path."""
    return {"/a": 1, "/b": 1}


@pytest.fixture
async def served(tmp_path: Path, values: dict[str, Any]) -> AsyncIterator[Served]:
    """A live endpoint and one that is not."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(answer(json.dumps(values[asked.path]).encode()))

    async with FakeUpstream(script) as upstream:
        calls = {name: {"upstream": "u", "path": f"/{name}"} for name in "ab"}
        endpoints = {"x": {"get": "/x", "calls": calls, "live": {"every": "100ms"}}, "once": {"get": "/once", "calls": calls}}
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
