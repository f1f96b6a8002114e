"""One upstream's stack over a scripted service, without a network: what every attempt does is said by a function or a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from app.catalog.schema import CallSpec, Upstream
from app.core.call import Call, Policy, Reading, Record
from app.core.context import Context
from app.core.data import Data
from app.core.errors import CallFailure, StatusFailed, TimedOut
from app.core.events import Event
from app.core.reply import Reply
from app.core.runtime import Runtime, Shared
from app.core.tasks import Tasks
from app.policies.stack import Stack, UpstreamState, build, open_state
from app.policies.store import Store

Answer = Any
"""Of an attempt: a JSON value, a status that is no success, a CallFailure to raise, a RuntimeError for a bug of ours, or a Reply."""
Script = Callable[[Call, int], tuple[float, Answer]] | Sequence[tuple[float, Answer]]
"""Seconds and answer of each attempt: by a function of the call and its number (from 0), or a list whose last entry repeats."""


class Wire:
    """The innermost service: takes its time, honours `expires` and `deadline` as the transport does, and keeps count."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[Call] = []
        self.times: list[float] = []
        self.open = 0
        self.peak = 0
        self.cancelled = 0

    async def send(self, call: Call) -> Reply:
        """One attempt."""
        now = asyncio.get_running_loop().time
        seconds, answer = self._next(call)
        self.calls.append(call)
        self.times.append(now())
        call.record.attempts += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            await self._work(now() + seconds, min(call.expires, call.deadline))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1
        return self._reply(call, answer)

    def _next(self, call: Call) -> tuple[float, Answer]:
        number = len(self.calls)
        if callable(self._script):
            return self._script(call, number)
        return self._script[min(number, len(self._script) - 1)]

    async def _work(self, ends: float, limit: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, min(ends, limit) - loop.time()))
        if ends > limit:
            raise TimedOut

    def _reply(self, call: Call, answer: Answer) -> Reply:
        if isinstance(answer, Reply):
            call.record.http_status = answer.status
            return answer
        if isinstance(answer, RuntimeError):
            raise answer
        failure = answer if isinstance(answer, CallFailure) else StatusFailed(answer) if type(answer) is int and answer >= 300 else None
        if failure is None or failure.http_status is not None:
            call.record.http_status = 200 if failure is None else failure.http_status
        if failure is not None:
            raise failure
        return Reply(Data.of(answer), 200)

    def __len__(self) -> int:
        return len(self.calls)


class Rig:
    """A stack, its wire, its state and its events; `now` in virtual seconds."""

    def __init__(
        self, script: Script, *, upstream: dict[str, Any] | None = None, method: str = "GET", credentials: Policy | None = None,
        shared: Shared | None = None, store: Store | None = None, is_read: bool = True, **call: Any,
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        self.wire = Wire(script)
        self.events: list[Event] = []
        self.faults: list[BaseException] = []
        self.tasks = Tasks(lambda _, fault: self.faults.append(fault))
        self.now = loop.time
        self.runtime = Runtime(self.tasks, loop.time, self.events.append, wall=loop.time, random=Random(7), shared=shared)
        upstream = {"url": "http://up.test", **(upstream or {})}
        for key in ("timeout", "retry", "hedge", "cache", "coalesce"):
            if key in upstream:
                call.setdefault(key, upstream[key])
        self.spec = Upstream.model_validate({key: value for key, value in upstream.items() if value is not None})
        self.call_spec = CallSpec.model_validate({"upstream": "u", "path": "/x", **call})
        self.store = store or Store(1 << 20)
        self.state: UpstreamState = open_state("u", self.spec, self.runtime, self.store)
        self.method = method
        self.stack: Stack = build(self.call_spec, method, self.state, self.wire.send, credentials, is_read=is_read)

    def call(self, target: str = "/x", *, within: float = 10.0, headers: tuple[tuple[str, str], ...] = (), **more: Any) -> Call:
        """A call whose answer must be there `within` seconds."""
        body, args = more.get("body"), more.get("args")
        return Call("c", "u", self.method, target, headers, body, args, self.now() + within, Reading(), Context("r"), Record())

    async def send(self, target: str = "/x", **more: Any) -> Reply:
        """Sends a call through the stack."""
        return await self.stack.send(self.call(target, **more))

    async def outcome(self, call: Call | str = "/x", **more: Any) -> Any:
        """The data of a call, or the type of its failure."""
        try:
            return (await self.stack.send(call if isinstance(call, Call) else self.call(call, **more))).data.value
        except CallFailure as failure:
            return failure.type

    def told(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def assert_nothing_is_left(self) -> None:
        """No slot, flight, refresh, attempt or task is left over; nothing has crashed."""
        assert self.wire.open == self.state.in_flight == 0
        assert not any(flights for flights in self.state.flights.values())
        assert not self.state.refreshing
        assert self.state.slots is None or (self.state.slots.taken, self.state.slots.queued) == (0, 0)
        assert not any(self.state.loads.values())
        assert not len(self.tasks), repr(self.tasks)
        assert not self.faults
