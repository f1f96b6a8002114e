"""The promise: one timer for all who wait, and everyone is woken at the moment of their own."""

from __future__ import annotations

import asyncio

import pytest

from app.core.alarms import Alarms

pytestmark = pytest.mark.virtual_time


async def test_all_who_wait_until_a_moment_are_woken_at_it() -> None:
    """Each by the result None; nothing is kept of them."""
    loop, alarms = asyncio.get_running_loop(), Alarms()
    at = loop.time() + 1
    waiters = [loop.create_future() for _ in range(3)]
    for waiter in waiters:
        alarms.watch(at, waiter)
    assert len(alarms) == 1
    assert await asyncio.gather(*waiters) == [None, None, None]
    assert loop.time() == pytest.approx(at)
    assert len(alarms) == 0


async def test_who_has_left_or_is_done_is_not_woken() -> None:
    """Nothing is kept of who has left."""
    loop, alarms = asyncio.get_running_loop(), Alarms()
    at = loop.time() + 1
    gone, done, stays = (loop.create_future() for _ in range(3))
    for waiter in (gone, done, stays):
        alarms.watch(at, waiter)
    alarms.leave(at, gone)
    done.set_result("before")
    await stays
    assert (gone.done(), done.result()) == (False, "before")
    alarms.watch(at + 9, gone)
    alarms.leave(at + 9, gone)
    assert len(alarms) == 0


async def test_leaving_after_the_moment_is_harmless() -> None:
    """Whoever was woken leaves as everybody does."""
    loop, alarms = asyncio.get_running_loop(), Alarms()
    at = loop.time() + 1
    waiter = loop.create_future()
    alarms.watch(at, waiter)
    await waiter
    alarms.leave(at, waiter)
    assert repr(alarms) == "<Alarms 0 moments>"


async def test_each_is_woken_at_its_own_moment_whatever_the_order_of_coming() -> None:
    """A later one, an earlier one, one between; one who left in between moves nobody."""
    loop, alarms = asyncio.get_running_loop(), Alarms()
    began, woken = loop.time(), dict[float, float]()

    async def wait(seconds: float) -> None:
        waiter = loop.create_future()
        alarms.watch(began + seconds, waiter)
        await waiter
        woken[seconds] = loop.time() - began

    gone = loop.create_future()
    alarms.watch(began + 0.5, gone)
    async with asyncio.TaskGroup() as group:
        for seconds in (3.0, 1.0, 2.0, 2.5):
            group.create_task(wait(seconds))
        await asyncio.sleep(0)
        alarms.leave(began + 0.5, gone)
    assert woken == {seconds: pytest.approx(seconds) for seconds in woken}
    assert len(woken) == 4


async def test_of_two_moments_close_together_the_second_is_late_by_a_millisecond_at_most() -> None:
    """Thousands of deadlines in a row ring a thousand times a second, no more."""
    loop, alarms = asyncio.get_running_loop(), Alarms()
    at = loop.time() + 1
    waiters = [loop.create_future() for _ in range(1000)]
    for place, waiter in enumerate(waiters):
        alarms.watch(at + place / 100_000, waiter)
    await waiters[0]
    assert loop.time() == pytest.approx(at)
    await waiters[-1]
    assert at + 0.01 <= loop.time() + 1e-9
    assert loop.time() <= at + 0.0111


async def test_who_waits_forever_needs_no_timer() -> None:
    """An infinite moment does not come."""
    alarms, waiter = Alarms(), asyncio.get_running_loop().create_future()
    alarms.watch(float("inf"), waiter)
    await asyncio.sleep(1000)
    alarms.leave(float("inf"), waiter)
    assert (waiter.done(), len(alarms)) == (False, 0)
