"""Starts a second attempt beside a slow one; the first good answer wins and the other is cancelled.

So does the first verdict of the upstream, such as a 404 or a 304: waiting longer would not change it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from app.catalog.schema_policies import Hedge
from app.core.call import Call, Policy, Send
from app.core.errors import CallFailure
from app.core.events import BudgetSpent, Hedged
from app.core.reply import Reply
from app.policies.state import UpstreamState


def hedge(spec: Hedge, state: UpstreamState) -> Policy:
    """Races a second attempt against one that takes longer than `after`, within its budget."""
    now, budget, latency = state.runtime.now, state.hedges, state.latency
    after: Callable[[], float | None]
    if isinstance(spec.after, str):
        share = int(spec.after[1:]) / 100

        def after() -> float | None:
            return latency.quantile(now(), share)

    else:
        fixed = spec.after

        def after() -> float | None:
            return fixed

    def wrap(send: Send) -> Send:
        async def hedged(call: Call) -> Reply:
            budget.count(now())
            delay = after()
            return await send(call) if delay is None else await Race(send, call, spec.budget, state).run(delay)

        return hedged

    return wrap


class Race:
    """One call with two attempts at most.

    The first runs in the caller's own task, so that a call that is not slow pays for a timer and nothing else. When the
    second wins it cancels that task as `asyncio.timeout` does, and takes the cancellation back.
    """

    def __init__(self, send: Send, call: Call, budget: float, state: UpstreamState) -> None:
        self._send = send
        self._call = call
        self._budget = budget
        self._state = state
        self._task = asyncio.current_task()
        self._second: asyncio.Task[None] | None = None
        self._reply: Reply | None = None
        self._failure: CallFailure | None = None
        self._is_first_running = True
        self._delay = 0.0

    async def run(self, delay: float) -> Reply:
        """The first good answer, or the upstream's verdict where that comes first; CallFailure once both have failed."""
        assert self._task is not None  # noqa: S101 - a stack runs in a task
        cancellations, self._delay = self._task.cancelling(), delay
        timer = asyncio.get_running_loop().call_later(delay, self._start)
        try:
            reply = await self._send(self._call)
        except CallFailure as failure:
            first = failure
        except asyncio.CancelledError:
            if self._has_won() and self._task.uncancel() <= cancellations:
                return self._won("the hedge won")
            self._stop()
            raise
        else:
            self._stop()
            return reply
        finally:
            self._is_first_running = False
            timer.cancel()
        return await self._await_second(first)

    def _start(self) -> None:
        """The first attempt is slow: begins the second, if the budget has one left."""
        state, runtime = self._state, self._state.runtime
        if runtime.tasks.is_closing or runtime.now() >= self._call.until:
            return
        if not state.hedges.take(runtime.now(), self._budget):
            runtime.emit(BudgetSpent(state.name, "hedge"))
            self._call.record.notes.append("not hedged: the hedge budget is spent")
            return
        runtime.emit(Hedged(state.name, self._call.name))
        self._call.record.notes.append(f"hedged after {self._delay * 1000:.0f} ms")
        self._second = runtime.tasks.spawn(self._run_second(), name=f"hedge {state.name}")

    async def _run_second(self) -> None:
        """The second attempt is a call of its own: each tells for itself what lingers of it."""
        try:
            self._reply = await self._send(replace(self._call))
        except CallFailure as failure:
            self._failure = failure
        if self._has_won() and self._is_first_running and self._task is not None:
            self._task.cancel()

    def _has_won(self) -> bool:
        return self._reply is not None or (self._failure is not None and self._failure.is_verdict)

    def _won(self, how: str) -> Reply:
        self._call.record.notes.append(how)
        if self._reply is None:
            assert self._failure is not None  # noqa: S101 - it has won by one of them
            raise self._failure.with_traceback(None)
        return self._reply

    async def _await_second(self, first: CallFailure) -> Reply:
        """The first attempt has failed: the second decides, while anyone waits and it can say something else."""
        flight = self._call.flight
        if self._second is None or first.is_verdict or (flight is not None and flight.is_cut):
            self._stop()
            raise first
        is_second_later = not self._second.done()
        try:
            await asyncio.wait((self._second,))
        except asyncio.CancelledError:
            self._stop()
            raise
        if not self._has_won():
            raise self._last(first, is_second_later=is_second_later)
        return self._won(f"the hedge won: the first attempt failed, {first.type}")

    def _last(self, first: CallFailure, *, is_second_later: bool) -> CallFailure:
        """Of two failures the answer that came last, which `http_status` tells of, else the one that did; what was never sent tells nothing."""
        both = (first, self._failure) if is_second_later else (self._failure, first)
        sent = [failure for failure in both if failure is not None and failure.sent] or [first]
        return next((failure for failure in reversed(sent) if failure.http_status is not None), sent[-1])

    def _stop(self) -> None:
        if self._second is not None:
            self._second.cancel()
