"""What commands are given: a catalog and settings, and how what is wrong with them is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.catalog.faults import CatalogFaults, CatalogUnreadable, as_text
from app.catalog.load import Loaded, load
from app.settings import Settings, environ

DEFAULT = "merganser.yaml"
FAULTY, UNREADABLE, USAGE = 1, 2, 2
"""Exit codes."""

CatalogArgument = Annotated[
    Path | None, typer.Argument(metavar="[CATALOG]", show_default=False, help="The catalog; default: $MERGANSER_CATALOG, else merganser.yaml.")
]


def chosen(path: Path | None, variables: Mapping[str, str]) -> Path:
    """The catalog that was named, else that of the environment, else `merganser.yaml`."""
    return path or Path(variables.get("MERGANSER_CATALOG") or DEFAULT)


@contextmanager
def env_file() -> Iterator[None]:
    """Ends the command with 2 and a line where `.env` cannot be read."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as unreadable:
        reason = unreadable.strerror if isinstance(unreadable, OSError) else "it is no UTF-8 text"
        typer.echo(f"merganser: .env cannot be read: {reason}", err=True)
        raise typer.Exit(UNREADABLE) from unreadable


def environment() -> Mapping[str, str]:
    """What `${VAR}` in a catalog means."""
    with env_file():
        return environ()


def loaded(path: Path | None) -> Loaded:
    """The catalog, checked. Warnings go to stderr; so do faults, and the command ends with 1, or 2 if it cannot be read."""
    given = environment()
    try:
        found = load(chosen(path, given), given)
    except CatalogFaults as faulty:
        typer.echo(as_text(faulty.faults), err=True, nl=False)
        raise typer.Exit(FAULTY) from faulty
    except CatalogUnreadable as unreadable:
        typer.echo(f"merganser: {unreadable}", err=True)
        raise typer.Exit(UNREADABLE) from unreadable
    typer.echo(as_text(found.warnings), err=True, nl=False)
    return found


def settings() -> Settings:
    """The settings; each one that cannot be used is told on stderr, and the command ends with 2. Values are not shown: some are secret."""
    try:
        with env_file():
            return Settings()
    except ValidationError as invalid:
        for error in invalid.errors(include_input=False, include_url=False):
            typer.echo(f"merganser: MERGANSER_{'_'.join(str(at) for at in error['loc'][:1]).upper()}: {error['msg']}", err=True)
        raise typer.Exit(USAGE) from invalid
