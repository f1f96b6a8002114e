"""Paces the calls to an upstream: over the rate a call waits for its turn, at most `wait`, then fails with `rate_limited`."""

from __future__ import annotations

import asyncio

from app.catalog.schema_policies import Rate
from app.core.call import Call, Policy, Send
from app.core.errors import RateLimited
from app.core.events import Rejected
from app.core.reply import Reply
from app.core.runtime import Shared
from app.policies.bucket import burst_of
from app.policies.state import UpstreamState


class Pacer:
    """The turns of one upstream: of this process, or shared with others while their store answers."""

    def __init__(self, spec: Rate, state: UpstreamState) -> None:
        assert state.bucket is not None  # noqa: S101 - an upstream with a rate has a bucket
        self._bucket = state.bucket
        self._wait = spec.wait
        self._rate, self._burst = spec.rate, burst_of(spec)
        self._runtime = state.runtime
        self._key = f"rate:{state.name}"
        self._rejected = Rejected(state.name, "rate")

    async def turn(self, call: Call) -> None:
        """Returns when it is the call's turn; raises RateLimited at once if that comes too late."""
        patience = min(self._wait, call.until - self._runtime.now())
        if self._runtime.shared is not None and await self._shared_turn(self._runtime.shared, patience):
            return
        delay = self._bucket.reserve(self._runtime.now(), patience)
        if delay is None:
            raise self._refusal(self._bucket.delay(self._runtime.now()))
        if not delay:
            return
        call.record.notes.append(f"waited {delay * 1000:.0f} ms for its turn: rate")
        try:
            await asyncio.sleep(delay)
        except BaseException:
            self._bucket.give_back()
            raise

    async def _shared_turn(self, shared: Shared, patience: float) -> bool:
        """Whether the shared bucket gave a turn; False where its store does not answer."""
        end = self._runtime.now() + patience
        while True:
            delay = await shared.take(self._key, self._rate, self._burst)
            if not delay:
                return delay is not None
            if self._runtime.now() + delay > end:
                raise self._refusal(delay)
            await asyncio.sleep(delay)

    def _refusal(self, delay: float) -> RateLimited:
        self._runtime.emit(self._rejected)
        return RateLimited(retry_after=delay)


def rate(spec: Rate, state: UpstreamState) -> Policy:
    """Lets calls through at the upstream's rate."""
    pacer = Pacer(spec, state)

    def wrap(send: Send) -> Send:
        async def paced(call: Call) -> Reply:
            await pacer.turn(call)
            return await send(call)

        return paced

    return wrap
