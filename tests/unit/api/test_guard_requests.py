"""What the guard lets through, and what it refuses before the application hears of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from app.api.edge import Limits
from tests.fakes.guarded import Echo, Guarded, guarded


@pytest.fixture
async def site() -> AsyncIterator[Guarded]:
    """A guard with a short patience."""
    async with guarded(Echo(), Limits(keep_alive=1, header=0.5, body=0.5, write=1, max_url=8 << 10)) as one:
        yield one


def get(path: str = "/a", *lines: str, version: str = "1.1", host: str | None = "x", method: str = "GET", closes: bool = True) -> bytes:
    """A request."""
    head = [f"{method} {path} HTTP/{version}", *([f"host: {host}"] if host is not None else []), *lines, *(["connection: close"] if closes else [])]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def status(answer: bytes) -> int:
    """The first answer's status; 0 for none."""
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def problem(answer: bytes) -> dict:
    """The problem document of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    return json.loads(body)


GOOD = {
    "plain": get(),
    "port": get(host="x:80"),
    "ipv6": get(host="[::1]:80"),
    "empty-port": get(host="x:"),
    "query": get("/a?b=c&d=%00"),
    "encoded": get("/%2e%2e/%ff"),
    "no-host-in-1.0": get(host=None, version="1.0"),
    "absolute": get("http://x/a?b"),
    "absolute-in-capitals": get("HTTP://X/a"),
    "absolute-without-path": get("http://x"),
    "double-slash": get("//a"),
    "many-fields": get("/a", *(f"x-{i}: 1" for i in range(97))),
    "large-field": get("/a", "x-a: " + "a" * 20_000),
    "odd-method": get(method="PURGE"),
    "colon-in-value": get("/a", "x-a: b:c"),
    "upper-case-field": get("/a", "X-A: b"),
}


@pytest.mark.parametrize("case", GOOD)
async def test_what_means_one_thing_is_served(site: Guarded, case: str) -> None:
    """Strictness costs no valid request."""
    assert status(await site.ask(GOOD[case])) == 200


async def test_an_answer_has_one_date(site: Guarded) -> None:
    """The server's, or that of an answer passed through, which says its own."""
    ours = await site.ask(get())
    assert ours.lower().count(b"\r\ndate: ") == 1
    passed = await site.ask(get("/dated"))
    assert [line for line in passed.split(b"\r\n") if line.lower().startswith(b"date: ")] == [b"date: Thu, 01 Jan 1970 00:00:00 GMT"]


BAD = {
    "tunnel": (405, get(method="CONNECT")),
    "tunnel-with-body": (405, get("/a", "content-length: 2", method="CONNECT") + b"ab"),
    "no-host": (400, get(host=None)),
    "two-hosts": (400, get("/a", "Host: y")),
    "two-equal-hosts": (400, get("/a", "Host: x")),
    "empty-host": (400, get(host="")),
    "host-with-path": (400, get(host="evil/x?")),
    "host-with-user": (400, get(host="a@b")),
    "host-with-space": (400, get(host="a b")),
    "two-hosts-in-1.0": (400, get("/a", "host: y", version="1.0")),
    "absolute-for-another-host": (400, get("http://evil.test/a")),
    "absolute-with-user": (400, get("http://u@x/a")),
    "absolute-ftp": (400, get("ftp://x/a")),
    "asterisk": (400, get("*")),
    "asterisk-options": (400, get("*", method="OPTIONS")),
    "authority": (400, get("x:80", method="CONNECT")),
    "fragment": (400, get("/a#b")),
    "byte-in-target": (400, get("/\xff")),
    "underscore": (400, get("/a", "X_Forwarded_For: 1.2.3.4")),
    "length-and-coding": (400, get("/body", "content-length: 4", "transfer-encoding: chunked", method="POST") + b"0\r\n\r\n"),
    "two-lengths": (400, get("/body", "content-length: 1", "content-length: 2", method="POST") + b"ab"),
    "two-equal-lengths": (400, get("/body", "content-length: 1", "content-length: 1", method="POST") + b"a"),
    "plus-length": (400, get("/body", "content-length: +1", method="POST") + b"a"),
    "list-length": (400, get("/body", "content-length: 1, 1", method="POST") + b"a"),
    "negative-length": (400, get("/body", "content-length: -1", method="POST")),
    "endless-length": (400, get("/body", "content-length: " + "9" * 40, method="POST")),
    "gzip-chunked": (400, get("/body", "transfer-encoding: gzip, chunked", method="POST") + b"0\r\n\r\n"),
    "xchunked": (400, get("/body", "transfer-encoding: xchunked", method="POST") + b"0\r\n\r\n"),
    "identity": (400, get("/body", "transfer-encoding: identity", method="POST")),
    "two-codings": (400, get("/body", "transfer-encoding: chunked", "transfer-encoding: chunked", method="POST") + b"0\r\n\r\n"),
    "chunked-in-1.0": (400, get("/body", "transfer-encoding: chunked", method="POST", version="1.0") + b"0\r\n\r\n"),
    "space-before-colon": (400, get("/a", "x-a : b")),
    "folded": (400, get("/a", "x-a: b\r\n c")),
    "bare-lf": (400, b"GET /a HTTP/1.1\nhost: x\n\n"),
    "nul": (400, get("/a", "x-a: b\0c")),
    "bare-cr": (400, get("/a", "x-a: b\rc")),
    "unknown-method": (400, get(method="BREW")),
    "lower-case-method": (400, get(method="get")),
    "http-2.0": (400, get(version="2.0")),
    "http-0.9": (400, get(version="0.9")),
    "http-9.9": (400, get(version="9.9")),
    "h2-preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "tls": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n"),
    "an-answer": (400, b"HTTP/1.1 200 OK\r\n\r\n"),
    "long-target": (414, get("/" + "a" * 9000)),
    "target-longer-than-a-head": (431, get("/" + "a" * 40_000)),
    "target-and-fields-longer-than-a-head": (431, get("/" + "a" * 8000, *(f"x-{i}: " + "a" * 4000 for i in range(7)))),
    "many-fields": (431, get("/a", *(f"x-{i}: 1" for i in range(101)))),
    "large-head": (431, get("/a", *(f"x-{i}: " + "a" * 4000 for i in range(9)))),
    "endless-field": (431, b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 2_000_000),
    "long-field-that-does-not-end": (431, b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 40_000),
    "empty-lines": (431, b"\r\n" * 20_000),
    "endless-trailer": (431, get("/body", "transfer-encoding: chunked", method="POST") + b"2\r\n{}\r\n0\r\nx-a: " + b"a" * 2_000_000),
    "endless-chunk-extension": (431, get("/body", "transfer-encoding: chunked", method="POST") + b"2;" + b"a" * 2_000_000),
    "endless-trailers": (431, get("/body", "transfer-encoding: chunked", method="POST") + b"0\r\n" + b"x-a: b\r\n" * 200 + b"\r\n"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_ambiguous_or_malformed_is_refused(site: Guarded, case: str) -> None:
    """A problem document, the connection ends, and no request of it reaches the application whole."""
    expected, sent = BAD[case]
    answer = await site.ask(sent)
    assert status(answer) == expected, answer[:300]
    told = problem(answer)
    assert (told["status"], len(told["instance"])) == (expected, 16)
    assert all(scope["path"] == "/body" for scope in site.seen)


CHUNKS = [
    b"zz\r\n",
    b"0x1\r\na\r\n",
    b"-1\r\n",
    b"1\na\n0\n\n",
    b"1\r\naXX0\r\n\r\n",
    b"1\r\nab\r\n",
    b"1 \r\na\r\n",
    b"fffffffffffffffff\r\n",
    b"\r\n",
]


@pytest.mark.parametrize("chunk", CHUNKS)
async def test_a_broken_chunk_ends_the_request(site: Guarded, chunk: bytes) -> None:
    """The application hears that its client is gone, never half a body as a whole one."""
    answer = await site.ask(get("/body", "transfer-encoding: chunked", method="POST") + chunk + get("/hidden"))
    assert status(answer) == 400
    assert "/hidden" not in [scope["path"] for scope in site.seen]
    assert answer.count(b"HTTP/1.1") == 1


async def test_the_request_id_of_a_refused_request_is_its_own(site: Guarded) -> None:
    """A good X-Request-ID is echoed, a bad one replaced."""
    kept = await site.ask(get("/a", "x-request-id: mine-1", "x_y: 1"))
    made = await site.ask(get("/a", "x-request-id: no good", "x_y: 1"))
    assert problem(kept)["instance"] == "mine-1"
    assert b"x-request-id: mine-1\r\n" in kept
    assert problem(made)["instance"] != "no good"


async def test_trailers_are_no_headers(site: Guarded) -> None:
    """A field behind the body cannot add a credential to the head."""
    sent = get("/body", "transfer-encoding: chunked", method="POST") + b"1\r\na\r\n0\r\nx-api-key: k\r\n\r\n"
    assert status(await site.ask(sent)) == 200
    assert b"x-api-key" not in dict(site.seen[0]["headers"])


async def test_a_fault_of_the_application_is_a_problem_without_its_text(site: Guarded) -> None:
    """500 outside the framework too."""
    answer = await site.ask(get("/crash"))
    assert problem(answer)["status"] == 500
    assert b"secret" not in answer


async def test_only_named_hosts_where_some_are_named() -> None:
    """`MERGANSER_HOSTS` is a list of what Host may say, whatever the port and the case."""
    async with guarded(Echo(), Limits(hosts=frozenset({"api.test"}))) as site:
        for host, expected in {"api.test": 200, "API.test:8000": 200, "evil.test": 400, "127.0.0.1": 400}.items():
            assert status(await site.ask(get(host=host))) == expected
        assert status(await site.ask(get(host=None, version="1.0"))) == 400


async def test_an_upgrade_that_is_not_ours_is_declined_by_serving_the_request(site: Guarded) -> None:
    """Java's client offers h2c with every first request, bodies included: it is answered in HTTP/1.1, and so is the next."""
    offer = ("upgrade: h2c", "connection: Upgrade, HTTP2-Settings", "http2-settings: AAMAAABkAAQCAAAAAAIAAAAA")
    sent = get("/body", *offer, "content-length: 3", method="POST", closes=False) + b"abc" + get("/next")
    answer = await site.ask(sent)
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"HTTP/1.1") == 2
    assert b"\r\n\r\n3" in answer


async def test_what_else_connection_names_stays_named_when_an_upgrade_is_declined(site: Guarded) -> None:
    """Its fields are hop-by-hop still, and `close` closes; nothing is left of a Connection that named the upgrade alone."""
    offers = ("connection: Upgrade, X-Hop, HTTP2-Settings", "connection: close"), ("connection: Upgrade",)
    lines = [await site.dial(get("/a", "upgrade: h2c", *offer, "x-hop: 1", closes=False)) for offer in offers]
    answers = [await line.answer() for line in lines]
    named = [[value for name, value in scope["headers"] if name == b"connection"] for scope in site.seen]
    assert named == [[b"X-Hop", b"close"], []]
    assert [b"connection: close" in answer for answer in answers] == [True, False]


async def test_an_upgrade_of_http_1_0_is_no_upgrade(site: Guarded) -> None:
    """RFC 9110 section 7.8: it is ignored; the answer is one that HTTP/1.0 understands, and the last of its connection."""
    answer = await site.ask(get("/a", "upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13", version="1.0", closes=False))
    assert (status(answer), b"connection: close" in answer) == (200, True)
    assert site.seen[0]["http_version"] == "1.0"


async def test_hop_by_hop_smuggling_in_pipelines_is_refused(site: Guarded) -> None:
    """What follows an ambiguous request on the connection is not read."""
    sent = get("/body", "content-length: 5", "transfer-encoding: chunked", method="POST", closes=False) + b"0\r\n\r\n" + get("/hidden")
    answer = await site.ask(sent)
    assert answer.count(b"HTTP/1.1") == 1
    assert not site.seen


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_http_1_0_is_answered_without_chunks(site: Guarded, method: str) -> None:
    """It does not know them: a body of unknown length ends with the connection, even where the client would keep it."""
    answer = await site.ask(get("/pieces", "connection: keep-alive", version="1.0", method=method, closes=False))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"\r\nconnection: close" in head
    assert body == (b"" if method == "HEAD" else b"one,two")
    assert (await site.ask(get("/pieces"))).endswith(b"\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_a_broken_answer_to_http_1_0_is_no_whole_one(site: Guarded) -> None:
    """The end of the connection would be the end of the body: it is reset."""
    line = await site.dial(get("/torn", version="1.0"))
    with pytest.raises(ConnectionResetError):
        await line.reader.read()


async def test_a_304_may_say_how_long_the_200_would_be(site: Guarded) -> None:
    """It has no body, and the connection goes on."""
    answer = await site.ask(get("/304", closes=False) + get("/next"))
    assert answer.startswith(b"HTTP/1.1 304")
    assert answer.endswith(b"/next")
