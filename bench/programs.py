"""The programs side by side: ours, what people write first, Node, Go, nginx with Lua; how each is started, watched and stopped."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("BENCH_HOME", Path.home() / ".cache/merganser-bench"))
TICK = os.sysconf("SC_CLK_TCK")
OURS = "Merganser"
FAN = (1, 3, 10, 30, 100)


def tree(pid: int) -> list[int]:
    """A process and everything that it has started."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mib(pid: int) -> float:
    """Resident memory of a process tree."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
    return total / 1024


@dataclass
class Program:
    """One program: `paths` are those that differ from everybody's `/agg/` and `/fan/N/`; an empty one is not measured."""

    name: str
    command: list[str]
    port: int
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = HOME
    paths: dict[str, str] = field(default_factory=dict)
    core: str = "0"
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running program."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Starts it, on its core, with its output in a log."""
        log = HOME / "logs" / f"{self.name.replace(' ', '_').replace('/', '_')}.log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.core, *self.command],
                cwd=self.cwd,
                env={**os.environ, **self.env},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_ready(self, path: str, within: float = 40) -> bool:
        """Waits until it answers."""
        end = time.monotonic() + within
        while time.monotonic() < end and self.process and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                time.sleep(0.2)  # one that found its port taken has gone by now
                return answer.status == 200 and self.process.poll() is None
            time.sleep(0.1)
        print(f"!! {self.name} did not answer {path}", file=sys.stderr)
        return False

    def stop(self) -> None:
        """Stops it and everything that it has started."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(4)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(5)


def upstream() -> Program:
    """The nginx that everybody asks."""
    return Program("upstream", ["nginx", "-c", str(HOME / "upstream.conf")], 9100, core="1")


def _uvicorn(module: str, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--backlog", "4096"]
    return [str(HOME / "venv/bin/uvicorn"), module, "--app-dir", str(HERE / "peers"), "--port", str(port), *options]


def programs(ours: dict[str, str], kind: str) -> list[Program]:
    """Every program. `kind` is the upstream's prefix: "" for 1.5 KB, m for 20 KB, d for 20 ms. `ours`: name to command."""
    found = [
        Program("FastAPI+httpx+gather", _uvicorn("naive_httpx:app", 9301), 9301, {"UP": kind}),
        Program("FastAPI+aiohttp+gather", _uvicorn("naive_aiohttp:app", 9302), 9302, {"UP": kind}),
        Program("Node Fastify+undici", ["node", "server.js"], 9303, {"UP": kind, "PORT": "9303"}, HOME / "node"),
        Program("Go decode+encode", [str(HOME / "agg-go"), "-addr", "127.0.0.1:9304", "-up", kind], 9304, {"GOMAXPROCS": "1"}),
        Program("Go checked splice", [str(HOME / "agg-go"), "-addr", "127.0.0.1:9305", "-up", kind, "-raw"], 9305, {"GOMAXPROCS": "1"}),
        Program("nginx+Lua splice", ["nginx", "-c", str(HOME / "peer.conf")], 9200, paths={"agg": f"/{kind}/agg/".replace("//", "/"), "fan": ""}),
    ]
    catalog = HOME / "merganser.yaml"
    catalog.write_text(subprocess.run([sys.executable, HERE / "catalog.py"], capture_output=True, text=True, check=True).stdout)
    for place, (name, command) in enumerate(ours.items()):
        serve = [*shlex.split(command), "serve", str(catalog), "--host", "127.0.0.1", "--port", str(9310 + place)]
        paths = {"agg": f"/{kind}agg/", "fan": f"/{kind}fan/"}
        found.append(Program(name, serve, 9310 + place, {"MERGANSER_LOG_LEVEL": "warning"}, paths=paths))
    return found
