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
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Job: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """At most `size` threads, each started when there is work and none is idle. Used from one event loop."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Runs `work` on a thread, with the caller's context variables. A future that is cancelled before its work has begun never begins."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put((loop, future, lambda: context.run(work)))
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, work = job
            if not future.cancelled():
                settle = _settlement(future, work)
                with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits
                    loop.call_soon_threadsafe(settle)
            del job, future, work
            self._idle.release()

    def close(self) -> None:
        """Idle threads end; busy ones end with their work, or with the process."""
        for _ in range(self._started):
            self._jobs.put(None)

    def __repr__(self) -> str:
        return f"<Threads {self._name} {self._started} of {self._size}>"


def _settlement(future: asyncio.Future[T], work: Callable[[], T]) -> Callable[[], None]:
    """Does the work; what is left to do on the loop is to tell."""
    try:
        result = work()
    except Exception as exc:  # handed on to the one who waits
        failure = exc
        return lambda: None if future.done() else future.set_exception(failure)
    return lambda: None if future.done() else future.set_result(result)
