"""Starts the sample upstreams that a catalog names, each as a process on loopback, and stops them all."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

SAMPLES = {"airports": 9101, "sky": 9102, "calendar": 9103, "formats": 9104, "board": 9105, "shop": 9106, "profile": 9107, "soap": 9108}
"""The samples and the port that each takes if it is free."""
PATIENCE = 30.0
"""Seconds in which every sample must answer: they import large data packages, on machines that may be busy."""
_NAMED = re.compile(r"\$\{DEMO_([A-Z]+)_URL\b")


class SampleFailed(Exception):
    """A sample upstream did not start."""


def variable(name: str) -> str:
    """The environment variable in which a catalog finds the sample's URL."""
    return f"DEMO_{name.upper()}_URL"


def named_in(catalog: Path) -> list[str]:
    """The samples whose URLs a catalog takes from the environment."""
    found = {name.lower() for name in _NAMED.findall(catalog.read_text(encoding="utf-8"))}
    return [name for name in SAMPLES if name in found]


@contextmanager
def running(names: list[str], latency: float) -> Iterator[Mapping[str, str]]:
    """The samples, answering, as URL by name; they end with the block, and with this process, however it ends."""
    with ExitStack() as stack:
        urls, processes = {}, {}
        for name in names:
            with listening(SAMPLES[name]) as listener:
                urls[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
                processes[name] = stack.enter_context(process(name, listener, latency))
        for name in names:
            await_answer(name, urls[name], processes[name])
        yield urls


def listening(port: int) -> socket.socket:
    """A listening socket on loopback: on this port, or on a free one if it is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


@contextmanager
def process(name: str, listener: socket.socket, latency: float) -> Iterator[subprocess.Popen[bytes]]:
    """One sample. The pipe to its standard input is its lifeline; a Ctrl-C at the terminal is for us alone."""
    command = [sys.executable, "-m", "app.demo.upstream", name, str(listener.fileno()), str(latency)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], start_new_session=True)  # noqa: S603 - our own module
    try:
        yield child
    finally:
        assert child.stdin is not None  # noqa: S101 - asked for above
        child.stdin.close()
        try:
            child.wait(3)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def await_answer(name: str, url: str, child: subprocess.Popen[bytes]) -> None:
    """Returns once the sample answers; SampleFailed if it ended or took too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if child.poll() is not None:
            raise SampleFailed(f"the sample upstream '{name}' ended with exit code {child.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):  # noqa: S310 - our own child on loopback
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.05)
    raise SampleFailed(f"the sample upstream '{name}' did not answer in {PATIENCE:.0f} s")
