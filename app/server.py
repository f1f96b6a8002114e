"""Serving a checked catalog: its port is bound, then it is served by this process or by several workers."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import resource
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from uvicorn.config import STARTUP_FAILURE

from app.api.socket import LiveProtocol
from app.catalog.load import Loaded
from app.draining import CLOSING, FORCED, Server, end_by_force
from app.main import create_app
from app.settings import Settings
from app.upstream.functions import FunctionUnusable, import_functions
from app.workers import supervise

OK, FAILED = 0, 1
"""Exit codes."""


def serve(settings: Settings, loaded: Loaded, host: str, port: int, workers: int) -> int:
    """Serves a catalog until a signal; the exit code. Whatever is wrong is said on stderr before a port is open."""
    settings = settings.model_copy(update={"host": host, "port": port, "workers": workers})
    try:
        sockets = bind(host, port)
    except OSError as error:
        say(f"merganser: cannot listen on {host}:{port}: {reason(error)}")
        return FAILED
    settings = settings.model_copy(update={"max_connections": spare_connections(settings.max_connections)})
    if workers > 1:
        if not settings.redis_url and (kept := kept_per_process(loaded)):
            say(f"merganser: warning: {workers} workers without MERGANSER_REDIS_URL: {', '.join(kept)} hold for each worker by itself")
        return supervise(workers, functools.partial(work, settings, loaded, sockets, os.getpid()))
    return run(settings, loaded, sockets)


def work(settings: Settings, loaded: Loaded, sockets: Sequence[socket.socket], parent: int, folder: Path) -> int:
    """Serves in a worker; `folder` is where the workers share their metrics."""
    return run(settings.model_copy(update={"metrics_dir": folder}), loaded, sockets, parent=parent)


def run(settings: Settings, loaded: Loaded, sockets: Sequence[socket.socket], *, parent: int | None = None) -> int:
    """Serves in this process on bound sockets; the exit code. Ends even if a thread of an upstream never does."""
    server = Server(create_app(settings, loaded), settings, ws=LiveProtocol, parent=parent)
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(begin(server, loaded, sockets))
    except FunctionUnusable as unusable:
        say(f"merganser: {unusable}")
        return FAILED
    except OSError as error:
        say(f"merganser: cannot listen on {settings.host}:{settings.port}: {reason(error)}")
        return FAILED
    except SystemExit as end:
        return FAILED if end.code == STARTUP_FAILURE else int(end.code or OK)
    code = FORCED if server.force_exit else OK
    end_by_force(CLOSING, code)
    return code


async def begin(server: Server, loaded: Loaded, sockets: Sequence[socket.socket]) -> None:
    """Imports the functions of Python upstreams, then serves. FunctionUnusable where that cannot be; a signal meanwhile is heeded."""
    with server.capture_signals():
        import_functions(loaded)
    await server.serve(list(sockets))


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of the host, not yet listening: nobody can connect before the service is up."""
    bound: list[socket.socket] = []
    for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((where[0], bound[0].getsockname()[1] if bound and port == 0 else port, *where[2:]))
        except OSError:
            for other in (sock, *bound):
                other.close()
            raise
        bound.append(sock)
    return bound


def reason(error: OSError) -> str:
    """Why a port cannot be had, in words."""
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    if error.errno == errno.EACCES:
        return "not allowed (ports below 1024 need rights)"
    return (error.strerror or str(error)).lower()


def spare_connections(wanted: int) -> int:
    """Half of the file descriptors, at most as many as wanted: each connection may need one upstream too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = min(hard, max(soft, 2 * wanted + 256)) if hard != resource.RLIM_INFINITY else max(soft, 2 * wanted + 256)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    return max(16, min(wanted, enough // 2))


def kept_per_process(loaded: Loaded) -> list[str]:
    """What of a catalog counts per process where nothing is shared."""
    catalog = loaded.catalog
    found = {
        "limit": any(endpoint.limit for endpoint in catalog.endpoints.values()),
        "rate": any(upstream.rate for upstream in catalog.upstreams.values()),
        "live": any(endpoint.live for endpoint in catalog.endpoints.values()),
    }
    return [name for name, is_there in found.items() if is_there]


def say(text: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
