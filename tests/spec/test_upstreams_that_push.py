"""A call with `stream: sse` or `stream: websocket` is a live source: its latest value is its answer, each new one an update."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.errors import CallFailure, ConnectFailed, TimedOut
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.upstream.decode import Decoder
from app.upstream.push import Pushes, Source
from app.upstream.registry import Upstreams
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
        source = late.json()["sources"]["v"]
        assert (source["error"]["type"], source["attempts"], source["http_status"]) == ("timeout", 1, 200)
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
        source = refused.json()["sources"]["v"]
        assert (source["error"]["type"], source["http_status"], source["attempts"]) == ("status", 503, 1)


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
            first = (await http.get("/x")).json()
            assert (first["data"], first["sources"]["v"]["http_status"]) == ({"v": {"n": 1}}, 101)
            async with served.live() as client:
                await client.subscribe("x")
                await client.next("complete")
                await opened[0].send("plain words")
                assert (await client.next("update"))["data"] == {"v": "plain words"}
                await opened[0].close()
                await client.next("update", within=10)
                assert len(opened) == 2
            assert json.loads(said[0]) == {"subscribe": "all"}


class Scripted:
    """A feed whose connections are scripted: each is a list of what it does, seconds to pass, texts to say, a failure to end with.

    Past the script every connection is open and silent.
    """

    def __init__(self, connections: tuple[list[Any], ...], retry: float | None) -> None:
        self.connections, self.retry = list(connections), retry

    async def messages(self, call: Call, opened: Callable[[], None]) -> AsyncIterator[str | bytes]:
        deeds = self.connections.pop(0) if self.connections else [0, 1e9]
        for at, deed in enumerate(deeds):
            if isinstance(deed, CallFailure):
                raise deed
            if isinstance(deed, str):
                yield deed
            else:
                await asyncio.sleep(deed)
            if at == 0:
                call.record.http_status = 200
                opened()


@asynccontextmanager
async def fed(*connections: list[Any], retry: float | None = 1.0) -> AsyncIterator[tuple[Source, Call, list[str]]]:
    """A source over such a feed, a call of it, and what it is at each of its news."""
    tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
    runtime = Runtime(tasks, asyncio.get_running_loop().time)
    pushes = Pushes({}, Upstreams({}), runtime)
    call = Call("v", "u", "GET", "/v", (), None, None, float("inf"), Reading(), Context("r1"), Record())
    source = Source("key", Scripted(connections, retry), call, runtime, Decoder("push"), pushes)
    news: list[str] = []
    pushes.listen("key", lambda: news.append(repr(source).split()[-1].rstrip(">")))
    yield source, call, news
    source.close()
    await tasks.aclose()


@pytest.mark.virtual_time
@pytest.mark.parametrize("retry", [None, 1.0, 10.0])
async def test_a_server_that_ends_each_answer_by_design_is_not_stale_in_between(retry: float | None) -> None:
    """It is back within the gap that is left to it, whatever pause it asks for: each value is news, and nothing else is."""
    async with fed(*([0.1, str(n)] for n in range(50)), retry=retry) as (source, call, news):
        await asyncio.sleep(600)
        assert news == ["up"] * 50
        reply = await source.latest(call)
        assert (reply.data.value, reply.state) == (49, "ok")
        await asyncio.sleep(600)
        assert (await source.latest(call)).state == "ok"


@pytest.mark.virtual_time
@pytest.mark.parametrize(("then", "by"), [
    ([ConnectFailed()], 1.1), ([ConnectFailed(http_status=503)], 1.1), ([60.0], 3.1),
], ids=["refused", "answered", "held up"])  # fmt: skip
async def test_a_connection_that_ended_in_good_order_and_is_not_back_is_stale(then: list[Any], by: float) -> None:
    """At once where the next one fails, else when the gap is over; until the next value."""
    async with fed([0, "1"], then, [0, 5.0, "2", 1e9]) as (source, call, news):
        await asyncio.sleep(by - 0.2)
        assert (await source.latest(call)).state == "ok"
        await asyncio.sleep(0.2)
        reply = await source.latest(call)
        assert (reply.data.value, reply.state, reply.within_window) == (1, "stale", False)
        assert news == ["up", "down"]
        assert reply.error is not None
        assert reply.error.type == "connect"
        await asyncio.sleep(120)
        assert (await source.latest(call)).data.value == 2
        assert news == ["up", "down", "up"]


@pytest.mark.virtual_time
async def test_a_quiet_connection_that_is_ended_now_and_then_is_no_failing_one() -> None:
    """Proxies end what is idle: it is opened again at once, however often, and nothing is stale."""
    async with fed([0, "1"], *([0, 60.0] for _ in range(20))) as (source, call, news):
        await asyncio.sleep(1150)
        assert news == ["up"]
        assert (await source.latest(call)).state == "ok"


@pytest.mark.virtual_time
async def test_a_call_counts_the_connections_that_were_opened_for_it() -> None:
    """Also where it ends before one has said anything; the status is that of the answer, where there was one."""
    async with fed([ConnectFailed()], [1.0, ConnectFailed()], [0.5, 1e9]) as (source, call, _):
        await asyncio.sleep(0)
        hasty, patient, late, later = (replace(call, record=Record(), deadline=source.used + within) for within in (0.9, 30, 60, 61))
        failed = await asyncio.gather(source.latest(hasty), source.latest(patient), return_exceptions=True)
        assert [type(failure) for failure in failed] == [TimedOut, ConnectFailed]
        failed = await asyncio.gather(source.latest(late), source.latest(later), return_exceptions=True)
        assert [type(failure) for failure in failed] == [TimedOut, TimedOut]
        told = [(one.record.attempts, one.record.http_status) for one in (hasty, patient, late, later)]
        assert told == [(1, None), (1, 200), (1, 200), (1, 200)]
        joined = replace(call, record=Record(), deadline=source.used + 90)
        with pytest.raises(TimedOut):
            await source.latest(joined)
        assert (joined.record.attempts, joined.record.http_status) == (0, 200)
