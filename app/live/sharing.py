"""One poll for all processes: who comes first in an interval asks the upstream, the others are told what it was answered.

The turns are those of a token bucket in the shared store, one for most of an interval. Only successes are shared. Where
the store does not answer, or who has the turn fails or takes too long, a process polls for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace

from app.core.call import Call, Send
from app.core.data import Data
from app.core.reply import Reply
from app.core.runtime import Runtime, Shared
from app.engine.plan import Plan

SHARE = 0.8
"""Of an interval, from one poll to the next turn: less than the shortest interval with jitter, so that each round has news."""
PATIENCE = 1.0
"""Seconds for which the others wait for who has the turn, and half of the time that they have, at most."""
LOOKS_EVERY = 0.02
"""Seconds between two looks for its answer."""

ASKING, FAILED = b"", b"!"
"""What stands for an answer until there is one, and where there is none; no JSON is either."""


def shared_plan(plan: Plan, shared: Shared, runtime: Runtime) -> Plan:
    """The plan with calls that share what they were answered; push sources have a connection of their own anyway."""
    steps = (
        step
        if step.every is None or step.spec.stream is not None
        else replace(step, send=shared_send(step.send, shared, step.every * SHARE, runtime.now))
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def shared_send(send: Send, shared: Shared, seconds: float, now: Callable[[], float]) -> Send:
    """A service that is asked once in `seconds` by all processes together. The key holds all that is sent of a client."""

    async def asked(call: Call) -> Reply:
        name = "live:" + hashlib.blake2b(repr(call.key).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        wait = await shared.take(name, 1 / seconds, 1)
        if wait is None:
            return await send(call)
        if wait == 0.0:
            return await _ask_for_all(call, send, shared, name, seconds)
        held = await _told(shared, name, now, now() + min(PATIENCE, (call.until - now()) / 2))
        return await send(call) if held is None else Reply(Data.of_raw(held))

    return asked


async def _ask_for_all(call: Call, send: Send, shared: Shared, name: str, seconds: float) -> Reply:
    """The upstream's answer, told to all who wait; its failure too, in whatever way it ends."""
    said = FAILED
    await shared.put(name, ASKING, PATIENCE)
    try:
        reply = await send(call)
        if reply.state == "ok":
            said = reply.data.raw
    finally:
        await shared.put(name, said, seconds)
    return reply


async def _told(shared: Shared, name: str, now: Callable[[], float], end: float) -> bytes | None:
    """What who has the turn was answered, None where it is not known in time."""
    while (held := await shared.get(name)) == ASKING and now() < end:  # noqa: ASYNC110 - another process tells no event
        await asyncio.sleep(LOOKS_EVERY)
    return held if held not in (ASKING, FAILED) else None
