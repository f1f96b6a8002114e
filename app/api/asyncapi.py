"""`/asyncapi.json`: the live protocol as an AsyncAPI 3 document, made of the models that check the frames and of the catalog's endpoints."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.api.compress import packed
from app.api.messages import SUBPROTOCOL, FromClient, FromServer
from app.catalog.schema import Catalog, Endpoint

_REF = "#/components/schemas/{name}"
_CLOSES = """Close codes: 4400 malformed or unknown type, 4401 message before `connection_ack`, 4403 credentials refused,
4406 only unknown subprotocols, 4408 no `connection_init` in 10 s, 4409 id in use, 4421 slow consumer, 4429 second init or over the message rate,
1009 message over 16 KiB, 1012 restart, 1013 overloaded."""


def add_asyncapi(app: FastAPI, catalog: Catalog) -> None:
    """Adds the route `/asyncapi.json`; the document is made once."""
    body = msgspec.json.encode(document(catalog))

    async def asyncapi(request: Request) -> Response:
        return await packed(request, body, "application/json")

    app.add_route("/asyncapi.json", asyncapi, methods=["GET"], include_in_schema=False)


def document(catalog: Catalog) -> dict[str, Any]:
    """The whole document."""
    sent, received = _types(FromClient), _types(FromServer)
    schemas = _schemas([*sent, *received])
    endpoints = {name: endpoint for name, endpoint in catalog.endpoints.items() if endpoint.method == "GET" and endpoint.proxy is None}
    schemas["SubscribePayload"]["properties"]["endpoint"] = {"type": "string", "enum": sorted(endpoints), "description": _listed(endpoints)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": catalog.name, "version": catalog.version,
            "description": f"{catalog.description or 'Live answers.'}\n\n{_CLOSES}",
        },
        "defaultContentType": "application/json",
        "channels": {"live": _channel(sent, received)},
        "operations": {
            "fromClient": _operation("receive", "What a client sends.", sent),
            "fromServer": _operation("send", "What a client is sent.", received),
        },
        "components": {"messages": {_key(one): _message(one) for one in dict.fromkeys([*sent, *received])}, "schemas": schemas},
    }  # fmt: skip


def _channel(sent: Iterable[type], received: Iterable[type]) -> dict[str, Any]:
    return {
        "address": "/ws",
        "title": f"WebSocket, subprotocol {SUBPROTOCOL}",
        "description": "JSON text frames, one object each, its kind in `type`. A client may also offer no subprotocol.",
        "messages": {_key(one): {"$ref": f"#/components/messages/{_key(one)}"} for one in dict.fromkeys([*sent, *received])},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, summary: str, types: Iterable[type]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/live"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/live/messages/{_key(one)}"} for one in types],
    }


def _message(kind: type) -> dict[str, Any]:
    payload = {"$ref": _REF.format(name=kind.__name__)}
    return {"name": _key(kind), "summary": inspect.getdoc(kind), "contentType": "application/json", "payload": payload}


def _types(union: Any) -> tuple[type, ...]:
    return get_args(union)


def _key(kind: type) -> str:
    """The message's `type`."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def _schemas(types: Iterable[type]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(list(dict.fromkeys(types)), ref_template=_REF)
    return dict(components)


def _listed(endpoints: Mapping[str, Endpoint]) -> str:
    """The endpoints in a line each: what they are and whether updates follow."""
    lines = []
    for name, endpoint in sorted(endpoints.items()):
        after = f"live, every {endpoint.live.every:g} s" if endpoint.live else "ends with `complete`"
        params = ", ".join(f"{param}: {spec.type}" for param, spec in endpoint.params.items())
        lines.append(f"- `{name}` ({after}) {endpoint.summary or ''}{f' [{params}]' if params else ''}")
    return "\n".join(lines)
