"""The JSON Schema of an endpoint's data: calls' schemas, seen through `response` where that can be told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import ReferencingError, ValidationError, validator_for

from app.api.patterns import whole
from app.catalog.schema import CallSpec, Endpoint, Param
from app.engine.compile import merged_calls
from app.expressions.marks import is_marked
from app.expressions.template import parse_template
from app.expressions.tree import parse_tree

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
_PLAIN_LIST = frozenset({"type", "items", "minItems", "maxItems", "title", "description", "examples", "$defs"})
"""Words of a schema that a null among the items breaks in `items` alone."""
_STEP = re.compile(r"""\.?([A-Za-z_][A-Za-z0-9_]*)|\.?"([^"\\]*)"|\[(\d+)\]""")


def shape_of_data(endpoint: Endpoint, schemas: Mapping[str, Schema], components: Mapping[str, Schema]) -> Schema:
    """The schema of `data`. `schemas`: each call's, as it may be referred to; `components`: what the references mean."""
    known = {name: _of_call(endpoint, name, schemas.get(name, {}), components) for name in endpoint.calls}
    if not endpoint.has_response:
        return _object(known)
    if merged_calls(endpoint) is not None:
        return {"type": "object"}
    known |= {name: _of_param(param) for name, param in endpoint.params.items()}
    return _of_value(endpoint.response, known, components)


def param_schema(param: Param) -> Schema:
    """A param's type and constraints."""
    names = {"type", "pattern", "format", "enum", "minimum", "maximum", "exclusive_minimum", "exclusive_maximum"}
    names |= {"min_length", "max_length", "min_items", "max_items", "default"}
    schema = param.model_dump(include=names, by_alias=True, exclude_none=True)
    if param.type == "array":
        schema["items"] = _anchored(param.items or {"type": "string"})
    return _anchored(schema)


def _anchored(schema: Schema) -> Schema:
    """JSON Schema searches for a pattern, a param's matches the whole text."""
    return {**schema, "pattern": whole(schema["pattern"])} if "pattern" in schema else schema


def _object(properties: Mapping[str, Schema]) -> Schema:
    """An object of exactly these keys: the shape of an answer never changes."""
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


def _of_call(endpoint: Endpoint, name: str, schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """A call's data: as its schema says, or what stands in where it fails or is skipped."""
    spec = endpoint.calls[name]
    if not schema:
        return {}
    if spec.each is not None:
        schema = _with_gaps(schema, components)
    others: list[Schema] = []
    if spec.has_fallback:
        others = _of_fallback(spec, schema, components)
    if {} in others:
        return {}
    if not endpoint.requires(spec) or spec.when is not None or spec.null_on:
        others.append(NULL)
    return _any_of([schema, *others])


def _with_gaps(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """The list of a call with `each`: null stands where an item failed."""
    named = components.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    items = named.get("items")
    if named.keys() <= _PLAIN_LIST and isinstance(items, dict) and items:
        return {**named, "items": _any_of([items, NULL])}
    return _any_of([schema, {"type": "array", "contains": NULL}])


def _of_fallback(spec: CallSpec, schema: Schema, components: Mapping[str, Schema]) -> list[Schema]:
    """What a fallback adds to a schema: nothing where it fits, anything where it is computed."""
    constant = parse_tree(spec.fallback).constant
    if constant is None or is_marked(str(spec.fallback)):
        return [{}]
    try:
        fits = validator_for({"components": {"schemas": dict(components)}, **schema}, offline=True).is_valid(constant.value)
    except (ValidationError, ReferencingError):
        fits = False
    return [] if fits else [NULL if constant.is_null else {"const": constant.value}]


def _of_param(param: Param) -> Schema:
    schema = {key: value for key, value in param_schema(param).items() if key != "default"}
    return schema if param.place == "path" or param.required or param.default is not None else _any_of([schema, NULL])


def _of_value(value: Any, known: Mapping[str, Schema], components: Mapping[str, Schema]) -> Schema:
    """A part of `response`: objects and lists keep their shape, an expression has the type of what it names."""
    if isinstance(value, dict):
        return _object({key: _of_value(one, known, components) for key, one in value.items()})
    if isinstance(value, list):
        items = [_of_value(one, known, components) for one in value]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)} if items else {"type": "array", "maxItems": 0}
    if not isinstance(value, str):
        return NULL if value is None else {"const": value}
    template = parse_template(value)
    if template.alone is not None:
        return _of_expression(template.alone.text, known, components)
    if template.constant is None or is_marked(value):
        return {"type": "string"}
    return {"type": "string", "const": template.constant}


def _of_expression(text: str, known: Mapping[str, Schema], components: Mapping[str, Schema]) -> Schema:
    """The schema of `{call}`, `{call.field}`, `{call.list[0].field}`; any value for everything else."""
    steps, at = [], 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return {}
        steps.append(match)
        at = match.end()
    root = steps[0][1] or steps[0][2]
    if root not in known:
        return {}
    schema, may_lack = known[root], False
    for step in steps[1:]:
        schema, optional = _below(schema, step, components)
        may_lack = may_lack or optional
    return _any_of([schema, NULL]) if may_lack else schema


def _below(schema: Schema, step: re.Match[str], components: Mapping[str, Schema]) -> tuple[Schema, bool]:
    """The schema one step down, and whether what it describes may be absent, and so null."""
    options = [_followed(one, components) for one in schema.get("anyOf", [schema])]
    solid = [one for one in options if one != NULL]
    if len(solid) != 1:
        return {}, True
    holder, name = solid[0], step[1] or step[2]
    if name is None:
        first = holder.get("prefixItems", [])
        items = first[int(step[3])] if int(step[3]) < len(first) else holder.get("items", {})
        return (items if isinstance(items, dict) else {}), True
    found = holder.get("properties", {}).get(name, {})
    is_sure = len(options) == 1 and name in holder.get("required", []) and holder.get("type") == "object"
    return (found if isinstance(found, dict) else {}), not is_sure


def _followed(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """What a reference into the components means; a schema with none is itself."""
    for _ in range(20):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/components/schemas/"):
            return schema
        name, *way = reference.removeprefix("#/components/schemas/").split("/")
        target: Any = components.get(name, {})
        for key in way:
            target = target.get(key.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, dict) else {}
        schema = target if isinstance(target, dict) else {}
    return {}


def _any_of(schemas: list[Schema]) -> Schema:
    """One of these; unions are laid flat, and a union with anything is anything."""
    flat: list[Schema] = []
    for schema in schemas:
        for one in schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]:
            if one not in flat:
                flat.append(one)
    if {} in flat:
        return {}
    return flat[0] if len(flat) == 1 else {"anyOf": flat}
