"""Request targets: path and query as they go out."""

from __future__ import annotations

from urllib.parse import quote, unquote_plus


def with_parameter(target: str, name: str, value: str) -> str:
    """The target with this as its only query parameter of that name."""
    rest = without_parameter(target, name)
    return f"{rest}{'&' if '?' in rest else '?'}{quote(name, safe='')}={quote(value, safe='')}"


def without_parameter(target: str, name: str) -> str:
    """The target without query parameters of that name, however they are encoded."""
    path, _, query = target.partition("?")
    kept = [item for item in query.split("&") if item and unquote_plus(item.partition("=")[0]) != name]
    return f"{path}?{'&'.join(kept)}" if kept else path
