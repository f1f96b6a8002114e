"""Simulated: an upstream that fails altogether is asked little more than a sound one."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import ConnectFailed
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual
from tests.simulation.load import arrivals

pytestmark = [virtual, pytest.mark.slow]


@pytest.mark.parametrize("failure", [503, ConnectFailed()])
@pytest.mark.parametrize("attempts", [2, 4])
async def test_a_failing_upstream_is_asked_at_most_thirteen_times_for_ten_calls(failure: object, attempts: int) -> None:
    """A hundred calls a second for half a minute, every one of them failing, a budget of 20 %."""
    rig = Rig(lambda call, number: (0.02, failure), coalesce=False, retry={"attempts": attempts})
    calls = await arrivals(100, 30, lambda: rig.outcome(within=2))
    assert len(rig.wire) / len(calls) < 1.3
    assert len(rig.wire) / len(calls) > 1.1


async def test_two_layers_do_not_multiply_either() -> None:
    """A gateway behind a gateway: 1.2 times 1.2, not 4 times 4."""
    inner = Rig(lambda call, number: (0.02, 503), coalesce=False, retry={"attempts": 4})

    def through(call: object, number: int) -> tuple[float, int]:
        asked.append(asyncio.ensure_future(inner.outcome()))
        return 0.05, 503

    asked: list[asyncio.Future[object]] = []
    outer = Rig(through, coalesce=False, retry={"attempts": 4})
    calls = await arrivals(100, 30, lambda: outer.outcome(within=2))
    await asyncio.gather(*asked)
    assert len(inner.wire) / len(calls) < 1.6


async def test_a_short_failure_is_hidden_almost_whole() -> None:
    """One attempt in fifty fails: of the calls not one in a thousand does."""
    rig = Rig(lambda call, number: (0.02, 503 if number % 50 == 0 else "good"), coalesce=False, retry={})
    outcomes = await arrivals(100, 60, lambda: rig.outcome(within=2))
    assert outcomes.count("good") / len(outcomes) > 0.999


async def test_a_breaker_leaves_a_dead_upstream_alone() -> None:
    """With one a dead upstream sees a handful of calls a minute, and a sound one all of them soon after."""
    down = True
    rig = Rig(lambda call, number: (0.01, 503 if down else "good"), upstream={"breaker": {}}, coalesce=False, retry={})
    await arrivals(100, 120, lambda: rig.outcome(within=2))
    assert len(rig.wire) < 150
    down = False
    await arrivals(100, 61, lambda: rig.outcome(within=2))
    outcomes = await arrivals(100, 10, lambda: rig.outcome(within=2))
    assert outcomes.count("good") == len(outcomes)
