"""The WebSocket `/ws`: who may connect, and how all connections are looked after and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.address import client_address
from app.api.auth import Gate
from app.api.messages import SUBPROTOCOL, Reconnect, ReconnectPayload, write
from app.api.problems import Problem
from app.api.seen import seen
from app.api.session import Session
from app.api.socket import DROP
from app.api.subscribe import Desk
from app.catalog.schema import Catalog
from app.core.runtime import Runtime
from app.engine.plan import Plan
from app.live.hub import Hub

LOOK_EVERY = 1.0
DRAIN_WINDOW = 3.0
"""Seconds over which connections are closed at most, so that not all clients come back at once."""
DRAIN_PACE = 2000.0
"""Connections closed a second while draining, where that takes less than the window."""

_RECONNECT = write(Reconnect(ReconnectPayload("the server is restarting", 500, 3000)))
_PORTS = {"http": 80, "https": 443}


class HasSockets(Protocol):
    """The running service, as far as this route needs it."""

    @property
    def sockets(self) -> Sockets:
        """Its WebSocket connections."""
        ...


class Sockets:
    """Every connection of `/ws`. One clock looks at them all: cheaper than timers of each."""

    def __init__(
        self, catalog: Catalog, plans: Mapping[str, Plan], hub: Hub, gate: Gate, runtime: Runtime, trusted: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:  # fmt: skip
        self._desk = Desk(plans, hub, gate, runtime)
        self._hub, self._runtime, self._trusted = hub, runtime, tuple(trusted)
        self._origins = frozenset(catalog.cors.origins) if catalog.cors is not None else frozenset[str]()
        self._open: dict[Session, Callable[[int], None]] = {}
        self._clock: asyncio.Task[None] | None = None
        self._is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection, from the upgrade to its end."""
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        await receive()  # websocket.connect
        if self._is_draining:
            return await _refuse(Problem(503, retry_after=1), scope, send)
        if not self._is_own(headers):
            return await _refuse(Problem(403, "Pages of this origin may not connect."), scope, send)
        offered = scope.get("subprotocols") or []
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None})
        if offered and SUBPROTOCOL not in offered:
            return await send({"type": "websocket.close", "code": 4406, "reason": f"only {SUBPROTOCOL} is spoken"})
        peer = scope["client"][0] if scope.get("client") else ""
        return await self._serve(Session(self._desk, headers, client_address(peer, headers, self._trusted), receive, send), scope)

    async def _serve(self, session: Session, scope: Scope) -> None:
        self._open[session] = scope.get("extensions", {}).get(DROP) or (lambda code: session.close(code, "slow consumer"))
        if self._clock is None:
            self._clock = self._runtime.tasks.spawn(self._look(), name="live clock")
        if self._is_draining:
            session.tell(_RECONNECT)
        try:
            await session.run()
        finally:
            del self._open[session]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = self._runtime.now()
            for session, drop in list(self._open.items()):
                if (code := session.look(now)) is not None:
                    drop(code)

    # --- origins

    def _is_own(self, headers: Sequence[tuple[str, str]]) -> bool:
        """Whether the page, if it is one, is of this very host or of an origin that the catalog lets in (OWASP: cross-site hijacking)."""
        origins = [value for name, value in headers if name == "origin"]
        if not origins or "*" in self._origins:
            return True
        hosts = [value for name, value in headers if name == "host"]
        return len(origins) == 1 and (origins[0] in self._origins or (len(hosts) == 1 and is_same_host(origins[0], hosts[0])))

    # --- the end

    async def drain(self, within: float) -> None:
        """Tells every client to reconnect, then closes with 1012, spread at random over at most `within` seconds."""
        self._is_draining = True
        self._hub.drain()
        sessions = list(self._open)
        for session in sessions:
            session.tell(_RECONNECT)
        window = min(DRAIN_WINDOW, within, max(0.2, len(sessions) / DRAIN_PACE))
        moments = sorted((self._runtime.random.uniform(0.1, 1.0) * window, at) for at in range(len(sessions)))
        began = self._runtime.now()
        for moment, at in moments:
            await asyncio.sleep(max(0.0, began + moment - self._runtime.now()))
            sessions[at].close(1012, "the server is restarting")

    def snapshot(self) -> dict[str, int]:
        """Figures for metrics and the console: the hub's, and the connections."""
        return {**self._hub.snapshot(), "connections": len(self._open)}

    def __repr__(self) -> str:
        return f"<Sockets {len(self._open)} open{', draining' if self._is_draining else ''}>"


class Upgrade:
    """Pure ASGI: takes upgrades past the router, whose layers would each be held for as long as a connection lasts."""

    def __init__(self, app: ASGIApp, service_of: Callable[[], HasSockets]) -> None:
        self.app = app
        self._service_of = service_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection of `/ws`, refuses those of other paths; what is no upgrade passes."""
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        if scope["path"] != "/ws":
            return await _refuse(Problem(404, "There is no WebSocket at this path."), scope, send)
        return await self._service_of().sockets(scope, receive, send)


def add_socket(app: FastAPI, service_of: Callable[[], HasSockets]) -> None:
    """Adds `/ws`."""
    app.add_middleware(Upgrade, service_of=service_of)


def is_same_host(origin: str, host: str) -> bool:
    """Whether an `Origin` names the host and port that `Host` names; a missing port is that of the origin's scheme."""
    try:
        page, own = urlsplit(origin), urlsplit(f"//{host}")
        default = _PORTS.get(page.scheme)
        if default is None or page.hostname is None or origin.lower() != f"{page.scheme}://{page.netloc.lower()}" or page.username is not None:
            return False
        return page.hostname == own.hostname and (page.port or default) == (own.port or default)
    except ValueError:
        return False


async def _refuse(problem: Problem, scope: Scope, send: Send) -> None:
    """An HTTP answer instead of the upgrade; a server that cannot send one answers 403 by itself."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        return await send({"type": "websocket.close"})
    mark = seen(scope).request_id
    headers, body = problem.response(mark)
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": [*headers, (b"x-request-id", mark.encode())]})
    return await send({"type": "websocket.http.response.body", "body": body})
