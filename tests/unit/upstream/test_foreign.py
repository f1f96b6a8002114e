"""A call comes to the same, whatever transport carries it: ours, httpx's own, or one that a test has mounted."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
import respx

from app.core.call import Headers, Record
from app.core.errors import CallFailure, ExpressionFailed
from app.core.events import AttemptEnded
from app.upstream.foreign import MAX_CALLS
from tests.fakes.calls import Asker, asking, call_of
from tests.fakes.cancelling import cancelled_at
from tests.fakes.upstream import Asked, FakeUpstream, Line, Script, always, answer, by_path, refuse, reset, silence

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def broken(asked: Asked, line: Line) -> None:
    """Ends in the body."""
    await line.send(OK + b"content-length: 100\r\n\r\n{")
    line.close()


async def moved(asked: Asked, line: Line) -> None:
    """Redirects to /ok."""
    await line.send(answer(b"", 302, "location: /ok"))


CASES: dict[str, bytes | Script] = {
    "/ok": answer(b'{"a":1}'),
    "/empty": answer(b""),
    "/none": b"HTTP/1.1 204 X\r\n\r\n",
    "/chunks": OK + b"transfer-encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
    "/gzip": answer(gzip.compress(b"[1]"), 200, "content-encoding: gzip"),
    "/corrupt": answer(b"\x1f\x8b\x08broken", 200, "content-encoding: gzip"),
    "/cut": answer(gzip.compress(b"[1]")[:-3], 200, "content-encoding: gzip"),
    "/unknown": answer(b"[1]", 200, "content-encoding: br"),
    "/twice": answer(b"[1]", 200, "content-encoding: gzip, gzip"),
    "/large": answer(b'"' + b"x" * 5000 + b'"'),
    "/bomb": answer(gzip.compress(b"0" * 5_000_000), 200, "content-encoding: gzip"),
    "/fields": OK + b"".join(b"x-%d: 1\r\n" % i for i in range(110)) + b"content-length: 2\r\n\r\n{}",
    "/nojson": answer(b"{nope"),
    "/html": answer(b"<p>", kind="text/html"),
    "/503": answer(b"no", 503, "retry-after: 3"),
    "/404": answer(b"no", 404),
    "/moved": moved,
    "/hang": silence,
    "/refuse": refuse,
    "/reset": reset,
    "/broken": broken,
    "/lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "/garbage": b"\x00 no http\r\n\r\n",
    "/control": OK + b"x: a\x01b\r\ncontent-length: 2\r\n\r\n{}",
    "/099": b"HTTP/1.1 099 Odd\r\ncontent-length: 2\r\n\r\n{}",
}


def through_httpx(url: str, **spec: object) -> AbstractAsyncContextManager[Asker]:
    """An upstream with `transport: httpx`."""
    return asking(url, transport="httpx", **spec)


async def outcome(u: Asker, path: str, **more: object) -> tuple[object, ...]:
    """Everything that can be told of a call but its time."""
    record = Record()
    try:
        got: tuple[object, ...] = ("data", (await u.get(path, timeout=0.3, record=record, reading=None, **more)).data.raw)
    except CallFailure as failure:
        got = (failure.type, failure.sent, failure.retryable, failure.blames_upstream, failure.retry_after, failure.detail)
    events = [(e.failure, e.status, e.received_bytes) for e in u.events if isinstance(e, AttemptEnded)]
    return (*got, record.attempts, record.http_status, events[-1])


@pytest.mark.parametrize("path", CASES)
async def test_ours_and_httpx_give_the_same_answer_and_the_same_failure(path: str) -> None:
    """Type, flags, status, size and detail."""
    async with FakeUpstream(by_path(CASES)) as upstream:
        spec = {"redirects": {"max": 1}}
        async with asking(upstream.url, **spec) as ours, through_httpx(upstream.url, **spec) as theirs:
            assert await outcome(ours, path) == await outcome(theirs, path)


async def test_the_same_request_is_on_the_wire() -> None:
    """Method, target, headers and body, byte for byte."""
    async with FakeUpstream(always(answer())) as upstream:
        for way in (asking, through_httpx):
            async with way(upstream.url + "/base") as u:
                await u.get(
                    "/x%2Fy?a=%7E[1]", method="POST", body=b"[1]", headers=(("X-One", "1"), ("x-one", "2")), credentials=(("authorization", "b"),)
                )
        ours, theirs = upstream.asked
        assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body)
        assert sorted(ours.headers) == sorted(theirs.headers)


@pytest.mark.parametrize("headers", [(("x", "a "),), (("x", "\t a"),), (("x", ""),)])
async def test_blanks_round_a_value_mean_nothing(headers: Headers) -> None:
    """RFC 9110 section 5.5: neither transport sends them, none fails for them."""
    async with FakeUpstream(always(answer(b"1"))) as upstream:
        for way in (asking, through_httpx):
            async with way(upstream.url) as u:
                await u.get("/", headers=headers)
        ours, theirs = upstream.asked
        assert sorted(ours.headers) == sorted(theirs.headers)


async def test_what_cannot_be_sent_blames_nobody() -> None:
    """A target over the bound fails as an expression does, before anything is sent."""
    async with FakeUpstream(silence) as upstream:
        async with asking(upstream.url) as ours, through_httpx(upstream.url) as theirs:
            for u in (ours, theirs):
                record = Record()
                with pytest.raises(ExpressionFailed) as failed:
                    await u.get("/?q=" + "x" * 70_000, record=record)
                assert (failed.value.sent, failed.value.blames_upstream, record.attempts, u.events) == (False, False, 0, [])
        assert upstream.asked == []


async def test_refused_is_the_same_with_both() -> None:
    """Nothing was sent."""
    async with FakeUpstream(silence) as upstream:
        url = upstream.url
    async with asking(url) as ours, through_httpx(url) as theirs:
        assert await outcome(ours, "/") == await outcome(theirs, "/")


async def test_surplus_never_becomes_another_answer_with_httpx_either() -> None:
    """No connection carries two calls."""
    real, poison = answer(b'"real"'), answer(b'"poison"')
    async with FakeUpstream(by_path({"/real": real, "/surplus": real + poison})) as upstream, through_httpx(upstream.url) as u:
        for _ in range(5):
            assert (await u.get("/surplus")).data.raw == (await u.get("/real")).data.raw == b'"real"'


async def test_a_mounted_transport_sees_every_call() -> None:
    """httpx.MockTransport, as a test of a catalog would use it."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/v1/refused":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={"path": request.url.path})

    async with asking("http://api.test/v1", over=httpx.MockTransport(handler)) as u:
        assert (await u.get("/x?y=1", method="POST", body=b"{}")).data.value == {"path": "/v1/x"}
        assert (seen[0].method, str(seen[0].url), seen[0].headers["x-request-id"], seen[0].content) == (
            "POST",
            "http://api.test/v1/x?y=1",
            "request-1",
            b"{}",
        )
        stream = await u.upstream.open_stream(call_of("/y"))
        assert [chunk async for chunk in stream] == [b'{"path":"/v1/y"}']
        await stream.aclose()
        with pytest.raises(CallFailure) as caught:
            await u.get("/refused")
        assert (caught.value.type, caught.value.sent) == ("connect", False)


async def test_respx_sees_every_call() -> None:
    """`respx.mock(using="httpx")` over our own transport, and not a byte on the network."""
    async with asking("http://api.test") as u:
        assert u.connections == 0
        with respx.mock(using="httpx") as router:
            router.get("http://api.test/x").respond(json=[1])
            assert (await u.get("/x")).data.raw == b"[1]"
        assert u.connections == 0


async def test_everything_else_uses_the_client_as_anyone_would() -> None:
    """JSON, forms, streams, errors, timeouts, gzip, cookies refused, redirects not followed."""
    async with FakeUpstream(by_path({**CASES, "/cookie": answer(b"{}", 200, "set-cookie: s=1")})) as upstream, asking(upstream.url) as u:
        client, url = u.client, upstream.url
        assert (await client.get(f"{url}/ok")).json() == {"a": 1}
        assert (await client.get(f"{url}/gzip")).json() == [1]
        assert (await client.post(f"{url}/ok", data={"grant_type": "x"})).status_code == 200
        assert upstream.asked[-1].body == b"grant_type=x"
        assert (await client.get(f"{url}/moved")).status_code == 302
        assert (await client.head(f"{url}/ok")).headers["content-length"] == "7"
        await client.get(f"{url}/cookie")
        await client.get(f"{url}/ok")
        assert upstream.asked[-1].values("cookie") == []
        async with client.stream("GET", f"{url}/large") as response:
            assert len(b"".join([chunk async for chunk in response.aiter_bytes()])) == 5002
        for path, error in (("/hang", httpx.ReadTimeout), ("/refuse", httpx.RemoteProtocolError), ("/broken", httpx.RemoteProtocolError)):
            with pytest.raises(error):
                await client.get(f"{url}{path}", timeout=0.2)
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://x/")
    with pytest.raises(httpx.ConnectError):
        async with asking(url) as u:
            await u.client.get(url)


async def test_streams_pass_through_httpx_too() -> None:
    """Bodies both ways, failures, and as many times as there are places."""

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with FakeUpstream(by_path(CASES)) as upstream, through_httpx(upstream.url) as u:
        for _ in range(3):
            stream = await u.upstream.open_stream(call_of("/gzip", method="POST"), body())
            assert gzip.decompress(b"".join([chunk async for chunk in stream])) == b"[1]"
            await stream.aclose()
            await stream.aclose()
        assert upstream.asked[-1].body == b"onetwo"
        with pytest.raises(CallFailure) as caught:
            await u.upstream.open_stream(call_of("/hang", timeout=0.05))
        assert caught.value.type == "timeout"
        stream = await u.upstream.open_stream(call_of("/broken"))
        with pytest.raises(CallFailure) as caught:
            assert [chunk async for chunk in stream] == []
        assert (caught.value.type, caught.value.http_status) == ("protocol", 200)
        await stream.aclose()
        assert u.upstream._first._foreign._places._value == MAX_CALLS
        await upstream.until_open(0)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_cancelled_anywhere_a_call_through_httpx_leaves_nothing(twice: bool) -> None:
    """The reason for a client for each call: httpcore's pool would keep what was cancelled."""
    async with FakeUpstream(by_path(CASES)) as upstream, through_httpx(upstream.url) as u:
        for step in range(1, 30):
            if not await cancelled_at(u.get("/chunks"), step, twice=twice):
                break
        assert step > 3
        assert (await u.get("/ok")).data.raw == b'{"a":1}'
        async with asyncio.timeout(2):
            await asyncio.gather(*u.upstream._first._foreign._closing)
        assert u.upstream._first._foreign._places._value == MAX_CALLS
        await upstream.until_open(0)
