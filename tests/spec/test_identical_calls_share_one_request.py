"""Coalescing: one request for all who ask the same, and nobody's trouble is another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.errors import CallFailure
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual


async def test_a_hundred_calls_are_one_request() -> None:
    """All get the answer; all but the first say that they joined; the attempts and the status are everyone's."""
    rig = Rig([(0.1, "shared")])
    calls = [rig.call() for _ in range(100)]
    assert await asyncio.gather(*(rig.outcome(call) for call in calls)) == ["shared"] * 100
    assert len(rig.wire) == 1
    assert [call.record.cache for call in calls] == [None] + ["coalesced"] * 99
    assert {(call.record.attempts, call.record.http_status) for call in calls} == {(1, 200)}
    rig.assert_nothing_is_left()


async def test_a_failure_is_shared_too() -> None:
    """With its retries: nobody tries the same once more."""
    rig = Rig([(0.1, 503)], retry={"attempts": 3, "budget": "100%"})
    calls = [rig.call() for _ in range(10)]
    assert await asyncio.gather(*(rig.outcome(call) for call in calls)) == ["status"] * 10
    assert len(rig.wire) == 3
    assert {(call.record.attempts, call.record.http_status) for call in calls} == {(3, 503)}


async def test_it_is_no_cache() -> None:
    """Who asks after the answer asks anew."""
    rig = Rig([(0.1, 1), (0.1, 2)])
    assert [await rig.outcome(), await rig.outcome()] == [1, 2]


@pytest.mark.parametrize("more", [{"target": "/y"}, {"headers": (("authorization", "Bearer 2"),)}, {"body": b"{}"}])
async def test_what_differs_is_not_shared(more: dict[str, Any]) -> None:
    """Another URL, another forwarded header, another body."""
    rig = Rig([(0.1, "own")])
    await asyncio.gather(rig.outcome(rig.call(headers=(("authorization", "Bearer 1"),))), rig.outcome(rig.call(**more)))
    assert len(rig.wire) == 2


@pytest.mark.parametrize(("method", "coalesce", "is_shared"), [
    ("GET", None, True), ("HEAD", None, True), ("GET", False, False), ("OPTIONS", None, False), ("POST", None, False), ("POST", True, False),
    ("DELETE", True, False), ("CALL", None, False), ("CALL", True, True),
])  # fmt: skip
async def test_it_is_for_get_and_head_and_for_functions_where_said(method: str, coalesce: bool | None, is_shared: bool) -> None:
    """Unsafe calls are never shared."""
    rig = Rig([(0.1, "own")], method=method, coalesce=coalesce)
    await asyncio.gather(rig.outcome(args={"a": 1}), rig.outcome(args={"a": 1}))
    assert len(rig.wire) == (1 if is_shared else 2)


async def test_who_comes_in_the_very_moment_of_the_answer_asks_nothing_anew() -> None:
    """Between the landing and its way into the cache there is no gap: every turn of the loop somebody asks."""
    rig = Rig([(0.1, "once")], cache={"ttl": "10s"})
    tasks = [asyncio.create_task(rig.outcome())]
    await asyncio.sleep(0.0999)
    for _ in range(5):
        asyncio.get_running_loop().call_at(rig.wire.times[0] + 0.1, lambda: tasks.append(asyncio.create_task(rig.outcome())))
    await asyncio.sleep(0.0001)
    for _ in range(10):
        tasks.append(asyncio.create_task(rig.outcome()))
        await asyncio.sleep(0)
    assert set(await asyncio.gather(*tasks)) == {"once"}
    assert len(rig.wire) == 1
    rig.assert_nothing_is_left()


async def test_callers_keep_their_own_deadlines() -> None:
    """The first runs out of time; the request goes on for the one who came later."""
    rig = Rig([(2.4, "late")], timeout="20s")
    began = rig.now()
    first = asyncio.create_task(rig.outcome(within=1.6))
    await asyncio.sleep(1.2)
    later = asyncio.create_task(rig.outcome(within=1.6))
    assert await first == "timeout"
    assert rig.now() - began == pytest.approx(1.6)
    assert await later == "late"
    assert (len(rig.wire), rig.wire.cancelled) == (1, 0)


async def test_a_joiner_with_less_time_leaves_earlier() -> None:
    """And says so with the attempt that it shared."""
    rig = Rig([(2.0, "late")])
    first = asyncio.create_task(rig.outcome(within=5))
    await asyncio.sleep(0.5)
    call = rig.call(within=0.5)
    assert await rig.outcome(call) == "timeout"
    assert (call.record.attempts, call.record.cache) == (1, "coalesced")
    assert await first == "late"


async def test_the_request_ends_with_its_last_caller() -> None:
    """Four of five leave: it goes on. The fifth leaves: it is cancelled."""
    rig = Rig([(9, "never")])
    tasks = [asyncio.create_task(rig.send()) for _ in range(5)]
    await asyncio.sleep(0.1)
    for task in tasks[:4]:
        task.cancel()
    await asyncio.sleep(0.1)
    assert (rig.wire.open, rig.wire.cancelled) == (1, 0)
    tasks[4].cancel()
    await asyncio.sleep(0.001)
    assert (rig.wire.open, rig.wire.cancelled) == (0, 1)
    rig.assert_nothing_is_left()


async def test_who_comes_after_the_last_has_left_asks_anew() -> None:
    """A request that is being cancelled is joined by nobody."""
    rig = Rig([(9, "never"), (0.1, "new")])
    task = asyncio.create_task(rig.send())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    assert await rig.outcome() == "new"


async def test_a_retry_may_go_on_for_who_has_time_left() -> None:
    """The first caller's deadline does not stop the schedule of the others."""
    rig = Rig([(1.0, 503), (0.5, "good")], retry={"attempts": 2, "budget": "100%"})
    first = asyncio.create_task(rig.outcome(within=0.9))
    await asyncio.sleep(0.5)
    assert await rig.outcome(within=2) == "good"
    assert await first == "timeout"


async def test_a_fault_of_ours_reaches_every_caller() -> None:
    """As an internal failure, and the owner of the tasks hears of it."""
    rig = Rig([(0.1, RuntimeError("a bug"))])
    assert await asyncio.gather(rig.outcome(), rig.outcome()) == ["internal"] * 2
    assert [str(fault) for fault in rig.faults] == ["a bug"]


async def test_a_shared_failure_does_not_grow_with_its_callers() -> None:
    """One exception for all: each raises it afresh."""
    rig = Rig([(0.1, 500)])

    async def depth() -> int:
        try:
            await rig.send()
        except CallFailure as failure:
            frames, trace = 0, failure.__traceback__
            while trace is not None:
                frames, trace = frames + 1, trace.tb_next
            return frames
        return 0

    depths = await asyncio.gather(*(depth() for _ in range(50)))
    assert max(depths) == min(depths)
