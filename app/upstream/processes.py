"""Processes for work that needs a processor: a pool that is built anew when a worker dies, and killed at the end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from app.upstream.perform import Function, Result, load, perform

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""Never a fork of this process, whose threads and loop the child would inherit in mid-sentence."""

_LAST_WORDS = 1.0
"""Seconds that a pool whose processes are dead may take to notice; it takes some milliseconds."""

_function: Function | None = None


class Work:
    """A call that was handed to a process; `future` raises BrokenProcessPool where its process died."""

    __slots__ = ("_work", "future")

    def __init__(self, work: Future[Result]) -> None:
        self._work = work
        self.future: asyncio.Future[Result] = asyncio.wrap_future(work)

    def withdraw(self) -> bool:
        """Takes the work back; False where it has begun (or is about to), and so goes on to its end."""
        return self._work.cancel()


class Processes:
    """At most `size` processes, started as they are needed; the first at once, since a start takes a good part of a second."""

    def __init__(self, size: int, target: str, folder: Path) -> None:
        self._size = size
        self._task = (target, folder)
        self._pool: ProcessPoolExecutor | None = self._start()

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(self._size, multiprocessing.get_context(_METHOD), _begin, self._task)
        pool.submit(_ready)
        return pool

    def submit(self, args: dict[str, Any], limit: int) -> Work:
        """Calls the function in a process. Called from the event loop; OSError or RuntimeError where none can be had."""
        if (pool := self._pool) is None:
            raise RuntimeError("closed")
        try:
            work = pool.submit(_perform, args, limit)
        except BrokenProcessPool:
            self._replace(pool)
            return self.submit(args, limit)
        handed = Work(work)
        handed.future.add_done_callback(lambda future: self._settled(pool, future))
        return handed

    def _settled(self, pool: ProcessPoolExecutor, future: asyncio.Future[Result]) -> None:
        if not future.cancelled() and isinstance(future.exception(), BrokenProcessPool):
            self._replace(pool)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """A new pool for the one that broke; once, however many calls tell of it."""
        if broken is self._pool:
            broken.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()

    def close(self) -> None:
        """Kills the processes, whatever they are at: their callers have left. The pool goes with them, semaphores and all."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        # concurrent.futures has no public word for these before 3.14
        processes, manager = list((pool._processes or {}).values()), pool._executor_manager_thread
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        if manager is not None:
            manager.join(_LAST_WORDS)  # type: ignore[attr-defined]  # a thread, whatever the stubs say


def _begin(target: str, folder: Path) -> None:
    """The start of a worker: Ctrl-C is for its parent, without whom it ends, and so is stdout; the function is imported once."""
    global _function
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _function = load(target, folder)


def _end_with_parent() -> None:
    """A parent that was killed could not say goodbye."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _ready() -> None:
    """Does nothing, in a worker that has thereby started."""


def _perform(args: dict[str, Any], limit: int) -> Result:
    assert _function is not None  # noqa: S101 - set by _begin
    return perform(_function, args, limit)
