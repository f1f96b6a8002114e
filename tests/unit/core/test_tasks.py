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
