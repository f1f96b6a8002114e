"""Chooses among the urls of an upstream: of two random ones the less loaded, and another one for a retry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from msgspec.structs import replace

from app.core.call import Call, Policy, Send
from app.core.errors import CircuitOpen
from app.core.events import Rejected
from app.core.reply import Reply
from app.policies.state import UpstreamState


class Balancer:
    """The choice for one upstream. One whose circuit is open is passed over; when its pause is over it may be chosen again."""

    def __init__(self, state: UpstreamState) -> None:
        self._origins = state.origins
        self._circuits = state.circuits
        self._runtime = state.runtime
        self._loads = state.loads
        self._rejected = Rejected(state.name, "breaker")

    def choose(self, call: Call) -> str:
        """The url for an attempt, which is noted as tried; raises CircuitOpen where every circuit is open."""
        now = self._runtime.now()
        ready = [origin for origin in self._origins if not self._circuits or self._circuits[origin].is_ready(now)]
        if not ready:
            self._runtime.emit(self._rejected)
            raise CircuitOpen(retry_after=min(circuit.retry_after(now) for circuit in self._circuits.values()))
        origin = pick(ready, call.record.tried, self._loads, self._runtime.random)
        call.record.tried += (origin,)
        return origin


def pick(ready: Sequence[str], tried: Sequence[str], loads: Mapping[str, int], random: Random) -> str:
    """The power of two choices (Mitzenmacher 2001): nearly as good as the least loaded of all, and no herd runs to one.

    Those not tried come first; where all were, any but the last.
    """
    fresh = ready
    if tried:
        fresh = [origin for origin in ready if origin not in tried] or [origin for origin in ready if origin != tried[-1]] or ready
    if len(fresh) == 1:
        return fresh[0]
    first = int(random.random() * len(fresh))
    second = int(random.random() * (len(fresh) - 1))
    one, other = fresh[first], fresh[second + (second >= first)]
    return one if loads[one] <= loads[other] else other


def balance(state: UpstreamState) -> Policy:
    """Sends each attempt to a url of its own choice."""
    balancer, loads = Balancer(state), state.loads
    choose: Callable[[Call], str] = balancer.choose

    def wrap(send: Send) -> Send:
        async def balanced(call: Call) -> Reply:
            origin = choose(call)
            loads[origin] += 1
            try:
                return await send(replace(call, origin=origin))
            finally:
                loads[origin] -= 1

        return balanced

    return wrap
