"""Tells what waits in the sockets of idle connections: one system call for all of them, instead of one each."""

from __future__ import annotations

import select
import time
from typing import Any

FRESH = 0.0005
"""Seconds for which a look is good."""


class Lookout:
    """Watches the sockets of one pool, those in use too. Reads nothing, and sleeps never."""

    def __init__(self) -> None:
        self._poller: Any = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._watched: dict[int, object] = {}
        self._ready: set[int] = set()
        self._looked = 0.0

    def watch(self, fd: int, connection: object) -> None:
        """From now on looks at this socket too."""
        self._watched[fd] = connection
        self._poller.register(fd, select.POLLIN)

    def leave(self, fd: int, connection: object) -> None:
        """Forgets the connection's socket; by now its number may be another's."""
        if self._watched.get(fd) is not connection:
            return
        del self._watched[fd]
        try:
            self._poller.unregister(fd)
        except (OSError, KeyError):  # closed, and so forgotten by the system
            return

    def has_news(self, fd: int, emptied: float) -> bool:
        """Whether bytes or an end wait in a socket that was read to its end at `emptied` (time.monotonic); seen after that, and just now."""
        now = time.monotonic()
        if self._looked <= emptied or now - self._looked >= FRESH:
            self._looked = now
            self._ready = {ready for ready, _ in self._poller.poll(0)}
        return fd in self._ready

    def close(self) -> None:
        """Looks no more."""
        if hasattr(self._poller, "close"):
            self._poller.close()

    def __repr__(self) -> str:
        return f"<Lookout over {len(self._watched)} sockets>"
