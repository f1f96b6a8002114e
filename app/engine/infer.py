"""A JSON Schema out of values that were seen: as narrow as they allow, as wide as they differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

Schema = dict[str, Any]
MANY_KEYS = 30
"""Objects with more keys than this, all of whose values are alike, are taken for maps: their keys are data, no properties."""
_FORMATS = (
    ("date", re.compile(r"\d{4}-\d{2}-\d{2}")),
    ("date-time", re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("uri", re.compile(r"https?://[^\s]+")),
)
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}


def schema_of(values: Iterable[Any]) -> Schema:
    """The schema that all of these JSON values fit; `{}` for none. Keys that all objects have are required, others are not."""
    groups: dict[str, list[Any]] = {}
    for value in values:
        groups.setdefault(_TYPES[type(value)], []).append(value)
    if "number" in groups and "integer" in groups:
        groups["number"] += groups.pop("integer")
    if not groups:
        return {}
    types = [*(name for name in groups if name != "null"), *(["null"] if "null" in groups else [])]
    schema: Schema = {"type": types[0] if len(types) == 1 else types}
    if "object" in groups:
        schema |= _of_objects(groups["object"])
    if "array" in groups:
        schema |= _of_arrays(groups["array"])
    if "string" in groups:
        schema |= _of_texts(groups["string"])
    return schema


def _of_objects(objects: Sequence[dict[str, Any]]) -> Schema:
    keys = list(dict.fromkeys(key for one in objects for key in one))
    if len(keys) > MANY_KEYS:
        alike = schema_of(value for one in objects for value in one.values())
        if isinstance(alike["type"], str):
            return {"additionalProperties": alike}
    schema: Schema = {"properties": {key: schema_of(one[key] for one in objects if key in one) for key in keys}}
    required = [key for key in keys if all(key in one for one in objects)]
    return {**schema, "required": required} if required else schema


def _of_arrays(arrays: Sequence[list[Any]]) -> Schema:
    items = schema_of(item for one in arrays for item in one)
    return {"items": items} if items else {}


def _of_texts(texts: Sequence[str]) -> Schema:
    for name, pattern in _FORMATS:
        if all(pattern.fullmatch(text) for text in texts):
            return {"format": name}
    return {}
