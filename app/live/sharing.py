"""One poll for all processes: who comes first in an interval asks the upstream, the others are told what it was answered.

The turns are those of a token bucket in the shared store, one for most of an interval. Only successes are shared. Where
the store does not answer, or who has the turn fails or takes too long, a process asks for itself. So it does where a round
begins and what others were told is not of just now: a first answer is as new as any.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import msgspec

from app.core.call import Call, Send
from app.core.reply import Reply
from app.core.runtime import Runtime, Shared
from app.engine.plan import Plan
from app.policies.sharing import packed, unpacked

SHARE = 0.8
"""Of an interval, from one poll to the next turn: less than the shortest interval with jitter, so that each round has news."""
PATIENCE = 1.0
"""Seconds for which the others leave it to who is asking, and a quarter of the time that they have, at most: an upstream may need the rest."""
LOOKS_EVERY = 0.02
"""Seconds between two looks for its answer."""
FRESH = 1.0
"""Seconds, and half of an interval, for which an answer is still one of just now, at most."""

VERSION = 2
ASKING, FAILED = b"", b"!"
"""What stands for an answer until there is one, and where there is none; no answer is either."""


class _Told(msgspec.Struct, array_like=True):
    """An answer as it is shared; `at` is when it came, by the calendar's clock, since the loop's is a process's own."""

    data: bytes | None
    status: int | None
    at: float

    @property
    def reply(self) -> Reply:
        """The answer."""
        return Reply(unpacked(self.data), self.status)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Told).decode


def shared_plans(plan: Plan, shared: Shared, runtime: Runtime) -> tuple[Plan, Plan]:
    """The plan as rounds and as polls run it, its calls sharing what they were answered; push sources have a connection of their own anyway."""
    return _shared(plan, shared, runtime, takes_old=False), _shared(plan, shared, runtime, takes_old=True)


def _shared(plan: Plan, shared: Shared, runtime: Runtime, *, takes_old: bool) -> Plan:
    steps = (
        step
        if step.every is None or step.spec.stream is not None
        else replace(step, send=Turns(step.send, shared, step.every, runtime, takes_old=takes_old).send)
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


class Turns:
    """A service that is asked once in most of `every` seconds by all processes together.

    One that `takes_old` is content with the answer of the turn; any other with one of just now, and asks where there is none.
    """

    def __init__(self, send: Send, shared: Shared, every: float, runtime: Runtime, *, takes_old: bool) -> None:
        self._send, self._shared = send, shared
        self._now, self._wall = runtime.now, runtime.wall
        self._seconds = every * SHARE
        self._good_for = float("inf") if takes_old else min(FRESH, every / 2)

    async def send(self, call: Call) -> Reply:
        """The answer that was told, else the upstream's."""
        name = _name_of(call)
        wait = await self._shared.take(name, 1 / self._seconds, 1)
        if wait is None:
            return await self._send(call)
        if wait == 0.0:
            return await self._ask_for_all(call, name)
        held = await self._shared.get(name)
        if held == ASKING:
            return await self._ask_later(call, name)
        told = _read(held)
        if told is not None and self._wall() - told.at >= self._good_for:
            return await self._ask_for_all(call, name)
        return await self._send(call) if told is None else told.reply

    async def _ask_for_all(self, call: Call, name: str) -> Reply:
        """The upstream's answer, told to all who wait; its failure too, in whatever way it ends."""
        said = FAILED
        await self._shared.put(name, ASKING, call.until - self._now())
        try:
            reply = await self._send(call)
            if reply.state == "ok":
                said = _encode(_Told(packed(reply.data), reply.status, self._wall()))
        finally:
            await self._shared.put(name, said, self._seconds)
        return reply

    async def _ask_later(self, call: Call, name: str) -> Reply:
        """What who is asking is answered; the upstream's answer where that fails, or takes too long and is not there first."""
        end = self._now() + min(PATIENCE, (call.until - self._now()) / 4)
        while self._now() < end:
            await asyncio.sleep(LOOKS_EVERY)
            if (held := await self._shared.get(name)) != ASKING:
                told = _read(held)
                return await self._send(call) if told is None else told.reply
        return await self._race(call, name)

    async def _race(self, call: Call, name: str) -> Reply:
        """What is there first: what another was answered, or what comes of asking."""
        own = asyncio.create_task(self._ask(call), name="live call beside another process")
        try:
            while not own.done():
                if (told := _read(await self._shared.get(name))) is not None:
                    return told.reply
                await asyncio.wait((own,), timeout=LOOKS_EVERY)
            return own.result()
        finally:
            own.cancel()
            await asyncio.gather(own, return_exceptions=True)

    async def _ask(self, call: Call) -> Reply:
        return await self._send(call)


def _name_of(call: Call) -> str:
    """The shared name of what is asked: the key holds all that is sent of a client."""
    return f"live:{VERSION}:{hashlib.blake2b(repr(call.key).encode('utf-8', 'surrogatepass'), digest_size=20).hexdigest()}"


def _read(held: bytes | None) -> _Told | None:
    """The answer that is held; None where there is none, or none that can be read."""
    if not held:
        return None
    try:
        return _decode(held)
    except msgspec.MsgspecError:
        return None
