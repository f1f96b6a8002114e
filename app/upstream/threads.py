"""Threads for work that blocks: a bounded number, apart from everybody else's, and no hung one holds up the end of the process.

What `asyncio.to_thread` does, but not on the loop's default executor: that one resolves host names, so a few slow functions
there would stop every new connection. And its threads are waited for when the process ends, whatever they hang in; these are daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """Work that was handed to a thread; `future` belongs to the loop that handed it over."""

    __slots__ = ("_claim", "_context", "_loop", "_work", "future")

    def __init__(self, work: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._claim = threading.Lock()
        self._work = work
        self.future: asyncio.Future[T] = self._loop.create_future()

    def withdraw(self) -> bool:
        """Takes the work back; False where it has begun, and so goes on to its end."""
        withdrawn = self._claim.acquire(blocking=False)
        if withdrawn:
            self.future.cancel()
        return withdrawn

    def run(self) -> None:
        """Does the work, unless it was taken back, and tells the loop."""
        if not self._claim.acquire(blocking=False):
            return
        settle = self._settlement()
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(settle)

    def _settlement(self) -> Callable[[], None]:
        future = self.future
        try:
            result = self._context.run(self._work)
        except Exception as exc:  # handed on to the one who waits
            fault = exc
            return lambda: None if future.done() else future.set_exception(fault)
        return lambda: None if future.done() else future.set_result(result)


class Threads:
    """At most `size` threads, each started when there is work and none is idle; what comes beyond waits in order."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def submit(self, work: Callable[[], T]) -> Job[T]:
        """Does `work` on a thread, with the caller's context variables. Called from the event loop."""
        job = Job(work)
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        return job

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # what it holds is not kept while the thread is idle
            self._idle.release()

    def close(self) -> None:
        """Idle threads end; busy ones end after their work, or with the process."""
        for _ in range(self._started):
            self._jobs.put(None)

    def __repr__(self) -> str:
        return f"<Threads {self._name} {self._started} of {self._size}>"
