"""An event loop whose clock jumps to the next timer instead of waiting for it: an hour of timeouts takes a millisecond.

    from tests.fakes.virtual_time import virtual
    pytestmark = virtual            # for a module, or @virtual on one test

`loop.time()` starts at 1000 s and moves only when nothing is ready to run. Work in threads is waited for in real time;
sockets are served when they are ready, but time jumps past them: what talks over sockets belongs on a real loop.
Where nothing will ever happen again the loop raises `Stuck` instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
PATIENCE = 5.0
"""Real seconds that a loop without timers waits for a thread or a socket."""


class Stuck(RuntimeError):
    """Nothing is ready, no timer is set, and nothing came from outside: the test waits for what never happens."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Looks for ready files without waiting, then moves the clock by the time that it was told to wait."""

    elapsed = 1000.0
    busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.busy:
            ready = super().select(PATIENCE)
            if not ready and timeout is None:
                raise Stuck("no timer is set and nothing is ready")
            return ready
        self.elapsed += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. While a thread of `run_in_executor` works, time stands still."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.elapsed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Runs `func` in a thread, in real time."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.busy += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, future: asyncio.Future[Any]) -> None:
        self._jumping.busy -= 1


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The hook of pytest-asyncio: tests/conftest.py imports it. A test without the mark runs on a real loop."""
    return {"virtual": VirtualLoop} if item.get_closest_marker("virtual_time") else {"real": asyncio.SelectorEventLoop}


virtual = pytest.mark.virtual_time
"""Marks async tests that run in virtual time."""


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in virtual time, from a test that is no coroutine itself."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
