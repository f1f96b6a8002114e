"""The loop's threads: daemons, started when needed, gone when idle, and never waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from app.core import executor
from app.core.executor import Executor

HUNG = """
import asyncio, threading
from app.core.executor import Executor

async def main():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Executor(4))
    begun = asyncio.Event()
    def hang():
        loop.call_soon_threadsafe(begun.set)
        threading.Event().wait()
    task = asyncio.create_task(asyncio.to_thread(hang))
    await begun.wait()

asyncio.run(main())
print("over")
"""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What `wait` waits for, set in the end."""
    one = threading.Event()
    yield one
    one.set()


def test_as_many_work_at_once_as_there_are_threads_and_the_rest_in_order(gate: threading.Event) -> None:
    """No thread is started while one is idle, none beyond `size`."""
    pool, order = Executor(2), list[int]()
    first = pool.submit(lambda: 1)
    assert first.result(5) == 1
    held = [pool.submit(gate.wait, 5) for _ in range(2)]
    rest = [pool.submit(order.append, i) for i in range(5)]
    assert repr(pool).startswith("<Executor 2 of 2 threads")
    gate.set()
    assert all(future.result(5) for future in held)
    for future in rest:
        future.result(5)
    assert sorted(order) == [0, 1, 2, 3, 4]


def test_what_is_cancelled_in_line_never_runs(gate: threading.Event) -> None:
    """What runs cannot be cancelled."""
    pool, ran = Executor(1), list[int]()
    begun = threading.Event()

    def hold() -> bool:
        begun.set()
        return gate.wait(5)

    running = pool.submit(hold)
    waiting = pool.submit(ran.append, 1)
    assert begun.wait(5)
    assert waiting.cancel()
    assert not running.cancel()
    gate.set()
    pool.submit(lambda: None).result(5)
    assert ran == []


def test_an_exception_is_for_the_one_who_waits() -> None:
    """Not even sys.exit() ends the thread's owner."""
    pool = Executor(1)
    with pytest.raises(SystemExit):
        pool.submit(sys.exit, 3).result(5)
    assert pool.submit(lambda: 1).result(5) == 1


def test_once_closed_nothing_is_taken_and_nobody_is_waited_for(gate: threading.Event) -> None:
    """Closing returns at once, whatever runs."""
    pool = Executor(1)
    pool.submit(gate.wait, 5)
    waiting = pool.submit(lambda: 1)
    began = time.monotonic()
    pool.shutdown(wait=True, cancel_futures=True)
    assert time.monotonic() - began < 1
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(lambda: 1)


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst the threads go; the next work has one again."""
    monkeypatch.setattr(executor, "IDLE_SECONDS", 0.01)
    pool = Executor(3)
    for future in [pool.submit(time.sleep, 0.01) for _ in range(3)]:
        future.result(5)
    ended = time.monotonic() + 5
    while not repr(pool).startswith("<Executor 0 of 3") and time.monotonic() < ended:
        time.sleep(0.01)
    assert repr(pool).startswith("<Executor 0 of 3")
    assert pool.submit(lambda: 1).result(5) == 1


async def test_to_thread_goes_through_it_once_it_is_the_loops() -> None:
    """`asyncio.to_thread` takes the loop's default executor."""
    asyncio.get_running_loop().set_default_executor(Executor(1))
    assert (await asyncio.to_thread(threading.current_thread)).daemon


@pytest.mark.slow
def test_a_program_ends_although_a_function_hangs() -> None:
    """Neither the loop's end nor the interpreter's waits for it."""
    done = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, timeout=20, check=True)
    assert done.stdout == b"over\n"
    assert done.stderr == b""
