"""/openapi.json: what each endpoint takes and answers, as FastAPI documents its routes; made once, equal to the byte every time.

The operations are given to FastAPI's routes (`openapi_extra`). Schemas of the catalog stand among the components, where
FastAPI's own models do not touch them.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.body import takes_body
from app.api.problems import title
from app.api.published import Schema, published
from app.api.shapes import param_schema, shape_of_data
from app.catalog.schema import ApiKey, Catalog, Endpoint, Param
from app.engine.reads import names_read

_REF = "#/components/schemas/"
_PARAM = re.compile(r"\{([^{}]*)\}")

PROBLEM: Schema = {
    "title": "Problem", "description": "An error, as RFC 9457 has it.", "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"}, "title": {"type": "string"},
        "status": {"type": "integer"}, "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id."},
        "errors": {
            "description": "Every fault of the request.", "type": "array",
            "items": {
                "type": "object", "required": ["loc", "msg", "type"],
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"}, "type": {"type": "string"},
                },
            },
        },
        "sources": {"type": "object", "additionalProperties": {"$ref": _REF + "Source"}},
    },
}  # fmt: skip
SOURCE: Schema = {
    "title": "Source", "description": "How one call went.", "type": "object", "required": ["status", "ms", "attempts"],
    "properties": {
        "status": {"enum": ["ok", "stale", "fallback", "partial", "skipped", "failed"]},
        "ms": {"type": "number", "description": "From when the call could start until it had settled."},
        "attempts": {"type": "integer", "description": "Requests begun."},
        "cache": {"enum": ["miss", "hit", "stale", "coalesced"]},
        "http_status": {"type": "integer", "description": "What the upstream answered."},
        "error": {
            "type": "object", "required": ["type", "detail"],
            "properties": {
                "type": {"enum": [
                    "timeout", "connect", "tls", "protocol", "status", "decode", "too_large", "circuit_open", "overloaded",
                    "rate_limited", "dependency", "expression", "limit", "schema", "internal",
                ]},
                "detail": {"type": "string"},
            },
        },
    },
}  # fmt: skip
_HEADERS: Schema = {
    "Merganser-Complete": {"description": "Whether every call answered, or was skipped on purpose.", "schema": {"enum": ["true", "false"]}},
    "Server-Timing": {"description": "One entry per call, in ms.", "schema": {"type": "string"}},
    "X-Request-ID": {"schema": {"type": "string"}},
}


class Description:
    """What a catalog's endpoints take and answer: an operation per endpoint, and the schemas that they refer to."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.schemas: dict[str, Schema] = {"Problem": PROBLEM, "Source": SOURCE}
        self._with_body = {name for name, endpoint in catalog.endpoints.items() if takes_body(endpoint, names_read(endpoint, catalog.upstreams))}
        self.operations = {name: self._operation(name, endpoint) for name, endpoint in catalog.endpoints.items()}

    def document(self, app: FastAPI) -> dict[str, Any]:
        """The OpenAPI document of an application that has these operations as its routes."""
        info = {"title": app.title, "version": app.version, "description": app.description or None}
        document = get_openapi(**info, openapi_version="3.1.0", routes=app.routes)  # type: ignore[arg-type]
        document["paths"] = _joined(document.get("paths", {}))
        components = document.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **self.schemas}
        if schemes := self._security_schemes():
            components["securitySchemes"] = schemes
        return document

    def _operation(self, name: str, endpoint: Endpoint) -> dict[str, Any]:
        operation: dict[str, Any] = {"summary": endpoint.summary or name.replace("_", " ").capitalize()}
        if endpoint.description:
            operation["description"] = endpoint.description
        if endpoint.tags:
            operation["tags"] = endpoint.tags
        if endpoint.params:
            operation["parameters"] = [_parameter(param_name, param) for param_name, param in endpoint.params.items()]
        if name in self._with_body:
            operation["requestBody"] = self._request_body(name, endpoint)
        if endpoint.auth:
            operation["security"] = [{scheme: []} for scheme in endpoint.auth]
        operation["responses"] = {**self._success(name, endpoint), **_failures(endpoint, takes_body=name in self._with_body)}
        return operation

    def _request_body(self, name: str, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.proxy is not None:
            return {"required": False, "content": {"*/*": {}}}
        schema = endpoint.body.json_schema if endpoint.body else None
        content = {"schema": self._component(f"{name}.body", schema) if isinstance(schema, dict) and schema else {}}
        return {"required": bool(endpoint.body and endpoint.body.required), "content": {"application/json": content}}

    def _success(self, name: str, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.proxy is not None:
            return {"200": {"description": "The upstream's answer as it is, whatever its status.", "content": {"*/*": {}}}}
        calls = {call: self._component(f"{name}.{call}", spec.json_schema) for call, spec in endpoint.calls.items() if _is_told(spec.json_schema)}
        data = shape_of_data(endpoint, calls, self.schemas)
        answer = self._keep(name, data if endpoint.envelope == "data" else _envelope(endpoint, data))
        ok = {
            "description": "The answer, whole or partial." if endpoint.envelope == "full" else "The data; `Merganser-Complete` says if it is whole.",
            "headers": _HEADERS,
            "content": {
                "application/json": {"schema": answer},
                "text/event-stream": {"schema": {"type": "string", "description": _SSE_LIVE if endpoint.live else _SSE}},
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "A JSON message a line: `part`s as they come, then `complete`."}
                },
            },
        }
        return {"200": ok, "304": {"description": "The client has this answer already."}} if endpoint.method == "GET" else {"200": ok}

    def _component(self, name: str, schema: Any) -> Schema:
        """Keeps a schema of the catalog among the components, and refers to it."""
        return self._keep(name, published(schema, _REF + self._free(name)))

    def _keep(self, name: str, schema: Schema) -> Schema:
        key = self._free(name)
        self.schemas[key] = schema
        return {"$ref": _REF + key}

    def _free(self, name: str) -> str:
        """A name that no component has yet: `a.b` may be an endpoint, and a call `b` of the endpoint `a`."""
        key, count = name, 1
        while key in self.schemas:
            count += 1
            key = f"{name}_{count}"
        return key

    def _security_schemes(self) -> dict[str, Any]:
        used = {name for endpoint in self._catalog.endpoints.values() for name in endpoint.auth}
        return {
            name: {"type": "apiKey", "in": "header", "name": scheme.header}
            if isinstance(scheme, ApiKey)
            else {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            for name, scheme in self._catalog.auth.items()
            if name in used
        }


_SSE = "Server-sent events: `part`s as they come, then `complete`."
_SSE_LIVE = "Server-sent events: `part`s as they come, `complete`, then an `update` for each change."


def _joined(paths: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Paths that differ in the names of their params alone are one path (OpenAPI 3.1, section 4.8.8.1): the first one's names hold.

    A param's description tells the name that problem documents have for it.
    """
    first: dict[str, str] = {}
    joined: dict[str, dict[str, Any]] = {}
    for path, item in paths.items():
        known = first.setdefault(_PARAM.sub("{}", path), path)
        names = dict(zip(_PARAM.findall(path), _PARAM.findall(known), strict=True))
        joined.setdefault(known, {}).update({method: _renamed(operation, names) for method, operation in item.items()})
    return joined


def _renamed(operation: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    parameters = [_called(one, names[one["name"]]) if one["in"] == "path" else one for one in operation.get("parameters", [])]
    return {**operation, "parameters": parameters} if parameters else operation


def _called(parameter: dict[str, Any], name: str) -> dict[str, Any]:
    if parameter["name"] == name:
        return parameter
    known_as = f"Errors call it `{parameter['name']}`."
    described = f"{parameter['description']} {known_as}" if "description" in parameter else known_as
    return {**parameter, "name": name, "description": described}


def _is_told(schema: Any) -> bool:
    return isinstance(schema, dict) and bool(schema)


def _envelope(endpoint: Endpoint, data: Schema) -> Schema:
    sources = {"type": "object", "additionalProperties": {"$ref": _REF + "Source"}, "required": list(endpoint.calls)}
    return {
        "type": "object", "required": ["data", "complete", "sources"], "additionalProperties": False,
        "properties": {"data": data, "complete": {"type": "boolean"}, "sources": sources},
    }  # fmt: skip


def _parameter(name: str, param: Param) -> dict[str, Any]:
    parameter: dict[str, Any] = {
        "name": name, "in": param.place, "schema": param_schema(param),
        "required": param.place == "path" or (bool(param.required) and param.default is None),
    }  # fmt: skip
    if param.description:
        parameter["description"] = param.description
    if param.example is not None:
        parameter["example"] = param.example
    return parameter


def _failures(endpoint: Endpoint, *, takes_body: bool) -> dict[str, Any]:
    """A problem document for every status that the endpoint can come to; through a proxy they may be the upstream's own."""
    statuses = {"400", "502", "503", "504"}
    if endpoint.auth:
        statuses.add("401")
    if endpoint.auth or endpoint.allow:
        statuses.add("403")
    if endpoint.limit is not None:
        statuses.add("429")
    if endpoint.params or endpoint.strict_query or takes_body:
        statuses.add("422")
    if takes_body and endpoint.proxy is None:
        statuses |= {"413", "415"}
    for spec in endpoint.calls.values():
        if endpoint.requires(spec):
            statuses |= {str(status) for status in spec.pass_status}
    problem: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}}
    if endpoint.proxy is not None:
        problem["*/*"] = {}
    failures: dict[str, Any] = {status: {"description": title(int(status)), "content": problem} for status in sorted(statuses)}
    return {**failures, "default": {"description": "Any other error.", "content": problem}}
