"""A uvicorn server whose end loses no request.

On SIGTERM or SIGINT: `/readyz` says 503 at once and live clients are told to reconnect; requests in flight finish, new
ones are still taken and answered with `Connection: close`; when none is left (after `drain` at least, half of `grace`
at most) the port is closed; what is left at `grace` is cancelled. A second signal ends the process within a second.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from app.api.admission import Admission
from app.api.crowd import Crowd
from app.api.edge import Edge, Limits
from app.api.guard import Guard
from app.settings import Settings
from app.workers import FORCE

FORCED = 1
"""Exit code of an end by force."""
LAST_MOMENT = 0.8
"""Seconds from a second signal to the end, whatever still runs."""
CLOSING = 5.0
"""Seconds that ending the application may take."""
SAME = 0.05
"""Seconds within which two signals are one: `timeout` and others signal a process and its group."""
SLOW_CALLBACK = 0.05
"""Seconds a callback may take before debug mode names it."""
MAX_MESSAGE = 16 << 10
"""Bytes of a WebSocket message; a larger one ends the connection with 1009."""
COLLECT_AFTER = (10_000, 20, 50)
"""When the collector looks at the young, the older, the old; Python's own 700 is a few requests."""
_log = logging.getLogger("merganser.server")


def limits_of(settings: Settings) -> Limits:
    """The limits of a connection that the environment sets."""
    return Limits(
        keep_alive=settings.keep_alive,
        header=settings.header_timeout,
        body=settings.body_timeout,
        write=settings.write_timeout,
        max_head=settings.max_head,
        max_headers=settings.max_headers,
        max_url=settings.max_url,
        max_connections=settings.max_connections,
        hosts=frozenset(name.lower() for name in settings.hosts),
    )


def config(app: Any, settings: Settings, edge: Edge, ws: Any) -> uvicorn.Config:
    """uvicorn's configuration: our guard before the application, nothing about us in the headers, no log of URLs."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="asyncio" if settings.debug else "uvloop",
        http=functools.partial(Guard, edge),  # type: ignore[arg-type]
        ws=ws,
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=25,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level="warning",  # at info it logs the query string of every WebSocket
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=settings.backlog,
    )


def spare_the_collector() -> None:
    """What start-up has made stays: the garbage collector need not walk it again and again, which takes 50 ms and more each time.

    Measured at 30 calls a request: 8 % of the processor time, and most of the slowest percent of answers.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class Server(uvicorn.Server):
    """Drains at the first signal. `app.state.draining` and `app.state.drain(within)` are how the application hears of it.

    `parent` is the process that started this worker: when it is gone the worker drains too.
    """

    def __init__(self, app: Any, settings: Settings, *, ws: Any = "websockets-sansio", parent: int | None = None) -> None:
        self.edge = Edge(limits_of(settings), Admission(settings.max_in_flight), Crowd(settings.max_connections_per_client, settings.trusted_proxies))
        super().__init__(config(app, settings, self.edge, ws))
        self.settings = settings
        self.state = app.state
        self.state.draining = False
        self.state.edge = self.edge
        self._parent, self._signalled = parent, 0.0

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Takes SIGTERM and SIGINT; unlike uvicorn's they are not raised again at the end: a drained process exits with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT) if self._parent is None else (signal.SIGTERM, FORCE)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second ends it: `LAST_MOMENT` later by force.

        A worker is told the second time by `FORCE`: a service manager may signal it beside its parent, which is no second.
        """
        now = time.monotonic()
        if not self.should_exit:
            self._signalled = now
        elif sig == FORCE or (self._parent is None and now - self._signalled > SAME):
            self.force_exit = True
            end_by_force(LAST_MOMENT, FORCED)
        self.should_exit = True
        self.edge.is_draining = True
        self.state.draining = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the application, then takes connections."""
        loop = asyncio.get_running_loop()
        if self.settings.debug:
            loop.set_debug(True)
            loop.slow_callback_duration = SLOW_CALLBACK
        self.edge.start(loop)
        try:
            await super().startup(sockets)
        except OSError:  # another process has begun to listen on the port since it was bound
            await self._close()
            raise
        spare_the_collector()
        _log.info("serving on %s (process %d)", ", ".join(address(sock) for sock in sockets or ()), os.getpid())

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to go: a signal, or the process that started this worker is gone."""
        return await super().on_tick(counter) or self._parent not in (None, os.getppid())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains, then ends the application."""
        loop = asyncio.get_running_loop()
        began, grace = loop.time(), self.settings.grace
        self.edge.is_draining = self.state.draining = True
        _log.info("draining: %d requests in flight", self.edge.admission.in_flight)
        told = asyncio.create_task(self._tell(grace), name="drain")
        stops_listening = began + max(self.settings.drain, grace / 2)
        await self._until(lambda: loop.time() >= began + self.settings.drain and not self.edge.admission.in_flight, stops_listening)
        for server in self.servers:
            server.close()
        await self._until(lambda: told.done() and not self.edge.admission.in_flight, began + grace)
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        await self._until(lambda: not self.server_state.tasks and not self.server_state.connections, began + grace)
        self._cut()
        told.cancel()
        await self._until(lambda: not self.server_state.tasks, loop.time() + 1)
        if not self.force_exit:
            await self._close()
        self.edge.stop()

    async def _tell(self, within: float) -> None:
        """Tells live clients to reconnect elsewhere; returns when they are gone or have been closed."""
        tell: Callable[[float], Awaitable[None]] | None = getattr(self.state, "drain", None)
        if tell is not None:
            await tell(within)

    async def _until(self, is_over: Callable[[], bool], deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while not is_over() and loop.time() < deadline and not self.force_exit:  # noqa: ASYNC110 - asked only at the end
            await asyncio.sleep(0.02)

    def _cut(self) -> None:
        """Ends what the grace did not suffice for."""
        left = tuple(self.server_state.tasks)
        if left:
            _log.warning("the grace is over: %d requests cancelled", len(left))
        for task in left:
            task.cancel()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    async def _close(self) -> None:
        """Ends the application's lifespan, and its background work with it."""
        closing = asyncio.create_task(self.lifespan.shutdown(), name="lifespan")
        await asyncio.wait((closing,), timeout=CLOSING)


def end_by_force(seconds: float, code: int) -> None:
    """Ends the process after so long, whatever runs or hangs; a process that ends before is not held up."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def address(sock: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
