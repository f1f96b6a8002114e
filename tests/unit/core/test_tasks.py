"""The promise: work that outlives a request has an owner that keeps it, tells its faults, and ends it at close."""

from __future__ import annotations

import asyncio

import pytest

from app.core.tasks import Tasks

pytestmark = pytest.mark.virtual_time


async def test_a_fault_is_told_and_touches_no_other() -> None:
    """By the task's name."""
    told: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, fault: told.append((name, str(fault))))

    async def breaks() -> None:
        raise ValueError("x")

    other = tasks.spawn(asyncio.sleep(1, "fine"), name="other")
    tasks.spawn(breaks(), name="broken")
    assert await other == "fine"
    assert told == [("broken", "x")]
    assert len(tasks) == 0


async def test_close_cancels_what_runs_and_refuses_what_comes() -> None:
    """Nothing is left."""
    tasks = Tasks(lambda name, fault: None)
    running = tasks.spawn(asyncio.sleep(99), name="long")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert running.cancelled()
    with pytest.raises(RuntimeError, match="shutting down"):
        tasks.spawn(asyncio.sleep(0), name="late")
    assert repr(tasks) == "<Tasks []>"


async def test_short_work_that_says_itself_that_it_ends_is_kept_until_then() -> None:
    """Whether it waits, never waits, or is cancelled before it could begin."""
    tasks = Tasks(lambda name, fault: None)
    begun: dict[str, asyncio.Task[None]] = {}

    async def work(name: str, seconds: float) -> None:
        try:
            if seconds:
                await asyncio.sleep(seconds)
        finally:
            if name in begun:
                tasks.end(begun[name])

    for name, seconds in (("waits", 1.0), ("at once", 0.0), ("cancelled", 2.0)):
        begun[name] = tasks.begin(work(name, seconds), name=name)
    tasks.cancel(begun["cancelled"])
    assert "waits" in repr(tasks)
    await asyncio.wait(begun.values())
    await asyncio.sleep(0)
    assert [task.cancelled() for task in begun.values()] == [False, False, True]
    assert len(tasks) == 0
    begun.clear()
    tasks.begin(work("closed", 1), name="closed")
    await tasks.aclose()
    assert len(tasks) == 0
    with pytest.raises(RuntimeError, match="shutting down"):
        tasks.begin(work("late", 0), name="late")
