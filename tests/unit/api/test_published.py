"""A schema stands in the OpenAPI document as JSON Schema 2020-12, every reference a pointer that leads somewhere, and means what it meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for
from openapi_spec_validator import validate

from app.api.published import published

PLACE = "#/components/schemas/x"
NUMBER = {"type": "integer"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "a pointer": {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": NUMBER}},
    "a pointer elsewhere": {"properties": {"n": {"$ref": "#/properties/m"}, "m": NUMBER}},
    "a pointer with escapes": {"properties": {"n": {"$ref": "#/$defs/a~1b%20c"}}, "$defs": {"a/b c": NUMBER}},
    "an anchor": {"properties": {"n": {"$ref": "#num"}}, "$defs": {"z": {"$anchor": "num", **NUMBER}}},
    "an id": {"$id": "https://e.test/s", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": NUMBER}},
    "an id within": {
        "properties": {"n": {"$ref": "https://e.test/n"}},
        "$defs": {"n": {"$id": "https://e.test/n", "$ref": "#/$defs/m", "$defs": {"m": NUMBER}}},
    },
    "a relative id": {"$id": "https://e.test/s", "properties": {"n": {"$ref": "n"}}, "$defs": {"q": {"$id": "n", **NUMBER}}},
    "itself": {"properties": {"n": NUMBER, "kid": {"$ref": "#"}}},
    "itself by a detour": {
        "properties": {"n": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"type": "integer", "not": {"$ref": "#/$defs/m"}}, "m": {"properties": {"x": {"$ref": "#/$defs/n"}}, "type": "string"}},
    },
    "names like keywords": {
        "properties": {"n": NUMBER, "default": {"$ref": "#/$defs/const"}, "enum": {"$ref": "#/$defs/const"}, "$id": {"$ref": "#/$defs/const"}},
        "$defs": {"const": {"$ref": "#/$defs/s"}, "s": {"type": "string"}},
    },
    "data like references": {"properties": {"n": NUMBER, "c": {"const": {"$ref": "#/nowhere"}}}, "default": {"$ref": "#"}},
    "draft 07": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"n": {"$ref": "#/definitions/n", "type": "string"}, "l": {"items": [NUMBER], "additionalItems": False}},
        "definitions": {"n": NUMBER},
        "dependencies": {"a": ["n"], "b": {"required": ["n"]}},
    },
    "draft 04": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "id": "https://e.test/4",
        "properties": {"n": {"minimum": 0, "exclusiveMinimum": True, "type": "integer"}, "id": NUMBER},
    },
    "draft 2019-09": {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "properties": {"n": NUMBER, "kid": {"$recursiveRef": "#"}},
        "$recursiveAnchor": True,
    },
}
ONES = st.integers(-3, 3) | st.sampled_from(["", "s", None, True])
VALUES = st.dictionaries(
    st.sampled_from(["n", "m", "a", "b", "c", "l", "id", "$id", "default", "enum", "kid"]),
    ONES | st.lists(ONES, max_size=3) | st.dictionaries(st.sampled_from(["n", "x", "$ref"]), ONES, max_size=2),
    max_size=4,
)


def embedded(schema: dict[str, Any]) -> dict[str, Any]:
    """The published schema in its place, as the root of a validator."""
    return {"$ref": PLACE, "components": {"schemas": {"x": published(schema, PLACE)}}}


@pytest.mark.parametrize("name", SCHEMAS)
@given(st.data())
def test_it_means_what_it_meant(name: str, data: st.DataObject) -> None:
    """Every value is valid where it was, and nowhere else."""
    value = data.draw(VALUES)
    schema = SCHEMAS[name]
    assert validator_for(embedded(schema)).is_valid(value) == validator_for(schema).is_valid(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_reference_is_a_pointer_that_leads_somewhere(name: str) -> None:
    """So says the specification's own validator; and no name of a schema is left."""
    components = embedded(SCHEMAS[name])["components"]
    validate({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}, "components": components})
    text = json.dumps(components)
    assert '"$anchor"' not in text
    assert "e.test" not in text
    assert "$schema" not in text


def test_what_leads_out_of_the_document_may_be_anything() -> None:
    """But a draft's own schema is known to everybody."""
    meta = "https://json-schema.org/draft/2020-12/schema"
    assert published({"items": {"$ref": "urn:y"}, "not": {"$ref": meta}}, PLACE) == {"items": {}, "not": {"$ref": meta}}
