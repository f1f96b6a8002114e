"""Runs one plan again and again: a first answer call by call, then each call at its own interval, dependents when their request changes.

What a call answered once is kept: a failure later makes it `stale`, never empty. Who owns the watch is told of every
settled call; what of it is news is for the owner to say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Hashable
from typing import Protocol

from msgspec.structs import replace

from app.core.answer import Answer
from app.core.context import Context
from app.core.data import Data
from app.core.outcome import Outcome
from app.core.runtime import Runtime
from app.engine.plan import Inputs, Plan, Step
from app.engine.request import request_key
from app.engine.run import Progress, new_scope, run, settle
from app.live.equality import same

JITTER = 0.1
"""Intervals vary by this share, so that topics that began together do not poll together for ever."""

Listen = Callable[[Hashable, Callable[[], None]], Callable[[], None]]
"""Asks to be told when the push source of a request (`Call.key`) has something new; gives what ends that."""


class Told(Protocol):
    """Who owns a watch."""

    def settled(self, outcome: Outcome, progress: Progress, data_changed: bool) -> None:
        """A call has settled; synchronous."""
        ...

    def concluded(self, failed: Answer | None) -> None:
        """A round is over: every call has settled once, or the answer failed as a whole."""
        ...

    def broke(self) -> None:
        """A fault of ours ended a round."""
        ...


class Watch:
    """One plan's calls over time. `begin` runs a round, then `poll` until `rest`; `begin` again after a rest keeps all data.

    A round runs the `plan`, polls run the `polled` one, which may send calls otherwise.
    """

    def __init__(self, plan: Plan, polled: Plan, inputs: Inputs, runtime: Runtime, told: Told, listen: Listen | None = None) -> None:
        self.progress = Progress(new_scope(plan, inputs))
        self._plan, self._polled = plan, polled
        self._inputs, self._runtime, self._told, self._listen = inputs, runtime, told, listen
        self._last: dict[str, Data] = {}
        self._keys: dict[str, Hashable] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._deaf: dict[str, Callable[[], None]] = {}
        self._pushed: set[str] = set()
        self._round: asyncio.Task[None] | None = None
        self._is_polling = False
        self._has_run = False

    # --- a round

    def begin(self) -> None:
        """Runs every call once: the first time as any answer is run, later with what it has kept."""
        work = self._again() if self._has_run else self._first()
        self._round = self._runtime.tasks.spawn(work, name=f"live round of {self._plan.name}")
        self._round.add_done_callback(self._round_ended)

    def _round_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._round = None
            self._told.broke()

    async def _first(self) -> None:
        answer = await run(self._plan, self._inputs, self._runtime, on_settled=self._settled_first)
        self._has_run = not answer.failed
        self._conclude(answer if answer.failed else None)

    def _conclude(self, failed: Answer | None) -> None:
        self._round = None
        if failed is None:
            self._note_keys()
        self._told.concluded(failed)

    def _settled_first(self, outcome: Outcome, progress: Progress) -> None:
        self.progress = progress
        self._remember(slim(outcome))
        self._told.settled(outcome, progress, True)

    async def _again(self) -> None:
        """All calls once more, in the plan's order, by one deadline; what fails keeps what it had."""
        context, deadline, waits = self._context(), self._runtime.now() + self._plan.spec.deadline, dict(self._plan.waits)

        async def follow(step: Step) -> None:
            self._take(await settle(self._plan, step, self.progress, context, deadline, self._runtime.now(), self._runtime), step, cascade=False)
            for follower in self._plan.followers[step.name]:
                waits[follower.name] -= 1
                if not waits[follower.name]:
                    group.create_task(follow(follower))

        async with asyncio.TaskGroup() as group:
            for step in self._plan.first:
                group.create_task(follow(step))
        self._conclude(None)

    # --- polling

    def poll(self) -> None:
        """Runs each call again at its interval, from now on."""
        if self._is_polling:
            return
        self._is_polling = True
        for step in self._polled.steps:
            self._schedule(step, 0.0)
            self._hear(step)

    def rest(self) -> None:
        """Ends all that runs; what is known is kept."""
        self._is_polling = False
        for timer in self._timers.values():
            timer.cancel()
        for task in (*self._running.values(), *([self._round] if self._round is not None else [])):
            task.cancel()
        for end in self._deaf.values():
            end()
        self._timers, self._running, self._deaf, self._round = {}, {}, {}, None
        self._pushed.clear()

    def _schedule(self, step: Step, spent: float) -> None:
        """The next run: an interval after the last one began, with a pause even where a run takes longer than that."""
        assert step.every is not None  # noqa: S101 - every call of a live endpoint has an interval
        interval = step.every * self._runtime.random.uniform(1 - JITTER, 1 + JITTER)
        delay = max(interval - spent, step.every * JITTER)
        if (timer := self._timers.get(step.name)) is not None:
            timer.cancel()
        self._timers[step.name] = asyncio.get_running_loop().call_later(delay, self._start, step)

    def _start(self, step: Step) -> None:
        if not self._is_polling or step.name in self._running:
            return
        self._running[step.name] = self._runtime.tasks.spawn(self._run(step), name=f"live call {self._plan.name}.{step.name}")

    async def _run(self, step: Step) -> None:
        began = self._runtime.now()
        self._pushed.discard(step.name)
        if step.needs:
            self._keys[step.name] = self._key(step)
        try:
            outcome = await settle(self._plan, step, self.progress, self._context(), began + self._plan.spec.deadline, began, self._runtime)
            self._take(outcome, step, cascade=True)
        finally:
            if self._running.get(step.name) is asyncio.current_task():
                del self._running[step.name]
                if self._is_polling:
                    self._next(step, self._runtime.now() - began)

    def _next(self, step: Step, spent: float) -> None:
        """At once where something changed meanwhile, else at the interval."""
        self._hear(step)
        if step.name in self._pushed or (step.needs and self._key(step) != self._keys[step.name]):
            self._start(step)
        else:
            self._schedule(step, spent)

    # --- what came of a call

    def _take(self, outcome: Outcome, step: Step, *, cascade: bool) -> None:
        outcome = self._kept(slim(outcome))
        before = self.progress.outcomes.get(step.name)
        data_changed = before is None or before.has_data != outcome.has_data or not same(before.data, outcome.data)
        if before is not None and not data_changed:
            outcome.data = before.data
        self.progress.settle(outcome)
        self._remember(outcome)
        self._told.settled(outcome, self.progress, data_changed)
        if cascade and data_changed:
            for follower in self._polled.followers[step.name]:
                if step.name in follower.needs and self._key(follower) != self._keys[follower.name]:
                    self._start(follower)

    def _kept(self, outcome: Outcome) -> Outcome:
        """A failure of a call that has ever answered is its last data, stale; a fallback is for calls that never did."""
        last = self._last.get(outcome.name)
        if last is None or outcome.status not in ("failed", "fallback"):
            return outcome
        return replace(outcome, status="stale", data=last, within_window=False, fresh_until=None)

    def _remember(self, outcome: Outcome) -> None:
        if outcome.status in ("ok", "partial", "stale"):
            self._last[outcome.name] = outcome.data

    def _note_keys(self) -> None:
        for step in self._plan.steps:
            if step.needs:
                self._keys[step.name] = self._key(step)

    def _key(self, step: Step) -> Hashable:
        """What the call would ask for now; without the data that it names it cannot ask."""
        if not all(self.progress.outcomes[name].has_data for name in step.needs):
            return ("dependency",)
        return request_key(step, self.progress.scope, self._inputs.context)

    # --- push sources

    def _hear(self, step: Step) -> None:
        """Listens to a call's push source, once it is known what the call asks for."""
        if step.spec.stream is None or self._listen is None:
            return
        if (end := self._deaf.pop(step.name, None)) is not None:
            end()
        key = self._key(step)
        self._deaf[step.name] = self._listen(key, lambda: self._told_by_push(step))

    def _told_by_push(self, step: Step) -> None:
        self._pushed.add(step.name)
        self._start(step)

    def _context(self) -> Context:
        """The client's context under a request id and in a trace of its own: many subscribers share what is asked."""
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
        return replace(self._inputs.context, id=secrets.token_hex(8), traceparent=trace, tracestate=None)

    @property
    def is_polling(self) -> bool:
        """Whether calls run again by themselves."""
        return self._is_polling

    @property
    def datas(self) -> list[Data]:
        """What it keeps, for who counts the bytes."""
        return [*self._last.values(), *(o.data for o in self.progress.outcomes.values())]

    def __repr__(self) -> str:
        return f"<Watch {self._plan.name} {'polling' if self._is_polling else 'resting'} {sorted(self._running)}>"


def slim(outcome: Outcome) -> Outcome:
    """The outcome, its errors without the frames that they came through: it may be kept for hours."""
    for failure in (outcome.error, *(outcome.items or ())):
        if failure is not None:
            failure.__traceback__ = failure.__cause__ = failure.__context__ = None
    return outcome
