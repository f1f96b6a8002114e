"""Live deliveries over WebSockets: CPU per message, memory of idle subscribers, upstream polls, time to the first part.

    python bench/live.py                       all four, about a minute
    python bench/live.py fan --subscribers 1000 --seconds 10

The server, its upstream and the clients are three processes on one machine. CPU is user and system time of the server's
process over the messages that clients received; memory is its resident set. A reader that shares two cores with the
server makes latencies an upper bound.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
LIMITS = {"CPU per 500-byte message": "30 µs", "10,000 idle on 100 topics": "600 MB", "first part": "10 ms"}


# --- the upstream: a value that changes with every request, and says when it was sent


async def upstream(port: int) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1]
                if path == b"/asked":
                    body = str(asked).encode()
                else:
                    asked += 1
                    body = json.dumps({"n": asked if b"still" not in path else 0, "sent": time.time(), "pad": "x" * 290}).encode()
                    if b"still" in path:
                        body = b'{"n":0,"pad":"%b"}' % (b"x" * 290)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


# --- a client that does next to nothing: it counts frames, and takes the time of some


class Reader(asyncio.Protocol):
    """One WebSocket: subscribes, then counts messages and bytes."""

    messages = 0
    bytes = 0
    lags: list[float] = []  # noqa: RUF012 - one tally for all readers
    live = 0

    def __init__(self, port: int, endpoint: str, params: dict[str, str], started: float) -> None:
        self._port, self._endpoint, self._params, self._started = port, endpoint, params, started
        self._buffer = b""
        self._is_open = False
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(  # type: ignore[attr-defined]
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: merganser.v1\r\n\r\n".encode()
        )

    def _send(self, message: dict[str, object]) -> None:
        text = json.dumps(message).encode()
        size = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
        self._transport.write(b"\x81" + size + b"\0\0\0\0" + text)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            assert b" 101 " in head, head
            self._is_open = True
            self._send({"type": "connection_init"})
            self._send({"type": "subscribe", "id": "1", "payload": {"endpoint": self._endpoint, "params": self._params}})
        at = 0
        while len(buffer) - at >= 2:
            size, skip = buffer[at + 1] & 127, 2
            if size == 126:
                size, skip = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            if len(buffer) - at < skip + size:
                break
            self._take(buffer[at + skip : at + skip + size])
            at += skip + size
        self._buffer = buffer[at:]

    def _take(self, text: bytes) -> None:
        if text.startswith(b'{"type":"update"'):
            Reader.messages += 1
            Reader.bytes += len(text)
            if Reader.messages % 50 == 0:
                Reader.lags.append(time.time() - float(text.partition(b'"sent":')[2].partition(b",")[0].strip(b" }") or 0))
        elif text.startswith(b'{"type":"part"') and self._endpoint == "first":
            Reader.lags.append(time.time() - json.loads(text)["data"]["sent"])
        elif text.startswith(b'{"type":"complete"'):
            Reader.live += 1
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server closed a connection"))


async def readers(port: int, endpoint: str, number: int, topics: int) -> list[Reader]:
    """That many subscribers, a few at a time, all past their `complete`."""
    loop, made = asyncio.get_running_loop(), []
    for at in range(number):
        params = {"k": str(at % topics)}
        _, reader = await loop.create_connection(lambda params=params: Reader(port, endpoint, params, time.time()), f"127.0.0.{1 + at % 5}", port)
        made.append(reader)
        if at % 50 == 49:
            await made[-1].ready
    await asyncio.gather(*(reader.ready for reader in made))
    return made


# --- processes and what they cost


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def running() -> Iterator[tuple[int, int, int]]:
    """The upstream and the server: upstream's port, server's port, server's pid."""
    up, port = free_port(), free_port()
    calls = {"v": {"upstream": "u", "path": "/{k}"}}
    endpoints = {
        name: {"get": f"/{name}/{{k}}", "calls": {"v": {**calls["v"], "path": f"/{name}/{{k}}"}}, "live": {"every": every}}
        for name, every in (("fan", "100ms"), ("still", "2s"), ("first", "1h"))
    }
    upstreams = {"u": {"url": f"http://127.0.0.1:{up}"}}
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "merganser.yaml"
        catalog.write_text(json.dumps({"upstreams": upstreams, "endpoints": endpoints}))
        env = {**os.environ, "MERGANSER_MAX_CONNECTIONS": "12000", "MERGANSER_LOG_LEVEL": "warning"}
        serve = [sys.executable, "-m", "app", "serve", str(catalog), "--host", "0.0.0.0", "--port", str(port)]
        children = [
            subprocess.Popen([sys.executable, __file__, "upstream", "--port", str(up)]),
            subprocess.Popen(serve, cwd=ROOT, env=env),
        ]
        try:
            wait_for(port, children[1])
            yield up, port, children[1].pid
        finally:
            for child in reversed(children):
                child.send_signal(signal.SIGTERM)
                child.wait(20)


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 15
    while time.monotonic() < end and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not start")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mb(pid: int) -> float:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


async def asked(up: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", up)
    writer.write(b"GET /asked HTTP/1.1\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    size = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    number = int(await reader.readexactly(size))
    writer.close()
    return number


# --- what is measured


async def fan(up: int, port: int, pid: int, subscribers: int, seconds: float) -> None:
    """One topic that changes ten times a second."""
    kept = await readers(port, "fan", subscribers, 1)
    await asyncio.sleep(1)
    Reader.messages, Reader.bytes, Reader.lags = 0, 0, []
    before, polls, began = cpu(pid), await asked(up), time.monotonic()
    await asyncio.sleep(seconds)
    spent, took, messages = cpu(pid) - before, time.monotonic() - began, Reader.messages
    lags = sorted(Reader.lags) or [0.0]
    print(f"fan-out: {len(kept)} subscribers, one topic, {Reader.bytes / max(messages, 1):.0f}-byte messages")
    print(f"  {messages / took:,.0f} deliveries/s, {spent / messages * 1e6:.1f} µs CPU each (at most {LIMITS['CPU per 500-byte message']})")
    print(f"  from the upstream's send to a reader: p50 {statistics.median(lags) * 1e3:.0f} ms, p99 {lags[int(len(lags) * 0.99)] * 1e3:.0f} ms")
    print(f"  upstream asked {(await asked(up) - polls) / took:.1f} times a second")


async def idle(up: int, port: int, pid: int, subscribers: int, topics: int) -> None:
    """Many who wait and nothing changes."""
    before = rss_mb(pid)
    kept = await readers(port, "still", subscribers, topics)
    await asyncio.sleep(3)
    spent = cpu(pid)
    await asyncio.sleep(5)
    after = rss_mb(pid)
    print(f"idle: {len(kept)} subscribers on {topics} topics: {after:.0f} MB in all (at most {LIMITS['10,000 idle on 100 topics']})")
    print(f"  {(after - before) * 1e3 / len(kept):.1f} kB each, {(cpu(pid) - spent) / 5 * 100:.1f} % of a core")


async def first(up: int, port: int, pid: int) -> None:
    """From the upstream's last byte to the part at the client, on cold topics."""
    Reader.lags = []
    await readers(port, "first", 200, 200)
    lags = sorted(Reader.lags)
    print(
        f"first part: {statistics.median(lags) * 1e3:.1f} ms after the upstream's answer (p50), "
        f"{lags[int(len(lags) * 0.99)] * 1e3:.1f} ms (p99; at most {LIMITS['first part']})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="all", choices=["all", "fan", "idle", "first", "upstream"])
    parser.add_argument("--subscribers", type=int)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.what == "upstream":
        asyncio.run(upstream(options.port))
        return
    measures = {
        "first": lambda up, port, pid: first(up, port, pid),
        "fan": lambda up, port, pid: fan(up, port, pid, options.subscribers or 1000, options.seconds),
        "idle": lambda up, port, pid: idle(up, port, pid, options.subscribers or 10_000, 100),
    }
    for name, measure in measures.items():
        if options.what in (name, "all"):
            with running() as (up, port, pid):
                asyncio.run(measure(up, port, pid))


if __name__ == "__main__":
    main()
