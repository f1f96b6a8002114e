"""The event loop's threads, for `asyncio.to_thread`: enough of them, and no hung function holds up the end of the process.

The standard library's executor has six threads on two processors, and is waited for twice: when the loop closes and when the
interpreter exits. A function that never returns would keep the process for ever. The threads here are daemons.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IDLE_SECONDS = 10.0
"""How long a thread without work is kept."""


class Executor(ThreadPoolExecutor):
    """At most `size` threads, started as they are needed; what comes beyond waits in order.

    A ThreadPoolExecutor because `loop.set_default_executor` takes nothing else; no thread of that class is ever started.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size
        self._wake = threading.Condition()
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._alive = self._idle = 0
        self._is_closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Calls `fn` on a thread; RuntimeError once closed, or where no thread can be had."""
        future: Future[T] = Future()
        with self._wake:
            if self._is_closed:
                raise RuntimeError("closed: no more work is taken")
            if self._idle <= len(self._jobs) and self._alive < self._size:
                threading.Thread(target=self._work, name="merganser-blocking", daemon=True).start()
                self._alive += 1
            self._jobs.append((future, partial(fn, *args, **kwargs)))
            self._wake.notify()
        return future

    def _work(self) -> None:
        while (job := self._next()) is not None:
            _do(*job)
            del job  # what it holds is not kept while the thread is idle

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._wake:
            self._idle += 1
            self._wake.wait_for(lambda: self._jobs or self._is_closed, IDLE_SECONDS)
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._alive -= 1
            return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work and lets idle threads end. Waits for nobody, whatever `wait` says."""
        with self._wake:
            self._is_closed = True
            while cancel_futures and self._jobs:
                self._jobs.popleft()[0].cancel()
            self._wake.notify_all()

    def __repr__(self) -> str:
        return f"<Executor {self._alive} of {self._size} threads, {self._idle} idle, {len(self._jobs)} waiting>"


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    """Does the work, unless it was cancelled in line; whatever it raises is for the one who waits."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as exc:
        future.set_exception(exc)
    else:
        future.set_result(result)
