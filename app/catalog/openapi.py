"""Schemas of calls from an upstream's OpenAPI document (3.0 or 3.1), each complete in itself, as JSON Schema 2020-12."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from app.catalog.openapi_schema import Schema, complete, resolved
from app.catalog.schema import CallSpec, Catalog
from app.expressions.template import parse_template


def with_schemas(catalog: Catalog) -> Catalog:
    """The catalog with a schema for each call that has none and whose upstream's `openapi` document knows it.

    A call with a `select` of its own has none: the document speaks of the whole body. Raises OSError or ValueError for a
    document that cannot be read.
    """
    documents = {name: read(Path(spec.openapi)) for name, spec in catalog.upstreams.items() if spec.openapi is not None}
    if not documents:
        return catalog
    endpoints = {}
    for name, endpoint in catalog.endpoints.items():
        calls = {
            call: _with_schema(spec, endpoint.method, documents[spec.upstream]) if spec.upstream in documents else spec
            for call, spec in endpoint.calls.items()
        }
        endpoints[name] = endpoint.model_copy(update={"calls": calls})
    return catalog.model_copy(update={"endpoints": endpoints})


def _with_schema(spec: CallSpec, endpoint_method: str, document: Mapping[str, Any]) -> CallSpec:
    if spec.json_schema is not None or spec.select is not None or spec.graphql is not None or spec.path is None:
        return spec
    sends = spec.has_body or spec.form is not None
    method = spec.method or ("GET" if not sends else "POST" if endpoint_method == "GET" else endpoint_method)
    found = call_schema(document, method, spec.path)
    if found is None:
        return spec
    if spec.each is not None:
        definitions = found.pop("$defs", {})
        found = {"type": "array", "items": {"anyOf": [found, {"type": "null"}]}, **({"$defs": definitions} if definitions else {})}
    return spec.model_copy(update={"json_schema": found})


def read(path: Path) -> dict[str, Any]:
    """An OpenAPI document, JSON or YAML. OSError where it cannot be read, ValueError where it is none."""
    try:
        document = json.loads(text) if (text := path.read_text("utf-8")).lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as exc:
        raise ValueError(f"{path.name} is no JSON or YAML") from exc
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise ValueError(f"{path.name} is no OpenAPI 3 document")
    return document


def call_schema(document: Mapping[str, Any], method: str, path: str) -> Schema | None:
    """The schema of what a call gets when it succeeds, None where the document does not say. `path` is the catalog's template."""
    item = _path_item(document, path)
    operation = resolved(document, item).get(method.lower()) if item is not None else None
    if not isinstance(operation, dict):
        return None
    responses = operation.get("responses", {})
    for status in sorted(str(code) for code in responses if str(code).startswith("2")):
        content = resolved(document, responses.get(status, responses.get(int(status) if status.isdigit() else status))).get("content", {})
        for kind, media in content.items():
            if _is_json(kind) and "schema" in media:
                return complete(media["schema"], document)
    return None


def _is_json(kind: str) -> bool:
    bare = kind.partition(";")[0].strip().lower()
    return bare in ("application/json", "*/*", "application/*") or bare.endswith("+json")


# --- paths


def _path_item(document: Mapping[str, Any], path: str) -> Any:
    """The item of the path that fits best: with the most literal segments."""
    asked = _segments("".join(piece if isinstance(piece, str) else "\0" for piece in parse_template(path).pieces))
    fitting = [
        (literals, item)
        for template, item in document.get("paths", {}).items()
        for base in _bases(document)
        if (literals := _fit(asked, _segments(base + template))) is not None
    ]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def _bases(document: Mapping[str, Any]) -> Iterator[str]:
    """What may stand in front of a path: nothing, or the path of one of the document's servers."""
    yield ""
    for server in document.get("servers", []):
        if base := urlsplit(server.get("url", "")).path.rstrip("/"):
            yield base


def _segments(path: str) -> list[str]:
    return path.partition("?")[0].split("/")


def _fit(asked: list[str], declared: list[str]) -> int | None:
    """How many segments are the same text; None where one cannot be the other."""
    if len(asked) != len(declared):
        return None
    same = 0
    for ours, theirs in zip(asked, declared, strict=True):
        if "{" not in theirs and ours != theirs:
            return None
        same += ours == theirs
    return same
