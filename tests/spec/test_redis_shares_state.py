"""`MERGANSER_REDIS_URL`: two processes share cache, rate limits and live polls; a Redis that dies or hangs degrades them, and fails nobody.

A real redis-server, two real `merganser serve`, an upstream that counts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.fakes.process import Process, start, stop
from tests.fakes.redis_server import RedisServer
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(120)]
EVERY = 0.5
CATALOG = """
name: Shared
upstreams:
  u: {url: "URL", timeout: 1s}
  patient: {url: "URL"}
  kept: {url: "URL", cache: {ttl: 60s}}
endpoints:
  ticks: {get: "/ticks/{id}", calls: {a: {upstream: u, path: "/ticks/{id}"}}, live: {every: 500ms}}
  slow: {get: /slow, calls: {a: {upstream: patient, path: /slow}}, live: {every: 10s}}
  kept: {get: "/kept/{id}", calls: {a: {upstream: kept, path: "/kept/{id}"}}}
  nothing:
    get: /nothing
    calls:
      missing: {upstream: u, path: /nothing/404, null_on: [404], schema: {type: object}, validate: enforce}
      silent: {upstream: u, path: /nothing/204, select: "length(items)"}
      empty: {upstream: u, path: /nothing/200, select: "length(items)"}
      kept: {upstream: kept, path: /nothing/200, select: "length(items)"}
    live: {every: 500ms}
  limited: {get: /limited, limit: {rate: 1/m, burst: 10, by: endpoint}, calls: {a: {upstream: u, path: /limited}}}
"""


@dataclass
class Pair:
    """Two processes over one Redis and one upstream; `asked` counts paths."""

    servers: list[Process]
    redis: RedisServer
    client: httpx.AsyncClient
    asked: Counter[str] = field(default_factory=Counter)
    latency: float = 0.0

    async def answer(self, asked: Asked, line: Line) -> None:
        """The upstream: every answer is another, those of `/nothing` have no body."""
        self.asked[asked.path] += 1
        count = self.asked.total()
        await asyncio.sleep(self.latency)
        is_nothing = asked.path.startswith("/nothing/")
        await line.send(answer(b"", int(asked.path[-3:])) if is_nothing else answer(json.dumps({"n": count}).encode()))

    async def get(self, at: int, path: str) -> httpx.Response:
        """Asks one of the two."""
        return await self.client.get(self.servers[at].url + path)

    async def count(self, path: str, seconds: float) -> int:
        """How often the upstream is asked for this in so many seconds."""
        before = self.asked[path]
        await asyncio.sleep(seconds)
        return self.asked[path] - before


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    """Both take traffic."""
    redis = RedisServer(folder)
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        one = Pair([], redis, client)
        async with FakeUpstream(one.answer) as upstream:
            for name in ("a", "b"):
                catalog = folder / f"{name}.yaml"
                catalog.write_text(CATALOG.replace("URL", upstream.url))
                one.servers.append(await start(catalog, MERGANSER_REDIS_URL=redis.url, MERGANSER_LOG_LEVEL="warning"))
            try:
                await asyncio.gather(*(server.ready() for server in one.servers))
                yield one
            finally:
                await stop(one.servers)
                redis.stop()


@dataclass
class Follower:
    """A live subscriber of `ticks`; `values` are what it was told, `longest` the longest silence."""

    values: list[int] = field(default_factory=list)
    longest: float = 0.0

    async def follow(self, server: Process, path_id: str) -> None:
        """Reads until it is cancelled."""
        async with connect(server.url.replace("http", "ws") + "/ws") as socket:
            await socket.send('{"type": "connection_init"}')
            subscribe = {"type": "subscribe", "id": "1", "payload": {"endpoint": "ticks", "params": {"id": path_id}}}
            await socket.send(json.dumps(subscribe))
            last = time.monotonic()
            async for text in socket:
                message = json.loads(text)
                assert message["type"] in ("connection_ack", "subscribed", "part", "complete", "update", "ping"), message
                assert message.get("complete", True), message
                if message["type"] == "update":
                    self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()
                    self.values.append(message["data"]["a"]["n"])


@asynccontextmanager
async def following(one: Pair, path_id: str) -> AsyncIterator[list[Follower]]:
    """A subscriber on each process, past its first update."""
    followers = [Follower() for _ in one.servers]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follower.follow(server, path_id)) for follower, server in zip(followers, one.servers, strict=True)]
        async with asyncio.timeout(10):
            while not all(follower.values for follower in followers):  # noqa: ASYNC110 - a wire tells no event
                await asyncio.sleep(0.02)
        yield followers
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize("latency", [0.0, 0.3], ids=["quick", "slow"])
async def test_an_upstream_is_polled_once_for_both(tmp_path: Path, latency: float) -> None:
    """About once per interval, as if there were one process; both see news."""
    async with pair(tmp_path) as one:
        one.latency = latency
        async with following(one, "x") as followers:
            asked = await one.count("/ticks/x", 6)
        assert 9 <= asked <= 14, "twice would be 24"
        for follower in followers:
            assert len(follower.values) >= 9
            assert follower.longest < 3 * EVERY + latency


async def test_cache_and_limit_are_one_for_both(tmp_path: Path) -> None:
    """What one has fetched the other need not; ten requests a minute are ten of both together."""
    async with pair(tmp_path) as one:
        first = await one.get(0, "/kept/1")
        await asyncio.sleep(0.1)
        second = await one.get(1, "/kept/1")
        assert [r.json()["sources"]["a"]["cache"] for r in (first, second)] == ["miss", "hit"]
        assert first.json()["data"] == second.json()["data"]
        assert one.asked["/kept/1"] == 1
        answers = [await one.get(n % 2, "/limited") for n in range(20)]
        assert Counter(r.status_code for r in answers) == {200: 10, 429: 10}
        assert {r.status_code for r in answers[:10]} == {200}
        assert 50 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_an_answer_without_data_means_the_same_in_both(tmp_path: Path) -> None:
    """A status of `null_on`, a 204 and an empty body are null wherever they were fetched: no `select`, no `schema` fails on them."""
    async with pair(tmp_path) as one:
        first = await one.get(0, "/nothing")
        await asyncio.sleep(0.1)
        second = await one.get(1, "/nothing")
        assert [r.json()["sources"]["kept"]["cache"] for r in (first, second)] == ["miss", "hit"]
        assert [(r.json()["complete"], set(r.json()["data"].values())) for r in (first, second)] == [(True, {None})] * 2
        before = one.asked["/nothing/404"]
        for told in await asyncio.gather(*(_streamed(one, at, "/nothing", after=3) for at in (0, 1))):
            assert {source["status"] for message in told for source in message["sources"].values()} == {"ok"}
            assert [message["type"] for message in told] == ["part"] * 4 + ["complete"]
        assert one.asked["/nothing/404"] - before <= 8, "twice would be 12"


async def test_a_slow_upstream_is_in_time_for_both(tmp_path: Path) -> None:
    """Within the deadline of 2 s, as for one process alone: leaving it to the other costs no answer."""
    async with pair(tmp_path) as one:
        one.latency = 1.5
        first = asyncio.create_task(_streamed(one, 0, "/slow"))
        await asyncio.sleep(0.2)
        for told in (await _streamed(one, 1, "/slow"), await first):
            assert [(message["type"], message["sources"]["a"]["status"]) for message in told] == [("part", "ok"), ("complete", "ok")]


async def _streamed(one: Pair, at: int, path: str, after: float = 0.0) -> list[dict[str, Any]]:
    """What one of the two streams until `complete`, and so many seconds after it."""
    told: list[dict[str, Any]] = []
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(10) as limit,
            one.client.stream("GET", one.servers[at].url + path, headers={"accept": "text/event-stream"}) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                    if told[-1]["type"] == "complete":
                        limit.reschedule(asyncio.get_running_loop().time() + after)
    return told


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_redis_may_go_and_come_back_under_load(tmp_path: Path, fault: str) -> None:
    """No request fails nor waits long, live updates go on; once it is back all is shared again."""
    async with pair(tmp_path) as one:
        statuses, slowest, ends = Counter[int](), 0.0, asyncio.Event()

        async def load(at: int) -> None:
            nonlocal slowest
            n = 0
            while not ends.is_set():
                began = time.monotonic()
                path = f"/kept/{at}-{n}" if n % 2 else f"/ticks/{at}-{n}"
                statuses[(await one.get(at % 2, path)).status_code] += 1
                slowest, n = max(slowest, time.monotonic() - began), n + 1
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            for at in range(4):
                group.create_task(load(at))
            async with following(one, "y") as followers:
                await asyncio.sleep(1)
                one.redis.freeze(True) if fault == "frozen" else one.redis.stop()
                await asyncio.sleep(3)
                one.redis.freeze(False) if fault == "frozen" else one.redis.start()
                await asyncio.sleep(2.5)
                assert await one.count("/ticks/y", 4) <= 10, "twice would be 16"
            ends.set()
        assert statuses.keys() == {200}, statuses
        assert statuses[200] > 200
        assert slowest < 1.0
        for follower in followers:
            assert follower.longest < 3 * EVERY, follower
        await _shared_again(one.get, one)
        for server in one.servers:
            assert '"level":"error"' not in server.log


async def _shared_again(get: Callable[[int, str], Awaitable[httpx.Response]], one: Pair) -> None:
    await get(0, "/kept/again")
    await asyncio.sleep(0.1)
    assert (await get(1, "/kept/again")).json()["sources"]["a"]["cache"] == "hit"
    assert one.asked["/kept/again"] == 1
