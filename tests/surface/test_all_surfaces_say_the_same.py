"""One plan, four surfaces: REST, NDJSON, SSE and WebSocket give equal data, over every catalog in config/."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.catalog.load import Loaded
from app.catalog.load import load as load_catalog
from app.catalog.schema import Endpoint, Param
from tests.fakes.served import Served, serve

ROOT = Path(__file__).parent.parent.parent
CATALOGS = sorted(path for path in (ROOT / "config").rglob("*.yaml") if "endpoints:" in path.read_text(encoding="utf-8"))
FIELDS = ("lat", "lon", "elevation_ft", "id", "price", "limit")


class World(httpx.AsyncBaseTransport):
    """Stands in for every upstream: the same request has the same answer, an object rich in fields, or a failure."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers."""
        seed = hashlib.sha256(request.url.path.encode()).digest()
        if seed[0] < 20:
            return httpx.Response(404, request=request)
        body = {name: seed[at] / 4 for at, name in enumerate(FIELDS)}
        body |= {"path": request.url.path, "iata": "MAD", "country": "ES", "tz": "Europe/Madrid", "items": [{"date": "2026-01-06", "name": "x"}]}
        return httpx.Response(200, json=body, request=request)


def patient(loaded: Loaded) -> Loaded:
    """The catalog with time to spare: a call that is late on a busy machine would be a difference that says nothing."""
    endpoints = {
        name: endpoint.model_copy(
            update={"deadline": 60.0, "calls": {call: spec.model_copy(update={"timeout": None}) for call, spec in endpoint.calls.items()}}
        )
        for name, endpoint in loaded.catalog.endpoints.items()
    }
    return replace(loaded, catalog=loaded.catalog.model_copy(update={"endpoints": endpoints}))


def example(param: Param) -> Any:
    """A value that the param takes."""
    if param.example is not None:
        return param.example
    if param.default is not None:
        return param.default
    return {"integer": 1, "number": 1.5, "boolean": True, "array": ["x"]}.get(param.type, "x")


def path_of(endpoint: Endpoint, params: dict[str, Any]) -> str:
    """The endpoint's path with its params filled in."""
    path = endpoint.route
    for name, value in params.items():
        path = path.replace("{" + name + "}", str(value))
    return path


async def rest(client: httpx.AsyncClient, path: str, query: dict[str, Any], endpoint: Endpoint) -> Any:
    """The data of a plain answer; `failed` where it is an error."""
    answer = await client.get(path, params=query)
    if answer.status_code != 200:
        return "failed"
    return answer.json() if endpoint.envelope == "data" else answer.json()["data"]


async def streamed(client: httpx.AsyncClient, path: str, query: dict[str, Any], kind: str) -> Any:
    """What parts and `complete` of a stream add up to."""
    state: Any = {}
    async with client.stream("GET", path, params=query, headers={"accept": kind}) as answer:
        if answer.status_code != 200:
            return "failed"
        async for message in messages(answer):
            if message["type"] == "part":
                state[message["part"]] = message["data"]
            elif message["type"] == "complete":
                return "failed" if "error" in message else message.get("data", state)
    raise AssertionError("a stream without `complete`")


async def messages(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each line or event."""
    async for line in answer.aiter_lines():
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            yield json.loads(text)


async def live(served: Served, name: str, params: dict[str, Any]) -> Any:
    """The same over the WebSocket; the error's code where it ends in one."""
    async with served.live() as client:
        await client.subscribe(name, params)
        state: Any = {}
        while True:
            message = json.loads(await client.socket.recv())
            if message["type"] == "error":
                return message["payload"]["code"]
            if message["type"] == "part":
                state[message["part"]] = message["data"]
            elif message["type"] == "complete":
                return "failed" if "error" in message else message.get("data", state)


@pytest.mark.slow
@pytest.mark.parametrize("catalog", CATALOGS, ids=[str(path.relative_to(ROOT / "config")) for path in CATALOGS])
async def test_every_surface_gives_equal_data(catalog: Path) -> None:
    """Whatever the transport. Where REST answers an error, streams do too, or say so in `complete` where parts were sent before."""
    loaded = patient(load_catalog(catalog, {}))
    endpoints = {name: e for name, e in loaded.catalog.endpoints.items() if e.method == "GET" and e.proxy is None and not e.auth and not e.allow}
    asked = 0
    async with serve(loaded, World(), max_in_flight=100) as served, httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=30) as client:
        for name, endpoint in endpoints.items():
            params = {key: example(p) for key, p in endpoint.params.items() if p.place == "path" or p.required or p.example is not None}
            query = {key: value for key, value in params.items() if endpoint.params[key].place == "query"}
            path = path_of(endpoint, params)
            plain = await rest(client, path, query, endpoint)
            streams = await asyncio.gather(*(streamed(client, path, query, kind) for kind in ("application/x-ndjson", "text/event-stream")))
            over_ws = await live(served, name, params)
            assert streams == [plain, plain], name
            assert over_ws == plain, name
            asked += 1
    assert asked, "a catalog without an endpoint to ask"
