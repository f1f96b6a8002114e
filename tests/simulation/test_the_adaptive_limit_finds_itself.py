"""Simulated: the adaptive limit settles at what an upstream can serve, and follows when that changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual
from tests.simulation.load import Served, arrivals

pytestmark = [virtual, pytest.mark.slow]
ADAPTIVE = {"max": 500, "queue": 50, "wait": "50ms", "adaptive": True}


def limited(served: Served) -> Rig:
    loop = asyncio.get_running_loop()
    return Rig(lambda call, number: (served.time(loop.time()), "good"), upstream={"concurrency": ADAPTIVE}, coalesce=False)


async def limits(rig: Rig, rate: float, seconds: float) -> list[int]:
    """The limit at each half second under load."""
    seen: list[int] = []
    slots: Any = rig.state.slots

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.5)
            seen.append(slots.limit)

    watcher = asyncio.ensure_future(watch())
    await arrivals(rate, seconds, lambda: rig.outcome(within=1))
    watcher.cancel()
    return seen


def settled(seen: list[int]) -> float:
    """What it stands at in the last five seconds, on average."""
    return sum(seen[-10:]) / 10


async def test_it_settles_follows_a_fall_and_recovers() -> None:
    """Capacity 50 at 100 ms under three times the load, then 10, then 50 again: within 30 % in twenty seconds each."""
    served = Served(50, 0.1)
    rig = limited(served)
    assert settled(await limits(rig, 1400, 20)) == pytest.approx(50, rel=0.3)
    served.capacity = 10
    assert settled(await limits(rig, 300, 20)) == pytest.approx(10, rel=0.3)
    served.capacity = 50
    assert settled(await limits(rig, 1400, 20)) == pytest.approx(50, rel=0.3)


@pytest.mark.parametrize("times", [2, 3, 10])
async def test_an_upstream_that_is_slower_for_good_is_not_strangled(times: int) -> None:
    """Slower with the same capacity: the queue is not of our making, and within twenty seconds the limit is what it was."""
    served = Served(20, 0.05)
    rig = limited(served)
    assert settled(await limits(rig, 1000, 15)) == pytest.approx(20, rel=0.3)
    served.seconds *= times
    assert settled(await limits(rig, 1200 / times, 20)) == pytest.approx(20, rel=0.3)


async def test_a_light_load_is_never_held_up() -> None:
    """At 70 % of the capacity nothing is refused, while the best latency is measured anew neither."""
    rig = limited(Served(50, 0.1))
    await arrivals(200, 10, lambda: rig.outcome(within=1))
    outcomes = await arrivals(320, 30, lambda: rig.outcome(within=1))
    assert outcomes.count("good") == len(outcomes)
