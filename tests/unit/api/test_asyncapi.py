"""`/asyncapi.json` is made of the models that check the frames, and frames that are sent fit it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from app.api.asyncapi import document
from app.api.messages import read
from app.catalog.schema import Catalog
from tests.fakes.plans import Bench, Script, status
from tests.fakes.subscriber import passes
from tests.fakes.ws_client import Wire

CATALOG = Catalog.model_validate({
    "name": "Test",
    "endpoints": {
        "x": {"get": "/x/{k}", "summary": "An x", "params": {"k": {"in": "path"}}, "calls": {}, "live": {"every": "1s"}},
        "y": {"get": "/y", "calls": {}},
        "made": {"post": "/made", "calls": {}},
    },
})  # fmt: skip


def resolve(doc: dict[str, Any], ref: str) -> Any:
    found: Any = doc
    for key in ref.removeprefix("#/").split("/"):
        found = found[key]
    return found


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [ref for key, inner in value.items() for ref in ([inner] if key == "$ref" else refs(inner))]
    return [ref for inner in value for ref in refs(inner)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere() -> None:
    """And the document is plain JSON."""
    doc = json.loads(json.dumps(document(CATALOG)))
    assert doc["asyncapi"] == "3.0.0"
    assert doc["channels"]["live"]["address"] == "/ws"
    assert all(resolve(doc, ref) is not None for ref in refs(doc))


def test_it_names_the_endpoints_that_can_be_subscribed_to() -> None:
    """With what follows after `complete`."""
    endpoint = document(CATALOG)["components"]["schemas"]["SubscribePayload"]["properties"]["endpoint"]
    assert endpoint["enum"] == ["x", "y"]
    assert "`x` (live, every 1 s) An x [k: string]" in endpoint["description"]


@pytest.mark.virtual_time
async def test_every_frame_fits_its_schema() -> None:
    """Of both directions."""
    bench = Bench({"calls": {"a": "/a", "b": "/b"}, "live": {"every": "1s"}}, Script({"/a": 1, "/b": status(500)}))
    one = Wire(bench).open()
    said = [
        {"type": "connection_init", "payload": {}}, {"type": "ping", "payload": {"a": 1}}, {"type": "pong"},
        {"type": "subscribe", "id": "1", "payload": {"endpoint": "x", "min_interval_ms": 5}}, {"type": "unsubscribe", "id": "2"},
        {"type": "subscribe", "id": "3", "payload": {"endpoint": "none"}},
    ]  # fmt: skip
    for message in said:
        read(json.dumps(message))
        one.say(message)
    await passes(1)
    bench.script.answers["/a"] = status(503)
    await passes(3)
    one.say({"type": "unsubscribe", "id": "1"})
    await passes(30)
    kinds = {message["type"] for message in one.sent}
    assert kinds == {"connection_ack", "pong", "subscribed", "part", "complete", "update", "error", "unsubscribed", "ping"}
    doc = document(Catalog())
    del doc["components"]["schemas"]["SubscribePayload"]["properties"]["endpoint"]["enum"]
    for message in [*said, *one.sent]:
        schema = {**resolve(doc, doc["components"]["messages"][message["type"]]["payload"]["$ref"]), "components": doc["components"]}
        jsonschema.validate(message, schema)
