"""Names: their form, the reserved ones, and the one namespace that the params and calls of an endpoint share."""

from __future__ import annotations

import re

from app.catalog.faults import Faults
from app.catalog.nodes import Table, table, tables
from app.catalog.resolve import hidden_params

RESERVED = ("body", "item", "claims", "request")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_names(root: Table, faults: Faults) -> None:
    """Every name of the catalog."""
    for section, kind in (("upstreams", "an upstream"), ("endpoints", "an endpoint"), ("auth", "a scheme")):
        _check_form(table(root, section), kind, faults)
    for _, _, endpoint in tables(root, "endpoints"):
        params, calls, hidden = table(endpoint, "params"), table(endpoint, "calls"), hidden_params(endpoint)
        for names, kind in ((params, "a param"), (calls, "a call")):
            _check_form(names, kind, faults, hidden)
            _check_reserved(names, kind, faults, hidden)
        _check_clash(params, calls, faults)


def _check_form(names: Table | None, kind: str, faults: Faults, hidden: frozenset[str] = frozenset()) -> None:
    for name, entry in names.entries.items() if names else ():
        if not _NAME.fullmatch(name):
            faults.add(entry.key, f"{_shown(name, hidden)} is no name for {kind}", "letters, digits and _ first, then also . and -")


def _check_reserved(names: Table | None, kind: str, faults: Faults, hidden: frozenset[str]) -> None:
    for name, entry in names.entries.items() if names else ():
        if name in RESERVED:
            faults.add(entry.key, f"{_shown(name, hidden)} is reserved: {kind} cannot have it", f"reserved are {', '.join(RESERVED)}")


def _shown(name: str, hidden: frozenset[str]) -> str:
    return "what was substituted" if name in hidden else f"'{name[:100]}'"


def _check_clash(params: Table | None, calls: Table | None, faults: Faults) -> None:
    """Params and calls share one namespace."""
    if params is None or calls is None:
        return
    for name, entry in calls.entries.items():
        if name in params.entries:
            line = params.entries[name].key.line
            faults.add(entry.key, f"the call '{name}' has the name of a param (line {line}): they share one namespace")
