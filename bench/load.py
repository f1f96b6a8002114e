"""Load and what it costs: wrk from the other core, processor time from /proc, the programs taking turns."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from programs import HERE, Program, cpu_seconds, rss_mib, upstream


@dataclass(frozen=True)
class Row:
    """One program in one round."""

    name: str
    round: int
    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int
    rss_mib: float


@dataclass(frozen=True)
class Result:
    """All rounds of one scenario."""

    title: str
    rows: list[Row]

    @property
    def names(self) -> list[str]:
        """Programs, the cheapest first."""
        return sorted({row.name for row in self.rows}, key=lambda name: self.median(name, "cpu_us"))

    def of(self, name: str) -> dict[int, Row]:
        """A program's rounds."""
        return {row.round: row for row in self.rows if row.name == name}

    def median(self, name: str, what: str) -> float:
        """Over the rounds."""
        return statistics.median(getattr(row, what) for row in self.of(name).values())

    def ratio(self, name: str, other: str, what: str = "cpu_us") -> float | None:
        """Median of the ratios of each round: what disturbs a round disturbs both."""
        mine, theirs = self.of(name), self.of(other)
        both = [getattr(mine[key], what) / max(getattr(theirs[key], what), 1e-9) for key in mine if key in theirs]
        return statistics.median(both) if both else None


def wrk(port: int, path: str, connections: int, seconds: float, *, is_same: bool = False) -> dict[str, float]:
    """Loads one program and says what wrk saw."""
    url, script = f"http://127.0.0.1:{port}{path}{'42' if is_same else ''}", str(HERE / "wrkjson.lua")
    command = ["taskset", "-c", "1", "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s", "--timeout", "10s", "-s", script, url, "--"]
    done = subprocess.run([*command, "same" if is_same else "each"], capture_output=True, text=True, timeout=seconds + 60, check=False)
    if "JSON" not in done.stdout:
        raise SystemExit(f"wrk got nothing from {url}: is another program on that port?\n{done.stdout}{done.stderr}")
    seen: dict[str, float] = json.loads(done.stdout.split("JSON", 1)[1])
    return seen


def measure(program: Program, turn: int, path: str, connections: int, seconds: float, *, is_same: bool) -> Row:
    """One round of one program."""
    before = cpu_seconds(program.pid)
    seen = wrk(program.port, path, connections, seconds, is_same=is_same)
    used = cpu_seconds(program.pid) - before
    errors = int(sum(value for key, value in seen.items() if key.startswith("e_")))
    rps = seen["requests"] / seen["dur_us"] * 1e6
    return Row(program.name, turn, used / max(seen["requests"], 1) * 1e6, rps, seen["p50"] / 1e3, seen["p99"] / 1e3, errors, rss_mib(program.pid))


def compare(
    title: str, found: Sequence[Program], paths: Mapping[str, str], connections: int, rounds: int, seconds: float, *, is_same: bool = False
) -> Result:
    """Starts all, warms them up, and loads them in turns of random order."""
    up = upstream()
    up.start()
    rows: list[Row] = []
    try:
        running = []
        for program in found:
            if path := paths.get(program.name):
                program.start()
                if program.is_ready(f"{path}1"):
                    running.append(program)
        for program in running:
            wrk(program.port, paths[program.name], connections, 1, is_same=is_same)
        for turn in range(rounds):
            for program in random.sample(running, len(running)):
                rows.append(measure(program, turn, paths[program.name], connections, seconds, is_same=is_same))
                print(f"   {title}: round {turn + 1}, {program.name}: {rows[-1].cpu_us:.0f} µs", file=sys.stderr, flush=True)
    finally:
        for program in [*found, up]:
            program.stop()
    return Result(title, rows)
