"""JSON Schemas of a catalog: inline ones checked, those in files (`shapes.json#/person`) found, checked and made inline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import yaml

from app.catalog.faults import Faults
from app.catalog.nodes import Entry, Leaf, Node, Table, leaves, plain, planted
from app.catalog.schema_walk import Resources, draft_of, mapped

MAX_FILE = 16 * 1024 * 1024
MAX_NODES = 20_000
_NAMING = frozenset({"$ref", "$id", "$anchor"})
"""Words that say what a schema is called, or is: of no use where what they mean stands in their place."""


class BadReference(ValueError):
    """A reference that leads nowhere; the text says which, and why."""


class Shapes:
    """The schema files of one catalog, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents: dict[str, Resources] = {}

    def resolved(self, reference: str) -> Any:
        """The schema that `file.json#/pointer` names, complete in itself. BadReference where there is none."""
        return _Bundle(self).of(reference)

    def whole(self, schema: Any) -> Any:
        """An inline schema whose references to files are followed; those within itself stay as they are."""
        return _Bundle(self).followed(schema)

    def document(self, file: str) -> Resources:
        """The schemas of a file: JSON, or YAML where its name says so."""
        if file not in self._documents:
            self._documents[file] = Resources(self._read(file))
        return self._documents[file]

    def _read(self, file: str) -> Any:
        try:
            with (self._folder / file).open("rb") as opened:
                raw = opened.read(MAX_FILE + 1)
        except (OSError, ValueError) as error:
            raise BadReference(f"the file '{file}' cannot be read: {getattr(error, 'strerror', None) or 'no file name'}") from None
        if len(raw) > MAX_FILE:
            raise BadReference(f"the file '{file}' is over {MAX_FILE >> 20} MiB")
        try:
            if file.endswith((".yaml", ".yml")):
                # through JSON, so that what YAML has beyond it (dates, sets) is refused or made text
                return json.loads(json.dumps(yaml.safe_load(raw), default=str))
            return orjson.loads(raw)
        except (ValueError, TypeError, yaml.YAMLError, RecursionError):
            raise BadReference(f"the file '{file}' is no JSON") from None


class _Bundle:
    """One schema on its way to stand alone: what it refers to is put in its place; what refers to itself goes to `$defs`."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.names: dict[int, str] = {}
        self.defs: dict[str, Any] = {}
        self.inline = Resources(None)
        self.count = 0

    def of(self, reference: str) -> Any:
        """The schema that a reference of the catalog names."""
        return self._closed(self._target(reference, "", "", ()))

    def followed(self, schema: Any) -> Any:
        """An inline schema."""
        self.inline = Resources(schema)
        return self._closed(self._walk(schema, "", ()))

    def _closed(self, schema: Any) -> Any:
        if self.defs and isinstance(schema, dict):
            return {**schema, "$defs": {**schema.get("$defs", {}), **self.defs}}
        return schema

    def _target(self, reference: str, current: str, base: str, path: tuple[int, ...]) -> Any:
        """What a reference leads to that stands in the file `current`, in a schema whose references count from `base`."""
        file, schema = self._found(reference, current, base)
        key = id(schema)
        if key not in path and key not in self.names:
            return self._walk(schema, file, (*path, key))
        name = self.names.setdefault(key, f"{Path(file).stem}_{reference.rpartition('#')[2].rpartition('/')[2] or 'root'}_{len(self.names) + 1}")
        if name not in self.defs:
            self.defs[name] = {}
            self.defs[name] = self._walk(schema, file, (*path, key))
        return {"$ref": f"#/$defs/{name}"}

    def _found(self, reference: str, current: str, base: str) -> tuple[str, Any]:
        """The file and the schema. By its `$id` a file calls its own schemas; every other name is a file's, or the network's."""
        if current:
            is_there, schema = self.shapes.document(current).find(reference, base)
            if is_there:
                return current, schema
        file, _, fragment = reference.partition("#")
        if "://" in file or file.startswith("urn:"):
            raise BadReference(f"the reference '{reference}' leads to the network: schemas are read from files")
        file = str(Path(current).parent / file) if file else current
        is_there, schema = self.shapes.document(file).find(f"#{fragment}", "")
        if is_there:
            return file, schema
        if fragment and not fragment.startswith("/"):
            raise BadReference(f"the reference '{reference}' has no JSON pointer after '#', such as #/person, and '{file}' has no such anchor")
        raise BadReference(f"the file '{file}' has nothing at '#{fragment}'")

    def _is_inline(self, reference: str, schema: dict[str, Any]) -> bool:
        return reference.startswith("#") or self.inline.find(reference, self.inline.base(schema))[0]

    def _walk(self, schema: Any, file: str, path: tuple[int, ...]) -> Any:
        self.count += 1
        if self.count > MAX_NODES or len(path) > 50:
            raise BadReference("the schema is too large, its references followed")
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        if not isinstance(reference, str) or (not file and self._is_inline(reference, schema)):
            own = {key: value for key, value in schema.items() if not file or key not in _NAMING}
            return mapped(own, lambda one: self._walk(one, file, path))
        rest = mapped({key: value for key, value in schema.items() if key not in _NAMING}, lambda one: self._walk(one, file, path))
        followed = self._target(reference, file, self.shapes.document(file).base(schema) if file else "", path)
        if not rest:
            return followed
        return {**rest, "allOf": [*rest.get("allOf", []), followed]}


def checked(key: str, entry: Entry, shapes: Shapes, faults: Faults) -> Entry:
    """A schema's entry, inline from now on; a fault where it is no schema or leads nowhere."""
    node = entry.node
    try:
        if isinstance(node, Leaf) and isinstance(node.value, str):
            schema = shapes.resolved(node.value)
        elif isinstance(node, Table):
            schema = shapes.whole(plain(node))
        else:
            return entry
    except BadReference as reason:
        faults.spoil(node.place, f"{key}: {reason}" if not _is_substituted(node) else f"{key}: the reference {_first_shown(node)} leads nowhere")
        return replace(entry, node=planted(True, node.place))
    if (told := problem(schema)) is not None:
        place, message = told
        faults.add(_within(node, place), f"{key} is no JSON Schema" + (f": {message}" if not _is_substituted(node) else ""))
        return replace(entry, node=planted(True, node.place))
    return replace(entry, node=planted(schema, node.place)) if isinstance(node, Leaf) or schema != plain(node) else entry


def problem(schema: Any) -> tuple[list[str | int], str] | None:
    """Where and why this is no JSON Schema; None where it is one. Nothing is fetched from the network."""
    draft = schema.get("$schema") if isinstance(schema, dict) else None
    if draft is not None and draft_of(draft) is None:
        return ["$schema"], "`$schema` names no draft of json-schema.org (2020-12, 2019-09, 07, 06, 04)"
    try:
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.validator_for(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        return list(error.instance_path), error.message
    except jsonschema_rs.ReferencingError as error:
        return [], str(error)
    except (ValueError, TypeError, RecursionError) as error:
        return [], str(error)
    return None


def _is_substituted(node: Node) -> bool:
    return any(leaf.pieces is not None for leaf in leaves(node))


def _first_shown(node: Node) -> str:
    return next((leaf.shown for leaf in leaves(node) if leaf.pieces is not None), "")


def _within(node: Node, path: list[str | int]) -> Any:
    """The place of what a path into an inline schema names, as near as it goes."""
    place = node.place
    for key in path:
        if not isinstance(node, Table) or (found := node.get(str(key))) is None:
            break
        node, place = found, found.place
    return place
