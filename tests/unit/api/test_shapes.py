"""What an endpoint answers, as a JSON Schema: true for every answer, whatever the data and the `response`."""

from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from app.api.openapi import Description
from app.api.shapes import param_schema
from app.catalog.schema import Catalog, Param
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


TEXTS = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize("schema", [
    TEXTS, {"$ref": "#/$defs/texts", "$defs": {"texts": TEXTS}}, {"allOf": [TEXTS]}, {"anyOf": [TEXTS, {"type": "integer"}]},
    {**TEXTS, "uniqueItems": True}, {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}]},
    {"if": {"type": "array"}, "then": TEXTS},
])  # fmt: skip
def test_a_list_of_each_may_have_gaps(schema: dict[str, Any]) -> None:
    """Null stands where an item failed, wherever the schema speaks of items."""
    shape, components = described("{call}", schema, required=True, each="p")
    validator = Draft202012Validator({**shape, "components": components})
    assert validator.is_valid(["a", None])
    assert validator.is_valid([None, None])
    assert not validator.is_valid([1, "a"])


def test_an_item_has_the_schema_of_its_place() -> None:
    """`prefixItems` first, `items` behind them."""
    schema = {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}
    assert described("{call[0]}", schema, required=True)[0] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert described("{call[1]}", schema, required=True)[0] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def test_a_fallback_is_what_it_says_once_its_braces_are_read() -> None:
    """`{{x}}` is the text `{x}`."""
    assert {"const": "{x}"} in described("{call}", {"type": "integer"}, required=True, fallback="{{x}}")[0]["anyOf"]


def test_paths_that_differ_in_names_alone_are_one() -> None:
    """As OpenAPI has it: the first one's names hold."""
    endpoints = {
        "one": {"get": "/same/{y}", "calls": {"a": {"upstream": "u", "path": "/"}}, "params": {"y": {"in": "path"}}},
        "two": {"delete": "/same/{x}", "calls": {"a": {"upstream": "u", "path": "/"}}, "params": {"x": {"in": "path"}, "y": {"in": "query"}}},
    }
    app = FastAPI()
    description = Description(Catalog.model_validate({"upstreams": {"u": {"url": "http://u"}}, "endpoints": endpoints}))
    for name, endpoint in endpoints.items():
        method = "GET" if "get" in endpoint else "DELETE"
        app.add_api_route(endpoint[method.lower()], lambda: None, methods=[method], openapi_extra=description.operations[name])
    paths = description.document(app)["paths"]
    assert list(paths) == ["/same/{y}"]
    parameters = paths["/same/{y}"]["delete"]["parameters"]
    assert [(one["name"], one["in"]) for one in parameters] == [("y", "path"), ("y", "query")]
    assert parameters[0]["description"] == "Errors call it `x`."


def test_a_param_with_a_default_need_not_be_sent() -> None:
    """Whatever else is said of it."""
    endpoint = {"get": "/x", "params": {"p": {"required": True, "default": "d"}}, "calls": {"a": {"upstream": "u", "path": "/"}}}
    description = Description(Catalog.model_validate({"upstreams": {"u": {"url": "http://u"}}, "endpoints": {"x": endpoint}}))
    assert description.operations["x"]["parameters"][0]["required"] is False


@pytest.mark.parametrize(("endpoint", "has_body"), [
    ({"post": "/x", "calls": {"a": {"upstream": "u", "path": "/", "method": "GET"}}}, False),
    ({"post": "/x", "calls": {"a": {"upstream": "u", "path": "/", "body": "{body}"}}}, True),
    ({"delete": "/x", "calls": {"a": {"upstream": "u", "path": "/", "query": {"q": "{body.q}"}}}}, True),
    ({"get": "/x", "calls": {"a": {"upstream": "u", "path": "/", "when": "body.go"}}}, True),
    ({"get": "/x", "calls": {"a": {"upstream": "said", "path": "/"}}}, True),
    ({"post": "/x", "body": {}, "calls": {"a": {"upstream": "u", "path": "/", "method": "GET"}}}, True),
    ({"post": "/x", "proxy": {"upstream": "u", "path": "/"}}, True),
    ({"get": "/x", "proxy": {"upstream": "u", "path": "/"}}, False),
])  # fmt: skip
def test_a_body_is_documented_where_it_is_looked_at(endpoint: dict[str, Any], has_body: bool) -> None:
    """Declared, read by an expression of the endpoint or its upstreams, or passed through; and so are the statuses of a bad one."""
    upstreams = {"u": {"url": "http://u"}, "said": {"url": "http://s", "headers": {"x-q": "{body.q}"}}}
    operation = Description(Catalog.model_validate({"upstreams": upstreams, "endpoints": {"x": endpoint}})).operations["x"]
    assert ("requestBody" in operation) is has_body
    assert ("415" in operation["responses"]) is (has_body and "proxy" not in endpoint)


def test_what_fails_through_a_proxy_may_be_the_upstreams_own() -> None:
    """Of any media type, beside our problem documents."""
    endpoint = {"get": "/x", "proxy": {"upstream": "u", "path": "/"}}
    responses = Description(Catalog.model_validate({"upstreams": {"u": {"url": "http://u"}}, "endpoints": {"x": endpoint}})).operations["x"][
        "responses"
    ]
    assert {media for status in ("502", "default") for media in responses[status]["content"]} == {"*/*", "application/problem+json"}


@pytest.mark.parametrize(("written", "told"), [
    ("^[a-z-]+$", "^[a-z-]+$"), ("[a-z]+", "^(?:[a-z]+)$"), ("^a|b$", "^(?:^a|b$)$"), (r"^a\$", r"^(?:^a\$)$"), (r"^\d{3}$", r"^\d{3}$"),
])  # fmt: skip
def test_a_pattern_is_told_as_it_holds(written: str, told: str) -> None:
    """JSON Schema searches, a param's pattern matches the whole text; of a list that of its items."""
    assert param_schema(Param.model_validate({"in": "query", "pattern": written}))["pattern"] == told
    listed = Param.model_validate({"in": "query", "type": "array", "items": {"type": "string", "pattern": written}})
    assert param_schema(listed)["items"]["pattern"] == told
