"""Where a command's catalog comes from, and how its faults are told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from app.catalog.faults import CatalogFaults, CatalogUnreadable
from app.catalog.load import Loaded, load

DEFAULT = "merganser.yaml"
FAULTY, UNREADABLE = 1, 2
"""Exit codes."""

CatalogArgument = Annotated[
    Path | None, typer.Argument(metavar="[CATALOG]", show_default=False, help="The catalog; default: $MERGANSER_CATALOG, else merganser.yaml.")
]


def environ() -> Mapping[str, str]:
    """The environment, over what `.env` in the working directory says."""
    return {**{key: value for key, value in dotenv_values(".env").items() if value is not None}, **os.environ}


def chosen(path: Path | None, variables: Mapping[str, str]) -> Path:
    """The catalog that was named, else that of the environment, else `merganser.yaml`."""
    return path or Path(variables.get("MERGANSER_CATALOG") or DEFAULT)


def loaded(path: Path | None) -> Loaded:
    """The catalog, checked. Warnings go to stderr; so do faults, and the command ends with 1, or 2 if it cannot be read."""
    variables = environ()
    try:
        found = load(chosen(path, variables), variables)
    except CatalogFaults as faulty:
        for fault in faulty.faults:
            typer.echo(str(fault), err=True)
        raise typer.Exit(FAULTY) from faulty
    except CatalogUnreadable as unreadable:
        typer.echo(f"merganser: {unreadable}", err=True)
        raise typer.Exit(UNREADABLE) from unreadable
    for warning in found.warnings:
        typer.echo(str(warning), err=True)
    return found
