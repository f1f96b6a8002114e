"""The promise: `merganser demo` stops everything that it started, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.fleet import SampleFailed, await_answer, listening, running

pytestmark = pytest.mark.slow


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own child on loopback
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def until(what: bool, url: str, within: float = 40.0) -> None:
    end = time.monotonic() + within
    while answers(url) is not what:
        assert time.monotonic() < end, f"{url} still {'does not answer' if what else 'answers'}"
        time.sleep(0.05)  # waits for other processes: there is nothing to await


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A running demo: its process, its URL, the URLs of its samples."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--catalog", "soap", "--port", str(port)], cwd=root, env={**os.environ},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    samples = next(line for line in process.stderr if line.startswith("over "))
    yield process, f"http://127.0.0.1:{port}", [f"http://{word.strip(',')}" for word in samples.split() if word.startswith("127.")]
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_sample_outlives_the_demo(demo: tuple[subprocess.Popen[str], str, list[str]], sign: signal.Signals) -> None:
    """Ctrl-C, a stop, and a kill without warning."""
    process, url, samples = demo
    until(True, f"{url}/readyz")
    with urllib.request.urlopen(f"{url}/rates/JPY") as response:  # noqa: S310
        assert b'"rate":163.2' in response.read()
    process.send_signal(sign)
    process.wait(20)
    assert len(samples) == 1
    for sample in samples:
        until(False, f"{sample}/healthz", within=10)


def test_a_taken_port_is_no_hindrance() -> None:
    """The sample goes to a free one, and the catalog is told."""
    with socket.create_server(("127.0.0.1", 0)) as taken, listening(taken.getsockname()[1]) as other:
        assert other.getsockname()[1] != taken.getsockname()[1]


def test_a_sample_that_ends_is_a_clear_fault() -> None:
    """Not a wait of half a minute."""
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as child:
        child.wait()
        with pytest.raises(SampleFailed, match="exit code 3"):
            await_answer("sky", "http://127.0.0.1:9", child)


def test_the_samples_end_with_the_block() -> None:
    """And answer inside it."""
    with running(["soap"], 0.0) as urls:
        assert answers(f"{urls['soap']}/healthz")
    assert not answers(f"{urls['soap']}/healthz")
