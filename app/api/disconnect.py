"""A client that goes away ends the work for it: `http.disconnect` is watched beside the work, by one reader of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from starlette.types import Receive, Scope

from app.api.body import ClientGone


class Tell(Protocol):
    """Has a function called when the client leaves: what our own server offers beside `http.disconnect`."""

    def __call__(self, watcher: Callable[[], None] | None, *, reads: bool = False) -> bool:
        """Whether it will be; `reads` says that the caller receives the request's body meanwhile."""
        ...


def tell_of(scope: Scope) -> Tell:
    """How this request's server tells; one that cannot says so."""
    tell: Tell = scope.get("merganser.gone", _cannot_tell)
    return tell


class Watched:
    """`async with Watched(scope, receive):` cancels the block when the client leaves, and raises ClientGone in its place.

    The request's body has been read before: nothing but the disconnect can still arrive. A half-closed connection counts,
    the server reports it as gone. A cancellation from outside stays one. Under our own server no task waits for it.
    """

    __slots__ = ("_left", "_receive", "_tell", "_watcher", "_work")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._tell = tell_of(scope)
        self._watcher: asyncio.Task[None] | None = None
        self._left = False

    async def __aenter__(self) -> None:
        work = asyncio.current_task()
        assert work is not None  # noqa: S101 - a coroutine that awaits runs in a task
        self._work = work
        if not self._tell(self._gone):
            self._watcher = asyncio.create_task(self._watch(), name="client")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._watcher is None:
            self._tell(None)
        elif not self._left:
            self._watcher.cancel()
        if not self._left:
            return
        if self._work.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise ClientGone from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        self._left = True
        self._work.cancel()


def _cannot_tell(watcher: Callable[[], None] | None, *, reads: bool = False) -> bool:
    return False
