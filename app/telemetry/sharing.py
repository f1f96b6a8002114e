"""Numbers of several worker processes as one: each writes its own to a file once a second, who is asked adds them up.

What a worker has counted stays after its death, so that no counter ever goes back; its gauges go with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from app.telemetry.series import Gauge, Series

FRESH = 10.0
"""A worker that has not written for so many seconds is dead: its gauges no longer count."""


class SharedFolder:
    """The folder that `serve` makes for its workers; this process owns one file in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}-{time.time_ns()}.json"

    def write(self, series: Iterable[Series]) -> None:
        """Replaces this process's file, in one step."""
        content = {s.name: [[list(labels), cell] for labels, cell in list(s.cells.items())] for s in series}
        unfinished = self._own.with_suffix(".part")
        unfinished.write_bytes(orjson.dumps(content))
        unfinished.replace(self._own)

    def absorb(self, into: dict[str, Series]) -> None:
        """Adds what the other processes have written."""
        for path in self._folder.glob("*.json"):
            if path == self._own:
                continue
            is_alive = time.time() - path.stat().st_mtime < FRESH
            for name, cells in _read(path).items():
                series = into.get(name)
                if series is None or (isinstance(series, Gauge) and not is_alive):
                    continue
                for labels, cell in cells:
                    series.absorb(tuple(labels), cell)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:  # the folder is being removed
        return {}
    return content
