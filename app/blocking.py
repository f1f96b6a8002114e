"""The service for code that blocks: `ask` for functions of a catalog, `Blocking` for scripts (made by `app.main.open_blocking`).

    def cheapest(city):                                  # `run: thread` in a catalog
        answer = ask("city_brief", city=city)            # another endpoint of the same service
        return min(answer.data.value["fares"])

Imports nothing heavy: a catalog's functions may import it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from app.core.answer import Answer
from app.core.asking import Desk, Question, line, result_of

T = TypeVar("T")


def ask(endpoint: str, params: Mapping[str, Any] | None = None, /, *, body: Any = None, **named: Any) -> Answer:
    """Asks an endpoint of the service that runs this function, and waits; at the latest until the function's own call is over.

    Belongs into functions that `run: thread` runs, on the thread that they were called on; RuntimeError anywhere else.
    Raises `app.api.problems.Problem` where the answer failed. Takes no slot but its own calls': a function that asks for
    what its own upstream does needs a second slot there, and waits for it until its time is up.
    """
    caller = line.get(None)
    if caller is None:
        raise RuntimeError("ask() belongs inside a function that `run: thread` runs, on its own thread; a script uses app.main.open_blocking")
    return result_of(caller.desk.ask(Question(endpoint, {**(params or {}), **named}, body, caller.id, caller.until)), caller.loop)


class Blocking:
    """A service on an event loop in a background thread. Any thread may ask, several at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
        self._loop, self._desk = loop, desk

    def ask(
        self, endpoint: str, params: Mapping[str, Any] | None = None, /, *, body: Any = None, timeout: float | None = None, **named: Any
    ) -> Answer:
        """One answer, partial or whole: `.data.value`, `.complete`, `.outcomes`.

        Params by keyword, or in a mapping where their names are no identifiers. Raises `app.api.problems.Problem` where the
        answer failed (`.status`, `.errors`, `.sources`). After `timeout` seconds, if given, the calls are cancelled and
        waited for, and TimeoutError is raised; without it the endpoint's own `deadline` holds. RuntimeError once closed.
        """
        question = Question(endpoint, {**(params or {}), **named}, body)
        return result_of(self._within(question, timeout), self._loop)

    async def _within(self, question: Question, timeout: float | None) -> Answer:
        async with asyncio.timeout(timeout):
            return await self._desk.ask(question)

    def __repr__(self) -> str:
        return f"<Blocking {'closed' if self._loop.is_closed() else 'open'}>"


@contextmanager
def in_background(opening: Callable[[], AbstractAsyncContextManager[T]], *, debug: bool = False) -> Iterator[tuple[asyncio.AbstractEventLoop, T]]:
    """Opens `opening()` on an event loop in a thread of its own, for the block: the loop, and what it gave.

    What fails while it opens or closes is raised here; at the end the thread is waited for.
    """
    opened: Future[tuple[asyncio.AbstractEventLoop, T, asyncio.Event]] = Future()
    closed: Future[None] = Future()

    async def stay() -> None:
        async with opening() as it:
            over = asyncio.Event()
            opened.set_result((asyncio.get_running_loop(), it, over))
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(stay(), debug=debug or None)
        except BaseException as exc:  # for the one who waits
            (closed if opened.done() else opened).set_exception(exc)
        else:
            closed.set_result(None)

    threading.Thread(target=run, name="merganser-loop", daemon=True).start()
    loop, it, over = opened.result()
    try:
        yield loop, it
    finally:
        loop.call_soon_threadsafe(over.set)
        closed.result()
