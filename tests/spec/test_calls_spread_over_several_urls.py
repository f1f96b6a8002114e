"""Several urls: the load, the passing over, the coming back."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

from app.core.errors import ConnectFailed
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
A, B, C = "http://a.test", "http://b.test", "http://c.test"


def several(script: Any, *urls: str, **more: Any) -> Rig:
    upstream = {"url": None, "urls": list(urls or (A, B)), **more.pop("upstream", {})}
    return Rig(script, upstream=upstream, coalesce=False, **more)


def asked(rig: Rig) -> Counter[str | None]:
    return Counter(call.origin for call in rig.wire.calls)


async def flow(rig: Rig, number: int, every: float) -> list[Any]:
    tasks = []
    for _ in range(number):
        tasks.append(asyncio.create_task(rig.outcome()))
        await asyncio.sleep(every)
    return await asyncio.gather(*tasks)


async def test_every_url_takes_its_part() -> None:
    """Alike ones alike."""
    rig = several([(0.05, "good")], A, B, C)
    await flow(rig, 600, 0.02)
    assert all(150 < count < 250 for count in asked(rig).values())
    rig.assert_nothing_is_left()


async def test_the_less_loaded_is_asked_more() -> None:
    """Of two random ones that with fewer calls in flight."""
    rig = several(lambda call, number: (0.4 if call.origin == A else 0.02, "good"))
    await flow(rig, 400, 0.02)
    assert asked(rig)[A] * 3 < asked(rig)[B]


async def test_a_retry_goes_to_another() -> None:
    """And to a third before one is asked twice."""
    rig = several(lambda call, number: (0, ConnectFailed() if call.origin != C else "good"), A, B, C, retry={"attempts": 3, "budget": "100%"})
    for _ in range(20):
        call = rig.call()
        assert await rig.outcome(call) == "good"
        assert len(set(call.record.tried)) == len(call.record.tried) == call.record.attempts


async def test_where_all_were_tried_a_retry_goes_to_any_but_the_last() -> None:
    """Two urls, five attempts: they take turns."""
    rig = several([(0, ConnectFailed())], retry={"attempts": 5, "budget": "100%"})
    await rig.outcome()
    assert all(one.origin != other.origin for one, other in itertools.pairwise(rig.wire.calls))


async def test_a_hedge_goes_to_another() -> None:
    """The slow one is not asked again."""
    rig = several(lambda call, number: (9 if call.origin == A else 0.01, "good"), hedge={"after": "50ms", "budget": "100%"})
    for _ in range(20):
        assert await rig.outcome() == "good"
    assert max(len(call.record.tried) for call in rig.wire.calls) == 2


async def test_an_open_circuit_is_passed_over_without_an_attempt() -> None:
    """The good one takes it all."""
    rig = several(lambda call, number: (0.01, 500 if call.origin == A else "good"), upstream={"breaker": {"minimum": 5}})
    await flow(rig, 60, 0.02)
    assert asked(rig)[A] == 5
    calls = [rig.call() for _ in range(30)]
    assert [await rig.outcome(call) for call in calls] == ["good"] * 30
    assert {call.record.attempts for call in calls} == {1}
    assert rig.state.health == "degraded"


async def test_where_all_are_open_the_call_fails_at_once() -> None:
    """With circuit_open and no attempt."""
    rig = several([(0.01, 500)], upstream={"breaker": {"minimum": 5}})
    await flow(rig, 40, 0.02)
    sent, call = len(rig.wire), rig.call()
    assert await rig.outcome(call) == "circuit_open"
    assert (call.record.attempts, len(rig.wire)) == (0, sent)


async def test_one_that_is_well_again_comes_back() -> None:
    """By one probe at a time, then with its part of the load."""
    sick = True
    rig = several(lambda call, number: (0.01, 500 if call.origin == A and sick else "good"), upstream={"breaker": {"minimum": 5, "open": "1s"}})
    await flow(rig, 200, 0.02)
    before = asked(rig)[A]
    assert before <= 8
    sick = False
    await flow(rig, 500, 0.02)
    assert asked(rig)[A] - before > 100
    assert rig.state.health == "up"
