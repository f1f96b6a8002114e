"""Hedges: a second attempt beside a slow first one, and the loser's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.errors import CallFailure, CircuitOpen, ConnectFailed, ProtocolFailed
from app.core.events import BudgetSpent, Hedged
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
HEDGE = {"after": "100ms", "budget": "100%"}
BOTH = pytest.mark.parametrize("coalesce", [True, False])


@BOTH
async def test_the_first_good_answer_wins_and_the_loser_is_cancelled(coalesce: bool) -> None:
    """The second attempt overtakes the first."""
    rig = Rig([(5, "first"), (0.05, "second")], hedge=HEDGE, coalesce=coalesce)
    began, call = rig.now(), rig.call()
    assert await rig.outcome(call) == "second"
    assert rig.now() - began == pytest.approx(0.15)
    assert (call.record.attempts, rig.wire.cancelled) == (2, 1)
    assert len(rig.told(Hedged)) == 1
    await asyncio.sleep(0)
    rig.assert_nothing_is_left()


@BOTH
async def test_the_first_may_still_win(coalesce: bool) -> None:
    """The second attempt is cancelled then."""
    rig = Rig([(0.12, "first"), (5, "second")], hedge=HEDGE, coalesce=coalesce)
    assert await rig.outcome() == "first"
    await asyncio.sleep(0.01)
    assert rig.wire.cancelled == 1
    rig.assert_nothing_is_left()


async def test_a_fast_answer_is_not_hedged() -> None:
    """Nor is a fast failure."""
    rig = Rig([(0.05, "fast")], hedge=HEDGE)
    assert await rig.outcome() == "fast"
    rig = Rig([(0.05, 500)], hedge=HEDGE)
    assert await rig.outcome() == "status"
    assert len(rig.wire) == 1


@pytest.mark.parametrize("script", [[(0.3, "good"), (0.05, 500)], [(0.15, ConnectFailed()), (0.2, "good")]])
async def test_one_failure_does_not_end_the_race(script: list[tuple[float, object]]) -> None:
    """Whichever fails, the other may win."""
    rig = Rig(script, hedge=HEDGE)
    assert await rig.outcome() == "good"
    assert len(rig.wire) == 2


@pytest.mark.parametrize(
    ("first", "second", "failed"),
    [
        ((0.15, ConnectFailed()), (0.2, 500), ("status", 500)),
        ((0.15, 503), (0.2, 500), ("status", 500)),
        ((0.3, 503), (0.1, 500), ("status", 503)),
        ((0.3, ConnectFailed()), (0.1, 500), ("status", 500)),
        ((0.3, ConnectFailed()), (0.1, CircuitOpen()), ("connect", None)),
        ((0.15, ProtocolFailed()), (0.2, ConnectFailed()), ("connect", None)),
    ],
)
@BOTH
async def test_when_both_fail_the_call_fails_with_what_was_answered_last(
    first: tuple[float, Any], second: tuple[float, Any], failed: tuple[str, int | None], coalesce: bool
) -> None:
    """Once both are over; the failure and `http_status` are of one attempt."""
    rig = Rig([first, second], hedge=HEDGE, coalesce=coalesce)
    began, call = rig.now(), rig.call()
    with pytest.raises(CallFailure) as failure:
        await rig.stack.send(call)
    assert (failure.value.type, failure.value.http_status) == failed
    assert call.record.http_status == failed[1]
    assert rig.now() - began == pytest.approx(max(first[0], 0.1 + second[0]))


@pytest.mark.parametrize(("script", "ends"), [([(9, "never"), (0.05, 404)], 0.15), ([(0.15, 404), (9, "never")], 0.15)])
@BOTH
async def test_a_verdict_of_the_upstream_ends_the_race(script: list[tuple[float, Any]], ends: float, coalesce: bool) -> None:
    """A 404 of either attempt is the call's, at once: the other would be told the same, and is cancelled."""
    rig = Rig(script, hedge=HEDGE, coalesce=coalesce)
    began, call = rig.now(), rig.call()
    with pytest.raises(CallFailure) as failure:
        await rig.stack.send(call)
    assert (failure.value.http_status, call.record.http_status) == (404, 404)
    assert rig.now() - began == pytest.approx(ends)
    await asyncio.sleep(0.01)
    assert rig.wire.cancelled == 1
    rig.assert_nothing_is_left()


async def test_an_answer_that_asks_for_another_time_is_no_verdict() -> None:
    """The second attempt came too soon after others, the first may still be served."""
    rig = Rig([(0.3, "good"), (0.05, 429)], hedge=HEDGE)
    assert await rig.outcome() == "good"


@BOTH
async def test_the_deadline_ends_both(coalesce: bool) -> None:
    """Nothing goes on after it."""
    rig = Rig([(9, "never")], hedge=HEDGE, coalesce=coalesce)
    began = rig.now()
    assert await rig.outcome(within=0.5) == "timeout"
    assert rig.now() - began == pytest.approx(0.5)
    await asyncio.sleep(0.01)
    assert len(rig.wire) == 2
    rig.assert_nothing_is_left()


@BOTH
async def test_a_client_that_leaves_ends_both(coalesce: bool) -> None:
    """Its cancellation is no reply, even while the race is on."""
    rig = Rig([(9, "never")], hedge=HEDGE, coalesce=coalesce)
    task = asyncio.create_task(rig.send())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.01)
    assert rig.wire.cancelled == 2
    rig.assert_nothing_is_left()


async def test_a_cancellation_beside_a_win_stays_a_cancellation() -> None:
    """The second attempt wins in the very moment in which the client leaves: the caller is cancelled."""
    rig = Rig([(9, "never"), (0.1, "second")], hedge=HEDGE, coalesce=False)
    task = asyncio.create_task(rig.send())
    asyncio.get_running_loop().call_later(0.2, task.cancel)
    await asyncio.wait({task})
    assert task.cancelled() or task.result().data.value == "second"
    rig.assert_nothing_is_left()


async def test_a_post_is_not_hedged_unless_said() -> None:
    """`retry: {unsafe: true}` says so."""
    rig = Rig([(1, "slow")], method="POST", hedge=HEDGE)
    assert await rig.outcome() == "slow"
    assert len(rig.wire) == 1
    rig = Rig([(1, "slow")], method="POST", hedge=HEDGE, retry={"unsafe": True})
    await rig.outcome()
    assert len(rig.wire) == 2


async def test_the_budget_bounds_the_extra_load() -> None:
    """Thirty in ten seconds, or the share."""
    rig = Rig([(0.3, "slow")], coalesce=False, hedge={"after": "50ms", "budget": "5%"})
    await asyncio.gather(*(rig.outcome() for _ in range(200)))
    assert len(rig.wire) == 230
    assert {event.policy for event in rig.told(BudgetSpent)} == {"hedge"}


async def test_the_threshold_may_be_a_quantile_of_the_last_minute() -> None:
    """`p90`: of few attempts nothing is known and nothing hedged; then the slowest tenth is."""
    rig = Rig(lambda call, number: (0.5 if number % 10 == 9 else 0.1, number), coalesce=False, hedge={"after": "p90", "budget": "100%"})
    for _ in range(19):
        await rig.outcome()
    assert not rig.told(Hedged)
    began = len(rig.wire)
    for _ in range(100):
        await rig.outcome()
    assert 5 <= len(rig.told(Hedged)) <= 15
    assert len(rig.wire) - began == 100 + len(rig.told(Hedged))
