"""Questions to the service from threads that its event loop is not on: a script's own, and those of its blocking functions.

A function that `run: thread` runs finds the way back in the context that `asyncio.to_thread` copies for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from app.core.answer import Answer

T = TypeVar("T")

LOOK = 1.0
"""Seconds between looks at whether the loop is still there."""
GRACE = 5.0
"""Seconds that questions may take to end when the service does."""


@dataclass(frozen=True, slots=True)
class Question:
    """An endpoint, its params and body (None: none), who asks (the request's id), until when (the loop's clock)."""

    endpoint: str
    params: Mapping[str, Any]
    body: Any = None
    id: str | None = None
    until: float = float("inf")


Answering: TypeAlias = Callable[[Question], Awaitable[Answer]]


class Desk:
    """Where the running service takes questions, once `main` has opened it; it keeps track of those who wait."""

    def __init__(self) -> None:
        self._answering: Answering | None = None
        self._asking: set[asyncio.Task[Any]] = set()

    def open(self, answering: Answering) -> None:
        """Questions are answered from now on."""
        self._answering = answering

    async def ask(self, question: Question) -> Answer:
        """The answer; raises what `answering` does, RuntimeError where the service is not up. On the loop, in a task of its own."""
        task = asyncio.current_task()
        if self._answering is None or task is None:
            raise RuntimeError("the service is not running")
        self._asking.add(task)
        try:
            return await self._answering(question)
        finally:
            self._asking.discard(task)

    async def aclose(self) -> None:
        """Takes no more questions and cancels those under way."""
        self._answering = None
        for task in self._asking:
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking, timeout=GRACE)


@dataclass(frozen=True, slots=True)
class Line:
    """The way from a running function to the service that runs it: for the id of its call's request, and as long as its call has."""

    loop: asyncio.AbstractEventLoop
    desk: Desk
    id: str
    until: float


line: ContextVar[Line] = ContextVar("line")
"""Set around each call of a `run: thread` function, and nowhere else."""


def result_of(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Runs a coroutine on a loop of another thread and waits for its result; Ctrl-C cancels it. RuntimeError on the loop's own thread."""
    try:
        if _is_running_here(loop):
            raise RuntimeError("this would block the event loop that it waits for: ask from a thread, or await the engine itself")
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        work.close()
        raise
    try:
        while not concurrent.futures.wait((future,), LOOK).done:
            if loop.is_closed():
                raise RuntimeError("the service has ended")
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
