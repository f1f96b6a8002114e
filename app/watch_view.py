"""How `merganser watch` shows a subscription: a table that is redrawn on a terminal, one JSON object a line in a pipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.watch import Told, Watched

_STYLES = {"ok": "green", "skipped": "dim", "stale": "yellow", "fallback": "yellow", "partial": "yellow", "failed": "red"}
LONGEST = 2000
"""Characters of a part that are shown."""


@contextmanager
def lines(out: TextIO, notes: TextIO) -> Iterator[Told]:
    """Messages of the subscription as JSON lines, without their id; what the connection does goes to `notes`."""

    def told(message: dict[str, Any]) -> None:
        if message["type"] == "status":
            notes.write(f"{message['status']}{': ' + message['detail'] if 'detail' in message else ''}\n")
            notes.flush()
        else:
            out.write(json.dumps({key: value for key, value in message.items() if key != "id"}, ensure_ascii=False) + "\n")
            out.flush()

    yield told


@contextmanager
def table(console: Console, title: str, watched: Watched, clock: Callable[[], datetime]) -> Iterator[Told]:
    """The whole state, redrawn with every message."""
    changed: dict[str, str] = {}
    status = ["connecting"]
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:

        def told(message: dict[str, Any]) -> None:
            if message["type"] == "status":
                status[0] = f"{message['status']}{' · ' + message['detail'] if 'detail' in message else ''}"
            for name in _touched(message):
                changed[name] = clock().strftime("%H:%M:%S")
            live.update(Group(_parts(title, watched, changed), _sources(watched), Text(status[0], style="dim")), refresh=True)

        yield told


def _touched(message: dict[str, Any]) -> list[str]:
    if message["type"] == "part":
        return [message["part"]]
    data = message.get("data")
    return list(data) if message["type"] == "update" and isinstance(data, dict) else []


def _parts(title: str, watched: Watched, changed: dict[str, str]) -> Table:
    word = "over" if watched.is_over else "complete" if watched.complete else "partial"
    shown = Table(title=f"{title}  ·  {word}  ·  {watched.epoch or '-'}.{watched.offset}", title_justify="left", expand=True)
    shown.add_column("part", no_wrap=True)
    shown.add_column("data", overflow="fold", ratio=1)
    shown.add_column("changed", no_wrap=True)
    rows = watched.state.items() if watched.is_keyed and isinstance(watched.state, dict) else [("", watched.state)]
    for name, value in rows:
        text = json.dumps(value, ensure_ascii=False)
        shown.add_row(Text(name), Text(text if len(text) <= LONGEST else text[:LONGEST] + " …"), changed.get(name, ""))
    return shown


def _sources(watched: Watched) -> Text:
    text = Text()
    for name, source in watched.sources.items():
        error = f" ({source['error']['type']})" if "error" in source else ""
        text.append(f"{name} {source['status']}{error} {source['ms']} ms   ", style=_STYLES.get(source["status"], ""))
    return text
