"""The promise: one timer for all who wait until the same moment."""

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
    """The last to leave takes the timer along."""
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
