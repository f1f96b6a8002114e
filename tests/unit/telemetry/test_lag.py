"""The loop's lag is measured, and a loop that stands still shows where."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from app.telemetry.lag import Watchdog, sample, stack_of


@pytest.mark.virtual_time
async def test_lag_is_how_much_later_than_asked_a_timer_woke() -> None:
    """Four samples a second, and once a second the rest."""
    seen: list[float] = []
    beats: list[int] = []
    seconds: list[int] = []
    task = asyncio.create_task(sample(seen.append, lambda: beats.append(1), lambda: seconds.append(1)))
    await asyncio.sleep(2.1)
    task.cancel()
    assert seen == [pytest.approx(0)] * 8
    assert (len(beats), len(seconds)) == (9, 2)


def test_a_blocked_loop_is_told_once_with_its_stack() -> None:
    """Seconds, and the line where the loop's thread stands."""
    told: list[tuple[float, str]] = []
    now = [0.0]
    first = threading.Event()

    def tell(seconds: float, stack: str) -> None:
        told.append((seconds, stack))
        first.set()

    dog = Watchdog(tell, patience=0.02, clock=lambda: now[0])
    dog.start()
    now[0] = 5.0
    assert first.wait(5)
    time.sleep(0.05)  # long enough for the thread to look again, several times
    assert len(told) == 1
    assert "test_a_blocked_loop" in told[0][1]
    dog.stop()


def test_a_thread_that_has_ended_has_no_stack() -> None:
    """The loop may end while the watchdog looks."""
    assert stack_of(-1) == ""
