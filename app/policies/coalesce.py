"""Identical calls in flight share one request, which belongs to none of them: it ends when its last caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import NoReturn

from msgspec import field
from msgspec.structs import replace

from app.core.call import Call, Flight, Policy, Record, Send
from app.core.errors import CallFailure, InternalFailure, TimedOut
from app.core.events import CacheAsked
from app.core.reply import Reply
from app.policies.state import UpstreamState

INFINITE = float("inf")
_Landing = Reply | BaseException | None
"""What a caller's wait ends with: the shared outcome, or None when the caller's own time is up."""


class _Shared(Flight, kw_only=True, eq=False):
    """A flight and who waits for it. `record` is that of the call that began it: the attempts are everyone's."""

    record: Record
    callers: set[asyncio.Future[_Landing]] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    is_listed: bool = True
    has_landed: bool = False
    landing: _Landing = None


class Coalescer:
    """The flights of all calls whose stacks are alike from here on down.

    A flight stays listed until the first of its callers has run: by then the answer is in the cache, if there is one, and
    nobody who comes in between asks the upstream once more.
    """

    def __init__(self, state: UpstreamState, send: Send, flights: dict[Hashable, _Shared]) -> None:
        self._state = state
        self._send = send
        self._flights = flights
        self._alarms = state.runtime.alarms
        self._tasks = state.runtime.tasks
        self._joined = CacheAsked(state.name, "coalesced")
        self._task_name = f"flight {state.name}"

    async def send(self, call: Call) -> Reply:
        """Joins the flight of an identical call, or begins one; waits for it until the caller's own deadline."""
        if self._tasks.is_closing:
            return await self._send(call)
        key = call.key
        shared = self._flights.get(key)
        if shared is None:
            shared = self._take_off(key, call)
        else:
            self._join(shared, call)
        landing = shared.landing
        if not shared.has_landed:
            caller: asyncio.Future[_Landing] = asyncio.get_running_loop().create_future()
            shared.callers.add(caller)
            self._alarms.watch(call.deadline, caller)
            try:
                landing = await caller
            finally:
                self._alarms.leave(call.deadline, caller)
                shared.callers.discard(caller)
                if shared.has_landed:
                    self._unlist(key, shared)
                elif not shared.callers:
                    self._end(key, shared, is_late=not caller.cancelled())
        if call.record is not shared.record:
            _copy(shared.record, call.record)
        return landing if isinstance(landing, Reply) else _failed(landing)

    def _join(self, shared: _Shared, call: Call) -> None:
        call.record.cache = "coalesced"
        shared.until = max(shared.until, call.deadline)
        self._state.cached["coalesced"] += 1
        self._state.runtime.emit(self._joined)

    def _take_off(self, key: Hashable, call: Call) -> _Shared:
        shared = self._flights[key] = _Shared(until=call.deadline, record=call.record)
        own = replace(call, deadline=INFINITE, flight=shared)
        shared.task = self._tasks.begin(self._fly(key, shared, own), name=self._task_name)
        return shared

    async def _fly(self, key: Hashable, shared: _Shared, call: Call) -> None:
        try:
            shared.landing = await self._send(call)
        except CallFailure as failure:
            shared.landing = failure
        except asyncio.CancelledError as cancellation:
            shared.landing = cancellation
            raise
        except Exception as fault:  # a bug is the failure of each caller, and told once
            shared.landing = fault
            self._tasks.report(self._task_name, fault)
        finally:
            shared.has_landed = True
            if shared.task is not None:
                self._tasks.end(shared.task)
            if not shared.callers:
                self._unlist(key, shared)
            for caller in shared.callers:
                if not caller.done():
                    caller.set_result(shared.landing)

    def _end(self, key: Hashable, shared: _Shared, *, is_late: bool) -> None:
        """The last caller has left: nobody may join any more, and the request is cancelled."""
        self._unlist(key, shared)
        shared.is_cut = is_late
        shared.until = -INFINITE  # whatever would go on, a retry or a hedge, does not
        if shared.task is not None:
            self._tasks.cancel(shared.task)

    def _unlist(self, key: Hashable, shared: _Shared) -> None:
        if shared.is_listed:
            shared.is_listed = False
            del self._flights[key]


def _copy(shared: Record, own: Record) -> None:
    """What became of the shared request, so far, became of the caller's."""
    own.attempts, own.http_status = shared.attempts, shared.http_status
    if shared.notes:
        own.notes = [*own.notes, *shared.notes]


def _failed(landing: BaseException | None) -> NoReturn:
    if landing is None:
        raise TimedOut
    if isinstance(landing, CallFailure):
        raise landing.with_traceback(None)  # one failure for many callers: each would add its frames to it
    raise InternalFailure from landing


def coalesce(state: UpstreamState, alike: Hashable) -> Policy:
    """Shares flights among the calls whose stacks below are `alike`."""
    flights: dict[Hashable, _Shared] = state.flights.setdefault(alike, {})

    def wrap(send: Send) -> Send:
        return Coalescer(state, send, flights).send

    return wrap
