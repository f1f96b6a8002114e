"""`merganser serve`: a catalog on the network."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from app.commands.catalogs import CatalogArgument, chosen, environ, loaded


def serve(
    catalog: CatalogArgument = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: $MERGANSER_HOST, else 127.0.0.1.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: $MERGANSER_PORT, else 8000.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: $MERGANSER_WORKERS, else 1.", show_default=False)] = None,
) -> None:
    """Serve a catalog: REST, streams and live channels.

    A faulty catalog is refused: its faults on stderr, exit code 1 (2 if it cannot be read), no port opened.
    SIGTERM ends it gracefully: not ready at once, requests in flight finish, live clients are told to reconnect.

    [bold]Examples[/bold]

    merganser serve config/demo.yaml --port 8000

    MERGANSER_LOG_FORMAT=json merganser serve --host 0.0.0.0 --workers 2
    """
    loaded(catalog)
    server = importlib.import_module("app.server")  # after the check: a faulty catalog is told before a second of imports
    settings = importlib.import_module("app.settings").Settings()
    path = chosen(catalog, environ())
    raise typer.Exit(server.serve(settings, path, host or settings.host, settings.port if port is None else port, workers or settings.workers))
