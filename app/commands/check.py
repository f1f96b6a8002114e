"""`merganser check`: every fault of a catalog, with its place and its mend."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Literal

import typer

from app.catalog.faults import CatalogFaults, CatalogUnreadable, Fault, as_json, as_text
from app.catalog.load import load
from app.commands.catalogs import FAULTY, UNREADABLE, CatalogArgument, chosen, environment


def check(
    catalog: CatalogArgument = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="How faults are printed.")] = "text",
) -> None:
    """Check a catalog without serving it: every fault at once.

    Exit code 0: clean. 1: it has faults, printed as FILE:LINE:COL: error: MESSAGE. 2: it cannot be read.

    [bold]Examples[/bold]

    merganser check

    merganser check config/demo.yaml --format json
    """
    variables = environment()
    path = chosen(catalog, variables)
    try:
        found = load(path, variables)
    except CatalogFaults as faulty:
        tell(faulty.faults, faulty.warnings, format)
        raise typer.Exit(FAULTY) from faulty
    except CatalogUnreadable as unreadable:
        typer.echo(f"merganser: {unreadable}", err=True)
        raise typer.Exit(UNREADABLE) from unreadable
    tell((), found.warnings, format)
    if format == "text":
        upstreams, endpoints = counted(found.catalog.upstreams, "upstream"), counted(found.catalog.endpoints, "endpoint")
        typer.echo(f"{path}: no faults ({upstreams}, {endpoints})", err=True)


def counted(things: Sized, word: str) -> str:
    """`1 upstream`, `2 upstreams`."""
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def tell(faults: tuple[Fault, ...], warnings: tuple[Fault, ...], format: str) -> None:
    """Prints faults and warnings on stdout: a line each, or one JSON object."""
    typer.echo(as_json(faults, warnings) if format == "json" else as_text((*faults, *warnings)), nl=False)
