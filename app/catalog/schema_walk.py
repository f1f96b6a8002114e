"""Where schemas stand within a JSON Schema, and which of them a reference names.

Source: JSON Schema 2020-12, core, sections 8.2 (identifiers, anchors) and 10 (applicators); what drafts 04 to 2019-09 call
otherwise is known too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urljoin

VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose value is data, whatever it looks like."""
MAPS = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
"""Keywords with schemas by name: the names are no keywords."""

_DRAFT = re.compile(r"https?://json-schema\.org/(draft/20(19-09|20-12)|draft-0[467])/schema#?")
_DRAFTS = {"draft-04": 4, "draft-06": 6, "draft-07": 7, "draft/2019-09": 8, "draft/2020-12": 9}
LATEST = 9
"""Drafts in their order: 4, 6, 7, then 8 for 2019-09 and 9 for 2020-12."""


def draft_of(name: Any) -> int | None:
    """The draft that a `$schema` names; None where it names none."""
    found = _DRAFT.fullmatch(name) if isinstance(name, str) else None
    return _DRAFTS[found[1]] if found else None


def mapped(schema: dict[str, Any], visit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The schema with every object schema right within it replaced by what `visit` makes of it.

    Objects under a word that nobody knows count as schemas: a reference may lead there.
    """
    return {key: _entry(key, value, visit) for key, value in schema.items()}


def _entry(key: str, value: Any, visit: Callable[[dict[str, Any]], Any]) -> Any:
    if key in VALUES:
        return value
    if key in MAPS and isinstance(value, dict):
        return {name: visit(one) if isinstance(one, dict) else one for name, one in value.items()}
    if isinstance(value, list):
        return [visit(one) if isinstance(one, dict) else one for one in value]
    return visit(value) if isinstance(value, dict) else value


class Resources:
    """The schemas of one document by what references call them: JSON pointers, anchors, and the `$id` of what stands for itself."""

    def __init__(self, document: Any) -> None:
        self._id = "id" if isinstance(document, dict) and draft_of(document.get("$schema")) == 4 else "$id"
        self._roots: dict[str, Any] = {"": document}
        self._anchors: dict[tuple[str, str], Any] = {}
        self._bases: dict[int, str] = {}
        if isinstance(document, dict):
            self._read(document, "")

    def _read(self, schema: dict[str, Any], base: str) -> None:
        own = schema.get(self._id)
        if isinstance(own, str) and own.startswith("#"):
            self._anchors[base, own[1:]] = schema
        elif isinstance(own, str):
            base = urljoin(base, own).rstrip("#")
            self._roots.setdefault(base, schema)
        for name in (schema.get("$anchor"), schema.get("$dynamicAnchor")):
            if isinstance(name, str):
                self._anchors[base, name] = schema
        self._bases[id(schema)] = base
        mapped(schema, lambda one: self._read(one, base))

    def base(self, schema: dict[str, Any]) -> str:
        """The URI that references within this schema count from; empty where the document gives none."""
        return self._bases.get(id(schema), "")

    def find(self, reference: str, base: str) -> tuple[bool, Any]:
        """Whether a reference that counts from `base` leads to something in this document, and to what."""
        uri, _, fragment = reference.partition("#")
        target = urljoin(base, uri) if uri else base
        if target not in self._roots:
            return False, None
        if fragment and not fragment.startswith("/"):
            return (target, fragment) in self._anchors, self._anchors.get((target, fragment))
        return pointed(self._roots[target], fragment)


def pointed(document: Any, pointer: str) -> tuple[bool, Any]:
    """Whether a JSON pointer in a URI (RFC 6901, section 6) names something, and what."""
    at = document
    for token in pointer.split("/")[1:]:
        key = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isdecimal() and int(key) < len(at):
            at = at[int(key)]
        else:
            return False, None
    return True, at


def with_number_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Exclusive bounds as numbers, where draft 04 and OpenAPI 3.0 have flags."""
    made = dict(schema)
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(flag), bool) and made.pop(flag) and bound in made:
            made[flag] = made.pop(bound)
    return made
