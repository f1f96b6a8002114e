"""Simulated: a heavy tail is cut for a few per cent more calls."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual
from tests.simulation.load import arrivals

pytestmark = [virtual, pytest.mark.slow]


def tailed(seed: int) -> Any:
    """Twenty milliseconds, and three in a hundred take a second or so: a pause, a lost packet, a cold replica."""
    random = Random(seed)
    return lambda call, number: (random.lognormvariate(-3.9, 0.3) if random.random() > 0.03 else random.uniform(0.5, 2.0), "good")


async def times(rig: Rig) -> list[float]:
    """Every call's seconds, in order of size."""

    async def ask() -> float:
        began = rig.now()
        assert await rig.outcome(within=10) == "good"
        return rig.now() - began

    return sorted(await arrivals(50, 200, ask))


@pytest.mark.parametrize("after", ["80ms", "p95"])
async def test_the_99th_percentile_falls_for_under_six_per_cent_more_calls(after: str) -> None:
    """Ten thousand calls, a budget of 5 %."""
    plain, hedged = Rig(tailed(1), coalesce=False), Rig(tailed(1), coalesce=False, hedge={"after": after})
    before, now = await asyncio.gather(times(plain), times(hedged))
    p99 = int(len(before) * 0.99)
    assert before[p99] > 0.8
    assert now[p99] < 0.2
    assert len(hedged.wire) / len(now) < 1.06


async def test_when_everything_is_slow_hedging_adds_no_load_to_speak_of() -> None:
    """The budget holds: an overloaded upstream does not get double the work."""
    rig = Rig(lambda call, number: (0.5, "good"), coalesce=False, hedge={"after": "80ms"})
    calls = await arrivals(100, 60, lambda: rig.outcome(within=10))
    assert len(rig.wire) / len(calls) < 1.06
