"""What each policy costs: CPU microseconds per call, of a stack with it over a stack without. Run: python -m bench.policies"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop

from app.catalog.schema import CallSpec, Upstream
from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.data import Data
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.policies.stack import build, open_state
from app.policies.store import Store

CALLS = 5_000
ROUNDS = 25
IN_FLIGHT = 32
"""Calls at a time, as in the service's benchmark: a turn of the event loop serves many, and its cost is nobody's in particular."""
SAME = "/same"
REPLY = Reply(Data.of_raw(b'{"n": 1}'), 200, ((b"content-type", b"application/json"),))
UPSTREAM: dict[str, Any] = {"url": "http://up.test", "coalesce": False}
CALL: dict[str, Any] = {"upstream": "u", "path": "/x", "coalesce": False}
POLICIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cache (hit)": ({"cache": {}}, {"cache": {}, "path": SAME}),
    "cache (miss)": ({"cache": {}}, {"cache": {}}),
    "coalesce": ({}, {"coalesce": True}),
    "retry": ({}, {"retry": {}}),
    "hedge": ({}, {"hedge": {"after": "80ms"}}),
    "hedge (p95)": ({}, {"hedge": {"after": "p95"}}),
    "balance": ({"url": None, "urls": ["http://a.test", "http://b.test"]}, {}),
    "breaker": ({"breaker": {}}, {}),
    "rate": ({"rate": {"rate": "1000000000/s"}}, {}),
    "timeout": ({}, {"timeout": "1s"}),
    "concurrency": ({"concurrency": {}}, {}),
    "concurrency (adaptive)": ({"concurrency": {"adaptive": True}}, {}),
    "all but the cache": (
        {"breaker": {}, "rate": {"rate": "1000000000/s"}, "concurrency": {}},
        {"coalesce": True, "retry": {}, "hedge": {"after": "80ms"}, "timeout": "1s"},
    ),
}


async def terminal(call: Call) -> Reply:
    """An upstream that answers at once, after one turn of the loop as any real one."""
    call.record.attempts += 1
    future = LOOP.create_future()
    LOOP.call_soon(_answer, future)
    await future
    return REPLY


LOOP: asyncio.AbstractEventLoop


def _answer(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Bench:
    """A stack with some policies, ready to be called."""

    def __init__(self, upstream: dict[str, Any], call: dict[str, Any]) -> None:
        self._runtime = Runtime(Tasks(lambda name, fault: print(name, fault)), LOOP.time)
        spec = Upstream.model_validate({k: v for k, v in {**UPSTREAM, **upstream}.items() if v is not None})
        state = open_state("u", spec, self._runtime, Store(1 << 20))
        self._send = build(CallSpec.model_validate({**CALL, **call}), "GET", state, terminal, None).send
        self._is_same = call.get("path") == SAME
        self._context, self._reading = Context("r"), Reading()
        self.best = float("inf")

    async def round(self, targets: list[str]) -> None:
        """CPU microseconds of a call, when all these targets are asked for by so many callers; the best round counts."""
        if self._is_same:
            targets = [SAME] * len(targets)
        began = time.process_time()
        async with asyncio.TaskGroup() as callers:
            for first in range(IN_FLIGHT):
                callers.create_task(self._ask(targets[first::IN_FLIGHT]))
        self.best = min(self.best, (time.process_time() - began) / len(targets) * 1e6)

    async def _ask(self, targets: list[str]) -> None:
        send, now, context, reading = self._send, self._runtime.now, self._context, self._reading
        for target in targets:
            await send(Call("c", "u", "GET", target, (("accept", "*/*"),), None, None, now() + 2, reading, context, Record()))


async def measure() -> dict[str, float]:
    """CPU microseconds that each policy adds to a call: of its best round, less that of the bare stack; all take turns."""
    global LOOP
    LOOP = asyncio.get_running_loop()
    benches = {name: Bench(*specs) for name, specs in {"bare stack": ({}, {}), **POLICIES}.items()}
    for round_ in range(ROUNDS):
        targets = [f"/{round_}/{number}" for number in range(CALLS)]  # made outside the time that is measured
        for bench in benches.values():
            await bench.round(targets)
    bare = benches["bare stack"].best
    return {name: bench.best - (0 if name == "bare stack" else bare) for name, bench in benches.items()}


def main() -> None:
    """Prints a line per policy, on the event loop of the service."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, cost in runner.run(measure()).items():
            sys.stdout.write(f"{name:<24}{cost:6.1f} µs\n")


if __name__ == "__main__":
    main()
