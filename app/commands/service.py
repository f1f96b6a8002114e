"""The service behind a command that runs endpoints without a server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout

import typer

from app.catalog.load import Loaded
from app.commands.catalogs import FAULTY
from app.main import Service, open_service
from app.settings import Settings
from app.upstream.functions import FunctionUnusable, import_functions


@asynccontextmanager
async def running(settings: Settings, loaded: Loaded) -> AsyncIterator[Service]:
    """The service of a catalog for as long as a command needs it; it logs errors alone.

    A function that cannot be imported is told on stderr, and the command ends with 1. What functions print goes to stderr
    too: stdout is the command's own.
    """
    with redirect_stdout(sys.stderr):
        try:
            import_functions(loaded)
        except FunctionUnusable as unusable:
            typer.echo(f"merganser: {unusable}", err=True)
            raise typer.Exit(FAULTY) from unusable
        async with open_service(settings.model_copy(update={"log_level": "error"}), loaded) as service:
            yield service
