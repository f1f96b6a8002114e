"""An upstream's answer passed through."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.guarded import guarded
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


@pytest.mark.parametrize("status", [299, 599, 600, 999])
async def test_any_status_of_three_digits_passes(status: int) -> None:
    """Those that HTTP has no class for too."""
    async with serving(THROUGH, {"/y/1": httpx.Response(status, content=b"odd")}) as service, guarded(service.app) as site:
        answer = await site.ask(b"GET /x/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d \r\n" % status)
    assert answer.endswith(b"\r\n\r\nodd")


async def test_a_head_that_cannot_be_written_is_a_500() -> None:
    """The client is not left without an answer, whatever the head had said before."""
    told = httpx.Response(200, headers=[("content-length", "3"), ("x y", "1")], content=b"odd")
    async with serving(THROUGH, {"/y/1": told}) as service, guarded(service.app) as site:
        answer = await site.ask(b"GET /x/1 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"application/problem+json" in answer


async def test_a_204_has_no_length() -> None:
    """RFC 9110 section 8.6; elsewhere it is the upstream's."""
    answers = {f"/y/{status}": httpx.Response(status, headers={"content-length": "100", "x-mine": "1"}) for status in (204, 304)}
    async with serving(THROUGH, answers) as service:
        empty, unchanged = Client(service.app, "/x/204"), Client(service.app, "/x/304")
        await asyncio.gather(empty.task, unchanged.task)
    assert (empty.status, empty.headers.get("content-length"), empty.headers["x-mine"]) == (204, None, "1")
    assert (unchanged.status, unchanged.headers["content-length"]) == (304, "100")


class Guarding:
    """An upstream that takes the token `good` alone, and the endpoint that gives one token after another."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = iter(tokens)
        self.answers = {"/token": self.token, "/y/1": self.served, "/p": self.served}

    def token(self, request: httpx.Request) -> httpx.Response:
        token = next(self.tokens, None)
        return httpx.Response(503) if token is None else httpx.Response(200, json={"access_token": token})

    def served(self, request: httpx.Request) -> httpx.Response:
        is_good = request.headers["authorization"] == "Bearer good"
        return httpx.Response(200 if is_good else 401, content=request.content)


OAUTH = {"oauth2": {"token_url": "http://id.test/token", "client_id": "c", "client_secret": "s"}}


async def test_a_refused_token_is_renewed() -> None:
    """What has no body is sent again with the new one, as a call is; what has gets the 401, and the next request the new token."""
    own = {"u": {"url": "http://upstream.test", "auth": OAUTH}}
    async with serving(THROUGH, Guarding("old", "good").answers, upstreams=own) as service:
        assert (await service.get("/x/1")).status_code == 200
        assert service.upstream.paths() == ["/token", "/y/1", "/token", "/y/1"]
    async with serving(THROUGH, Guarding("old", "good").answers, upstreams=own) as service:
        assert [(await service.post("/p", content=b"quack")).status_code for _ in range(2)] == [401, 200]
        assert service.upstream.paths() == ["/token", "/p", "/token", "/p"]


@pytest.mark.parametrize("tokens", [("old",), ("old", "old")])
async def test_without_another_token_the_401_passes(tokens: tuple[str, ...]) -> None:
    """The token endpoint fails, or gives the same again."""
    own = {"u": {"url": "http://upstream.test", "auth": OAUTH}}
    async with serving(THROUGH, Guarding(*tokens).answers, upstreams=own) as service:
        assert (await service.get("/x/1")).status_code == 401
        assert service.upstream.paths() == ["/token", "/y/1", "/token"]


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
