"""Notices that a client has left while its connection is not read: a paused transport tells of no end and of no reset.

The kernel is asked, once for all such connections and only while there are any. An end that stands behind more data than
the kernel has room for has not arrived yet, and is noticed when we read on; a reset overtakes.
"""

from __future__ import annotations

import asyncio
import select
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

EVERY = 0.05
"""Seconds between two looks: a client's leaving is to be noticed within 100 ms."""
_LEFT = getattr(select, "POLLRDHUP", 0)
"""The client has closed its direction, where the system can tell; a reset is reported unasked."""


class Connection(Protocol):
    """A connection that is not always read."""

    transport: asyncio.Transport
    flow: FlowControl

    def hung_up(self) -> None:
        """Its client has left."""
        ...


class Unread:
    """The connections that are not read at present."""

    def __init__(self) -> None:
        self._waiting: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Looks after a connection until it is read again or has ended."""
        self._waiting.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        self._waiting = {one for one in self._waiting if one.flow.read_paused and not one.transport.is_closing()}
        asked = {one.transport.get_extra_info("socket").fileno(): one for one in self._waiting}
        poll = select.poll()
        for fd in asked:
            poll.register(fd, _LEFT)
        for fd, _ in poll.poll(0):
            self._waiting.discard(asked[fd])
            asked[fd].hung_up()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def __repr__(self) -> str:
        return f"<Unread {len(self._waiting)}>"
