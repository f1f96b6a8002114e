"""Breakers: what opens a circuit and what does not, and who probes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.errors import ConnectFailed, DecodeFailed, GraphqlFailed, ProtocolFailed, TlsFailed, TooLarge
from app.core.events import BreakerChanged, Rejected
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
BREAKER: dict[str, Any] = {"minimum": 6, "open": "5s"}


def guarded(script: Any, **more: Any) -> Rig:
    upstream = {"breaker": BREAKER, **more.pop("upstream", {})}
    return Rig(script, upstream=upstream, **more)


@pytest.mark.parametrize("failure", [500, 502, 599, ConnectFailed(), TlsFailed(), ProtocolFailed(), ConnectFailed(sent=False)])
async def test_what_is_the_upstreams_doing_opens_the_circuit(failure: object) -> None:
    """Timeouts, lost connections, protocol faults and 5xx."""
    rig = guarded([(0.01, failure)])
    for _ in range(6):
        assert await rig.outcome() != "circuit_open"
    call = rig.call()
    assert await rig.outcome(call) == "circuit_open"
    assert (call.record.attempts, len(rig.wire)) == (0, 6)
    assert [event.state for event in rig.told(BreakerChanged)] == ["open"]
    assert rig.told(Rejected)
    assert rig.state.health == "down"


@pytest.mark.parametrize("failure", [400, 401, 404, 429, 304, DecodeFailed(), TooLarge(), GraphqlFailed()])
async def test_other_answers_do_not(failure: object) -> None:
    """A 4xx is the caller's fault; what we cannot read was answered."""
    rig = guarded([(0.01, failure)])
    for _ in range(20):
        assert await rig.outcome() != "circuit_open"


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("timeout", [None, "100ms"])
async def test_attempts_cut_off_by_a_timeout_or_the_deadline_do(coalesce: bool, timeout: str | None) -> None:
    """Whoever's clock it was."""
    rig = guarded([(9, "late")], coalesce=coalesce, timeout=timeout)
    for _ in range(6):
        assert await rig.outcome(within=0.3) == "timeout"
    await asyncio.sleep(0.001)
    assert await rig.outcome() == "circuit_open"


@pytest.mark.parametrize("coalesce", [True, False])
async def test_clients_that_leave_do_not(coalesce: bool) -> None:
    """A cancellation says nothing about the upstream."""
    rig = guarded([(9, "late")] * 20 + [(0, "well")], coalesce=coalesce)
    tasks = [asyncio.create_task(rig.send(f"/{number}")) for number in range(20)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.001)
    assert await rig.outcome() == "well"
    await asyncio.sleep(0.001)
    rig.assert_nothing_is_left()


async def test_an_attempt_whose_rival_won_does_not() -> None:
    """A slow attempt that its hedge overtook did not fail."""
    rig = guarded(lambda call, number: (9 if number % 2 == 0 else 0.01, "good"), hedge={"after": "50ms", "budget": "100%"})
    for _ in range(10):
        assert await rig.outcome() == "good"


@pytest.mark.parametrize("coalesce", [True, False])
async def test_waiting_in_our_own_queue_does_not(coalesce: bool) -> None:
    """Who ran out of time before anything was sent says nothing, however it ran out."""
    upstream = {"concurrency": {"max": 1, "queue": 100, "wait": "10s"}}
    rig = guarded(lambda call, number: (0.5, "good"), upstream=upstream, coalesce=coalesce)
    outcomes = await asyncio.gather(*(rig.outcome(f"/{number}", within=0.7) for number in range(20)))
    assert outcomes.count("timeout") >= 17
    await asyncio.sleep(0.001)
    assert await rig.outcome("/after") == "good"


async def test_local_rejections_neither_open_it_nor_hide_failures() -> None:
    """A refused call is no failure and no success."""
    upstream = {"concurrency": {"max": 1, "queue": 0}}
    rig = guarded([(0.2, "good")], upstream=upstream)
    assert (await asyncio.gather(*(rig.outcome(f"/{n}") for n in range(20)))).count("overloaded") == 19
    assert await rig.outcome() == "good"
    rig = guarded([(0.2, 500)], upstream=upstream)
    for lap in range(6):
        await asyncio.gather(*(rig.outcome(f"/{lap}/{n}") for n in range(12)))
    assert await rig.outcome() == "circuit_open"


async def test_exactly_one_probe_goes_through_and_closes_it() -> None:
    """Of fifty calls after the pause; the others fail at once."""
    rig = guarded(lambda call, number: (0.1, 500 if number < 6 else "well"), coalesce=False)
    for _ in range(6):
        await rig.outcome()
    await asyncio.sleep(5.6)
    outcomes = await asyncio.gather(*(rig.outcome() for _ in range(50)))
    assert sorted(outcomes) == ["circuit_open"] * 49 + ["well"]
    assert await rig.outcome() == "well"
    assert [event.state for event in rig.told(BreakerChanged)] == ["open", "half_open", "closed"]


async def test_a_cancelled_probe_gives_its_place_to_the_next() -> None:
    """A client that leaves does not keep the upstream shut."""
    rig = guarded(lambda call, number: (0.1, 500 if number < 6 else "well"))
    for _ in range(6):
        await rig.outcome()
    await asyncio.sleep(5.6)
    probe = asyncio.create_task(rig.send())
    await asyncio.sleep(0.05)
    assert await rig.outcome("/other") == "circuit_open"
    probe.cancel()
    await asyncio.wait({probe})
    await asyncio.sleep(0.001)
    assert await rig.outcome("/other") == "well"


async def test_a_probe_that_waits_in_our_queue_in_vain_gives_its_place_back() -> None:
    """It never reached the upstream."""
    upstream = {"concurrency": {"max": 1, "queue": 5, "wait": "100ms"}}
    rig = guarded(lambda call, number: (20.0 if call.target == "/long" else 0.01, 500 if call.target == "/bad" else "well"), upstream=upstream)
    for _ in range(6):
        await rig.outcome("/bad")
    await asyncio.sleep(5.6)
    rig.state.slots.taken += 1  # type: ignore[union-attr]
    assert await rig.outcome("/probe") == "overloaded"
    rig.state.slots.taken -= 1  # type: ignore[union-attr]
    assert await rig.outcome("/next") == "well"


async def test_retry_after_says_when_to_come_back() -> None:
    """The rest of the pause."""
    rig = guarded([(0, 500)])
    for _ in range(6):
        await rig.outcome()
    await asyncio.sleep(2)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its fields are what is looked at
        await rig.send()
    assert 3 <= caught.value.retry_after <= 3.5  # type: ignore[attr-defined]
