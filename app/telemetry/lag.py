"""How late the event loop is, as a metric; and what it was doing when it stood still, as a log line with the stack."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable

INTERVAL = 0.25
"""Seconds between two samples."""


async def sample(observe: Callable[[float], None], beat: Callable[[], None], every_second: Callable[[], None]) -> None:
    """Measures for ever how much later than asked a timer wakes; four times a second, on the loop's clock."""
    loop = asyncio.get_running_loop()
    rounds = 0
    while True:
        due = loop.time() + INTERVAL
        beat()
        await asyncio.sleep(INTERVAL)
        observe(max(0.0, loop.time() - due))
        rounds += 1
        if rounds % 4 == 0:
            every_second()


class Watchdog:
    """A thread that looks whether the loop still beats. Once per blockage it tells the seconds and the stack of the loop's thread.

    `beat` is called on the loop. Without a beat for `patience` seconds beyond the interval the loop is blocked.
    """

    def __init__(self, tell: Callable[[float, str], None], *, patience: float, clock: Callable[[], float]) -> None:
        self._tell, self._patience, self._clock = tell, patience, clock
        self._thread_id = threading.get_ident()
        self._last = clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        """Starts to look. Called on the loop's thread."""
        self._thread_id = threading.get_ident()
        self._last = self._clock()
        self._thread.start()

    def beat(self) -> None:
        """The loop lives."""
        self._last = self._clock()

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        told: float | None = None
        while not self._stop.wait(self._patience / 4):
            last = self._last
            late = self._clock() - last - INTERVAL
            if late > self._patience and last != told:
                told = last
                self._tell(late, stack_of(self._thread_id))


def stack_of(thread_id: int) -> str:
    """Where a thread is now: file, line, function and source of each frame, outermost first; no values."""
    frame = sys._current_frames().get(thread_id)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
