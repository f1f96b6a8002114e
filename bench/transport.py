"""What one call costs: CPU microseconds of this process per call through `HttpUpstream`, over loopback, against a bare server in another.

    python bench/transport.py                  3 and 30 calls at once, 1.5 KB and 20 KB
    python bench/transport.py --profile        where the time goes

The figures include writing the request, parsing, the strict check of the JSON, the timer and the event; not the policies.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import pstats
import socket
import statistics
import time
from pathlib import Path

import uvloop

from app.catalog.schema import Catalog
from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.upstream.client import open_client
from app.upstream.registry import Upstreams

READING = Reading()


def body(size: int) -> bytes:
    """A JSON list of objects, so many bytes or a little more."""
    items: list[dict[str, object]] = []
    while len(made := json.dumps(items).encode()) < size:
        items.append({"id": len(items), "name": f"item-{len(items)}", "price": 12.5, "tags": ["a", "béta"], "note": None})
    return made


HEAD = b"HTTP/1.1 200 OK\r\nserver: bare\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: keep-alive\r\n\r\n"
ANSWERS = {size: HEAD % len(made) + made for size, made in ((size, body(size)) for size in (1500, 20000))}


class Constant(asyncio.Protocol):
    """Answers every request with the body whose size stands in its path."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWERS[int(data[5:10])])  # type: ignore[attr-defined]


def serve(listener: socket.socket) -> None:
    """Runs in a process of its own."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Constant, sock=listener)
        await server.serve_forever()

    uvloop.run(run())


async def measure(port: int, width: int, size: int, seconds: float) -> float:
    """CPU microseconds per call with so many calls in flight."""
    loop = asyncio.get_running_loop()
    runtime = Runtime(tasks=Tasks(print), now=loop.time)
    catalog = Catalog.model_validate({"upstreams": {"u": {"url": f"http://127.0.0.1:{port}"}}})
    async with open_client() as client:
        upstreams = await Upstreams.open(catalog, Path.cwd(), client, runtime)
        send, context = upstreams.terminal("u"), Context("bench", traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        made = 0

        async def worker(end: float) -> None:
            nonlocal made
            while (now := loop.time()) < end:
                await send(Call("c", "u", "GET", f"/{size:05}", (), None, None, now + 2.0, READING, context, Record()))
                made += 1

        async def run(end: float) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(width):
                    group.create_task(worker(end))

        await run(loop.time() + 0.3)
        made, before = 0, time.process_time()
        await run(loop.time() + seconds)
        used = time.process_time() - before
        await upstreams.aclose()
        return used / made * 1e6


def main() -> None:
    """Measures, and prints one line for each width and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
    server.start()
    try:
        if args.profile:
            with cProfile.Profile() as profile:
                uvloop.run(measure(port, 3, 1500, args.seconds))
            pstats.Stats(profile).sort_stats("tottime").print_stats(28)
            return
        for width in (3, 30):
            for size in (1500, 20000):
                runs = [uvloop.run(measure(port, width, size, args.seconds)) for _ in range(args.rounds)]
                print(f"{width:3} calls at once, {size:6} bytes: {statistics.median(runs):6.1f} µs a call ({', '.join(f'{r:.1f}' for r in runs)})")
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
