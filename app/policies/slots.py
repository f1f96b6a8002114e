"""The slots of one upstream: taken at once, waited for in line, or refused; given back when the work is really over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.catalog.schema_policies import Concurrency
from app.core.call import Call
from app.core.errors import CallFailure, Overloaded, TimedOut, unsent
from app.core.events import Rejected
from app.core.runtime import Runtime
from app.policies.gradient import Gradient
from app.policies.latency import Latency
from app.policies.line import Line, Place


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """A call in line. `turn` is done with None when it has a slot, with the failure that ends its wait otherwise."""

    call: Call
    turn: asyncio.Future[CallFailure | None]


class Slots:
    """At most `limit` calls hold one; `queue` more may wait. Nobody is served who cannot end in time."""

    def __init__(self, spec: Concurrency, upstream: str, runtime: Runtime, latency: Latency) -> None:
        self._spec = spec
        self._runtime = runtime
        self._latency = latency
        self._gradient = Gradient(spec.max) if spec.adaptive else None
        self._line: Line[_Waiter] = Line()
        self._rejected = Rejected(upstream, "concurrency")
        self.taken = 0

    @property
    def limit(self) -> int:
        """How many may hold one now."""
        return self._spec.max if self._gradient is None else self._gradient.limit

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._line)

    async def take(self, call: Call) -> None:
        """Returns with a slot, which `give_back` returns; raises Overloaded, or TimedOut where the call's time is up first."""
        if self.taken < self.limit and not self._line:
            self.taken += 1
            return
        if len(self._line) >= self._spec.queue:
            self._runtime.emit(self._rejected)
            raise Overloaded(retry_after=1.0)
        await self._wait(call)

    async def _wait(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        now = self._runtime.now()
        waiter = _Waiter(call, loop.create_future())
        place = self._line.join(waiter, now)
        gives_up = min(call.expires, call.deadline)
        ends = gives_up if self._spec.wait is None else min(gives_up, now + self._spec.wait)
        timer = loop.call_at(ends, self._give_up, place, ends < gives_up) if ends < float("inf") else None
        try:
            refusal = await waiter.turn
        except BaseException:
            self._line.leave(place)
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.result() is None:
                self._free()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        waited = (self._runtime.now() - now) * 1000
        call.record.notes.append(f"{'no slot' if refusal is not None else 'a slot'} after {waited:.0f} ms in the queue")
        if refusal is not None:
            raise refusal

    def _give_up(self, place: Place[_Waiter], is_wait: bool) -> None:
        """The waiter's time is up: `wait` is over, or else its timeout or deadline."""
        turn = place.who.turn
        if turn.done():
            return
        self._line.leave(place)
        if is_wait:
            self._runtime.emit(self._rejected)
        turn.set_result(Overloaded(retry_after=1.0) if is_wait else unsent())

    def give_back(self, call: Call, began: float, fault: BaseException | None) -> None:
        """The attempt that took a slot at `began` is over; a thread or process that still works for it keeps the slot."""
        now = self._runtime.now()
        if self._gradient is not None and (fault is None or isinstance(fault, TimedOut)):
            self._gradient.sample(now, now - began, self.taken)
        if call.lingers is not None:
            call.lingers.add_done_callback(lambda _: self._free())
            return
        self._free()

    def _free(self) -> None:
        self.taken -= 1
        while self._line and self.taken < self.limit:
            self._serve(self._runtime.now())

    def _serve(self, now: float) -> None:
        """Gives the free slot to who is next, unless it has gone or its answer would come too late."""
        waiter = self._line.serve(now)
        if waiter is None or waiter.turn.done():
            return
        left = min(waiter.call.expires, waiter.call.until) - now
        if left <= 0 or left < self._latency.shortest(now):
            waiter.turn.set_result(unsent())
            return
        self.taken += 1
        waiter.turn.set_result(None)

    def __repr__(self) -> str:
        return f"<Slots {self.taken} of {self.limit} taken, {len(self._line)} wait>"
