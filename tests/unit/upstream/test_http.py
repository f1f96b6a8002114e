"""Calls to an HTTP upstream: what is put on the wire, which redirects are followed, and what is told of an attempt."""

from __future__ import annotations

import asyncio

import pytest

from app import __version__
from app.core.call import Headers, Reading, Record
from app.core.errors import CallFailure, ExpressionFailed
from app.core.events import AttemptEnded
from tests.fakes.calls import asking
from tests.fakes.upstream import Asked, FakeUpstream, Line, Script, always, answer, by_path, silence


async def sent(path: str = "", **call: object) -> Asked:
    """The request that a call becomes."""
    async with FakeUpstream(always(answer())) as upstream, asking(upstream.url + path) as u:
        await u.get(**call)
        return upstream.asked[0]


# --- the request


async def test_a_request_carries_our_headers_and_no_others() -> None:
    """Host, user agent, gzip, request id and trace."""
    asked = await sent(target="/a?b=c")
    assert (asked.method, asked.target, asked.body) == ("GET", "/a?b=c", b"")
    got = dict(asked.headers)
    assert got.keys() == {"host", "user-agent", "accept-encoding", "x-request-id", "traceparent"}
    assert (got["user-agent"], got["accept-encoding"], got["x-request-id"]) == (f"merganser/{__version__}", "gzip", "request-1")


@pytest.mark.parametrize("base", ["/base/path", "/base/path/"])
async def test_the_path_of_the_url_stays_in_front(base: str) -> None:
    """With one slash between."""
    assert (await sent(base, target="/x?y=1")).target == "/base/path/x?y=1"


async def test_declared_headers_stand_before_ours_and_credentials_before_all() -> None:
    """Of one name there is one, whatever its case; repeated ones of a call stay repeated, in order."""
    asked = await sent(
        headers=(("user-agent", "mine"), ("x-tag", "1"), ("X-Tag", "2"), ("Authorization", "client"), ("host", "virtual.test")),
        credentials=(("authorization", "ours"),),
    )
    assert asked.values("user-agent") == ["mine"]
    assert asked.values("x-tag") == ["1", "2"]
    assert asked.values("authorization") == ["ours"]
    assert asked.values("host") == ["virtual.test"]


async def test_framing_and_hop_by_hop_headers_are_never_the_callers() -> None:
    """Nor are the request id and the trace."""
    names = [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "expect",
        "x-request-id",
        "traceparent",
    ]
    asked = await sent(headers=tuple((name, "theirs") for name in [*names, "content-length"]), method="POST", body=b"12")
    assert "theirs" not in str(asked.headers)
    assert asked.values("content-length") == ["2"]


@pytest.mark.parametrize(
    ("method", "body", "length"), [("GET", None, []), ("DELETE", None, []), ("POST", None, ["0"]), ("PUT", b"abc", ["3"]), ("GET", b"a", ["1"])]
)
async def test_a_body_has_a_length(method: str, body: bytes | None, length: list[str]) -> None:
    """Methods that expect a body say that there is none (RFC 9110 section 8.6)."""
    asked = await sent(method=method, body=body)
    assert (asked.method, asked.values("content-length"), asked.body) == (method, length, body or b"")


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ((("x", "a\r\nevil: 1"),), "/"),
        ((("x", "a\x00"),), "/"),
        ((("x y", "a"),), "/"),
        ((("", "a"),), "/"),
        ((), "/a b"),
        ((), "/a\r\nb"),
        ((), "/é"),
    ],
)
async def test_what_would_break_the_head_is_not_sent(headers: Headers, target: str) -> None:
    """The binders see to it; this is the last gate."""
    async with FakeUpstream(always(answer())) as upstream, asking(upstream.url) as u:
        with pytest.raises(ExpressionFailed):
            await u.get(target, headers=headers)
        assert upstream.made == 0


async def test_header_text_is_sent_as_the_octets_that_it_stands_for() -> None:
    """Latin-1, as a server reads headers; what is beyond it as UTF-8."""
    asked = await sent(headers=(("x-octets", "ñ".encode().decode("latin-1")), ("x-beyond", "雪")))
    assert [asked.values(name)[0].encode("latin-1").decode() for name in ("x-octets", "x-beyond")] == ["ñ", "雪"]


# --- the answer


async def test_statuses_become_data_null_or_a_failure() -> None:
    """2xx is data, `null_on` null, everything else a status failure; `http_status` is on the record in every case."""
    async with (
        FakeUpstream(by_path({"/201": answer(b"[1]", 201), "/410": answer(b"{}", 410), "/503": answer(b"{}", 503)})) as upstream,
        asking(upstream.url) as u,
    ):
        reading = Reading(null_on=frozenset((410,)))
        for path, expected in (("/201", b"[1]"), ("/410", b"null"), ("/503", "status")):
            record = Record()
            try:
                got: bytes | str = (await u.get(path, reading=reading, record=record)).data.raw
            except CallFailure as failure:
                got = failure.type
            assert (got, record.http_status, record.attempts) == (expected, int(path[1:]), 1)


async def test_what_cannot_be_read_is_decode_and_keeps_its_status() -> None:
    """The connection is fine and used again."""
    async with FakeUpstream(always(answer(b"{nope}"))) as upstream, asking(upstream.url) as u:
        for _ in range(2):
            record = Record()
            with pytest.raises(CallFailure) as caught:
                await u.get(record=record)
            assert (caught.value.type, caught.value.http_status, record.http_status) == ("decode", 200, 200)
        assert upstream.made == 1


async def test_every_attempt_is_told_once() -> None:
    """Good, failed and cancelled ones, with time and size."""
    async with FakeUpstream(by_path({"/": answer(b"[1]"), "/hang": silence})) as upstream, asking(upstream.url) as u:
        await u.get()
        with pytest.raises(CallFailure):
            await u.get("/404")
        leaving = asyncio.ensure_future(u.get("/hang"))
        await upstream.until_asked(3)
        leaving.cancel()
        await asyncio.wait([leaving])
        events = [event for event in u.events if isinstance(event, AttemptEnded)]
        assert [(e.failure, e.status, e.received_bytes) for e in events] == [(None, 200, 3), ("status", 404, 0), ("cancelled", None, 0)]
        assert all(e.seconds > 0 and e.sent_bytes > 100 for e in events)


async def test_a_new_connection_is_noted_with_its_times() -> None:
    """For `?explain`; one that was there is nothing to tell of."""
    async with FakeUpstream(always(answer())) as upstream, asking(upstream.url) as u:
        first, second = Record(), Record()
        await u.get(record=first)
        await u.get(record=second)
        assert first.notes[0].startswith("a new connection: connect ")
        assert second.notes == []


# --- redirects


def redirects(status: int = 302) -> Script:
    """/to/X redirects to X; every other path tells what was asked."""

    async def script(asked: Asked, line: Line) -> None:
        if asked.target.startswith("/to"):
            await line.send(answer(b"moved", status, f"location: {asked.target[3:]}"))
        else:
            got = {name: value for name, value in asked.headers if name in ("authorization", "cookie", "content-type", "x-fixed")}
            await line.send(answer(repr([asked.method, asked.target, asked.body.decode(), sorted(got)]).replace("'", '"').encode()))

    return script


@pytest.mark.parametrize(
    ("maximum", "target", "reached"), [(0, "/to/x", 302), (1, "/to/x?a=b%20c", "/x?a=b%20c"), (1, "/to/to/x", 302), (2, "/to/to/x", "/x")]
)
async def test_redirects_are_followed_as_often_as_allowed(maximum: int, target: str, reached: str | int) -> None:
    """They are part of the attempt."""
    async with FakeUpstream(redirects()) as upstream, asking(upstream.url, redirects={"max": maximum}) as u:
        record = Record()
        try:
            came: object = (await u.get(target, record=record)).data.value[1]
        except CallFailure as failure:
            came = failure.http_status
        assert (came, record.attempts) == (reached, 1)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (301, "PUT", "PUT"),
    ],
)
async def test_the_method_is_kept_or_becomes_get(status: int, method: str, becomes: str) -> None:
    """RFC 9110 section 15.4; a body that is not kept takes its headers with it."""
    async with FakeUpstream(redirects(status)) as upstream, asking(upstream.url, redirects={"max": 1}) as u:
        body = None if method == "HEAD" else b"body"
        await u.get("/to/x", method=method, body=body, headers=(("content-type", "text/plain"),))
        last = upstream.asked[-1]
        assert (last.method, last.path, last.body) == (becomes, "/x", body if method == becomes and body else b"")
        assert bool(last.values("content-type")) == (method == becomes)


async def test_other_origins_are_asked_only_if_listed_and_never_with_credentials() -> None:
    """Neither ours nor the client's; declared headers go along. Back home, credentials do again."""
    async with FakeUpstream(redirects()) as home, FakeUpstream(redirects()) as friend, FakeUpstream(redirects()) as stranger:
        async with asking(home.url, redirects={"max": 2, "origins": [friend.url]}) as u:
            given = {"headers": (("cookie", "c"), ("x-fixed", "1")), "credentials": (("authorization", "ours"),)}
            assert (await u.get(f"/to{friend.url}/x", **given)).data.value == ["GET", "/x", "", ["x-fixed"]]
            assert (await u.get("/to/x", **given)).data.value[3] == ["authorization", "cookie", "x-fixed"]
            assert "authorization" in (await u.get(f"/to{friend.url}/to{home.url}/x", **given)).data.value[3]
            for where in (
                f"{stranger.url}/x",
                f"{stranger.url.replace('http:', '')}/x",
                "file:///etc/passwd",
                "ftp://x/",
                f"http://me@127.0.0.1:{home.port}/x",
                "http://[/x",
            ):
                with pytest.raises(CallFailure) as caught:
                    await u.get(f"/to{where}", **given)
                assert caught.value.http_status == 302
        assert stranger.asked == []


async def test_a_redirect_to_a_path_below_stays_in_the_origin() -> None:
    """Relative references are resolved (RFC 3986), odd characters encoded."""
    async with FakeUpstream(redirects()) as upstream, asking(upstream.url + "/base", redirects={"max": 1}) as u:

        async def script(asked: Asked, line: Line) -> None:
            await line.send(answer(b"", 302, "location: ../up/a b%20c?q=d e") if "up" not in asked.target else answer(b"1"))

        upstream.script = script
        await u.get("/one/two")
        assert upstream.asked[-1].target == "/base/up/a%20b%20c?q=d%20e"


async def test_the_whole_chain_shares_one_deadline() -> None:
    """Each hop has what is left."""

    async def slow(asked: Asked, line: Line) -> None:
        await asyncio.sleep(0.03)
        await line.send(answer(b"", 302, "location: /again"))

    async with FakeUpstream(slow) as upstream, asking(upstream.url, redirects={"max": 9}) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get(timeout=0.1)
        assert caught.value.type == "timeout"
        assert len(upstream.asked) <= 4


async def test_a_credential_in_the_query_goes_along_within_the_origin() -> None:
    """Whatever query the redirect names; to nobody else."""
    auth = {"query": {"name": "key", "value": "k v"}}
    async with (
        FakeUpstream(redirects()) as home,
        FakeUpstream(redirects()) as friend,
        asking(home.url, redirects={"max": 1, "origins": [friend.url]}, auth=auth) as u,
    ):
        assert (await u.get("/to/x?a=1")).data.value[1] == "/x?a=1&key=k%20v"
        assert (await u.get("/to/x?key=theirs")).data.value[1] == "/x?key=k%20v"
        assert (await u.get(f"/to{friend.url}/x?a=1")).data.value[1] == "/x?a=1"
