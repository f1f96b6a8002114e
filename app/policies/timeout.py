"""One attempt has so much time, from the asking for a slot and a connection to the last byte."""

from __future__ import annotations

from msgspec.structs import replace

from app.core.call import Call, Policy, Send
from app.core.reply import Reply
from app.policies.state import UpstreamState


def timeout(seconds: float, state: UpstreamState) -> Policy:
    """Names the moment at which an attempt is given up. Whoever waits below ends at it by itself: no timer is set here."""
    now = state.runtime.now

    def wrap(send: Send) -> Send:
        async def timed(call: Call) -> Reply:
            return await send(replace(call, expires=min(now() + seconds, call.deadline)))

        return timed

    return wrap
