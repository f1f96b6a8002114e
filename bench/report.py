"""What was measured as text and picture: tables, the figures that we promise, and one plot drawn by hand as SVG."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from load import Result
from programs import FAN, OURS

NAIVE, GO, SPLICE = "FastAPI+httpx+gather", "Go decode+encode", "Go checked splice"
COLOURS = ("#0b6e4f", "#c0392b", "#d98324", "#5b7f1e", "#2c6fb5", "#6b4fa1", "#777777", "#111111")

INTRO = """# Performance

Written by `make bench`, in one run. A service asks upstreams at once and answers with one JSON document; every program
does the same work: ours with its default policies and retry, breaker, timeout and concurrency on, the others with none.
The main figure is the processor time of a program's processes for each request: it depends on neither the load generator
nor the idle time of the machine, and a core serves as many requests a second as it goes into a second.

Each program runs on one core, its upstream (nginx) and the load (wrk) on another; all are up at once and are loaded in turns of random order,
over several rounds. A ratio is the median of the ratios of each round. Compare within a table: machines drift.
Every request asks for another id, so that none is answered by a request in flight; the table of equal requests shows what
coalescing makes of those.
"""

OUTRO = """## Where the time goes, and what was tried

With three calls seven tenths of a request's processor time are the interpreter's (`perf record` on the server), a seventh the kernel's, the rest
uvloop's, the parsers' and malloc's; they spread over some 200 small functions of ours, none of which takes more than a few per cent.
`bench/transport.py` and `bench/policies.py` measure the two large parts alone: a call through our transport, and each policy.

- What brought something: JSON checked by simdjson (a body of 20 KB in 35 µs instead of 147, which halved that table's figure); one look into all
  idle sockets instead of one each; one timer for all deadlines; values of a call as structs made in C; the answer's head and body in one write;
  header fields taken in one go; the tasks of shared requests made without a callback; ids without a system call; a garbage collector that leaves alone what start-up has made.
- What did not: tasks that start eagerly (3.12 and later), which are cheaper alone and made a request a tenth dearer, since the event loop then serves
  fewer calls a turn; going past the layers of FastAPI that are left (4 µs a request); a PGO build of Python 3.11 (Debian's), which needs nine tenths at
  30 calls and the same at three.
- What stays: identical calls in flight share one request, which outlives whoever began it and so is a task of its own (most of what `coalesce`
  costs, the dearest policy: `python -m bench.policies`); every call is accounted for in metrics, records and `Server-Timing`; no byte of one answer
  ever becomes the next caller's.
- What made it worse: compiling the hot modules as they are. 138 of them through Cython 3.3 pass the tests and cost 1.2 times as much, with three
  calls and with thirty: 3.13 specialises small functions and steps coroutines faster than the compiled ones call each other. Types that C can
  use would mean another program.
"""


def table(result: Result, reference: str) -> str:
    """One scenario."""
    reference = reference if reference in result.names else result.names[0]
    lines = [
        f"## {result.title}",
        "",
        f"| program | CPU µs a request | × {reference} | req/s | p50 ms | p99 ms | errors | RSS MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in result.names:
        ratio, errors = result.ratio(name, reference), sum(row.errors for row in result.of(name).values())
        cpu, rps, p50, p99, rss = (result.median(name, what) for what in ("cpu_us", "rps", "p50_ms", "p99_ms", "rss_mib"))
        shown = f"**{name}**" if name.startswith(OURS) else name
        lines.append(f"| {shown} | {cpu:,.0f} | {ratio or 0:.2f} | {rps:,.0f} | {p50:.1f} | {p99:.1f} | {errors} | {rss:.0f} |")
    return "\n".join(lines) + "\n"


def promises(results: Mapping[str, Result]) -> str:
    """What the transport and the hot path are to reach, and what this run says."""
    rows: list[tuple[str, str, float | None, str]] = []

    def add(what: str, scenario: str, other: str, limit: float, measure: str = "cpu_us") -> None:
        if (found := results.get(scenario)) is not None and OURS in found.names:
            rows.append((what, f"at most {limit:g}", found.ratio(OURS, other, measure), f"{limit}"))

    add(f"3 calls, CPU over {NAIVE}", "agg", NAIVE, 0.05)
    add(f"3 calls, CPU over {GO}", "agg", GO, 0.7)
    add(f"3 calls, CPU over {SPLICE} (aim)", "agg", SPLICE, 1.0)
    add(f"30 calls, CPU over {SPLICE}", "fan30", SPLICE, 1.0)
    add(f"1,000 connections, p99 over {GO}", "conns", GO, 3.0, "p99_ms")
    if {"agg", "full"} <= results.keys() and all(OURS in results[key].names for key in ("agg", "full")):
        full = results["full"].median(OURS, "cpu_us") / results["agg"].median(OURS, "cpu_us")
        rows.append(("the full envelope, CPU over `data`", "at most 1.15", full, "1.15"))
    if {"fan10", "fan100"} <= results.keys() and OURS in results["fan100"].names:
        per_call = (results["fan100"].median(OURS, "cpu_us") - results["fan10"].median(OURS, "cpu_us")) / 90
        rows.append(("each further call, CPU µs", "at most 45", per_call, "45"))
    older = f"{OURS} on 3.11"
    if "agg" in results and older in results["agg"].names:
        rows.append(("Python 3.11, CPU over the newer", "at most 1.5", results["agg"].ratio(older, OURS), "1.5"))
    lines = ["## What it is to reach", "", "| figure | goal | measured | |", "| --- | --- | ---: | --- |"]
    for what, goal, value, limit in rows:
        verdict = "" if value is None else ("reached" if value <= float(limit) else "missed")
        lines.append(f"| {what} | {goal} | {'' if value is None else f'{value:.2f}'} | {verdict} |")
    return "\n".join(lines) + "\n"


def machine(commands: Mapping[str, str]) -> str:
    """What it was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cores = os.cpu_count()
    load = os.getloadavg()[1]
    lines = [
        f"- {model[1] if model else platform.machine()}, {cores} cores, Linux {platform.release().split('-')[0]}; load average {load:.1f} during the run"
    ]
    return "\n".join([*lines, *(f"- {name}: {version}" for name, version in commands.items())]) + "\n"


def page(results: Mapping[str, Result], versions: Mapping[str, str]) -> str:
    """docs/performance.md."""
    tables = [table(result, GO if key == "conns" else SPLICE) for key, result in results.items()]
    plot = "![CPU time of a request over the number of calls that it makes](performance.svg)\n"
    return "\n".join([INTRO, machine(versions), plot, promises(results), OUTRO, *tables])


# --- the plot: processor time over fan-out, both logarithmic


def plot(results: Mapping[str, Result]) -> str:
    """An SVG of CPU time per request over the number of calls, one line for each program."""
    points: dict[str, list[tuple[int, float]]] = {}
    for count in FAN:
        if (result := results.get(f"fan{count}")) is not None:
            for name in result.names:
                points.setdefault(name, []).append((count, result.median(name, "cpu_us")))
    if not points:
        return ""
    values = [value for line in points.values() for _, value in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, top, width, height = 70, 44, 520, 330

    def x(count: float) -> float:
        return left + math.log10(count) / 2 * width

    def y(value: float) -> float:
        return top + height - (math.log10(value) - low) / (high - low) * height

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 440" font-family="system-ui, sans-serif" font-size="13">',
        '<rect width="820" height="440" fill="#ffffff"/>',
        f'<text x="{left}" y="24" font-size="15" font-weight="600">Processor time of one request, by the number of calls that it makes</text>',
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{_seconds(10**power)}</text>')
    for count in FAN:
        parts.append(f'<text x="{x(count):.1f}" y="{top + height + 20}" text-anchor="middle">{count}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle">calls of 1.5 KB at once</text>')
    return "\n".join([*parts, *_lines(points, x, y, left + width), "</svg>"]) + "\n"


def _lines(points: Mapping[str, Sequence[tuple[int, float]]], x: object, y: object, right: float) -> list[str]:
    """The lines, each with its name at its right end, moved apart where they would overlap."""
    assert callable(x)
    assert callable(y)
    parts: list[str] = []
    used: list[float] = []
    order = sorted(points, key=lambda name: -points[name][-1][1])
    for place, name in enumerate(order):
        colour = COLOURS[0] if name.startswith(OURS) else COLOURS[1 + place % (len(COLOURS) - 1)]
        path = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in points[name])
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{3 if name.startswith(OURS) else 1.6}"/>')
        at = y(points[name][-1][1])
        while any(abs(at - other) < 16 for other in used):
            at += 4
        used.append(at)
        parts.append(f'<text x="{right + 10}" y="{at + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    return parts


def _seconds(micros: float) -> str:
    return f"{micros:g} µs" if micros < 1000 else f"{micros / 1000:g} ms" if micros < 1e6 else f"{micros / 1e6:g} s"
