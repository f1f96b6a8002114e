"""Runs work and cancels it at its k-th suspension, once or twice: what finds leaks that no other test finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class _Stepper(Coroutine[Any, Any, Any]):
    """A coroutine that calls `on_step(n)` before its n-th step is taken."""

    def __init__(self, inner: Coroutine[Any, Any, Any], on_step: Callable[[int], None]) -> None:
        self._inner = inner
        self._on_step = on_step
        self.steps = 0

    def send(self, value: Any) -> Any:
        result = self._inner.send(value)
        self.steps += 1
        self._on_step(self.steps)
        return result

    def throw(self, *args: Any) -> Any:
        result = self._inner.throw(*args)
        self.steps += 1
        self._on_step(self.steps)
        return result

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        raise NotImplementedError


async def cancelled_at(work: Coroutine[Any, Any, Any], step: int, *, after: int = 0, twice: bool = False) -> bool:
    """Runs `work` and cancels it `after` turns of the loop behind its `step`-th suspension, `twice` once more one turn later.

    True if it came that far. What it returns or raises is dropped.
    """
    loop = asyncio.get_running_loop()
    reached = False
    task: asyncio.Task[Any]

    def cancel(turns: int) -> None:
        if turns:
            loop.call_soon(cancel, turns - 1)
            return
        task.cancel()
        if twice:
            loop.call_soon(task.cancel)

    def on_step(number: int) -> None:
        nonlocal reached
        if number == step:
            reached = True
            loop.call_soon(cancel, after)

    task = loop.create_task(_Stepper(work, on_step))  # type: ignore[arg-type]
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
    return reached
