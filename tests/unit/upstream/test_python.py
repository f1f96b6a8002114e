"""Python upstreams: functions in the loop, on threads, in processes; bounded, contained, and truthful about what goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.catalog.schema import Upstream
from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.errors import DecodeFailed, InternalFailure, TimedOut, TooLarge
from app.core.events import AttemptEnded, Event, FunctionFailed
from app.core.executor import Executor
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.upstream.python import PythonUpstream

POND = """
import asyncio, os, threading, time

gates = {}

def gate(name):
    return gates.setdefault(name, threading.Event())

def hold(name="g"):
    gate(name + "-in").set()
    gate(name).wait(10)
    return {"held": name}

def kinds(**args):
    return {name: type(value).__name__ for name, value in args.items()}

def spoil(rows):
    rows.append("spoilt")
    rows[0]["x"] = "spoilt"
    return len(rows)

def crash(**args):
    raise RuntimeError("the vault code is 4711")

def leave():
    raise SystemExit(3)

def odd():
    return {1, 2}

def nan():
    return float("nan")

def big():
    return "x" * 1000

def huge():
    return 10 ** 400

def nothing():
    return None

def numbers():
    return {"int": 12345678901234567890123, "text": "ü"}

async def greet(name="nobody"):
    await asyncio.sleep(0)
    return {"hello": name}

async def stay():
    await asyncio.Event().wait()

async def gives_up():
    raise asyncio.CancelledError

async def impatient():
    raise TimeoutError("mine")

stubborn_leaves = None

async def stubborn():
    global stubborn_leaves
    stubborn_leaves = asyncio.Event()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await stubborn_leaves.wait()
        return 1

def pid():
    return os.getpid()

def die():
    os.kill(os.getpid(), 9)

LIMIT = 3

def main_thread():
    return threading.current_thread() is threading.main_thread()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's folder with a module of functions in it."""
    found = tmp_path_factory.mktemp("catalog")
    (found / "pond_functions.py").write_text(POND)
    return found


Make = Callable[..., PythonUpstream]


@pytest.fixture
def events() -> list[Event]:
    """What was told."""
    return []


@pytest.fixture
async def make(folder: Path, events: list[Event]) -> AsyncIterator[Make]:
    """Opens upstreams and closes them again."""
    tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
    opened: list[PythonUpstream] = []
    asyncio.get_running_loop().set_default_executor(Executor(64))

    def open_upstream(function: str, **spec: Any) -> PythonUpstream:
        runtime = Runtime(tasks, asyncio.get_running_loop().time, events.append)
        opened.append(PythonUpstream("pond", Upstream(python=f"pond_functions:{function}", **spec), folder, runtime))
        return opened[-1]

    yield open_upstream
    for upstream in opened:
        await upstream.aclose()
    await tasks.aclose()


def call(args: dict[str, Any] | None = None, *, within: float = 10.0, max_body: int = 1 << 20) -> Call:
    """A call with these arguments."""
    expires = asyncio.get_running_loop().time() + within
    return Call("c", "pond", "CALL", "", (), None, args, expires, Reading(max_body=max_body), Context("id"), Record())


@asynccontextmanager
async def held(name: str) -> AsyncIterator[Any]:
    """The module's functions, with what `hold(name)` waits for set in the end."""
    module = sys.modules["pond_functions"]
    try:
        yield module
    finally:
        module.gate(name).set()


async def inside(name: str) -> None:
    """Waits until `hold(name)` has begun."""
    event: threading.Event = sys.modules["pond_functions"].gate(f"{name}-in")
    while not event.is_set():  # noqa: ASYNC110 - it is set on a thread
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("run", [None, "thread", "process"])
async def test_args_are_keyword_arguments_whose_types_are_kept(make: Make, run: str | None) -> None:
    """Wherever it runs."""
    reply = await make("kinds", run=run).send(call({"i": 1, "f": 1.5, "t": True, "z": None, "l": [1], "o": {}, "s": "x"}))
    assert reply.data.value == {"i": "int", "f": "float", "t": "bool", "z": "NoneType", "l": "list", "o": "dict", "s": "str"}


async def test_an_async_function_runs_in_the_loop_and_a_plain_one_on_a_thread(make: Make) -> None:
    """`run` defaults by the function's kind."""
    assert (make("greet").kind, make("pid").kind) == ("async", "thread")
    assert (await make("greet").send(call({"name": "Ann"}))).data.value == {"hello": "Ann"}
    assert (await make("main_thread").send(call())).data.value is False
    assert (await make("main_thread", run="async").send(call())).data.value is True
    assert (await make("greet", run="thread").send(call())).data.value == {"hello": "nobody"}


async def test_a_process_is_another_process(make: Make) -> None:
    """`run: process` has a process of its own, and keeps it."""
    upstream = make("pid", run="process")
    pids = {(await upstream.send(call())).data.value for _ in range(3)}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= (os.cpu_count() or 1)


async def test_a_function_cannot_change_what_others_share(make: Make) -> None:
    """Arguments are data of other calls: the function gets a copy."""
    rows = [{"x": 1}]
    assert (await make("spoil").send(call({"rows": rows}))).data.value == 2
    assert rows == [{"x": 1}]


@pytest.mark.parametrize("run", [None, "process"])
@pytest.mark.parametrize("function", ["crash", "leave"])
async def test_an_exception_is_internal_and_its_text_stays_inside(make: Make, events: list[Event], function: str, run: str | None) -> None:
    """Not even sys.exit() ends anything; the log gets a type and a line."""
    with pytest.raises(InternalFailure) as failure:
        await make(function, run=run).send(call())
    assert "4711" not in str(failure.value)
    told = [event for event in events if isinstance(event, FunctionFailed)]
    assert ("RuntimeError" if function == "crash" else "SystemExit") in told[0].reason
    assert "pond_functions.py:" in told[0].reason
    assert "4711" not in told[0].reason


@pytest.mark.parametrize("function", ["gives_up", "impatient"])
async def test_a_cancellation_or_timeout_of_its_own_is_an_exception_like_any(make: Make, function: str) -> None:
    """Only ours are ours."""
    with pytest.raises(InternalFailure):
        await make(function).send(call())


async def test_unknown_arguments_are_internal(make: Make) -> None:
    """A TypeError of the call is an exception like any other."""
    with pytest.raises(InternalFailure):
        await make("pid").send(call({"surprise": 1}))


@pytest.mark.parametrize("function", ["odd", "nan", "huge"])
async def test_a_value_that_is_no_json_is_decode(make: Make, function: str) -> None:
    """A set, NaN, a number beyond float64."""
    with pytest.raises(DecodeFailed):
        await make(function).send(call())


async def test_what_it_returns_is_bounded(make: Make) -> None:
    """By `max_body`, as JSON text."""
    with pytest.raises(TooLarge):
        await make("big").send(call(max_body=1001))
    assert len((await make("big").send(call(max_body=1002))).data) == 1002


async def test_null_and_exact_numbers_pass(make: Make) -> None:
    """None is null, integers of any size are exact."""
    assert (await make("nothing").send(call())).data.is_null
    assert (await make("numbers").send(call())).data.raw == '{"int":12345678901234567890123,"text":"ü"}'.encode()


async def test_at_its_timeout_the_caller_is_released_and_the_work_lingers(make: Make) -> None:
    """A thread cannot be killed: `lingers` is done when the function has returned."""
    upstream = make("hold")
    async with held("t") as module:
        ended = call({"name": "t"}, within=0.05)
        with pytest.raises(TimedOut) as failure:
            await upstream.send(ended)
        assert failure.value.sent
        assert ended.record.attempts == 1
        assert ended.lingers is not None
        assert not ended.lingers.done()
        module.gate("t").set()
        await asyncio.wait([ended.lingers], timeout=5)
        assert ended.lingers.done()


async def test_a_cancelled_caller_leaves_its_work_lingering(make: Make) -> None:
    """A client that left frees no slot either."""
    upstream = make("hold")
    async with held("c"):
        left = call({"name": "c"})
        task = asyncio.create_task(upstream.send(left))
        await inside("c")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left.lingers is not None
        assert not left.lingers.done()


async def test_what_never_got_a_thread_never_runs(make: Make, events: list[Event]) -> None:
    """Waiting in our own line blames nobody, is no attempt, and holds nothing afterwards."""
    upstream = make("hold", concurrency={"max": 1})
    async with held("q") as module:
        first = asyncio.create_task(upstream.send(call({"name": "q"})))
        await inside("q")
        waiting = call({"name": "never"}, within=0.05)
        with pytest.raises(TimedOut) as failure:
            await upstream.send(waiting)
        assert (failure.value.sent, failure.value.blames_upstream) == (False, False)
        assert (waiting.record.attempts, waiting.lingers) == (0, None)
        assert not [event for event in events if isinstance(event, AttemptEnded)]
        module.gate("q").set()
        assert (await first).data.value == {"held": "q"}
        module.gate("then").set()
        await upstream.send(call({"name": "then"}))
        assert "never-in" not in module.gates


async def test_as_many_threads_work_at_once_as_there_are_slots(make: Make) -> None:
    """`concurrency: 8` means eight threads, whatever the number of processors."""
    upstream = make("hold", concurrency={"max": 8})
    async with held("many") as module:
        tasks = [asyncio.create_task(upstream.send(call({"name": f"many{i}"}))) for i in range(8)]
        for i in range(8):
            await inside(f"many{i}")
        for i in range(8):
            module.gate(f"many{i}").set()
        assert [(await task).data.value["held"] for task in tasks] == [f"many{i}" for i in range(8)]


async def test_hung_threads_hold_up_no_other_upstream(make: Make) -> None:
    """Each upstream has so many of the loop's threads and no more: there are always others left."""
    hung, other = make("hold", concurrency={"max": 1}), make("pid")
    async with held("hung"):
        task = asyncio.create_task(hung.send(call({"name": "hung"})))
        await inside("hung")
        assert (await other.send(call())).data.value == os.getpid()
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        task.cancel()


async def test_an_async_function_is_cancelled_at_its_timeout(make: Make) -> None:
    """That one can be stopped."""
    ended = call(within=0.02)
    with pytest.raises(TimedOut):
        await make("stay").send(ended)
    assert ended.lingers is not None
    await asyncio.wait([ended.lingers], timeout=5)
    assert ended.lingers.cancelled()


async def test_an_async_function_that_will_not_stop_keeps_its_slot_and_nobody_waiting(make: Make) -> None:
    """A caught cancellation delays the function's own end alone."""
    ended = call(within=0.02)
    with pytest.raises(TimedOut):
        await make("stubborn").send(ended)
    await asyncio.sleep(0)
    assert ended.lingers is not None
    assert not ended.lingers.done()
    sys.modules["pond_functions"].stubborn_leaves.set()
    await asyncio.wait([ended.lingers], timeout=5)
    assert ended.lingers.done()


async def test_a_call_without_time_is_not_begun(make: Make) -> None:
    """Expired before it starts."""
    late = call(within=-1)
    with pytest.raises(TimedOut):
        await make("pid").send(late)
    assert late.record.attempts == 0


async def test_what_cannot_be_called_is_told_at_the_start(make: Make) -> None:
    """Not by every call."""
    with pytest.raises(TypeError, match="'LIMIT' is no function but of type int"):
        make("LIMIT")


async def test_a_dead_worker_fails_its_call_alone_and_the_pool_is_built_anew(make: Make) -> None:
    """A process that was killed breaks the standard library's pool for ever; not ours."""
    upstream = make("die", run="process", concurrency={"max": 1})
    for _ in range(2):
        with pytest.raises(InternalFailure):
            await upstream.send(call())


async def test_a_worker_that_is_killed_while_idle_is_replaced(make: Make) -> None:
    """The next call finds a new one, or is the last to fail."""
    upstream = make("pid", run="process", concurrency={"max": 1})
    first = (await upstream.send(call())).data.value
    os.kill(first, signal.SIGKILL)
    answers = []
    for _ in range(2):
        try:
            answers.append((await upstream.send(call())).data.value)
        except InternalFailure:
            continue
    assert answers
    assert first not in answers
