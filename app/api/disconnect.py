"""A client that goes away ends the work for it: `http.disconnect` is watched beside the work, by one reader of the connection."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from app.api.body import ClientGone


class Watched:
    """`async with Watched(receive):` cancels the block when the client leaves, and raises ClientGone in its place.

    The request's body has been read before: nothing but the disconnect can still arrive. A half-closed connection counts,
    the server reports it as gone. A cancellation from outside stays one.
    """

    __slots__ = ("_left", "_receive", "_watcher", "_work")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False

    async def __aenter__(self) -> None:
        work = asyncio.current_task()
        assert work is not None  # noqa: S101 - a coroutine that awaits runs in a task
        self._work = work
        self._watcher = asyncio.create_task(self._watch(), name="client")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._left:
            self._watcher.cancel()
            return
        if self._work.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise ClientGone from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._work.cancel()
