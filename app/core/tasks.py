"""The owner of work that outlives a request: refreshes, shared flights, pollers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Keeps a reference to every task, reports their faults, and ends them all at close.

    A fault in one task touches no other: that is why this is no lifespan-wide TaskGroup.
    """

    def __init__(self, on_fault: Callable[[str, BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_fault = on_fault
        self._closing = False

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Starts `work` as a task of this owner; RuntimeError once it closes."""
        if self._closing:
            work.close()
            raise RuntimeError("shutting down: no new task is taken")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    @property
    def is_closing(self) -> bool:
        """Whether no new task is taken any more."""
        return self._closing

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fault(task.get_name(), fault)

    async def aclose(self, grace: float = 5.0) -> None:
        """Cancels what still runs and waits for it, at most `grace` seconds."""
        self._closing = True
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=grace)

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        return f"<Tasks {sorted(task.get_name() for task in self._tasks)}>"
