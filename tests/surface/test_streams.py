"""The same answer streamed: SSE and NDJSON, when the head goes out, and what an end looks like."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.fakes.service import Client, Served, serving

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
both = pytest.mark.parametrize("kind", [SSE, NDJSON], ids=["sse", "ndjson"])


def slow(seconds: float, value: Any) -> Any:
    """An answer that takes its time."""

    async def answer() -> httpx.Response:
        await asyncio.sleep(seconds)
        return value if isinstance(value, httpx.Response) else httpx.Response(200, json=value)

    return lambda request: answer()


def endpoint(**calls: Any) -> dict[str, Any]:
    """One endpoint at /x."""
    return {"x": {"get": "/x", "deadline": "30s", "calls": calls}}


async def streamed(service: Served, kind: str, **headers: str) -> Client:
    """A whole stream."""
    client = Client(service.app, "/x", headers={"accept": kind, **headers})
    await client.task
    return client


@both
async def test_parts_come_as_they_settle_and_add_up_to_the_answer(kind: str) -> None:
    """`complete` last; the state is what REST answers."""
    async with serving(endpoint(late="/late", soon="/soon"), {"/late": slow(0.03, 1), "/soon": {"s": "a\nb\u2028"}}) as service:
        client = await streamed(service, kind)
        plain = (await service.get("/x")).json()
    messages = client.lines()
    assert [m.get("part", m["type"]) for m in messages] == ["soon", "late", "complete"]
    assert {m["part"]: m["data"] for m in messages[:2]} == plain["data"]
    assert messages[-1]["sources"].keys() == plain["sources"].keys()
    assert client.headers["content-type"] == kind
    assert (client.headers["cache-control"], client.is_whole) == ("no-store", True)
    assert "accept" in client.headers["vary"].split(", ")


@both
async def test_the_head_waits_until_some_call_has_data(kind: str) -> None:
    """Neither a failed nor a skipped call begins the stream: the answer may still be a plain error."""
    calls = {"bad": "/bad", "none": {"path": "/x", "when": "`false`"}, "late": "/late"}
    async with serving(endpoint(**calls), {"/bad": httpx.Response(500), "/late": slow(0.03, httpx.Response(500))}) as service:
        client = await streamed(service, kind)
    assert (client.status, client.headers["content-type"]) == (502, "application/problem+json")
    assert client.lines()[0]["sources"].keys() == {"bad", "none", "late"}


@both
async def test_parts_that_waited_come_with_the_first_data(kind: str) -> None:
    """In the order in which they settled."""
    async with serving(endpoint(bad="/bad", late="/late"), {"/bad": httpx.Response(500), "/late": slow(0.03, 1)}) as service:
        client = await streamed(service, kind)
    assert [(m["type"], m.get("data")) for m in client.lines()] == [("part", None), ("part", 1), ("complete", None)]


@both
async def test_a_failure_behind_the_head_is_told_by_complete(kind: str) -> None:
    """The status is 200 by then."""
    calls = {"soon": "/soon", "must": {"path": "/must", "required": True}}
    async with serving(endpoint(**calls), {"/soon": 1, "/must": slow(0.03, httpx.Response(500))}) as service:
        client = await streamed(service, kind)
    assert (client.status, client.is_whole) == (200, True)
    assert client.lines()[-1]["error"]["code"] == "failed"


async def test_only_complete_has_a_position() -> None:
    """`id: EPOCH.OFFSET`, and `event:` is the type."""
    async with serving(endpoint(a="/a"), {"/a": 1}) as service:
        client = await streamed(service, SSE)
    part, complete = client.body.decode().strip().split("\n\n")
    assert part.split("\n")[0] == "event: part"
    assert "\nid:" not in part
    assert [line.partition(":")[0] for line in complete.split("\n")] == ["event", "id", "data"]


async def test_a_reconnecting_event_source_is_told_to_stop() -> None:
    """204, and nothing is asked."""
    async with serving(endpoint(a="/a"), {"/a": 1}) as service:
        client = await streamed(service, SSE, **{"last-event-id": "a.1"})
        assert (client.status, client.body, service.upstream.asked) == (204, b"", [])
        assert (await streamed(service, NDJSON, **{"last-event-id": "a.1"})).status == 200


@both
async def test_a_client_that_leaves_takes_its_calls_along(kind: str) -> None:
    """In the middle of a stream too."""
    async with serving(endpoint(a="/a", stuck="/hang"), {"/a": 1}) as service:
        client = Client(service.app, "/x", headers={"accept": kind})
        await client.until(client.lines)
        await client.leave()
        for _ in range(5):
            await asyncio.sleep(0)
        assert service.upstream.cancelled["/hang"] == 1
    assert not client.is_whole


async def test_a_live_stream_goes_on_until_the_server_drains() -> None:
    """Then `retry:` with 500 to 3000 ms, and the end."""
    live = {"x": {"get": "/x", "live": {"every": "100ms"}, "calls": {"a": "/a"}}}
    async with serving(live, {"/a": 1}) as service:
        client = Client(service.app, "/x", headers={"accept": SSE})
        await client.until(lambda: len(client.lines()) == 2)
        service.upstream.answers["/a"] = 2
        await client.until(lambda: len(client.lines()) == 3)
        service.app.state.service.hub.drain()
        await client.task
    assert client.lines()[-1]["data"] == {"a": 2}
    last = client.body.decode().strip().rpartition("\n\n")[2]
    assert last.startswith("retry: ")
    assert 500 <= int(last.removeprefix("retry: ")) <= 3000
    assert client.is_whole


@both
async def test_faults_of_the_request_are_plain_errors(kind: str) -> None:
    """Before any stream begins."""
    x = {"get": "/x", "params": {"n": {"type": "integer"}}, "calls": {"a": "/a"}}
    async with serving({"x": x}, {"/a": 1}) as service:
        answer = await service.get("/x?n=x", headers={"accept": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
