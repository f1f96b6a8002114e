"""Load for simulations: arrivals at random moments, at a rate that does not care how slow the answers are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

T = TypeVar("T")


async def arrivals(rate: float, seconds: float, ask: Callable[[], Awaitable[T]], *, seed: int = 1) -> list[T]:
    """Asks `rate` times a second on average (a Poisson process) for so long; the outcomes in order of asking."""
    loop, random = asyncio.get_running_loop(), Random(seed)
    tasks, at, end = [], loop.time(), loop.time() + seconds
    while at < end:
        tasks.append(asyncio.ensure_future(ask()))
        at += random.expovariate(rate)
        await asyncio.sleep(at - loop.time())
    return await asyncio.gather(*tasks)


class Served:
    """An upstream that serves `capacity` calls at once, each in `seconds` or so, and lets the others wait in order."""

    def __init__(self, capacity: int, seconds: float, seed: int = 1) -> None:
        self.capacity = capacity
        self.seconds = seconds
        self._random = Random(seed)
        self._free: list[float] = []

    def time(self, now: float) -> float:
        """Seconds until a call that comes now has its answer."""
        self._free = [at for at in self._free if at > now]
        work = self.seconds * self._random.uniform(0.9, 1.3)
        busy = sorted(self._free)
        begins = now if len(busy) < self.capacity else busy[len(busy) - self.capacity]
        self._free.append(begins + work)
        return begins + work - now
