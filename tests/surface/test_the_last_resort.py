"""What nobody foresaw is a problem too."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.api.middleware import Surface
from app.core.events import RequestEnded
from tests.fakes.served import load, serve
from tests.fakes.service import Client, serving


class Told:
    """A service that only listens."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.runtime = self

    def emit(self, event: Any) -> None:
        """Keeps an event."""
        self.events.append(event)


async def test_a_fault_of_ours_is_a_500_that_shows_nothing() -> None:
    """The id is there to find it by, in the log."""
    told = Told()

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret at /srv/app.py")

    client = Client(Surface(broken, service_of=lambda: told), "/x", headers={"x-request-id": "find-me"})  # type: ignore[arg-type, return-value]
    await client.task
    assert (client.status, client.headers["content-type"], client.headers["x-request-id"]) == (500, "application/problem+json", "find-me")
    assert client.lines()[0]["instance"] == "find-me"
    assert b"secret" not in client.body
    assert [(event.status, event.endpoint, event.request_id) for event in told.events] == [(500, "-", "find-me")]


async def test_a_fault_behind_the_head_breaks_the_connection() -> None:
    """The server sees the exception and closes: half an answer is not passed off as a whole one."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    client = Client(Surface(broken, service_of=Told), "/x")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        await client.task
    assert not client.is_whole


async def test_every_request_is_told_once() -> None:
    """With its endpoint, its status and how whole it was; 499 where the client left."""
    async with serving({"x": {"get": "/x", "calls": {"a": "/a", "b": "/b"}}, "h": {"get": "/h", "calls": {"a": "/hang"}}}, {"/a": 1}) as service:
        events: list[RequestEnded] = []
        telemetry = service.app.state.service.telemetry
        telemetry._takes[RequestEnded] = (events.append,)
        await service.get("/x", headers={"x-request-id": "one"})
        await service.get("/nope")
        await service.get("/x", headers={"accept": "application/x-ndjson"})
        client = Client(service.app, "/h")
        await service.upstream.hanging.wait()
        await client.leave()
    assert [(e.endpoint, e.status, e.complete, e.calls, e.surface) for e in events] == [
        ("x", 200, False, 2, "rest"), ("-", 404, None, 0, "rest"), ("x", 200, False, 2, "ndjson"), ("h", 499, None, 0, "rest"),
    ]  # fmt: skip
    assert events[0].request_id == "one"


async def test_a_request_that_the_guard_refuses_is_told_as_well(tmp_path: Path) -> None:
    """It has no endpoint, and of its method only what was read."""
    events: list[RequestEnded] = []
    async with serve(load({"upstreams": {}, "endpoints": {}}, tmp_path)) as served:
        served.service.telemetry._takes[RequestEnded] = (events.append,)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
    (told,) = events
    assert (told.endpoint, told.method, told.status) == ("-", "GET", 400)
    assert told.request_id.encode() in answer
