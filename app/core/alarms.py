"""One timer for all who wait until the same moment: the calls of an answer share its deadline, and a timer each costs more than a set."""

from __future__ import annotations

import asyncio
from typing import Any


class Alarms:
    """`watch` and `leave` come in pairs. Holds no more than those who wait; belongs to one event loop."""

    __slots__ = ("_by_moment",)

    def __init__(self) -> None:
        self._by_moment: dict[float, tuple[asyncio.TimerHandle, set[asyncio.Future[Any]]]] = {}

    def watch(self, moment: float, waiter: asyncio.Future[Any]) -> None:
        """At that moment (the loop's clock) `waiter` gets the result None, unless it is done or has left by then."""
        found = self._by_moment.get(moment)
        if found is None:
            timer = asyncio.get_running_loop().call_at(moment, self._ring, moment)
            found = self._by_moment[moment] = (timer, set())
        found[1].add(waiter)

    def leave(self, moment: float, waiter: asyncio.Future[Any]) -> None:
        """`waiter` waits no longer; the last to leave stops the timer."""
        found = self._by_moment.get(moment)
        if found is None:
            return
        timer, waiters = found
        waiters.discard(waiter)
        if not waiters:
            timer.cancel()
            del self._by_moment[moment]

    def _ring(self, moment: float) -> None:
        _, waiters = self._by_moment.pop(moment)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def __len__(self) -> int:
        return len(self._by_moment)

    def __repr__(self) -> str:
        return f"<Alarms {len(self)} moments>"
