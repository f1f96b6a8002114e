"""`merganser serve`: a catalog on the network."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from app.commands.catalogs import CatalogArgument, loaded, settings

Host = Annotated[str | None, typer.Option(help="Address to listen on; default: $MERGANSER_HOST, else 127.0.0.1.", show_default=False)]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Default: $MERGANSER_PORT, else 8000.", show_default=False)]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default: $MERGANSER_WORKERS, else 1.", show_default=False)]


def serve(catalog: CatalogArgument = None, host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Serve a catalog: REST, streams and live channels.

    A faulty catalog is refused: its faults on stderr, exit code 1 (2 if it cannot be read), no port opened.
    SIGTERM ends it gracefully: not ready at once, requests in flight finish, live clients are told to reconnect.

    [bold]Examples[/bold]

    merganser serve config/demo.yaml --port 8000

    MERGANSER_LOG_FORMAT=json merganser serve --host 0.0.0.0 --workers 2
    """
    given = settings()
    found = loaded(catalog)
    server = importlib.import_module("app.server")  # now: a faulty catalog is told before a second of imports
    code = server.serve(given, found, host or given.host, given.port if port is None else port, workers or given.workers)
    raise typer.Exit(code)
