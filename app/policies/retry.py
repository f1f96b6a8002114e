"""Tries again after a failure that may pass: with full jitter, within a budget, and only while someone still waits."""

from __future__ import annotations

import asyncio

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

from app.catalog.schema_policies import Retry
from app.core.call import Call, Policy, Send
from app.core.errors import CallFailure
from app.core.events import BudgetSpent, Retried
from app.core.reply import Reply
from app.policies.state import UpstreamState


def retry(spec: Retry, state: UpstreamState) -> Policy:
    """Makes up to `attempts` attempts. The first goes out directly: tenacity's machinery is paid for after a failure only."""
    now, budget = state.runtime.now, state.retries

    def wrap(send: Send) -> Send:
        schedule = Schedule(spec, state, send)

        async def retried(call: Call) -> Reply:
            budget.count(now())
            try:
                return await send(call)
            except CallFailure as failure:
                if not schedule.is_worth(failure):
                    raise
                first = failure
            return await schedule.go_on(call, first)

        return retried

    return wrap


class Schedule:
    """What comes after a first failure."""

    def __init__(self, spec: Retry, state: UpstreamState, send: Send) -> None:
        self._spec = spec
        self._state = state
        self._send = send
        self._kinds = frozenset(("internal", *(kind for kind in spec.on if isinstance(kind, str))))
        self._statuses = frozenset(status for status in spec.on if isinstance(status, int))
        self._jitter = wait_random_exponential(multiplier=spec.backoff, max=spec.max_backoff)

    def is_worth(self, failure: BaseException) -> bool:
        """Whether another attempt may do better: the failure says so, and `on` names its kind or status, or it is a function's exception."""
        if not isinstance(failure, CallFailure) or not failure.retryable:
            return False
        return failure.http_status in self._statuses if failure.type == "status" else failure.type in self._kinds

    async def go_on(self, call: Call, first: CallFailure) -> Reply:
        """The attempts after the first, which is replayed as the failure that it was."""
        pending: CallFailure | None = first

        async def attempt() -> Reply:
            nonlocal pending
            if pending is not None:
                failure, pending = pending, None
                raise failure
            return await self._send(call)

        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            wait=self._wait,
            stop=lambda state: self._is_over(call, state),
            retry=retry_if_exception(self.is_worth),
            before_sleep=lambda state: self._tell(call, state),
            reraise=True,
        )
        return await retrying(attempt)

    def _wait(self, state: RetryCallState) -> float:
        """Anything between nothing and the backoff, which doubles each time; no less than the upstream asked for."""
        return max(self._jitter(state), failure_of(state).retry_after or 0.0)

    def _is_over(self, call: Call, state: RetryCallState) -> bool:
        """Whether the last failure stands: no attempts left, nobody there any more when the next would begin, or no budget."""
        if state.attempt_number >= self._spec.attempts:
            return True
        now = self._state.runtime.now()
        if now + state.upcoming_sleep >= call.until:
            call.record.notes.append("not retried: the deadline comes first")
            return True
        if self._state.retries.take(now, self._spec.budget):
            return False
        self._state.runtime.emit(BudgetSpent(self._state.name, "retry"))
        call.record.notes.append("not retried: the retry budget is spent")
        return True

    def _tell(self, call: Call, state: RetryCallState) -> None:
        failure = failure_of(state)
        call.record.notes.append(f"retried after {state.upcoming_sleep * 1000:.0f} ms: {failure.type}, {failure.detail}")
        self._state.runtime.emit(Retried(self._state.name, call.name, state.upcoming_sleep, failure.type))


def failure_of(state: RetryCallState) -> CallFailure:
    """What the last attempt failed with."""
    failure = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(failure, CallFailure)  # noqa: S101 - only these are worth a retry
    return failure
