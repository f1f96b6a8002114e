"""The innermost layer: counts an attempt while it is with the upstream, and how long it took."""

from __future__ import annotations

import asyncio

from app.core.call import Call, Policy, Send
from app.core.errors import CallFailure, TimedOut
from app.core.reply import Reply
from app.policies.state import UpstreamState


def attempt(state: UpstreamState) -> Policy:
    """Watches the transport. A flight that is cut because its last caller's time is up ends here as the timeout that it is.

    The cancellation of such a flight comes from `coalesce`, which owns its task; turned into TimedOut at the transport it
    counts for the breaker, and is known to be none of those that came while the call was still in a queue of ours.
    """
    now, latency = state.runtime.now, state.latency

    def wrap(send: Send) -> Send:
        async def attempted(call: Call) -> Reply:
            state.in_flight += 1
            began = now()
            try:
                reply = await send(call)
            except CallFailure as failure:
                ended(failure, began)
                raise
            except asyncio.CancelledError as cancellation:
                latency.cut(now(), now() - began)
                if call.flight is not None and call.flight.is_cut:
                    end_cancellation()
                    raise TimedOut from cancellation
                raise
            finally:
                state.in_flight -= 1
            at = now()
            latency.good(at, at - began)
            return reply

        return attempted

    def ended(failure: CallFailure, began: float) -> None:
        at = now()
        if failure.blames_upstream:
            latency.bad(at)
            if isinstance(failure, TimedOut):
                latency.cut(at, at - began)
        elif failure.sent:
            latency.good(at, at - began)

    return wrap


def end_cancellation() -> None:
    """Takes back one cancellation of this task, since it is answered by an exception."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a stack runs in a task
    task.uncancel()
