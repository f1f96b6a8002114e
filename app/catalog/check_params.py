"""Params: constraints that fit their type, patterns that compile, defaults and examples that are what they ask for."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs

from app.catalog.faults import Faults, did_you_mean
from app.catalog.nodes import Entry, Items, Leaf, Table, plain, tables, text

_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_TYPES = ("string", "integer", "number", "boolean")
_OF_TYPE = {
    **dict.fromkeys(("pattern", "minLength", "maxLength"), ("string",)),
    **dict.fromkeys(_NUMERIC, ("integer", "number")),
    **dict.fromkeys(("items", "minItems", "maxItems"), ("array",)),
    "enum": _TYPES,
}
_OF_ITEMS = ("type", "description", "example", "enum", "pattern", "format", *_NUMERIC, "minLength", "maxLength")
"""What `items` may say: what one value of a list is held to."""
_RULES = ("type", "pattern", "enum", *_NUMERIC, "minLength", "maxLength", "minItems", "maxItems", "items")


def check_params(root: Table, faults: Faults) -> None:
    """Every param of every endpoint."""
    for _, _, endpoint in tables(root, "endpoints"):
        for name, _, param in tables(endpoint, "params"):
            _check_param(name, param, faults)


def _check_param(name: str, param: Table, faults: Faults) -> None:
    kind = text(param, "type") or "string"
    if kind not in (*_TYPES, "array"):
        return
    if kind == "array" and text(param, "in") == "path":
        faults.add(param.key("type"), f"the path param '{name}' cannot be a list: it is one segment")
    _check_constraints(param, kind, faults)
    is_sound = _check_pattern(param, faults) and _check_items(param, kind, faults)
    if not is_sound:
        return
    for key in ("default", "example"):
        if (entry := param.entries.get(key)) and not _is_null(entry):
            _check_value(key, entry, param, kind, faults)
    _check_enum(param, kind, faults)


def _check_enum(param: Table, kind: str, faults: Faults) -> None:
    listed = param.get("enum")
    for item in listed.items if isinstance(listed, Items) else ():
        if not _holds({"type": kind}, plain(item)):
            faults.add(item.place, f"enum: {_shown(item)} is no {kind}")


def _is_null(entry: Entry) -> bool:
    return isinstance(entry.node, Leaf) and entry.node.value is None


def _check_constraints(param: Table, kind: str, faults: Faults) -> None:
    for key, kinds in _OF_TYPE.items():
        if key in param.entries and kind not in kinds:
            faults.add(param.key(key), f"`{key}` says nothing of a value of type {kind}", f"it is for {' and '.join(kinds)}")


def _check_pattern(param: Table, faults: Faults) -> bool:
    """Whether the pattern, if there is one, can be used."""
    pattern = text(param, "pattern")
    if pattern is None:
        return True
    try:  # alone first: in its brackets `a)(b` is one
        for whole in (pattern, f"^(?:{pattern})$"):
            jsonschema_rs.validator_for({"pattern": whole}, offline=True)
    except ValueError:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            faults.add(
                param.entries["pattern"].node.place,
                f"pattern: no regular expression: {error}" if _is_written(param) else "pattern: no regular expression",
            )
            return False
    return True


def _is_written(param: Table) -> bool:
    leaf = param.get("pattern")
    return isinstance(leaf, Leaf) and leaf.pieces is None


def _check_items(param: Table, kind: str, faults: Faults) -> bool:
    """Whether a list's items, if they are declared, are scalars of a known type, with rules that fit it."""
    items = param.get("items")
    if not isinstance(items, Table) or kind != "array":
        return True
    for key, entry in items.entries.items():
        if key not in _OF_ITEMS:
            faults.add(entry.key, f"unknown key '{key}' in items", did_you_mean(key, _OF_ITEMS) or f"there are {', '.join(_OF_ITEMS)}")
    inner = text(items, "type") if "type" in items.entries else "string"
    if inner not in _TYPES:
        faults.add(items.entries["type"].node.place, "items: a list holds texts, numbers or booleans", f"type is one of {', '.join(_TYPES)}")
        return False
    _check_constraints(items, inner, faults)
    _check_enum(items, inner, faults)
    is_sound = _is_schema(param, items, faults) and _check_pattern(items, faults)
    if is_sound and (example := items.entries.get("example")) and not _is_null(example):
        _check_value("example", example, items, inner, faults)
    return is_sound


def _is_schema(param: Table, items: Table, faults: Faults) -> bool:
    """Whether the values of `items` are those of a JSON Schema."""
    try:
        jsonschema_rs.meta.validate({key: one for key, one in plain(items).items() if key in _OF_ITEMS})
    except (ValueError, jsonschema_rs.ReferencingError):
        faults.add(param.key("items"), "items is no JSON Schema")
        return False
    return True


def _check_value(key: str, entry: Entry, param: Table, kind: str, faults: Faults) -> None:
    rules: dict[str, Any] = {"type": kind, **{rule: plain(one.node) for rule, one in param.entries.items() if rule in _RULES}}
    value = plain(entry.node)
    if not _holds({"type": kind}, value):
        faults.add(entry.node.place, f"{key}: {_shown(entry.node)} is no {kind}")
    elif not _holds(rules, value):
        faults.add(entry.node.place, f"{key}: {_shown(entry.node)} breaks the param's own rules")


def _shown(node: object) -> str:
    return node.shown if isinstance(node, Leaf) else "this"


def _holds(rules: dict[str, Any], value: Any) -> bool:
    """Whether a value keeps the rules; rules that are none themselves are told elsewhere, and hold."""
    pattern = rules.get("pattern")
    if isinstance(pattern, str):
        rules = {**rules, "pattern": f"^(?:{pattern})$"}
    try:
        return jsonschema_rs.validator_for(rules, offline=True).is_valid(value)
    except (ValueError, TypeError, jsonschema_rs.ReferencingError):
        return True
