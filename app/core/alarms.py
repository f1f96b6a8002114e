"""One timer for all who wait until some moment or other: most answers come before their deadline, and a timer each costs more than a set."""

from __future__ import annotations

import asyncio
from typing import Any

INFINITE = float("inf")
APART = 0.001
"""Seconds between two rings at least, so that thousands of deadlines in a row are cheap; the second of two is late by so much at most."""


class Alarms:
    """`watch` and `leave` come in pairs. Holds no more than those who wait; belongs to one event loop.

    The timer is set for the first moment that anybody waited for. Whoever leaves does not touch it: it rings in vain, and is set anew.
    """

    __slots__ = ("_by_moment", "_rings", "_timer")

    def __init__(self) -> None:
        self._by_moment: dict[float, set[asyncio.Future[Any]]] = {}
        self._rings = INFINITE
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, moment: float, waiter: asyncio.Future[Any]) -> None:
        """At that moment (the loop's clock) `waiter` gets the result None, unless it is done or has left by then."""
        waiters = self._by_moment.get(moment)
        if waiters is not None:
            waiters.add(waiter)
            return
        self._by_moment[moment] = {waiter}
        if moment < self._rings:
            self._set(moment)

    def leave(self, moment: float, waiter: asyncio.Future[Any]) -> None:
        """`waiter` waits no longer."""
        waiters = self._by_moment.get(moment)
        if waiters is None:
            return
        waiters.discard(waiter)
        if not waiters:
            del self._by_moment[moment]

    def _set(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = moment
        self._timer = asyncio.get_running_loop().call_at(moment, self._ring)

    def _ring(self) -> None:
        now, self._rings, self._timer = self._rings, INFINITE, None
        for moment in [moment for moment in self._by_moment if moment <= now]:
            for waiter in self._by_moment.pop(moment):
                if not waiter.done():
                    waiter.set_result(None)
        following = min(self._by_moment, default=INFINITE)
        if following < INFINITE:
            self._set(max(following, now + APART))

    def __len__(self) -> int:
        return len(self._by_moment)

    def __repr__(self) -> str:
        return f"<Alarms {len(self)} moments>"
