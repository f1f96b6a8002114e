"""What waits to be sent on one connection: control messages in their order, and subscriptions that have something to say.

Subscriptions wait by reference, each once, and take turns: what they say is made when it can be sent. Control messages
are text and bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_WAITING = 1024 * 1024
"""Bytes of control messages; no more is read of a client that asks on and on without reading the answers."""

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Close:
    """The connection ends with this code."""

    code: int
    reason: str


class Outbox(Generic[F]):
    """Filled from anywhere on the loop, emptied by one writer."""

    __slots__ = ("_bytes", "_close", "_control", "_ready", "_room", "_waiter")

    def __init__(self) -> None:
        self._control: deque[str] = deque()
        self._bytes = 0
        self._ready: dict[F, None] = {}
        self._close: Close | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._close is not None

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._bytes >= MAX_WAITING

    def put(self, text: str) -> None:
        """Adds a control message."""
        if self._close is None:
            self._control.append(text)
            self._bytes += len(text)
            self._wake()

    def ready(self, feed: F) -> None:
        """This subscription has something to say."""
        self._ready[feed] = None
        if self._waiter is not None:
            self._wake()

    def drop(self, feed: F) -> None:
        """This subscription says nothing more."""
        self._ready.pop(feed, None)

    def close(self, close: Close) -> None:
        """The connection ends: what waits is let go."""
        if self._close is None:
            self._close = close
            self._control.clear()
            self._ready.clear()
            self._bytes = 0
            self._make_room()
            self._wake()

    def next(self) -> str | F | Close | None:
        """A control message, else a subscription whose turn it is; None where nothing waits."""
        if self._close is not None:
            return self._close
        if self._control:
            text = self._control.popleft()
            self._bytes -= len(text)
            self._make_room()
            return text
        for feed in self._ready:
            del self._ready[feed]
            return feed
        return None

    async def wait(self) -> None:
        """Until something waits; for the one writer alone."""
        if self._control or self._ready or self._close is not None:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def room(self) -> None:
        """Until it is no longer full; for the one reader alone."""
        while self.is_full:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done() and not self.is_full:
            self._room.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
