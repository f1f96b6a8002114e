"""An end that loses no request: readiness first, requests finished, live clients told, a hard end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.fakes.process import Process, free_port, serving, start, stop
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = pytest.mark.slow


async def _script(asked: Asked, line: Line) -> None:
    """`/delay/MS` answers so much later, `/hang` never."""
    if asked.path.startswith("/delay/"):
        await asyncio.sleep(int(asked.path.rpartition("/")[2]) / 1000)
    elif asked.path.startswith("/hang"):
        await asyncio.sleep(60)
    await line.send(answer(b'{"it": 1}'))


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    """What is called."""
    async with FakeUpstream(_script) as one:
        yield one


@pytest.fixture
def catalog(tmp_path: Path, upstream: FakeUpstream) -> Path:
    """`/x/MS` takes so long, `/hang` for ever, `/live` goes on."""
    path = tmp_path / "merganser.yaml"
    path.write_text(f"""
upstreams:
  u: {{url: {upstream.url}, coalesce: false}}
endpoints:
  x: {{get: "/x/{{ms}}", deadline: 20s, calls: {{it: {{upstream: u, path: "/delay/{{ms}}"}}}}}}
  hang: {{get: /hang, deadline: 60s, calls: {{it: {{upstream: u, path: /hang}}}}}}
  live: {{get: /live, live: {{every: 1s}}, calls: {{it: {{upstream: u, path: /delay/0}}}}}}
""")
    return path


async def get(server: Process, path: str) -> httpx.Response:
    """A GET on a connection of its own."""
    return await server.client.get(server.url + path)


async def asked(upstream: FakeUpstream, number: int) -> None:
    """Waits until so many requests have reached the upstream."""
    async with asyncio.timeout(5):
        while len(upstream.asked) < number:  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(0.01)


async def until(is_so: Callable[[], bool], within: float) -> None:
    """Waits for it."""
    async with asyncio.timeout(within):
        while not is_so():  # noqa: ASYNC110 - processes tell no event
            await asyncio.sleep(0.03)


async def test_requests_in_flight_finish_and_new_ones_are_served_meanwhile(catalog: Path, upstream: FakeUpstream) -> None:
    """`/readyz` is 503 at once, `/healthz` still 200; new answers end their connections; exit 0, soon after the last."""
    async with serving(catalog) as server:
        flying = [asyncio.create_task(get(server, "/x/1200")) for _ in range(10)]
        await asked(upstream, 10)
        server.signal()
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert (await server.status("/readyz"), await server.status("/healthz")) == (503, 200)
        late = await get(server, "/x/1")
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        answers = await asyncio.gather(*flying)
        assert [(one.status_code, one.headers["connection"]) for one in answers] == [(200, "close")] * 10
        assert await server.ended() == 0
        assert time.monotonic() - began < 4
        assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_ends_soon_and_cleanly(catalog: Path, number: int) -> None:
    """Half a second for those who have not heard yet; idle and silent connections hold nothing up."""
    async with serving(catalog) as server:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
        began = time.monotonic()
        server.signal(number)
        assert await server.ended() == 0
        assert 0.5 <= time.monotonic() - began < 3
        for _, writer in idle:
            writer.transport.abort()


async def test_what_is_left_at_the_end_of_the_grace_is_cut(catalog: Path, upstream: FakeUpstream) -> None:
    """A request that never ends does not keep the process; its upstream call is cancelled; exit 0 all the same."""
    async with serving(catalog, MERGANSER_GRACE="1s") as server:
        flying = asyncio.create_task(get(server, "/hang"))
        await asked(upstream, 1)
        began = time.monotonic()
        server.signal()
        with pytest.raises(httpx.HTTPError):
            await flying
        assert await server.ended() == 0
        assert 0.9 < time.monotonic() - began < 4


async def test_a_second_signal_ends_it_within_a_second(catalog: Path, upstream: FakeUpstream) -> None:
    """Whoever signals twice does not want to wait."""
    async with serving(catalog) as server:
        flying = asyncio.create_task(get(server, "/hang"))
        await asked(upstream, 1)
        server.signal()
        await asyncio.sleep(0.3)
        assert server.process.returncode is None
        server.signal()
        began = time.monotonic()
        await server.ended()
        assert time.monotonic() - began < 1.2
        with suppress(httpx.HTTPError):
            await flying


async def test_a_live_stream_is_told_when_to_come_back(catalog: Path) -> None:
    """SSE ends with `retry:` of 500 to 3000 ms, well within the grace."""
    async with serving(catalog) as server, server.client.stream("GET", server.url + "/live", headers={"accept": "text/event-stream"}) as stream:
        lines = stream.aiter_lines()
        async for line in lines:
            if line.startswith("event: complete"):
                break
        server.signal()
        rest = [line async for line in lines]
        retry = next(int(line.partition(":")[2]) for line in rest if line.startswith("retry:"))
        assert 500 <= retry <= 3000
        assert await server.ended() == 0


async def test_workers_drain_together(catalog: Path, upstream: FakeUpstream) -> None:
    """A signal to the process that was started, or to it and all its workers, ends them after their requests; one that dies is replaced."""
    async with serving(catalog, "--workers", "2") as server:
        pids = set(_workers(server))
        assert len(pids) == 2
        os.kill(pids.pop(), signal.SIGKILL)
        await until(lambda: len(set(_workers(server)) - pids) == 1, within=15)
        await asyncio.sleep(0.5)
        flying = [asyncio.create_task(get(server, "/x/1500")) for _ in range(6)]
        await asked(upstream, 6)
        for pid in _workers(server):
            os.kill(pid, signal.SIGTERM)  # as systemd does
        server.signal()
        assert [one.status_code for one in await asyncio.gather(*flying)] == [200] * 6
        assert await server.ended() == 0


async def test_a_second_signal_ends_workers_too(catalog: Path, upstream: FakeUpstream) -> None:
    """Within a second, all of them."""
    async with serving(catalog, "--workers", "2") as server:
        flying = asyncio.create_task(get(server, "/hang"))
        await asked(upstream, 1)
        server.signal()
        await asyncio.sleep(0.3)
        server.signal()
        began = time.monotonic()
        assert await server.ended() == 1
        assert time.monotonic() - began < 1.5
        with suppress(httpx.HTTPError):
            await flying


def _workers(server: Process) -> list[int]:
    """The processes whose parent it is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == server.process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


class Balancer:
    """A TCP balancer that asks each instance every 100 ms whether it takes traffic, and sends connections to those that do."""

    def __init__(self, instances: list[Process]) -> None:
        self.instances, self.ready, self.turn = instances, set(range(len(instances))), 0
        self.port = free_port()

    async def watch(self) -> None:
        """Keeps `ready` true."""
        while True:
            for at in range(len(self.instances)):
                is_ready = await self.instances[at].status("/readyz") == 200
                (self.ready.add if is_ready else self.ready.discard)(at)
            await asyncio.sleep(0.1)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a client's connection to an instance's."""
        self.turn += 1
        turns = sorted(self.ready)
        chosen = self.instances[turns[self.turn % len(turns)]]
        inner, outer = await asyncio.open_connection("127.0.0.1", chosen.port)
        there, back = asyncio.create_task(self._pipe(reader, outer)), asyncio.create_task(self._pipe(inner, writer))
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((back,), timeout=0.2)
        for task in (there, back):
            task.cancel()
        for end in (outer, writer):
            end.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def balanced(instances: list[Process]) -> AsyncIterator[str]:
    """The URL of a balancer over the instances."""
    balancer = Balancer(instances)
    server = await asyncio.start_server(balancer.take, "127.0.0.1", balancer.port)
    watching = asyncio.create_task(balancer.watch())
    try:
        yield f"http://127.0.0.1:{balancer.port}"
    finally:
        watching.cancel()
        server.close()


@pytest.mark.timeout(120)
async def test_a_rolling_restart_loses_no_request(catalog: Path) -> None:
    """Two instances behind a balancer, restarted one after the other under load: every request is a 200."""
    env = {"MERGANSER_DRAIN": "1s", "MERGANSER_LOG_LEVEL": "info"}
    instances = [await start(catalog, **env) for _ in range(2)]
    statuses: list[int | str] = []
    over, replaced = asyncio.Event(), list[Process]()

    async def client(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            while not over.is_set():
                try:
                    statuses.append((await http.get(url + "/x/20")).status_code)
                except httpx.HTTPError as lost:
                    statuses.append(repr(lost))
                await asyncio.sleep(0.03)

    try:
        for one in instances:
            await one.ready()
        async with balanced(instances) as url:
            clients = [asyncio.create_task(client(url)) for _ in range(4)]
            await asyncio.sleep(0.5)
            for at in range(2):
                old = instances[at]
                old.signal()
                assert await old.ended() == 0, old.log
                replaced.append(old)
                instances[at] = await start(catalog, port=old.port, **env)
                await instances[at].ready()
                await asyncio.sleep(0.3)
            over.set()
            await asyncio.gather(*clients)
    finally:
        await stop([*instances, *replaced])
    assert len(statuses) > 100
    assert set(statuses) == {200}, {status: statuses.count(status) for status in statuses}
