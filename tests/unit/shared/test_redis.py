"""The promise: Redis down or slow means degraded, never failed; what it keeps, all processes see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.core.events import Event, StoreChanged
from app.shared.redis import PATIENCE, REST, RedisStore
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    redis = RedisServer(tmp_path)
    yield redis
    redis.stop()


@pytest.fixture
def events() -> list[Event]:
    return []


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(server: RedisServer, events: list[Event], clock: Clock) -> AsyncIterator[RedisStore]:
    one = RedisStore(server.url, "test", clock, events.append)
    yield one
    await one.aclose()


async def test_what_one_process_puts_another_gets(server: RedisServer, store: RedisStore, clock: Clock) -> None:
    """Byte for byte, under the prefix alone."""
    other, stranger = RedisStore(server.url, "test", clock, print), RedisStore(server.url, "else", clock, print)
    await store.put("k", b"\x00\xff", 10)
    assert await other.get("k") == b"\x00\xff"
    assert await stranger.get("k") is None
    await other.aclose()
    await stranger.aclose()


async def test_a_bucket_is_one_for_all_processes(server: RedisServer, store: RedisStore, clock: Clock) -> None:
    """Three at once, whoever asks; then seconds until the next."""
    other = RedisStore(server.url, "test", clock, print)
    taken = [await s.take("b", 0.5, 3) for s in (store, other, store)]
    assert taken == [0.0, 0.0, 0.0]
    wait = await other.take("b", 0.5, 3)
    assert wait is not None
    assert 1.0 < wait <= 2.0
    await other.aclose()


async def test_a_dead_redis_answers_nothing_and_is_left_alone_for_a_while(
    server: RedisServer, store: RedisStore, events: list[Event], clock: Clock
) -> None:
    """None at once; told once on the way down and once on the way up."""
    await store.put("k", b"v", 10)
    server.stop()
    assert await store.get("k") is None
    assert store.is_resting
    assert await store.take("b", 1, 1) is None
    assert events == [StoreChanged("down")]
    server.start()
    clock.at += REST
    await store.put("k", b"again", 10)
    assert await store.get("k") == b"again"
    assert events == [StoreChanged("down"), StoreChanged("up")]


async def test_a_frozen_redis_costs_one_short_wait(server: RedisServer, store: RedisStore, clock: Clock) -> None:
    """50 ms, then nothing until it may be asked again."""
    await store.put("k", b"v", 10)
    server.freeze(True)
    began = time.monotonic()
    for _ in range(100):
        assert await store.get("k") is None
    assert time.monotonic() - began < 10 * PATIENCE
    server.freeze(False)
    clock.at += REST
    assert await store.get("k") == b"v"


async def test_cancelled_commands_never_mix_up_answers(store: RedisStore) -> None:
    """The incident of CVE-2023-28858: the answer of a cancelled command is nobody's."""
    for n in range(50):
        await store.put(f"k{n}", b"%d" % n, 60)
    found: list[tuple[int, bytes | None]] = []

    async def ask(n: int) -> None:
        found.append((n, await store.get(f"k{n}")))

    for turn in range(30):
        tasks = [asyncio.create_task(ask(n)) for n in range(50)]
        for _ in range(turn % 5):
            await asyncio.sleep(0)
        for task in tasks[:: 1 + turn % 3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert all(value in (None, b"%d" % n) for n, value in found)
    assert sum(value is not None for _, value in found) > 0


async def test_hundreds_at_once_are_no_reason_to_call_it_down(store: RedisStore, events: list[Event]) -> None:
    """All are answered, on a few connections: a crowd of ours says nothing about Redis, and the bucket stays one."""
    waits = await asyncio.gather(*(store.take("b", 0.001, 10) for _ in range(500)))
    assert waits.count(0.0) == 10
    assert None not in waits
    assert events == []


async def test_a_busy_loop_of_ours_is_not_held_against_it(store: RedisStore, events: list[Event]) -> None:
    """What has arrived while the loop stood still is read before the patience is called over."""
    await store.put("k", b"v", 10)
    asked = asyncio.create_task(store.get("k"))
    await asyncio.sleep(0)
    time.sleep(3 * PATIENCE)  # noqa: ASYNC251 - the loop stands still
    assert await asked == b"v"
    assert events == []


async def test_a_connection_that_redis_closed_is_replaced(server: RedisServer, store: RedisStore, events: list[Event]) -> None:
    """A restart between two commands is not noticed."""
    await store.put("k", b"v", 10)
    server.stop()
    server.start()
    await store.put("k", b"again", 10)
    assert await store.get("k") == b"again"
    assert events == []


async def test_what_redis_refuses_of_one_command_is_that_commands_alone(store: RedisStore, clock: Clock) -> None:
    """Others of its batch have their answers."""
    await store.put("bucket:text", b"no bucket", 10)
    await store.put("k", b"v", 10)
    refused, *found = await asyncio.gather(store.take("text", 1, 1), *(store.get("k") for _ in range(300)))
    assert refused is None
    assert found.count(b"v") > 200


async def test_closing_ends_who_still_waits(server: RedisServer, store: RedisStore) -> None:
    """With nothing, at once."""
    await store.put("k", b"v", 10)
    server.freeze(True)
    waiting = [asyncio.create_task(store.get("k")) for _ in range(100)]
    await asyncio.sleep(0)
    await store.aclose()
    assert await asyncio.gather(*waiting) == [None] * 100


async def test_many_large_values_at_once_are_no_reason_to_call_it_down(store: RedisStore, events: list[Event]) -> None:
    """The patience is for a silence, not for all that are on their way."""
    value = b"x" * 250_000
    await asyncio.gather(*(store.put(f"k{n}", value, 10) for n in range(40)))
    found = await asyncio.gather(*(store.get(f"k{n}") for n in range(40)))
    assert found == [value] * 40
    assert events == []
