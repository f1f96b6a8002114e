"""`merganser watch`: an endpoint of a running server, as it changes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from app.commands.timeline import COLOURS
from app.commands.words import asked, refuse
from app.watch import Told, Watch, WatchEnded, socket_url

FAILED = 1
FLASH = 1.5
"""Seconds for which a changed part is bright."""
ROOM = 400
"""Characters of a part's value that are shown."""
ROWS = 20
"""Items of a list that are shown."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 and C1 but tab and line feed (ECMA-48): what steers a terminal."""


def watch(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server, as http://127.0.0.1:8000.")],
    words: Annotated[list[str], typer.Argument(metavar="ENDPOINT [NAME=VALUE]...", show_default=False)],
    token: Annotated[str | None, typer.Option(help="A JWT or API key; `-` takes it from $TOKEN, which keeps it off the process list.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Ends with the first complete answer.")] = False,
    min_interval: Annotated[int | None, typer.Option(min=0, help="Milliseconds between two updates at least.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Messages as JSON lines, also on a terminal.")] = False,
) -> None:
    """Follow an endpoint of a running server.

    Over a WebSocket: parts as they land, then every change. A lost connection is made anew and goes on where it was.
    On a terminal a table, in a pipe one JSON message per line. Exit code 1: refused, or ended with an error.

    [bold]Examples[/bold]

    merganser watch http://127.0.0.1:8000 board iata=LHR

    merganser watch http://127.0.0.1:8000 trip iata=MAD --json | jq -c .data
    """
    given = asked(words, takes_catalog=False)
    if given.endpoint is None:
        refuse("which endpoint? merganser watch URL ENDPOINT [NAME=VALUE]...")
    if not is_url(url):
        refuse(f"'{url}' is no URL of a server: write it as http://127.0.0.1:8000")
    options: dict[str, Any] = {"live": not once}
    if min_interval is not None:
        options["min_interval_ms"] = min_interval
    one = Watch(url, given.endpoint, gathered(given.pairs), _print, os.environ.get("TOKEN") if token == "-" else token, options)  # noqa: S105 - a sign
    with ExitStack() as stack:
        if sys.stdout.isatty() and not as_json:
            screen = Screen(one)
            stack.enter_context(Live(get_renderable=screen.table, console=Console(), refresh_per_second=8))
            one.told = screen.told
        try:
            asyncio.run(one.run())
        except WatchEnded as ended:
            stack.close()
            typer.echo(f"merganser: {plain(str(ended))}", err=True)
            raise typer.Exit(FAILED) from ended


def is_url(url: str) -> bool:
    """Whether a server can be there."""
    try:
        parse_uri(socket_url(url)).host.encode("idna")
    except (InvalidURI, ValueError):
        return False
    return True


def gathered(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Values by name; a name that comes twice has a list."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _print(message: dict[str, Any]) -> None:
    """A message on stdout; what the connection does, on stderr."""
    if message["type"] != "status":
        typer.echo(json.dumps(message, ensure_ascii=False))
    elif message["status"] != "connected":
        typer.echo(f"merganser: {plain(in_words(message))}", err=True)


def in_words(status: dict[str, Any]) -> str:
    """What the connection does, and why."""
    return f"{status['detail']}; {status['status']}" if "detail" in status else str(status["status"])


class Screen:
    """The state of a watch as a table: a line per part, bright for a moment after it has changed."""

    def __init__(self, one: Watch) -> None:
        self._watch = one
        self._changed: dict[str, float] = {}
        self._status = "connecting"
        self.told: Told = self._told

    def _told(self, message: dict[str, Any]) -> None:
        if message["type"] == "status":
            self._status = in_words(message)
            return
        if message["type"] != "subscribed":
            self._status = "connected"
        data = message.get("data")
        changed = [message["part"]] if message["type"] == "part" else list(data) if isinstance(data, dict) else []
        self._changed.update(dict.fromkeys(changed, time.monotonic()))

    def table(self) -> Table:
        """The table as of now."""
        watched = self._watch.watched
        sources = Text("  ").join(shown(name, COLOURS.get(source.get("status", ""), "")) for name, source in watched.sources.items())
        title = f"{self._watch.endpoint}  {self._status}  {'complete' if watched.complete else 'incomplete'}  offset {watched.offset}"
        table = Table(title=shown(title, "table.title"), caption=sources, show_header=False, expand=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        parts = watched.state if isinstance(watched.state, dict) else {"data": watched.state}
        for name, value in parts.items():
            is_new = time.monotonic() - self._changed.get(name, 0.0) < FLASH
            table.add_row(shown(name), drawn(value), style="bold green" if is_new else "")
        return table


def drawn(value: Any) -> RenderableType:
    """A value for people: a list of flat objects as a table of its own, anything else as it would stand in JSON, without the quotes of a text."""
    if isinstance(value, list) and value and all(is_flat(item) for item in value):
        rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        columns = list(dict.fromkeys(key for item in value for key in item))
        for column in columns:
            rows.add_column(shown(column))
        for item in value[:ROWS]:
            rows.add_row(*(shown(written(item.get(column))) for column in columns))
        return rows
    text = "  ".join(f"{key} {written(inner)}" for key, inner in value.items()) if is_flat(value) else written(value)
    return shown(text[:ROOM] + ("…" if len(text) > ROOM else ""))


def shown(text: str, style: str = "") -> Text:
    """Words of an upstream as they stand: they are no markup, and do not steer the terminal."""
    return Text(plain(text), style)


def plain(text: str) -> str:
    """The text with a replacement character for each control character."""
    return _CONTROL.sub("\ufffd", text)


def is_flat(value: Any) -> bool:
    """Whether this is an object of scalars."""
    return isinstance(value, dict) and bool(value) and not any(isinstance(inner, dict | list) for inner in value.values())


def written(value: Any) -> str:
    """A scalar as people write it; null as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
