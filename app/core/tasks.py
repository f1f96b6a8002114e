"""The owner of work that outlives a request: refreshes, shared flights, pollers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class Tasks:
    """Keeps a reference to every task, reports their faults, and ends them all at close.

    A fault in one task touches no other: that is why this is no lifespan-wide TaskGroup.
    """

    def __init__(self, on_fault: Callable[[str, BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_fault = on_fault
        self.is_closing = False
        """Whether no new task is taken any more."""

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Starts `work` as a task of this owner; RuntimeError once it closes."""
        if self.is_closing:
            self._refuse(work)
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def begin(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """`spawn` for short work on a hot path, without a callback: it says itself that it ends (`end`), and raises nothing but cancellation.

        The task is made here, which is a fifth cheaper than by the loop; it does not start eagerly (3.12), which makes a service dearer.
        """
        if self.is_closing:
            self._refuse(work)
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)
        self._tasks.add(task)
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """What `begin` has started ends."""
        self._tasks.discard(task)

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancels what `begin` has started; before its first step it ends without a word of its own."""
        if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:  # type: ignore[arg-type]
            self._tasks.discard(task)
        task.cancel()

    def report(self, name: str, fault: BaseException) -> None:
        """Tells of a bug that work of that name has run into, and contained."""
        self._on_fault(name, fault)

    def _refuse(self, work: Coroutine[Any, Any, Any]) -> NoReturn:
        work.close()
        raise RuntimeError("shutting down: no new task is taken")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.report(task.get_name(), fault)

    async def aclose(self, grace: float = 5.0) -> None:
        """Cancels what still runs and waits for it, at most `grace` seconds."""
        self.is_closing = True
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            ended, _ = await asyncio.wait(running, timeout=grace)
            self._tasks -= ended

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        return f"<Tasks {sorted(task.get_name() for task in self._tasks)}>"
