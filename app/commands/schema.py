"""`merganser schema`: the JSON Schema of the catalog file."""

from __future__ import annotations

import orjson
import typer

from app.catalog.editor_schema import json_schema


def schema() -> None:
    """Print the JSON Schema of the catalog file, for editors.

    Put [bold]# yaml-language-server: $schema=merganser.schema.json[/bold] on a catalog's first line and the editor completes keys and marks faults.

    [bold]Example[/bold]

    merganser schema > merganser.schema.json
    """
    typer.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())
