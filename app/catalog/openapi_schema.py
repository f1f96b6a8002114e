"""Makes a schema of an OpenAPI document complete in itself, and JSON Schema 2020-12, whichever dialect it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.catalog.schema_walk import mapped, with_number_bounds

Schema = dict[str, Any]

_DROPPED = frozenset({"discriminator", "example", "externalDocs", "nullable", "xml"})
"""Keywords of OpenAPI alone; `nullable` and `example` are written anew."""


def resolved(document: Mapping[str, Any], node: Any) -> dict[str, Any]:
    """The object that a node is, or refers to within the document."""
    for _ in range(10):
        if not (isinstance(node, dict) and isinstance(reference := node.get("$ref"), str)):
            break
        node = pointed(document, reference)
    return node if isinstance(node, dict) else {}


def pointed(document: Mapping[str, Any], reference: str) -> Any:
    """What a reference within the document names; None where there is nothing, or where it leads elsewhere."""
    if not reference.startswith("#/"):
        return None
    node: Any = document
    for token in reference[2:].split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        node = node.get(key) if isinstance(node, dict) else None
    return node


def complete(schema: Any, document: Mapping[str, Any]) -> Schema:
    """The schema with what it refers to in `$defs`, recursion included; what is not in the document may be anything."""
    return _Bundle(document).whole(schema)


class _Bundle:
    """Makes one schema complete in itself: what it refers to goes into `$defs`, recursion included."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._is_30 = str(document.get("openapi", "")).startswith("3.0")
        self._definitions: dict[str, Any] = {}

    def whole(self, schema: Any) -> Schema:
        """The schema with its definitions."""
        body = self._of(schema)
        body = body if isinstance(body, dict) else ({} if body else {"not": {}})
        return {**body, "$defs": {**body.get("$defs", {}), **self._definitions}} if self._definitions else body

    def _of(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        if isinstance(reference := schema.get("$ref"), str):
            rest = {} if self._is_30 else {key: value for key, value in schema.items() if key != "$ref"}
            return {**self._referred(reference), **self._of(rest)}
        made = mapped({key: value for key, value in schema.items() if key not in _DROPPED}, self._of)
        return self._lifted(schema, made) if self._is_30 else made

    def _referred(self, reference: str) -> Schema:
        target = pointed(self._document, reference)
        if target is None:
            return {}
        name = reference.removeprefix("#/").removeprefix("components/schemas/").replace("/", ".").replace("~1", ".").replace("~0", "~")
        if name not in self._definitions:
            self._definitions[name] = {}  # a schema may refer to itself
            self._definitions[name] = self._of(target)
        return {"$ref": f"#/$defs/{name.replace('~', '~0')}"}

    @staticmethod
    def _lifted(schema: Schema, made: Schema) -> Schema:
        """From OpenAPI 3.0's dialect to 2020-12: `nullable`, exclusive bounds as flags, one `example`."""
        made = with_number_bounds(made)
        if "example" in schema:
            made["examples"] = [schema["example"]]
        if schema.get("nullable") is not True:
            return made
        if isinstance(made.get("type"), str) and "enum" not in made:
            return {**made, "type": [made["type"], "null"]}
        return {"anyOf": [made, {"type": "null"}]}
