"""An upstream's answer passed through."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import httpx

from tests.fakes.service import Client, serving

THROUGH = {"x": {"get": "/x/{id}", "proxy": {"upstream": "u", "path": "/y/{id}"}}, "p": {"post": "/p", "proxy": {"upstream": "u", "path": "/p"}}}


async def test_status_headers_and_bytes_pass() -> None:
    """A failure as it is, repeated headers and cookies; the request id is ours."""
    told = httpx.Response(503, headers=[("x-two", "a"), ("x-two", "b"), ("set-cookie", "s=1"), ("x-request-id", "theirs")], content=b"\x00\xff")
    async with serving(THROUGH, {"/y/1": told}) as service:
        answer = await service.get("/x/1", headers={"x-request-id": "ours"})
    assert (answer.status_code, answer.content) == (503, b"\x00\xff")
    assert answer.headers.get_list("x-two") == ["a", "b"]
    assert answer.headers["set-cookie"] == "s=1"
    assert answer.headers.get_list("x-request-id") == ["ours"]


async def test_method_query_headers_and_body_of_the_client_pass() -> None:
    """Hop-by-hop headers stay behind, and those that Connection names."""
    async with serving(THROUGH, {"/p": {}}) as service:
        head = {"content-type": "text/x-duck", "x-mine": "1", "connection": "x-hop", "x-hop": "1", "te": "trailers", "authorization": "Bearer a"}
        await service.post("/p?a=1&b=%2F&a=2", content=b"quack \x00", headers=head)
    (asked,) = service.upstream.asked
    assert (asked.method, asked.content, asked.url.query) == ("POST", b"quack \x00", b"a=1&b=%2F&a=2")
    assert (asked.headers["content-type"], asked.headers["x-mine"], asked.headers["authorization"]) == ("text/x-duck", "1", "Bearer a")
    assert not {"x-hop", "te"} & set(asked.headers)
    assert asked.headers["host"] == "upstream.test"


async def test_forward_says_which_query_parameters_pass() -> None:
    """Where it names any; behind them what the upstream always gets."""
    x = {"get": "/x", "forward": {"query": ["a"]}, "proxy": {"upstream": "v", "path": "/y"}}
    async with serving({"x": x}, {"/y": 1}, upstreams={"v": {"url": "http://v.test", "query": {"units": "metric", "a": "0"}}}) as service:
        await service.get("/x?a=1&b=2")
        await service.get("/x?b=2")
    assert [request.url.query for request in service.upstream.asked] == [b"a=1&units=metric", b"units=metric&a=0"]


async def test_our_own_credential_stays_with_us() -> None:
    """The header that `auth` took; any other goes on."""
    key = "sha256:" + hashlib.sha256(b"quack").hexdigest()
    auth = {"partner": {"type": "api_key", "header": "X-API-Key", "keys": {"acme": key}}}
    async with serving({"x": {**THROUGH["x"], "auth": ["partner"]}}, {"/y/1": 1}, auth=auth) as service:
        refused = await service.get("/x/1", headers={"x-api-key": "wrong"})
        served = await service.get("/x/1", headers={"x-api-key": "quack", "authorization": "Bearer theirs"})
    assert (refused.status_code, served.status_code) == (401, 200)
    (asked,) = service.upstream.asked
    assert "x-api-key" not in asked.headers
    assert asked.headers["authorization"] == "Bearer theirs"


async def test_a_failure_before_the_head_is_a_problem() -> None:
    """502, or 504 by time."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    slow = {"x": {"get": "/slow", "deadline": "30ms", "proxy": {"upstream": "u", "path": "/hang"}}}
    async with serving(
        {**THROUGH, **slow, "y": THROUGH["x"]} | {"y": {"get": "/y", "proxy": {"upstream": "u", "path": "/broken"}}}, {"/broken": broken}
    ) as service:
        down, late = await service.get("/y"), await service.get("/slow")
    assert (down.status_code, down.headers["content-type"]) == (502, "application/problem+json")
    assert late.status_code == 504


async def test_a_failure_behind_the_head_breaks_the_connection() -> None:
    """What came is passed on, and the answer is left unfinished."""

    class Breaking(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half"
            raise httpx.ReadError("broken")

    async with serving(THROUGH, {"/y/1": lambda request: httpx.Response(200, stream=Breaking())}) as service:
        client = Client(service.app, "/x/1")
        await client.task
    assert (client.status, client.body, client.is_whole) == (200, b"half", False)


async def test_a_client_that_leaves_takes_its_call_along() -> None:
    """The watch goes on beside the upload."""
    async with serving({"x": {"get": "/x", "deadline": "30s", "proxy": {"upstream": "u", "path": "/hang"}}}) as service:
        client = Client(service.app, "/x")
        await service.upstream.hanging.wait()
        await client.leave()
        await asyncio.sleep(0)
        assert service.upstream.cancelled["/hang"] == 1
    assert client.status == 0
