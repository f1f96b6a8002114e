"""The policies of a proxied call: breaker, rate, concurrency and credentials, round an answer that streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from app.catalog.schema import Upstream
from app.core.call import Call, Policy
from app.core.data import NULL
from app.core.errors import StatusFailed
from app.core.reply import Reply
from app.policies.balance import Balancer
from app.policies.breaker import Guard, guards
from app.policies.rate import Pacer
from app.policies.state import UpstreamState


class Admitted:
    """A proxied call that may go: `call` is what to send; `answered` tells the status as soon as the head is there."""

    __slots__ = ("_guard", "_ticket", "call")

    def __init__(self, call: Call, guard: Guard | None) -> None:
        self.call = call
        self._guard = guard
        self._ticket = guard.admit() if guard is not None else 0

    def answered(self, status: int) -> None:
        """The upstream answered: a verdict now, since a body may stream for hours. One that breaks later counts then."""
        if self._guard is None:
            return
        if status < 500:
            self._guard.good(self._ticket)
        else:
            self.ended(StatusFailed(status))

    def ended(self, fault: BaseException) -> None:
        """It failed, or its client left: counts by the fault's flags, once."""
        if self._guard is not None:
            self._guard.ended(self._ticket, fault)
        self._guard = None


Admit = Callable[[Call], AbstractAsyncContextManager[Admitted]]
"""Admits a proxied call: `async with admit(call) as admitted`. Raises CallFailure; a slot is held to the end of the block."""


def build_proxy(spec: Upstream, state: UpstreamState, credentials: Policy | None) -> Admit:
    """What lets calls through to one upstream, in the order of the stack; `expires` bounds the wait for the answer's head."""
    now, slots = state.runtime.now, state.slots
    balancer = Balancer(state) if len(state.origins) > 1 else None
    by_origin = guards(state) if state.circuits else {}
    pacer = Pacer(spec.rate, state) if spec.rate is not None else None

    @asynccontextmanager
    async def admit(call: Call) -> AsyncIterator[Admitted]:
        if balancer is not None:
            call = call.but(origin=balancer.choose(call))
        admitted = Admitted(call, by_origin.get(call.origin))
        try:
            if pacer is not None:
                await pacer.turn(call)
            call = call.but(expires=call.deadline if spec.timeout is None else min(now() + spec.timeout, call.deadline))
            if slots is not None:
                await slots.take(call)
            with _with_upstream(state, call):
                admitted.call = call if credentials is None else await _with_credentials(credentials, call)
                yield admitted
        except BaseException as fault:
            admitted.ended(fault)
            raise

    return admit


@contextmanager
def _with_upstream(state: UpstreamState, call: Call) -> Iterator[None]:
    """Counts the call while it is with the upstream, and gives its slot back."""
    began, origin = state.runtime.now(), call.origin or state.origins[0]
    state.in_flight += 1
    state.loads[origin] += 1
    fault: BaseException | None = None
    try:
        yield
    except BaseException as exc:
        fault = exc
        raise
    finally:
        state.in_flight -= 1
        state.loads[origin] -= 1
        if state.slots is not None:
            state.slots.give_back(call, began, fault)


async def _with_credentials(credentials: Policy, call: Call) -> Call:
    """The call as the credentials policy would send it."""
    authorized = call

    async def take(call: Call) -> Reply:
        nonlocal authorized
        authorized = call
        return Reply(NULL)

    await credentials(take)(call)
    return authorized
