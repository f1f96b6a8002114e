"""Calls to a Python upstream: a function in the loop, on a thread or in a process, bounded in time and number.

Work on a thread or in a process cannot be stopped: at its timeout the caller is released, and the slot stays taken until the
function returns. The call's `lingers` tells the concurrency policy, whose slot that is, when.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import os
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from app.catalog.schema import Upstream
from app.core.asking import Line, line
from app.core.call import Call
from app.core.data import Data
from app.core.errors import CallFailure, DecodeFailed, FunctionRaised, InternalFailure, TimedOut, TooLarge, unsent
from app.core.events import AttemptEnded, FunctionFailed
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.upstream.perform import Function, Result, Returned, load, perform, perform_async
from app.upstream.processes import Processes
from app.upstream.threads import Threads

THREADS = 32
"""Slots of an upstream that says no `concurrency`: its threads mostly wait, and each costs some 100 KB."""

MOST_PROCESSES = 64
"""However large the `concurrency`: each process costs 20 MB and more, and a processor."""


def threads_of(spec: Upstream) -> int:
    """How many threads of the loop an upstream may hold at once, if its function runs on threads."""
    return spec.concurrency.max if spec.concurrency else THREADS


class Work(Protocol):
    """A call of the function that is under way, or in line."""

    @property
    def future(self) -> asyncio.Future[Result]:
        """Its result, on the loop."""
        ...

    def withdraw(self) -> bool:
        """Takes it back; False where it has begun and goes on to its end."""
        ...


class _Task:
    """A call of an async function: withdrawing cancels it, which it may take its time to heed."""

    __slots__ = ("future",)

    def __init__(self, task: asyncio.Task[Result]) -> None:
        self.future: asyncio.Future[Result] = task

    def withdraw(self) -> bool:
        """Cancels the function."""
        self.future.cancel()
        return False


class PythonUpstream:
    """One Python upstream of a catalog. `send` is the innermost service of its calls' stacks."""

    def __init__(self, name: str, spec: Upstream, folder: Path, runtime: Runtime) -> None:
        assert spec.python is not None  # noqa: S101 - only Python upstreams come here
        self.name = name
        self._runtime = runtime
        self._threads: Threads | None = None
        self._processes: Processes | None = None
        if spec.run == "process":
            self.kind: Literal["async", "thread", "process"] = "process"
            most = spec.concurrency.max if spec.concurrency else os.cpu_count() or 1
            self._processes = processes = Processes(min(most, MOST_PROCESSES), spec.python, folder)
            self._start: Callable[[Call], Work] = lambda call: processes.submit(call.args or {}, call.reading.max_body)
            return
        function = load(spec.python, folder)
        self.kind = spec.run or ("async" if inspect.iscoroutinefunction(function) else "thread")
        if self.kind == "async":
            self._start = self._on_loop(function)
        else:
            self._threads = Threads(threads_of(spec), f"python {name}")
            self._start = self._on_thread(function, self._threads)

    def _on_loop(self, function: Function) -> Callable[[Call], Work]:
        def start(call: Call) -> Work:
            work = perform_async(function, call.args or {}, call.reading.max_body)
            return _Task(self._runtime.tasks.spawn(work, name=f"python {self.name}"))

        return start

    def _on_thread(self, function: Function, threads: Threads) -> Callable[[Call], Work]:
        loop, desk = asyncio.get_running_loop(), self._runtime.desk

        def start(call: Call) -> Work:
            token = line.set(Line(loop, desk, call.context.id, min(call.expires, call.until)))
            try:
                return threads.submit(partial(perform, function, call.args or {}, call.reading.max_body))
            finally:
                line.reset(token)

        return start

    async def send(self, call: Call) -> Reply:
        """Calls the function with `args` as keyword arguments; answers or fails at the latest when the call expires."""
        now, began, record = self._runtime.now, self._runtime.now(), call.record
        expires, call.lingers = min(call.expires, call.deadline), None
        if expires <= began:
            raise unsent()
        failure: str | None = "cancelled"
        blames = False
        try:
            work = self._start(call)
        except (OSError, RuntimeError) as exc:  # no process to be had, or we are closing
            raise InternalFailure from exc
        has_begun = True
        record.attempts += 1  # at once: whoever runs out of time meanwhile has begun a request too
        try:
            await asyncio.wait((work.future,), timeout=None if expires == math.inf else expires - now())
            if not work.future.done():
                has_begun = self._leave(call, work)
                raise TimedOut if has_begun else unsent()
            reply = Reply(self._data(call, work.future))
            failure = None
            return reply
        except asyncio.CancelledError:
            has_begun = self._leave(call, work)
            raise
        except CallFailure as exc:
            failure, blames = exc.type, exc.blames_upstream
            raise
        finally:
            if has_begun:
                self._runtime.emit(AttemptEnded(self.name, call.name, now() - began, failure, None, blames_upstream=blames))
            else:
                record.attempts -= 1

    def _leave(self, call: Call, work: Work) -> bool:
        """Leaves work that is not done to itself; whether it has begun."""
        if work.future.done() or not work.withdraw():
            call.lingers = None if work.future.done() else work.future
            return True
        return False

    def _data(self, call: Call, future: asyncio.Future[Result]) -> Data:
        if future.cancelled():
            raise InternalFailure  # the service is shutting down
        try:
            result = future.result()
        except BrokenProcessPool as exc:
            self._runtime.emit(FunctionFailed(self.name, call.name, "its process died"))
            raise FunctionRaised from exc
        except RuntimeError as exc:  # no thread to be had
            raise InternalFailure from exc
        if isinstance(result, Returned):
            return Data.of_raw(result.body)
        self._runtime.emit(FunctionFailed(self.name, call.name, f"{result.why}: {result.reason}"))
        raise _FAILURES[result.why]()

    async def aclose(self) -> None:
        """Lets go of its threads and ends its processes."""
        if self._threads is not None:
            self._threads.close()
        if self._processes is not None:
            self._processes.close()

    def __repr__(self) -> str:
        return f"<PythonUpstream {self.name} {self.kind}>"


_FAILURES: dict[str, type[CallFailure]] = {"raised": FunctionRaised, "no_json": DecodeFailed, "too_large": TooLarge}
