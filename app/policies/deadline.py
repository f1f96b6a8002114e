"""Lets nothing begin whose answer nobody can wait for any more; for calls that may have one without asking."""

from __future__ import annotations

from app.core.call import Call, Policy, Send
from app.core.errors import unsent
from app.core.reply import Reply
from app.policies.state import UpstreamState


def deadline(state: UpstreamState) -> Policy:
    """Fails with `timeout`, nothing sent, where the call's time is up. What begins before is ended by whoever waits below."""
    now = state.runtime.now

    def wrap(send: Send) -> Send:
        async def timely(call: Call) -> Reply:
            if now() >= call.deadline:
                raise unsent()
            return await send(call)

        return timely

    return wrap
