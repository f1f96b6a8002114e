"""Concurrency and rate: bounds that hold, queues that stay short, turns that are fair."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.errors import CallFailure
from app.core.events import Rejected
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
BOTH = pytest.mark.parametrize("coalesce", [True, False])


def bounded(seconds: float = 0.1, *, coalesce: bool = False, timeout: str | None = None, **spec: Any) -> Rig:
    return Rig([(seconds, "good")], upstream={"concurrency": spec}, coalesce=coalesce, timeout=timeout)


async def storm(rig: Rig, number: int, **more: Any) -> list[Any]:
    return await asyncio.gather(*(rig.outcome(f"/{n}", **more) for n in range(number)))


async def test_the_bound_is_never_exceeded() -> None:
    """At most `max` at once, the rest wait."""
    rig = bounded(max=3)
    assert await storm(rig, 30) == ["good"] * 30
    assert rig.wire.peak == 3
    rig.assert_nothing_is_left()


async def test_a_full_queue_refuses_at_once() -> None:
    """Over `max` and `queue`."""
    rig = bounded(max=2, queue=3)
    began = rig.now()
    outcomes = await storm(rig, 12)
    assert (outcomes.count("good"), outcomes.count("overloaded")) == (5, 7)
    assert rig.now() - began == pytest.approx(0.3)
    assert len(rig.told(Rejected)) == 7
    with pytest.raises(CallFailure) as caught:
        await asyncio.gather(*(rig.send(f"/{n}") for n in range(6)))
    assert caught.value.retry_after is not None


@BOTH
async def test_wait_ends_the_waiting(coalesce: bool) -> None:
    """With overloaded, the deadline being far."""
    rig = bounded(1.0, coalesce=coalesce, max=1, wait="200ms")
    began = rig.now()
    first = asyncio.create_task(rig.outcome("/first"))
    await asyncio.sleep(0)
    assert await storm(rig, 3) == ["overloaded"] * 3
    assert rig.now() - began == pytest.approx(0.2)
    assert await first == "good"


@BOTH
async def test_the_deadline_or_the_timeout_ends_it_sooner(coalesce: bool) -> None:
    """As a timeout; and without `wait` a call waits for what the timeout leaves."""
    rig = bounded(5.0, coalesce=coalesce, max=1, wait="10s")
    first = asyncio.create_task(rig.outcome("/first"))
    await asyncio.sleep(0)
    assert await rig.outcome("/second", within=0.3) == "timeout"
    first.cancel()
    rig = bounded(5.0, coalesce=coalesce, timeout="400ms", max=1)
    began = rig.now()
    assert await storm(rig, 3) == ["timeout"] * 3
    assert rig.now() - began == pytest.approx(0.4)
    assert len(rig.wire) == 1


async def test_the_queue_is_fair_while_it_moves() -> None:
    """First come, first served."""
    rig = bounded(0.01, max=1)
    await storm(rig, 8)
    assert [call.target for call in rig.wire.calls] == [f"/{n}" for n in range(8)]


async def test_a_standing_queue_is_served_newest_first() -> None:
    """Once the oldest has waited 100 ms."""
    rig = bounded(0.15, max=1)
    tasks = []
    for n in range(5):
        tasks.append(asyncio.create_task(rig.outcome(f"/{n}")))
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    assert [call.target for call in rig.wire.calls] == ["/0", "/4", "/3", "/2", "/1"]


async def test_overload_still_yields_good_answers() -> None:
    """At four times the capacity nearly all of it becomes answers in time."""
    rig = bounded(0.1, max=2, wait="10s")
    outcomes: list[Any] = []

    async def ask(n: int) -> None:
        outcomes.append(await rig.outcome(f"/{n}", within=0.6))

    tasks = []
    for n in range(400):
        tasks.append(asyncio.create_task(ask(n)))
        await asyncio.sleep(1 / 80)
    await asyncio.gather(*tasks)
    assert outcomes.count("good") >= 0.95 * 20 * 5
    assert len(rig.wire) <= outcomes.count("good") + 5
    rig.assert_nothing_is_left()


async def test_what_cannot_end_in_time_is_not_started() -> None:
    """The upstream never answered in under a second: a call that is served with half a second left is not sent."""
    rig = bounded(1.0, max=1)
    assert await rig.outcome("/known") == "good"
    first = asyncio.create_task(rig.outcome("/first"))
    await asyncio.sleep(0)
    began = rig.now()
    assert await rig.outcome("/hopeless", within=1.5) == "timeout"
    assert rig.now() - began == pytest.approx(1.0)
    assert await first == "good"
    assert [call.target for call in rig.wire.calls] == ["/known", "/first"]


@BOTH
async def test_who_leaves_the_queue_leaves_no_gap(coalesce: bool) -> None:
    """Cancelled while waiting, or in the very moment in which a slot was given."""
    rig = bounded(0.1, coalesce=coalesce, max=1)
    tasks = [asyncio.create_task(rig.outcome(f"/{n}")) for n in range(6)]
    await asyncio.sleep(0.05)
    tasks[2].cancel()
    loop = asyncio.get_running_loop()
    loop.call_at(rig.wire.times[0] + 0.1, tasks[1].cancel)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[n] for n in (0, 3, 4, 5)] == ["good"] * 4
    await asyncio.sleep(0.001)
    rig.assert_nothing_is_left()


async def test_work_that_lingers_keeps_its_slot() -> None:
    """A thread that outlives its caller: the slot is free when the function returns."""
    rig = bounded(0.1, max=1, queue=0)
    lingering: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    call = rig.call()
    call.lingers = lingering
    await rig.outcome(call)
    assert await rig.outcome("/next") == "overloaded"
    lingering.set_result(None)
    await asyncio.sleep(0)
    assert await rig.outcome("/next") == "good"


# Rate


def paced(coalesce: bool = False, **spec: Any) -> Rig:
    return Rig([(0.0, "good")], upstream={"rate": spec}, coalesce=coalesce)


async def test_over_the_rate_calls_fail_at_once() -> None:
    """`wait` is nothing unless said; the burst is a second's worth; Retry-After says when."""
    rig = paced(rate="5/s")
    assert sorted(await storm(rig, 20)) == ["good"] * 5 + ["rate_limited"] * 15
    await asyncio.sleep(0.4)
    assert sorted(await storm(rig, 20)).count("good") == 2
    with pytest.raises(CallFailure) as caught:
        await rig.send()
    assert caught.value.retry_after == pytest.approx(0.2)
    assert caught.value.type == "rate_limited"


@BOTH
async def test_with_wait_calls_are_spread(coalesce: bool) -> None:
    """One each tenth of a second."""
    rig = paced(coalesce, rate="10/s", burst=1, wait="4s")
    assert await storm(rig, 7) == ["good"] * 7
    assert [round(at - rig.wire.times[0], 3) for at in rig.wire.times] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


async def test_nobody_waits_for_a_turn_past_the_deadline() -> None:
    """Refused at once, and the turn goes to another."""
    rig = paced(rate="1/s", burst=1, wait="10s")
    assert await rig.outcome("/0") == "good"
    began = rig.now()
    assert await rig.outcome("/1", within=0.5) == "rate_limited"
    assert rig.now() == began
    assert await rig.outcome("/2") == "good"
    assert rig.now() - began == pytest.approx(1.0)


async def test_who_leaves_gives_the_turn_back() -> None:
    """Cancelled while waiting for it."""
    rig = paced(rate="1/s", burst=1, wait="10s")
    await rig.outcome("/0")
    task = asyncio.create_task(rig.send("/1"))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    began = rig.now()
    assert await rig.outcome("/2") == "good"
    assert rig.now() - began == pytest.approx(0.9)


async def test_waiting_for_a_turn_is_no_part_of_the_attempt() -> None:
    """The timeout begins after it."""
    rig = Rig([(0.1, "good")], upstream={"rate": {"rate": "1/s", "burst": 1, "wait": "5s"}}, timeout="200ms", coalesce=False)
    assert await storm(rig, 3) == ["good"] * 3
