"""Cancelled at every moment, once and twice: no slot, flight, probe, turn or task is left over."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from app.core.errors import ConnectFailed
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
EVERYTHING: dict[str, Any] = {
    "upstream": {
        "url": None, "urls": ["http://a.test", "http://b.test"], "breaker": {"minimum": 5, "open": "100ms"},
        "rate": {"rate": "100/s", "burst": 3, "wait": "1s"}, "concurrency": {"max": 2, "queue": 5, "wait": "300ms"},
    },
    "timeout": "150ms", "retry": {"attempts": 3, "budget": "100%"}, "hedge": {"after": "40ms", "budget": "100%"},
    "cache": {"ttl": "50ms", "stale_while_revalidate": "50ms", "stale_if_error": "100ms"},
}  # fmt: skip


def moody(seed: int) -> Any:
    """An upstream of moods: fast, slow, hanging, broken."""
    random = Random(seed)

    def answer(call: Any, number: int) -> tuple[float, Any]:
        return random.choice([(0.0, "a"), (0.01, "b"), (0.06, "c"), (0.3, "d"), (0.01, 503), (0.02, ConnectFailed()), (9.0, "e")])

    return answer


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("seed", range(12))
async def test_a_storm_of_leavers_leaves_nothing(seed: int, coalesce: bool) -> None:
    """Three hundred callers of eight targets, who leave when they like; then everything is as at the start and works."""
    rig, random = Rig(moody(seed), coalesce=coalesce, **EVERYTHING), Random(seed)
    tasks = []
    for _ in range(300):
        tasks.append(asyncio.create_task(rig.outcome(f"/{random.randrange(8)}", within=random.choice([0.05, 0.2, 1.0]))))
        if random.random() < 0.5:
            asyncio.get_running_loop().call_later(random.choice([0, 0.001, 0.01, 0.04, 0.05, 0.1]), tasks[-1].cancel)
        await asyncio.sleep(random.choice([0, 0, 0.005]))
    await asyncio.wait(tasks)
    await asyncio.sleep(15)
    rig.assert_nothing_is_left()
    assert {task.result() for task in tasks if not task.cancelled()} <= {
        *"abcde", "status", "connect", "timeout", "overloaded", "rate_limited", "circuit_open"
    }  # fmt: skip
    rig.wire._script = [(0.0, "well")]
    await asyncio.sleep(60)
    for n in range(30):
        assert await rig.outcome(f"/after{n}") == "well"
        await asyncio.sleep(0.1)
    assert rig.state.health == "up"


@pytest.mark.parametrize("is_double", [False, True])
@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("step", range(14))
async def test_cancelled_at_its_nth_step(step: int, coalesce: bool, is_double: bool) -> None:
    """Whichever turn of the loop it is, and once more while it ends."""
    policies = {**EVERYTHING, "retry": {"attempts": 3, "backoff": "0ms", "budget": "100%"}}
    rig = Rig([(0.0, 503), (0.0, 503), (0.0, "good")], coalesce=coalesce, **policies)
    task = asyncio.create_task(rig.send())
    await turns(step)
    task.cancel()
    if is_double:
        await turns(1)
        task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(1)
    rig.assert_nothing_is_left()
    assert await rig.outcome("/next") == "good"


async def test_nothing_runs_on_after_everyone_has_run_out_of_time() -> None:
    """Neither a retry nor a hedge of a flight that was cut."""
    for seed in range(20):
        rig = Rig(moody(seed), retry={"attempts": 10, "backoff": "1ms", "budget": "100%"}, hedge={"after": "10ms", "budget": "100%"})
        await rig.outcome(within=0.1)
        await turns(5)
        sent = len(rig.wire)
        rig.assert_nothing_is_left()
        await asyncio.sleep(30)
        assert len(rig.wire) == sent
