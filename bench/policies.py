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

CALLS = 20_000
ROUNDS = 7
REPLY = Reply(Data.of_raw(b'{"n": 1}'), 200, ((b"content-type", b"application/json"),))
UPSTREAM: dict[str, Any] = {"url": "http://up.test", "coalesce": False}
CALL: dict[str, Any] = {"upstream": "u", "path": "/x", "coalesce": False}
POLICIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cache (hit)": ({"cache": {}}, {"cache": {}}),
    "cache (miss)": ({"cache": {}}, {"cache": {}, "path": "/{n}"}),
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


async def cost(upstream: dict[str, Any], call: dict[str, Any]) -> float:
    """CPU microseconds of one call through such a stack; the best of several rounds."""
    global LOOP
    LOOP = asyncio.get_running_loop()
    runtime = Runtime(Tasks(lambda name, fault: print(name, fault)), LOOP.time)
    spec = Upstream.model_validate({k: v for k, v in {**UPSTREAM, **upstream}.items() if v is not None})
    state = open_state("u", spec, runtime, Store(1 << 20))
    send = build(CallSpec.model_validate({**CALL, **call}), "GET", state, terminal, None).send
    context, reading, best = Context("r"), Reading(), float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(CALLS):
            deadline = runtime.now() + 2
            target = "/x" if call.get("path") is None else f"/{began}/{number}"
            await send(Call("c", "u", "GET", target, (("accept", "*/*"),), None, None, deadline, reading, context, Record()))
        best = min(best, time.process_time() - began)
    return best / CALLS * 1e6


def main() -> None:
    """Prints a line per policy."""
    for factory in (uvloop.new_event_loop, asyncio.SelectorEventLoop):
        with asyncio.Runner(loop_factory=factory) as runner:
            bare = runner.run(cost({}, {}))
            out(f"\n{factory.__module__}: bare stack {bare:.1f} µs")
            for name, (upstream, call) in POLICIES.items():
                out(f"{name:<24}{runner.run(cost(upstream, call)) - bare:6.1f} µs")


def out(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
