"""Schemas of calls from an upstream's OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from app.catalog.faults import CatalogFaults
from app.catalog.load import load_text
from app.catalog.openapi import call_schema, read, with_schemas
from app.catalog.schema import Catalog


def document(schema: Any, *, version: str = "3.0.3", path: str = "/cities/{id}", **more: Any) -> dict[str, Any]:
    """A document with one GET."""
    responses = {"200": {"content": {"application/json": {"schema": schema}}}, "default": {"description": "no"}}
    return {"openapi": version, "paths": {path: {"get": {"responses": responses}}}, **more}


CITY = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "nullable": True, "example": "Madrid"},
        "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "kind": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "nullable": {"type": "boolean"},
        "near": {"type": "array", "items": {"$ref": "#/components/schemas/City"}},
    },
}


def test_a_schema_of_30_is_lifted_to_2020_12_and_refers_to_itself() -> None:
    """nullable, flags for exclusive bounds, one example, references: complete in itself."""
    schema = call_schema(document({"$ref": "#/components/schemas/City"}, components={"schemas": {"City": CITY}}), "GET", "/cities/{city}")
    assert schema is not None
    valid = Draft202012Validator(schema, offline=True).is_valid
    assert valid({"name": None, "kind": None, "near": [{"name": "x", "near": []}], "nullable": True})
    assert not valid({})
    assert not valid({"name": "x", "size": 0})
    assert not valid({"name": "x", "kind": "c"})
    assert not valid({"name": "x", "near": [{"name": 1}]})
    assert schema["$defs"]["City"]["properties"]["name"] == {"type": ["string", "null"], "examples": ["Madrid"]}


def test_a_schema_of_31_keeps_what_stands_beside_a_reference() -> None:
    """There, siblings of `$ref` count."""
    found = call_schema(
        document({"$ref": "#/components/schemas/N", "maximum": 3}, version="3.1.0", components={"schemas": {"N": {"type": "integer"}}}),
        "GET",
        "/cities/x",
    )
    assert found == {"$ref": "#/$defs/N", "maximum": 3, "$defs": {"N": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("/cities/{city}", True),
        ("/cities/madrid", True),
        ("/cities/pre-{x}.json", True),
        ("/cities", False),
        ("/cities/a/b", False),
        ("/towns/{x}", False),
    ],
)
def test_paths_are_compared_by_segment(path: str, fits: bool) -> None:
    """Whatever the params are called."""
    assert (call_schema(document({"type": "object"}), "GET", path) is not None) is fits


def test_a_literal_path_wins_and_a_servers_path_may_stand_in_front() -> None:
    """`/cities/top` before `/cities/{id}`; `/v1` of the document's server."""
    both = document({"type": "object"}, servers=[{"url": "https://x.example/v1"}])
    both["paths"]["/cities/top"] = {"get": {"responses": {"200": {"content": {"application/hal+json": {"schema": {"type": "array"}}}}}}}
    assert call_schema(both, "GET", "/cities/top") == {"type": "array"}
    assert call_schema(both, "GET", "/v1/cities/{x}") == {"type": "object"}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_the_document_does_not_say_is_none(method: str) -> None:
    """Another method, a type that is no JSON."""
    assert call_schema(document({}), method, "/cities/x") is None
    page = document({})
    page["paths"]["/cities/{id}"]["get"]["responses"]["200"]["content"] = {"text/html": {"schema": {}}}
    assert call_schema(page, "GET", "/cities/x") is None


def test_a_catalogs_calls_get_their_schemas_where_they_have_none(tmp_path: Path) -> None:
    """Not with a `select`; as a list with `each`."""
    (tmp_path / "u.json").write_text(json.dumps(document({"type": "object"})))
    calls = {
        "a": {"upstream": "u", "path": "/cities/{p}"},
        "own": {"upstream": "u", "path": "/cities/x", "schema": {"type": "string"}},
        "part": {"upstream": "u", "path": "/cities/x", "select": "name"},
        "list": {"upstream": "u", "path": "/cities/{item}", "each": "p"},
    }
    catalog = Catalog.model_validate(
        {"upstreams": {"u": {"url": "http://x", "openapi": str(tmp_path / "u.json")}}, "endpoints": {"e": {"get": "/e", "calls": calls}}}
    )
    found = with_schemas(catalog).endpoints["e"].calls
    assert found["a"].json_schema == {"type": "object"}
    assert found["own"].json_schema == {"type": "string"}
    assert found["part"].json_schema is None
    assert found["list"].json_schema == {"type": "array", "items": {"anyOf": [{"type": "object"}, {"type": "null"}]}}
    assert not found["a"].has_fallback


@pytest.mark.parametrize("text", ["swagger: '2.0'", "[1]", "a: [", "{}"])
def test_what_is_no_openapi_document_is_refused(tmp_path: Path, text: str) -> None:
    """Swagger 2, lists, broken YAML."""
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"x\.yaml is no"):
        read(tmp_path / "x.yaml")


def test_a_catalog_is_loaded_with_the_schemas_of_its_documents(tmp_path: Path) -> None:
    """Found from the catalog's folder; a document that cannot be read is a fault with its place."""
    (tmp_path / "u.json").write_text(json.dumps(document({"type": "object"})))
    text = "upstreams:\n  u: {url: http://x, openapi: FILE}\nendpoints:\n  e: {get: '/e/{p}', calls: {a: {upstream: u, path: '/cities/{p}'}}}\n"
    loaded = load_text(text.replace("FILE", "u.json"), folder=tmp_path, environ={})
    assert loaded.catalog.endpoints["e"].calls["a"].json_schema == {"type": "object"}
    (tmp_path / "broken.json").write_text("{")
    for file in ("nowhere.json", "broken.json"):
        with pytest.raises(CatalogFaults) as faults:
            load_text(text.replace("FILE", file), folder=tmp_path, environ={})
        assert [fault.line for fault in faults.value.faults] == [2]
