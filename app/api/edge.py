"""What the connections of a process share: the limits, the count of requests, whose turn it is to go, and one clock.

One timer looks at every connection twice a second: cheaper than arming and cancelling three timers per request, and
exact enough for deadlines of seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from app.api.admission import Admission
from app.api.crowd import Crowd
from app.api.unread import Unread
from app.core.events import Emit, ignore

TICK = 0.1
"""Seconds between samples of the loop's lag."""
LOOKS_EVERY = 5
"""Ticks between two looks at the connections."""
LINGER = 2.0
"""Seconds for which a client that we are done with may go on sending, so that it can read why (RFC 9112 section 9.6)."""
BODY_RATE = 1024.0
"""Bytes a second that a body may come at, at least (OWASP API4: slow uploads)."""
PIPELINE = 64
"""Requests that may wait behind the one that is served, on one connection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do; durations in seconds, sizes in bytes. `app/settings.py` says what each means."""

    keep_alive: float = 75.0
    header: float = 10.0
    body: float = 15.0
    write: float = 30.0
    max_head: int = 32 << 10
    max_headers: int = 100
    max_url: int = 32 << 10
    max_connections: int = 4096
    hosts: frozenset[str] = frozenset()


class Watched(Protocol):
    """A connection, as its watcher sees it."""

    def look(self, now: float) -> None:
        """Ends what is overdue."""
        ...

    def drop(self) -> None:
        """Closes it at once: it is idle and its place is needed."""
        ...


@dataclass(slots=True)
class Stall:
    """How long a client has taken nothing of what was written for it."""

    unsent: int = 0
    since: float = 0.0

    def seconds(self, now: float, unsent: int) -> float:
        """Seconds without progress; `unsent` bytes still wait. Any progress, or none to make, begins anew."""
        if not unsent or not self.unsent or unsent < self.unsent:
            self.since = now
        self.unsent = unsent
        return now - self.since


@dataclass(slots=True)
class Edge:
    """The shared state of a process's connections. `idle` is in order of becoming idle, the longest first.

    `emit` hears of requests that the application does not hear of; the service puts its own there when it is up.
    """

    limits: Limits
    admission: Admission
    crowd: Crowd = field(default_factory=Crowd)
    emit: Emit = ignore
    is_draining: bool = False
    connections: set[Watched] = field(default_factory=set)
    idle: dict[Watched, None] = field(default_factory=dict)
    unread: Unread = field(default_factory=Unread)
    _timer: asyncio.TimerHandle | None = None
    _due: float = 0.0
    _ticks: int = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the clock."""
        self._due = loop.time() + TICK
        self._timer = loop.call_at(self._due, self._tick, loop)

    def stop(self) -> None:
        """Stops the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.admission.tick(now, now - self._due)
        self._ticks += 1
        if self._ticks % LOOKS_EVERY == 0:
            for connection in tuple(self.connections):
                connection.look(now)
        self._due = now + TICK
        self._timer = loop.call_at(self._due, self._tick, loop)

    def make_room(self) -> bool:
        """Ends the connection that has been idle longest; False if none is."""
        longest = next(iter(self.idle), None)
        if longest is not None:
            longest.drop()
        return longest is not None

    def forget(self, connection: Watched) -> None:
        """A connection that has ended, or that another protocol has taken over, is looked at no more."""
        self.connections.discard(connection)
        self.idle.pop(connection, None)

    def __repr__(self) -> str:
        return f"<Edge {len(self.connections)} open, {len(self.idle)} idle, {self.admission!r}{', draining' if self.is_draining else ''}>"
