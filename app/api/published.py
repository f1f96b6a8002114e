"""A schema of the catalog as OpenAPI 3.1 shows it: JSON Schema 2020-12, whichever draft it is written in, complete where it stands.

What it refers to, by pointer, anchor or `$id`, recursion included, stands in its own `$defs`: so every reference is a JSON pointer,
which every reader of the document can follow.
"""

from __future__ import annotations

import re
from typing import Any

from app.catalog.schema_walk import LATEST, Resources, draft_of, mapped, with_number_bounds

Schema = dict[str, Any]

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_NAMING = {*_REFERENCES, "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$schema", "$defs", "definitions"}
_META = re.compile(r"https?://json-schema\.org/")


def published(schema: Schema, place: str) -> Schema:
    """The schema as it is to stand at `place`, a reference such as `#/components/schemas/x`."""
    return _Publisher(schema, place).whole()


class _Publisher:
    """One schema on its way into the document."""

    def __init__(self, schema: Schema, place: str) -> None:
        self._schema = schema
        self._place = place
        self._resources = Resources(schema)
        self._names: dict[int, str] = {}
        self._definitions: dict[str, Any] = {}

    def whole(self) -> Schema:
        """The schema with its definitions."""
        body = self._of(self._schema, LATEST)
        return {**body, "$defs": self._definitions} if self._definitions else body

    def _of(self, schema: Schema, draft: int) -> Schema:
        draft = draft_of(schema.get("$schema")) or draft
        rest = {key: value for key, value in schema.items() if key not in _NAMING and not (draft == 4 and key == "id" and isinstance(value, str))}
        made = _lifted(mapped(rest, lambda one: self._of(one, draft)), draft)
        reference = next((value for key in _REFERENCES if isinstance(value := schema.get(key), str)), None)
        if reference is None:
            return made
        referred = self._referred(reference, schema, draft)
        return referred if draft <= 7 else {**made, **referred}  # up to draft 07 what stands beside a reference does not count

    def _referred(self, reference: str, schema: Schema, draft: int) -> Schema:
        is_there, target = self._resources.find(reference, self._resources.base(schema))
        if not is_there:
            return {"$ref": reference} if _META.match(reference) else {}
        if target is self._schema:
            return {"$ref": self._place}
        if not isinstance(target, dict):
            return {} if target else {"not": {}}
        name = self._names.get(id(target))
        if name is None:
            name = self._names[id(target)] = self._free(reference)
            self._definitions[name] = {}  # a schema may refer to itself
            self._definitions[name] = self._of(target, draft)
        return {"$ref": f"{self._place}/$defs/{name}"}

    def _free(self, reference: str) -> str:
        """A name for what a reference leads to: its last word, where no other definition has it."""
        word = re.sub(r"[^A-Za-z0-9_.-]", "_", re.split(r"[/#]", reference.rstrip("/#"))[-1]) or "schema"
        name, count = word, 1
        while name in self._definitions:
            count += 1
            name = f"{word}_{count}"
        return name


def _lifted(schema: Schema, draft: int) -> Schema:
    """What earlier drafts say otherwise, as 2020-12 says it."""
    if draft == LATEST:
        return schema
    made = with_number_bounds(schema) if draft == 4 else dict(schema)
    others = made.pop("additionalItems", None)
    if isinstance(made.get("items"), list):
        made["prefixItems"] = made.pop("items")
        if others is not None:
            made["items"] = others
    if draft <= 7 and isinstance(dependencies := made.pop("dependencies", None), dict):
        made["dependentRequired"] = {name: one for name, one in dependencies.items() if isinstance(one, list)}
        made["dependentSchemas"] = {name: one for name, one in dependencies.items() if not isinstance(one, list)}
    return made
