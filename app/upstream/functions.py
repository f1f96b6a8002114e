"""The functions of Python upstreams, imported before anything runs; one that cannot be is told in a line."""

from __future__ import annotations

import traceback
from pathlib import Path

from app.catalog.load import Loaded
from app.upstream.perform import load

_LONGEST_REASON = 500


class FunctionUnusable(Exception):
    """A function cannot be imported; the text says of which upstream and why, for the operator's own terminal."""


def import_functions(loaded: Loaded) -> None:
    """Imports the module of every function that runs in this process. FunctionUnusable where one raises, or would end us.

    Called on the event loop that they are to run on: what a module makes at its import may belong to that loop.
    """
    for name, spec in loaded.catalog.upstreams.items():
        if spec.python is None or spec.run == "process":
            continue
        try:
            load(spec.python, loaded.folder)
        except (Exception, SystemExit) as exc:
            raise FunctionUnusable(f"upstream '{name}': {spec.python} cannot be imported: {_told(exc)}") from exc


def _told(exc: BaseException) -> str:
    """Type, message and place of an exception, on one line."""
    reason = " ".join(f"{type(exc).__name__}: {exc}".split()).removesuffix(":")[:_LONGEST_REASON]
    last = traceback.extract_tb(exc.__traceback__)[-1]
    return reason if last.filename.startswith("<") else f"{reason} ({Path(last.filename).name}:{last.lineno})"
