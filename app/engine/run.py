"""One answer: every call of a plan runs the moment what it names has data, and a required failure ends the rest.

A failed call is a value (`Outcome`). Only a required one raises, inside the TaskGroup, so that structured concurrency
itself cancels the others. No timer is set here: every wait below honours the answer's one deadline by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from app.core.answer import Answer
from app.core.call import Record
from app.core.context import Context
from app.core.data import NULL
from app.core.errors import CallFailure, DependencyFailed, unsent
from app.core.events import CallEnded
from app.core.outcome import Outcome
from app.core.runtime import Runtime
from app.core.scope import Scope
from app.engine import merge
from app.engine.each import ask_each
from app.engine.forwarding import request_of
from app.engine.once import ask
from app.engine.plan import Inputs, Plan, Step
from app.expressions.values import is_true

OnSettled = Callable[[Outcome, "Progress"], None]


class RequiredFailed(Exception):
    """A required call failed: raised in the TaskGroup to end the other calls, never seen outside `run`."""


class Progress(Struct):
    """Where an answer stands: what expressions can see by now, and the outcomes in order of settling."""

    scope: Scope
    outcomes: dict[str, Outcome] = {}

    def settle(self, outcome: Outcome) -> None:
        """Takes a settled call; its data, null included, can be seen from now on, and none where it has none any more."""
        self.outcomes[outcome.name] = outcome
        if outcome.has_data:
            self.scope[outcome.name] = outcome.data
        else:
            self.scope.pop(outcome.name, None)


async def run(plan: Plan, inputs: Inputs, runtime: Runtime, *, deadline: float | None = None, on_settled: OnSettled | None = None) -> Answer:
    """Runs a plan to its answer, partial or whole; raises nothing but cancellation.

    `deadline` is a moment of the loop's clock (default: now + the endpoint's `deadline`). `on_settled` is called
    synchronously, the moment a call has settled.
    """
    began = runtime.now()
    fan = _Fan(plan, inputs, runtime, began, began + plan.spec.deadline if deadline is None else deadline, on_settled)
    failed = False
    try:
        await fan.out(began)
    except* RequiredFailed:
        failed = True
    if failed:
        return _failed(plan, fan.progress, began)
    return merge.answer(plan, fan.progress.scope, fan.progress.outcomes, began)


def new_scope(plan: Plan, inputs: Inputs) -> Scope:
    """What expressions see before any call has settled; names that no expression uses are left out."""
    scope = Scope(inputs.params)
    if "body" in plan.reads:
        scope["body"] = inputs.body
    if "claims" in plan.reads:
        scope["claims"] = inputs.context.identity.claims if inputs.context.identity else None
    if "request" in plan.reads:
        scope["request"] = request_of(inputs.context, plan.spec.forward)
    return scope


async def settle(plan: Plan, step: Step, progress: Progress, context: Context, deadline: float, started: float, runtime: Runtime) -> Outcome:
    """One call, from its `when` to its fallback: `observe > fallback >` the stack. Raises nothing but cancellation."""
    record = Record()
    outcome = Outcome(step.name, "ok", started, started)
    scope = _scope(step, progress, context)
    try:
        if step.needs:
            _need(step, progress)
        if step.when is not None and not is_true(step.when.search(scope)):
            outcome.status = "skipped"
        elif runtime.now() >= deadline and not step.asks_anyway:
            raise unsent()
        elif step.each is not None:
            await ask_each(plan, step, scope, context, deadline, runtime, record, outcome)
        else:
            await ask(plan, step, scope, context, deadline, runtime, record, outcome)
    except CallFailure as failure:
        _fall_back(step, _scope(step, progress, context), outcome, failure)
    outcome.ended = runtime.now()
    outcome.attempts, outcome.cache, outcome.notes = record.attempts, record.cache, record.notes
    outcome.http_status = record.http_status
    _observe(plan, step, outcome, runtime)
    return outcome


def _scope(step: Step, progress: Progress, context: Context) -> Scope:
    """What the call's expressions see by now: `request` as its own `forward` says, where it has one."""
    return progress.scope if step.forward is None else progress.scope.inner(request=request_of(context, step.forward))


def _need(step: Step, progress: Progress) -> None:
    for name in step.needs:
        needed = progress.outcomes[name]
        if not needed.has_data:
            raise DependencyFailed(name, needed.roots)


def _fall_back(step: Step, scope: Scope, outcome: Outcome, failure: CallFailure) -> None:
    """The policy `fallback`: data when the call fails; a list of `each` has one fallback."""
    outcome.status, outcome.error, outcome.data, outcome.fresh_until = "failed", failure, NULL, None
    if step.fallback is None:
        return
    try:
        outcome.data = step.fallback(scope)
    except CallFailure as second:
        outcome.error = second
    else:
        outcome.status = "fallback"


def _observe(plan: Plan, step: Step, outcome: Outcome, runtime: Runtime) -> None:
    """The policy `observe`: tells that the call has settled, and how."""
    error = outcome.error.type if outcome.error is not None else None
    seconds = outcome.ended - outcome.started
    runtime.emit(CallEnded(plan.name, step.name, step.spec.upstream, seconds, outcome.status, error, outcome.cache))


class _Fan:
    """The fan-out of one answer: counts down what each call waits for."""

    __slots__ = ("_context", "_deadline", "_group", "_on_settled", "_plan", "_runtime", "_waiting", "progress")

    def __init__(self, plan: Plan, inputs: Inputs, runtime: Runtime, began: float, deadline: float, on_settled: OnSettled | None) -> None:
        self.progress = Progress(new_scope(plan, inputs))
        self._group: asyncio.TaskGroup | None = None
        self._plan, self._context, self._runtime = plan, inputs.context, runtime
        self._deadline, self._on_settled = deadline, on_settled
        self._waiting = dict(plan.waits)

    async def out(self, began: float) -> None:
        """Starts every call that waits for none; the first one runs in this very task, which saves a task."""
        first, *others = self._plan.first
        if len(self._plan.steps) == 1:
            return await self._follow(first, began)
        async with asyncio.TaskGroup() as self._group:
            for step in others:
                self._group.create_task(self._follow(step, began))
            await self._follow(first, began)
        return None

    async def _follow(self, step: Step, started: float) -> None:
        """Runs a call, then one of those that it was the last to hold up; the others get tasks of their own."""
        while True:
            outcome = await settle(self._plan, step, self.progress, self._context, self._deadline, started, self._runtime)
            self.progress.settle(outcome)
            if self._on_settled is not None:
                self._on_settled(outcome, self.progress)
            if step.required and outcome.status == "failed":
                raise RequiredFailed
            freed = self._freed(step.name)
            if not freed:
                return
            step, *others = freed
            started = outcome.ended
            for other in others:
                assert self._group is not None  # noqa: S101 - a plan of several steps has a group
                self._group.create_task(self._follow(other, started))

    def _freed(self, name: str) -> list[Step]:
        freed = []
        for step in self._plan.followers.get(name, ()):
            self._waiting[step.name] -= 1
            if not self._waiting[step.name]:
                freed.append(step)
        return freed


def _failed(plan: Plan, progress: Progress, began: float) -> Answer:
    declared = [step.name for step in plan.steps if step.name in progress.outcomes]
    return Answer({name: progress.outcomes[name] for name in declared}, failed=True, began=began)
