"""Request targets: path and query as they go out."""

from __future__ import annotations

from urllib.parse import quote, unquote_plus


def with_parameter(target: str, name: str, value: str) -> str:
    """The target with this as its only query parameter of that name."""
    path, _, query = target.partition("?")
    kept = [item for item in query.split("&") if item and unquote_plus(item.partition("=")[0]) != name]
    own = f"{quote(name, safe='')}={quote(value, safe='')}"
    return f"{path}?{'&'.join([*kept, own])}"
