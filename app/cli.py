"""The commands of `merganser`: a table of contents; each command is a file in `commands/`, imported when it is run."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from app import __version__

COMMANDS = {
    "demo": "Start the sample upstreams and serve a catalog over them.",
    "serve": "Serve a catalog: REST, streams and live channels.",
    "check": "Check a catalog without serving it: every fault at once.",
    "plan": "Show the plan of an endpoint: who waits for whom, and for how long.",
    "call": "Run one endpoint without a server.",
    "watch": "Follow an endpoint of a running server.",
    "batch": "Run an endpoint for every row of a file; a re-run goes on.",
    "infer": "Call the upstreams of an endpoint and print a JSON Schema for each call.",
    "schema": "Print the JSON Schema of the catalog file, for editors.",
}
"""Name and summary of each command. The summary is the first line of its docstring (a test compares them)."""
CLOSED_PIPE = 141


class Commands(TyperGroup):
    """Lists commands from the table and imports one when it is resolved: `check` never pays for the server's imports."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with name and summary, for lists of commands."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command itself, for running it, its help and its completion."""
        self.commands = {name: self.get_command(ctx, name) for name in COMMANDS}
        name, found, rest = super().resolve_command(ctx, args)
        return name, load(name) if found is not None and name is not None else None, rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. A closed pipe (`merganser schema | head`) ends it quietly, with the code of a tool that SIGPIPE ended."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (sys.stdout, sys.stderr):
                os.dup2(nowhere, stream.fileno())  # what is still to be flushed goes there
            raise typer.Exit(CLOSED_PIPE) from None


def load(name: str) -> Any:
    """The command of this name, as `commands/NAME.py` defines it in a function NAME."""
    module = importlib.import_module(f"app.commands.{name}")
    single = typer.Typer(rich_markup_mode="rich", add_completion=False)
    single.command(name, no_args_is_help=getattr(module, "NEEDS_ARGUMENTS", False))(getattr(module, name))
    return get_command(single)


app = typer.Typer(cls=Commands, rich_markup_mode="rich", no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"merganser {__version__}")
        raise typer.Exit


@app.callback()
def merganser(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Many upstream APIs as one: composed, streamed and live, and truthful about what failed.

    Try [bold]merganser demo[/bold], then open the printed addresses.
    """


def main() -> None:
    """The console script. Ctrl-C ends it quietly."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
