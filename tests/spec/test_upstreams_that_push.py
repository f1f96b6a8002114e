"""A call with `stream: sse` or `stream: websocket` is a live source: its latest value is its answer, each new one an update."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from tests.fakes.served import Served, load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


class Events:
    """An SSE upstream: what is put goes to the connection that is open; `cut` ends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answers = True

    async def script(self, asked: Asked, line: Line) -> None:
        if not self.answers:
            line.reset()
            return
        await line.send(HEAD)
        while (chunk := await self.queue.get()) is not None:
            await line.send(chunk)
        line.close()

    def say(self, value: Any, id: str = "") -> None:
        self.queue.put_nowait((f"id: {id}\n" if id else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n")

    def cut(self) -> None:
        self.queue.put_nowait(None)


@asynccontextmanager
async def serving(url: str, folder: Path, stream: str = "sse", **call: Any) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    catalog = {
        "upstreams": {"u": {"url": url}},
        "endpoints": {"x": {"get": "/x", "calls": {"v": {"upstream": "u", "path": "/v", "stream": stream, **call}}, "live": {"every": "1h"},
                            "deadline": "500ms"}},
    }  # fmt: skip
    async with serve(load(catalog, folder)) as served, httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        yield served, client


@pytest.mark.slow
async def test_rest_gives_the_latest_value_over_one_connection(tmp_path: Path) -> None:
    """The first is waited for until the deadline, and no longer."""
    events = Events()
    async with FakeUpstream(events.script) as upstream, serving(upstream.url, tmp_path, select="n") as (_, client):
        late = await client.get("/x")
        assert late.status_code == 504
        events.say({"n": 1})
        first = await client.get("/x")
        assert first.json()["data"] == {"v": 1}
        events.say({"n": 2})
        events.say({"n": 3})
        await asyncio.sleep(0.1)
        latest = await client.get("/x")
        assert latest.json()["data"] == {"v": 3}
        assert latest.json()["complete"] is True
        assert latest.json()["sources"]["v"]["attempts"] == 0
        assert len(upstream.asked) == 1
        assert upstream.asked[0].values("accept") == ["text/event-stream"]


@pytest.mark.slow
async def test_each_value_is_an_update(tmp_path: Path) -> None:
    """At once, whatever the interval; equal ones are none."""
    events = Events()
    async with FakeUpstream(events.script) as upstream, serving(upstream.url, tmp_path) as (served, _), served.live() as client:
        await client.subscribe("x")
        events.say({"n": 1})
        await client.next("complete")
        for value in ({"n": 2}, [], "text", None):
            events.say(value)
            events.say(value)
            update = await client.next("update", within=1)
            assert update["data"] == {"v": value}
        assert len(upstream.asked) == 1


@pytest.mark.slow
async def test_a_lost_connection_is_opened_again_where_it_ended(tmp_path: Path) -> None:
    """With `Last-Event-ID`; while it is down the value is stale, and `ok` again with the next one."""
    events = Events()
    async with FakeUpstream(events.script) as upstream, serving(upstream.url, tmp_path) as (served, http), served.live() as client:
        await client.subscribe("x")
        events.queue.put_nowait(b"retry: 100\n\n")
        events.say(1, id="seven")
        await client.next("complete")
        events.answers = False
        events.cut()
        stale = await client.next("update")
        assert stale["sources"]["v"]["status"] == "stale"
        assert stale["data"] == {}
        assert (await http.get("/x")).json()["sources"]["v"]["status"] == "stale"
        events.answers = True
        events.say(2, id="eight")
        fresh = await client.next("update", within=10)
        assert fresh["data"] == {"v": 2}
        assert fresh["sources"]["v"]["status"] == "ok"
        assert upstream.asked[-1].values("last-event-id") == ["seven"]


@pytest.mark.slow
async def test_a_refused_source_fails_like_any_call(tmp_path: Path) -> None:
    """Its status is the call's."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")

    async with FakeUpstream(script) as upstream, serving(upstream.url, tmp_path) as (_, client):
        refused = await client.get("/x")
        assert refused.status_code == 502
        assert refused.json()["sources"]["v"]["error"]["type"] == "status"


@pytest.mark.slow
async def test_a_websocket_is_a_source_too(tmp_path: Path) -> None:
    """Each message is a value, text that is no JSON a string; a `body` is sent first."""
    opened: list[ServerConnection] = []
    said: list[Any] = []

    async def handler(connection: ServerConnection) -> None:
        opened.append(connection)
        said.append(await connection.recv())
        await connection.send(json.dumps({"n": 1}))
        await connection.wait_closed()

    async with serve_websocket(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with serving(f"http://127.0.0.1:{port}", tmp_path, "websocket", method="GET", body={"subscribe": "all"}) as (served, http):
            assert (await http.get("/x")).json()["data"] == {"v": {"n": 1}}
            async with served.live() as client:
                await client.subscribe("x")
                await client.next("complete")
                await opened[0].send("plain words")
                assert (await client.next("update"))["data"] == {"v": "plain words"}
                await opened[0].close()
                await client.next("update", within=10)
                assert len(opened) == 2
            assert json.loads(said[0]) == {"subscribe": "all"}
