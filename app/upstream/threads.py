"""Blocking work of one upstream, through `asyncio.to_thread`: a bounded number at once, so that none takes every thread of the loop.

A thread cannot be stopped. Whoever has waited enough leaves; the slot stays taken until the function returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """Work that was handed over; `future` is its result."""

    __slots__ = ("future", "has_begun")

    def __init__(self) -> None:
        self.has_begun = False
        self.future: asyncio.Future[T]

    def withdraw(self) -> bool:
        """Takes the work back; False where it has begun, and so goes on to its end."""
        return not self.has_begun and self.future.cancel()


class Threads:
    """At most `size` functions at once; what comes beyond waits in order. Belongs to one event loop."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._slots = asyncio.Semaphore(size)
        self._running: set[asyncio.Task[Any]] = set()

    def submit(self, work: Callable[[], T]) -> Job[T]:
        """Does `work` on a thread, with the caller's context variables. `future` has RuntimeError where no thread can be had."""
        job: Job[T] = Job()
        job.future = task = asyncio.create_task(self._do(job, work), name=self._name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return job

    async def _do(self, job: Job[T], work: Callable[[], T]) -> T:
        async with self._slots:
            job.has_begun = True
            return await asyncio.to_thread(work)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # of work that nobody waits for any more

    def close(self) -> None:
        """Lets go of all work: what waits never runs, what runs is no longer waited for."""
        for task in self._running:
            task.cancel()

    def __repr__(self) -> str:
        return f"<Threads {self._name} {len(self._running)} of {self._size}>"
