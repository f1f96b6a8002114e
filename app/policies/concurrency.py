"""Bounds the calls that are with an upstream at once; over the bound they queue, in bounded number and for a bounded time."""

from __future__ import annotations

from app.core.call import Call, Policy, Send
from app.core.reply import Reply
from app.policies.state import UpstreamState


def concurrency(state: UpstreamState) -> Policy:
    """Holds one of the upstream's slots while an attempt is with it."""
    slots, now = state.slots, state.runtime.now
    assert slots is not None  # noqa: S101 - an upstream with a concurrency has slots

    def wrap(send: Send) -> Send:
        async def bounded(call: Call) -> Reply:
            await slots.take(call)
            began = now()
            try:
                reply = await send(call)
            except BaseException as fault:
                slots.give_back(call, began, fault)
                raise
            slots.give_back(call, began, None)
            return reply

        return bounded

    return wrap
