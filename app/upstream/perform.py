"""Calls a function of the catalog's author and makes JSON of what it returns: on the loop, on a thread or in another process.

Nothing of the function's leaves here but its JSON: no exception, no object. So it can run anywhere.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from app.core.errors import DecodeFailed
from app.upstream.strict_json import checked

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Returned:
    """The JSON text of what the function returned."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is none: it raised, or returned no JSON, or too much. `reason` is for the log: a type and a place, no values."""

    why: Literal["raised", "no_json", "too_large"]
    reason: str


Result: TypeAlias = Returned | Failed


def load(target: str, folder: Path) -> Function:
    """The function of a `module:function`, importable from the catalog's folder.

    ImportError or AttributeError if it is not there, TypeError if it is nothing to call.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module, _, name = target.partition(":")
    function: Function = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise TypeError(f"'{name}' is no function but of type {type(function).__name__}")
    return function


def perform(function: Function, args: dict[str, Any], limit: int) -> Result:
    """Calls it here and now; an async function gets a loop of its own. Never raises."""
    try:
        value = function(**fresh(args))
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
    except BaseException as exc:  # sys.exit() of a function ends nobody's thread or process
        return Failed("raised", _place(exc))
    return as_json(value, limit)


async def perform_async(function: Function, args: dict[str, Any], limit: int) -> Result:
    """Awaits it on this loop. Raises nothing but CancelledError, when cancelled from outside."""
    try:
        value: Any = function(**fresh(args))
        if inspect.isawaitable(value):
            value = await value
    except asyncio.CancelledError as exc:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        return Failed("raised", _place(exc))
    except BaseException as exc:  # sys.exit() of a function does not end the service
        return Failed("raised", _place(exc))
    return as_json(value, limit)


def as_json(value: Any, limit: int) -> Result:
    """The value as JSON text of at most `limit` bytes; sets, dates, NaN and the like are no JSON."""
    try:
        body = checked(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except (TypeError, ValueError, RecursionError, DecodeFailed) as exc:
        return Failed("no_json", type(exc).__name__)
    return Returned(body) if len(body) <= limit else Failed("too_large", f"{len(body)} bytes")


def fresh(value: Any) -> Any:
    """A copy of decoded JSON, which the function may change: what it was made of belongs to others."""
    if isinstance(value, dict):
        return {key: fresh(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [fresh(entry) for entry in value]
    return value


def _place(exc: BaseException) -> str:
    """The exception's type and the last line that it came through; its text may hold anything."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(exc).__name__ if trace is None else f"{type(exc).__name__} at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
