"""Processes take turns to poll: one asks, the others are told; nobody waits long for one that is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app.core.call import Call
from app.core.data import NULL, Data
from app.core.errors import CallFailure, StatusFailed
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.live.sharing import FRESH, PATIENCE, SHARE, Turns
from tests.fakes.calls import call_of
from tests.fakes.shared_store import SharedStore

pytestmark = pytest.mark.virtual_time
EVERY = 10.0
TURN = EVERY * SHARE


def now() -> float:
    return asyncio.get_running_loop().time()


def fault(name: str, exc: BaseException) -> None:
    raise AssertionError(name) from exc


@dataclass
class Process:
    """One process's call: how often it asked, and how it is answered: a value, a failure, or a reply."""

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
        return answer if isinstance(answer, Reply) else Reply(Data.of(answer), 200)

    async def ask(self, deadline: float = 10.0, *, takes_old: bool = True) -> Reply:
        """Asks once."""
        turns = Turns(self._send, self.memory, EVERY, Runtime(Tasks(fault), now, wall=now), takes_old=takes_old)
        return await turns.send(call_of(timeout=deadline))

    async def poll(self, deadline: float = 10.0) -> Any:
        """Polls once."""
        return (await self.ask(deadline)).data.value

    async def begin(self) -> Any:
        """Asks as a round does."""
        return (await self.ask(takes_old=False)).data.value


async def test_one_asks_and_the_others_are_told() -> None:
    """Once a round, whoever comes first in it."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda n: f"a{n}"), Process(memory, lambda n: f"b{n}")
    assert [await a.poll(), await b.poll(), await a.poll()] == ["a1", "a1", "a1"]
    await asyncio.sleep(TURN)
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
    assert now() - began <= min(PATIENCE, deadline / 4) + 0.05
    slow.cancel()


async def test_whichever_answer_is_there_first_is_taken() -> None:
    """A request that takes most of the deadline is in time for all, if it was for one; nothing is left behind."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda _: "a", takes=1.5), Process(memory, lambda _: "b", takes=1.6)
    began, asked = now(), asyncio.create_task(a.poll(2.0))
    await asyncio.sleep(0.1)
    assert await b.poll(2.0) == "a"
    assert now() - began < 1.55
    assert (b.asked, await asked) == (1, "a")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_answer_of_ones_own_stands_where_the_other_fails_late() -> None:
    """It was asked for in time."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda _: StatusFailed(500), takes=1.9), Process(memory, lambda _: "b", takes=1.4)
    failed, told = await asyncio.gather(a.poll(2.0), b.poll(2.0), return_exceptions=True)
    assert isinstance(failed, StatusFailed)
    assert told == "b"


async def test_a_failure_of_ones_own_is_told() -> None:
    """As that of a lone process: what another may be answered yet is not waited for."""
    memory = SharedStore(now)
    a, b = Process(memory, takes=9.0), Process(memory, lambda _: StatusFailed(500), takes=0.2)
    slow = asyncio.create_task(a.poll(20.0))
    await asyncio.sleep(0)
    with pytest.raises(StatusFailed):
        await b.poll()
    slow.cancel()


async def test_one_that_is_cancelled_beside_another_leaves_nothing() -> None:
    """Its own request ends with it."""
    memory = SharedStore(now)
    a, b = Process(memory, takes=9.0), Process(memory, takes=9.0)
    slow, leaver = asyncio.create_task(a.poll(20.0)), asyncio.create_task(b.poll(20.0))
    await asyncio.sleep(PATIENCE + 0.5)
    assert b.asked == 1
    leaver.cancel()
    await asyncio.wait((leaver,))
    assert asyncio.all_tasks() == {asyncio.current_task(), slow}
    slow.cancel()


async def test_a_round_takes_only_what_is_of_just_now() -> None:
    """Older answers are for polls: nobody may have looked at the upstream since. What a round is answered is told as well."""
    memory, news = SharedStore(now), ["old"]
    a, b, c = (Process(memory, lambda _: news[-1]) for _ in range(3))
    assert await a.poll() == "old"
    await asyncio.sleep(FRESH / 2)
    assert (await b.begin(), b.asked) == ("old", 0)
    await asyncio.sleep(FRESH)
    news.append("new")
    assert [await c.poll(), await b.begin(), await c.poll(), await c.begin()] == ["old", "new", "new", "new"]
    assert (a.asked, b.asked, c.asked) == (1, 1, 0)


async def test_a_round_waits_for_who_is_asking() -> None:
    """There is no newer answer."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda _: "a", takes=0.5), Process(memory, lambda _: "b")
    assert await asyncio.gather(a.poll(), b.begin()) == ["a", "a"]
    assert b.asked == 0


@pytest.mark.parametrize("reply", [Reply(NULL, 404), Reply(Data.of_raw(b"null"), 204), Reply(NULL, 200), Reply(Data.of_raw(b"null"), 200)])
async def test_a_null_means_the_same_everywhere(reply: Reply) -> None:
    """Its status is told, and whether there was a body at all: `select` and `schema` go by that."""
    memory = SharedStore(now)
    a, b = Process(memory, lambda _: reply), Process(memory)
    await a.poll()
    told = await b.ask()
    assert (told.status, told.data is NULL, told.data.raw) == (reply.status, reply.data is NULL, b"null")
    assert b.asked == 0


@pytest.mark.parametrize("held", [b'{"n":1}', b"null", b"\xff", b"\x90"])
async def test_what_cannot_be_read_is_not_told(held: bytes) -> None:
    """Another version's, or nobody's."""
    memory = SharedStore(now)
    a, b = Process(memory), Process(memory)
    await a.poll()
    memory.values = {name: (held, until) for name, (_, until) in memory.values.items()}
    assert await b.poll() == 1


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

    turns = Turns(send, memory, EVERY, Runtime(Tasks(fault), now, wall=now), takes_old=True)
    for target in ("/a", "/b", "/a"):
        await turns.send(call_of(target))
    assert asked == ["/a", "/b"]
