"""The promise: a blocking function cannot be stopped, so its caller is released in time and its slot is taken until it returns."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

from app.catalog.schema import CallSpec, Upstream
from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.errors import Overloaded, TimedOut
from app.core.events import AttemptEnded, Event
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.policies.stack import build
from app.policies.state import open_state
from app.policies.store import Store
from app.upstream.python import PythonUpstream
from tests.fakes.process import serving

MILL = """
import threading
gate, inside = threading.Event(), threading.Semaphore(0)

def grind():
    inside.release()
    gate.wait(10)
    return 1

gates = [threading.Event(), threading.Event()]
turns = iter(gates)

def steps():
    next(turns, gate).wait(10)
    return 1
"""


def call(within: float) -> Call:
    """A call with so many seconds."""
    return Call("c", "mill", "CALL", "", (), None, {}, asyncio.get_running_loop().time() + within, Reading(), Context("id"), Record())


async def test_a_released_callers_slot_is_free_when_the_function_has_returned(tmp_path: Path) -> None:
    """Until then the next calls find no slot: they queue, or are refused, and no further thread is started."""
    (tmp_path / "mill_functions.py").write_text(MILL)
    tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
    spec = Upstream.model_validate({"python": "mill_functions:grind", "concurrency": {"max": 2, "queue": 1}})
    runtime = Runtime(tasks, asyncio.get_running_loop().time)
    upstream, state = PythonUpstream("mill", spec, tmp_path, runtime), open_state("mill", spec, runtime, Store(1 << 20))
    send = build(CallSpec(upstream="mill"), "CALL", state, upstream.send, None).send
    module = sys.modules["mill_functions"]
    before = threading.active_count()

    for _ in range(2):
        with pytest.raises(TimedOut):
            await send(call(0.05))
    with pytest.raises(TimedOut) as queued:
        await send(call(0.05))
    assert not queued.value.sent
    waiting = asyncio.create_task(send(call(5)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await send(call(5))
    assert threading.active_count() == before + 2

    module.gate.set()
    assert (await waiting).data.value == 1
    assert (await send(call(5))).data.value == 1
    await upstream.aclose()
    await tasks.aclose()


async def test_an_overrun_holds_its_own_slot_and_not_its_rivals(tmp_path: Path) -> None:
    """The second attempt answers after the first has timed out: its slot is free at once, the other's when the function returns."""
    (tmp_path / "mill_steps.py").write_text(MILL)
    tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
    hedged = {"timeout": "150ms", "retry": {"unsafe": True, "attempts": 1}, "hedge": {"after": "50ms", "budget": "100%"}}
    spec = Upstream.model_validate({"python": "mill_steps:steps", "run": "thread", "concurrency": {"max": 2, "queue": 0}, **hedged})

    def heard(event: Event) -> None:
        if isinstance(event, AttemptEnded) and event.failure == "timeout":
            module.gates[1].set()

    runtime = Runtime(tasks, asyncio.get_running_loop().time, heard)
    upstream, state = PythonUpstream("mill", spec, tmp_path, runtime), open_state("mill", spec, runtime, Store(1 << 20))
    module = sys.modules["mill_steps"]
    send = build(CallSpec.model_validate({"upstream": "mill", **hedged}), "CALL", state, upstream.send, None).send

    assert (await send(call(5))).data.value == 1
    assert repr(state.slots) == "<Slots 1 of 2 taken, 0 wait>"
    module.gate.set()
    assert (await send(call(5))).data.value == 1
    module.gates[0].set()
    async with asyncio.timeout(5):
        while state.slots is not None and state.slots.taken:  # noqa: ASYNC110 - a thread tells no event
            await asyncio.sleep(0.001)
    await upstream.aclose()
    await tasks.aclose()


@pytest.mark.slow
async def test_a_hung_function_holds_up_no_end(tmp_path: Path) -> None:
    """Neither `call` nor a server waits for it: its thread ends with the process."""
    (tmp_path / "hung_functions.py").write_text("import threading\n\ndef hang():\n    threading.Event().wait()\n")
    catalog = tmp_path / "merganser.yaml"
    catalog.write_text("upstreams: {h: {python: 'hung_functions:hang'}}\nendpoints: {h: {get: /h, deadline: 200ms, calls: {h: {upstream: h}}}}\n")
    asked = await asyncio.create_subprocess_exec(sys.executable, "-m", "app", "call", str(catalog), "h", stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        assert b'"type":"timeout"' in (await asked.communicate())[0]
    async with serving(catalog) as server:
        assert await server.status("/h") == 504
        server.signal()
        began = time.monotonic()
        assert await server.ended() == 0
        assert time.monotonic() - began < 4
