"""What an endpoint answers, as a JSON Schema: true for every answer, whatever the data and the `response`."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from app.api.openapi import Description
from app.api.shapes import rebased
from app.catalog.schema import Catalog
from app.core.data import Data
from app.core.scope import Scope
from app.expressions.tree import parse_tree

NAMES = ["a", "b", "c d"]
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3), max_leaves=8
)  # fmt: skip
STEPS = st.lists(st.sampled_from([".a", ".b", '."c d"', "[0]", "[1]", "[*]", ".length(@)"]), max_size=3).map("".join)
TEMPLATES = st.recursive(
    STEPS.map(lambda steps: "{call" + steps.replace(".length(@)", " | length(@)") + "}")
    | st.sampled_from(["text", "{call.a} and {call.b}", 1, None, True, "{{}}", "{p}"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "y"]), inner, min_size=1, max_size=2),
    max_leaves=4,
)


def schema_of(value: Any, data: st.DataObject) -> dict[str, Any]:
    """A schema that the value fits, more or less strict, as chance has it."""
    if isinstance(value, dict):
        properties = {name: schema_of(one, data) for name, one in value.items()}
        return {"type": "object", "properties": properties, "required": [name for name in value if data.draw(st.booleans())]}
    if isinstance(value, list):
        return {"type": "array", "items": {"anyOf": [schema_of(one, data) for one in value]} if value else {}}
    return data.draw(st.sampled_from([{}, {"const": value}]))


def described(response: Any, schema: dict[str, Any] | bool, **call: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of the data of one endpoint, and the components."""
    spec = {"upstream": "u", "path": "/", "schema": schema, **call}
    endpoint = {"get": "/x", "envelope": "data", "params": {"p": {"type": "integer"}}, "calls": {"call": spec}, "response": response}
    description = Description(Catalog.model_validate({"upstreams": {"u": {"url": "http://u"}}, "endpoints": {"x": endpoint}}))
    return description.schemas["x"], {"schemas": description.schemas}


@given(VALUES, TEMPLATES, st.booleans(), st.data())
def test_every_answer_is_what_the_document_says(value: Any, response: Any, is_there: bool, data: st.DataObject) -> None:
    """Whatever `response` takes of whatever an upstream answers within its schema; or of nothing, where the call has failed."""
    schema, components = described({"k": response}, schema_of(value, data), required=is_there)
    scope = Scope({"p": None, "call": Data.of(value) if is_there else None})
    answer = orjson.loads(parse_tree({"k": response}).data_or_null(scope, lambda text: None).raw)
    Draft202012Validator({**schema, "components": components}).validate(answer)


@pytest.mark.parametrize(("call", "expected"), [
    ({"required": True}, {"$ref": "#/components/schemas/x.call"}),
    ({"required": False}, {"anyOf": [{"$ref": "#/components/schemas/x.call"}, {"type": "null"}]}),
    ({"required": True, "null_on": [404]}, {"anyOf": [{"$ref": "#/components/schemas/x.call"}, {"type": "null"}]}),
    ({"required": True, "when": "p"}, {"anyOf": [{"$ref": "#/components/schemas/x.call"}, {"type": "null"}]}),
    ({"required": True, "fallback": "t"}, {"$ref": "#/components/schemas/x.call"}),
    ({"required": True, "fallback": 1}, {"anyOf": [{"$ref": "#/components/schemas/x.call"}, {"const": 1}]}),
    ({"required": True, "fallback": None}, {"anyOf": [{"$ref": "#/components/schemas/x.call"}, {"type": "null"}]}),
    ({"required": True, "fallback": "{p}"}, {}),
])  # fmt: skip
def test_a_call_is_as_its_schema_says_or_what_stands_in(call: dict[str, Any], expected: dict[str, Any]) -> None:
    """Null where it may fail or be skipped; its fallback, where that is something else."""
    assert described("{call}", {"type": "string"}, **call)[0] == expected


def test_references_of_a_schema_to_itself_hold_where_it_stands() -> None:
    """What has an `$id` is left alone; what only looks like a reference too."""
    schema = {
        "$defs": {"n": {"type": "integer"}, "own": {"$id": "urn:x", "$ref": "#/a"}},
        "properties": {"n": {"$ref": "#/$defs/n"}, "me": {"$ref": "#"}, "far": {"$ref": "urn:y"}, "c": {"const": {"$ref": "#"}}},
    }
    moved = rebased(schema, "#/components/schemas/x")
    assert moved["properties"] == {
        "n": {"$ref": "#/components/schemas/x/$defs/n"}, "me": {"$ref": "#/components/schemas/x"},
        "far": {"$ref": "urn:y"}, "c": {"const": {"$ref": "#"}},
    }  # fmt: skip
    assert moved["$defs"]["own"] == schema["$defs"]["own"]


def test_a_list_of_each_may_have_gaps() -> None:
    """Null stands where an item failed, also where the schema is a component."""
    schema = {"type": "array", "items": {"type": "string"}}
    shape, components = described("{call}", schema, required=True, each="p")
    validator = Draft202012Validator({**shape, "components": components})
    assert validator.is_valid(["a", None])
    assert not validator.is_valid([1])
