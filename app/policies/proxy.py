"""The policies of a proxied call: breaker, rate, concurrency and credentials, round an answer that streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from msgspec.structs import replace

from app.catalog.schema import Upstream
from app.core.call import Call, Headers, Policy
from app.core.data import NULL
from app.core.errors import CallFailure, StatusFailed
from app.core.reply import Reply
from app.policies.balance import Balancer
from app.policies.breaker import Guard, guards
from app.policies.rate import Pacer
from app.policies.state import UpstreamState

_UNAUTHORIZED = 401


class Admitted:
    """A proxied call that may go: `call` is what to send; `answered` tells the status as soon as the head is there.

    The breaker counts it once. A good head is a verdict, since a body may stream for hours and a probe must not wait for
    it; the verdict is taken back where the body breaks off.
    """

    __slots__ = ("_counted", "_credentials", "_guard", "_now", "_ticket", "call")

    def __init__(self, call: Call, guard: Guard | None, credentials: Policy | None, now: Callable[[], float]) -> None:
        self.call = call
        self._guard = guard
        self._credentials = credentials
        self._now = now
        self._ticket = guard.admit() if guard is not None else 0
        self._counted: float | None = None

    async def authorize(self) -> None:
        """Puts our credential on the call."""
        if self._credentials is not None:
            self.call = await _with_credentials(self._credentials, self.call)

    async def renew(self) -> bool:
        """The upstream has answered 401: puts another credential on the call; False where there is none to be had."""
        if self._credentials is None:
            return False
        try:
            self.call = await _with_credentials(self._credentials, self.call, refused=self.call.credentials)
        except CallFailure:
            return False
        return True

    def answered(self, status: int) -> None:
        """The upstream answered, with this status."""
        if status >= 500:
            self.ended(StatusFailed(status))
        elif self._guard is not None:
            self._counted = self._now()
            self._guard.good(self._ticket)

    def ended(self, fault: BaseException) -> None:
        """It failed, or its client left: counts by the fault's flags."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if self._counted is None:
            guard.ended(self._ticket, fault)
        else:
            guard.broke(self._ticket, self._counted, fault)


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
            call = replace(call, origin=balancer.choose(call))
        admitted = Admitted(call, by_origin.get(call.origin), credentials, now)
        try:
            if pacer is not None:
                await pacer.turn(call)
            call = replace(call, expires=call.deadline if spec.timeout is None else min(now() + spec.timeout, call.deadline))
            if slots is not None:
                await slots.take(call)
            with _with_upstream(state, call):
                admitted.call = call
                await admitted.authorize()
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


async def _with_credentials(credentials: Policy, call: Call, *, refused: Headers | None = None) -> Call:
    """The call as the credentials policy would send it, if these were `refused`. Raises CallFailure where it has no others."""
    authorized = call

    async def take(call: Call) -> Reply:
        nonlocal authorized
        if call.credentials == refused:
            raise StatusFailed(_UNAUTHORIZED)
        authorized = call
        return Reply(NULL)

    await credentials(take)(call)
    return authorized
