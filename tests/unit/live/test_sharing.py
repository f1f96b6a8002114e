"""Processes take turns to poll: one asks, the others are told; nobody waits long for one that is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app.core.call import Call, Send
from app.core.data import Data
from app.core.errors import CallFailure, StatusFailed
from app.core.reply import Reply
from app.live.sharing import PATIENCE, shared_send
from tests.fakes.calls import call_of
from tests.fakes.shared_store import SharedStore

pytestmark = pytest.mark.virtual_time
ROUND = 8.0


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Process:
    """One process's call: how often it asked, and how it is answered."""

    memory: SharedStore
    answer: Callable[[int], Any] = lambda count: count
    takes: float = 0.0
    asked: int = 0

    async def _send(self, call: Call) -> Reply:
        self.asked += 1
        await asyncio.sleep(self.takes)
        answer = self.answer(self.asked)
        if isinstance(answer, CallFailure):
            raise answer
        return Reply(Data.of(answer), 200)

    async def poll(self, deadline: float = 10.0) -> Any:
        """Polls once."""
        send: Send = shared_send(self._send, self.memory, ROUND, now)
        return (await send(call_of(timeout=deadline))).data.value


async def test_one_asks_and_the_others_are_told() -> None:
    """Once a round, whoever comes first in it."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda n: f"a{n}"), Process(memory, lambda n: f"b{n}")
    assert [await a.poll(), await b.poll(), await a.poll()] == ["a1", "a1", "a1"]
    await asyncio.sleep(ROUND)
    assert [await b.poll(), await a.poll()] == ["b1", "b1"]
    assert (a.asked, b.asked) == (1, 1)


async def test_who_comes_while_one_asks_waits_for_its_answer() -> None:
    """It is the newest there is."""
    memory = SharedStore(now)
    a, b = Process(memory, takes=0.5), Process(memory)
    began = now()
    assert await asyncio.gather(a.poll(), b.poll()) == [1, 1]
    assert b.asked == 0
    assert now() - began < 0.6


@pytest.mark.parametrize("deadline", [10.0, 1.0])
async def test_one_that_takes_too_long_is_not_waited_for(deadline: float) -> None:
    """There must be time to ask oneself."""
    memory = SharedStore(now)
    a, b = Process(memory, takes=9.0), Process(memory)
    slow = asyncio.create_task(a.poll(20.0))
    await asyncio.sleep(0)
    began = now()
    assert await b.poll(deadline) == 1
    assert now() - began <= min(PATIENCE, deadline / 2) + 0.05
    slow.cancel()


async def test_a_failure_is_each_ones_own() -> None:
    """The others ask at once, and each time."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda _: StatusFailed(500), takes=0.2), Process(memory)
    failed, told = await asyncio.gather(a.poll(), b.poll(), return_exceptions=True)
    assert isinstance(failed, StatusFailed)
    assert (told, b.asked) == (1, 1)


async def test_one_that_is_cancelled_leaves_the_turn() -> None:
    """Nobody waits for it."""
    memory = SharedStore(now)
    a, b = Process(memory, takes=5.0), Process(memory)
    leaver = asyncio.create_task(a.poll())
    await asyncio.sleep(0.1)
    leaver.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    began = now()
    assert await b.poll() == 1
    assert now() - began < 0.05


async def test_without_the_store_everyone_asks() -> None:
    """As if there were no other process."""
    memory = SharedStore(now, answers=False)
    a, b = Process(memory), Process(memory)
    assert [await a.poll(), await b.poll(), await a.poll()] == [1, 1, 2]


async def test_different_requests_are_different_polls() -> None:
    """The key holds all that is sent."""
    memory, asked = SharedStore(now), list[str]()

    async def send(call: Call) -> Reply:
        asked.append(call.target)
        return Reply(Data.of(1), 200)

    shared = shared_send(send, memory, ROUND, now)
    for target in ("/a", "/b", "/a"):
        await shared(call_of(target))
    assert asked == ["/a", "/b"]
