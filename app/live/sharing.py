"""One poll for all processes: before a live call asks its upstream, it looks whether another process did within the interval.

Only successes are shared, for a little less than an interval. A store that does not answer is a miss: then this process
polls for itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from app.core.call import Call, Send
from app.core.data import Data
from app.core.reply import Reply
from app.core.runtime import Shared
from app.engine.plan import Plan

SHARE = 0.8
"""Of an interval for which an answer counts for others: less than the shortest interval with jitter, so that each round has news."""


def shared_plan(plan: Plan, shared: Shared) -> Plan:
    """The plan with calls that share what they were answered; push sources have a connection of their own anyway."""
    steps = (
        step if step.every is None or step.spec.stream is not None else replace(step, send=shared_send(step.send, shared, step.every * SHARE))
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def shared_send(send: Send, shared: Shared, seconds: float) -> Send:
    """A service that asks another process's answer first, up to `seconds` old. The key holds all that is sent of a client."""

    async def asked(call: Call) -> Reply:
        key = "live:" + hashlib.blake2b(repr(call.key).encode(), digest_size=20).hexdigest()
        if (held := await shared.get(key)) is not None:
            return Reply(Data.of_raw(held))
        reply = await send(call)
        if reply.state == "ok":
            await shared.put(key, reply.data.raw, seconds)
        return reply

    return asked
