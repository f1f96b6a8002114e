"""`merganser serve` as its users have it: a process of its own on a free port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Process:
    """A server; `log` is what it wrote, whole once it has ended."""

    port: int
    process: asyncio.subprocess.Process
    log_path: Path
    client: httpx.AsyncClient = field(repr=False)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it wrote to stdout and stderr."""
        return self.log_path.read_text(errors="replace")

    async def status(self, path: str) -> int:
        """The status of a GET; 0 where nobody answers."""
        try:
            return (await self.client.get(self.url + path)).status_code
        except httpx.HTTPError:
            return 0

    async def ready(self, within: float = 30) -> None:
        """Waits until it takes traffic."""
        async with asyncio.timeout(within):
            while await self.status("/readyz") != 200:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.03)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def ended(self, within: float = 20) -> int:
        """Its exit code."""
        async with asyncio.timeout(within):
            return await self.process.wait()


async def start(catalog: Path, *args: str, port: int | None = None, **env: str) -> Process:
    """Starts a server that is not yet ready."""
    port = free_port() if port is None else port
    log_path = catalog.parent / f"{catalog.stem}-{port}.log"
    command = [sys.executable, "-m", "app", "serve", str(catalog), "--port", str(port), *args]
    with log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, cwd=catalog.parent, env={**os.environ, "PYTHONPATH": str(ROOT), **env}
        )
    client = httpx.AsyncClient(trust_env=False, timeout=5, limits=httpx.Limits(max_connections=100, max_keepalive_connections=0, keepalive_expiry=0))
    return Process(port, process, log_path, client)


async def stop(processes: Sequence[Process]) -> None:
    """Ends what still runs."""
    for one in processes:
        if one.process.returncode is None:
            one.process.kill()
        await one.process.wait()
        await one.client.aclose()


@asynccontextmanager
async def serving(catalog: Path, *args: str, **env: str) -> AsyncIterator[Process]:
    """A server that takes traffic, for the block."""
    one = await start(catalog, *args, **env)
    try:
        await one.ready()
        yield one
    finally:
        await stop([one])
