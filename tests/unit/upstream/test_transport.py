"""What the transport makes of what an upstream does: the answer, or the one right failure, and no connection reused that should not be."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from app.core.call import Reading, Record
from app.core.errors import CallFailure
from tests.fakes.calls import asking
from tests.fakes.upstream import Asked, FakeUpstream, Line, always, answer, by_path, refuse, reset, silence

JSON = b"content-type: application/json\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + JSON
KIB = Reading(max_body=1024)


async def failure(script: object, **more: object) -> CallFailure:
    """The failure of a call to an upstream of this script, whose connection must be gone after it."""
    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:  # type: ignore[arg-type]
        with pytest.raises(CallFailure) as caught:
            await u.get(**more)
        await upstream.until_open(0)
        assert u.connections == 0
    return caught.value


async def data(*pieces: bytes, ends: bool = False, **more: object) -> bytes:
    """The JSON of a call to an upstream that sends these pieces."""
    async with FakeUpstream(always(*pieces, ends=ends)) as upstream, asking(upstream.url) as u:
        return (await u.get(**more)).data.raw


# --- framing


@pytest.mark.parametrize(
    "pieces",
    [
        [answer(b'{"a":1}')],
        [b"HTTP/1.1 200 OK\r\ncon", b"tent-length: 7\r\n\r", b'\n{"a"', b":1}"],
        [OK + b'transfer-encoding: chunked\r\n\r\n3\r\n{"a\r\n', b'4\r\n":1}\r\n0\r\n\r\n'],
        [OK + b'transfer-encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\ncontent-length: 9\r\n\r\n'],
        [OK + b'Transfer-Encoding: Chunked\r\n\r\n7;name=value\r\n{"a":1}\r\n0\r\nx-trailer: 1\r\n\r\n'],
        [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b'{"a":1}')],
    ],
)
async def test_an_answer_is_its_body_however_it_is_framed(pieces: list[bytes]) -> None:
    """Content-Length, chunks, extensions, trailers, interim answers, any cutting into segments; then the connection is used again."""
    async with FakeUpstream(always(*pieces)) as upstream, asking(upstream.url) as u:
        for _ in range(3):
            assert (await u.get()).data.raw == b'{"a":1}'
        assert upstream.made == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n"])
async def test_a_body_may_end_with_its_connection(head: bytes) -> None:
    """Without framing the body is what comes before the end (RFC 9112 section 6.3)."""
    assert await data(head, b'{"a"', b":1}", ends=True) == b'{"a":1}'


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        OK + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-encoding: br\r\n\r\n",
        OK + b"content-length: 0\r\ncontent-encoding: br\r\n\r\n",
    ],
)
async def test_no_content_is_null(answered: bytes) -> None:
    """204 and an empty body give null, and the connection is used again."""
    async with FakeUpstream(always(answered)) as upstream, asking(upstream.url) as u:
        assert [(await u.get()).data.is_null for _ in range(3)] == [True] * 3
        assert upstream.made == 1


async def test_an_answer_to_head_has_no_body() -> None:
    """Whatever its Content-Length says; the connection is used again."""
    async with FakeUpstream(always(OK + b"content-length: 5\r\n\r\n")) as upstream, asking(upstream.url) as u:
        assert [(await u.get(method="HEAD")).data.is_null for _ in range(3)] == [True] * 3
        assert upstream.made == 1


BROKEN = {
    "not_http": b"\x00\x01 no http\r\n\r\n",
    "tls_bytes": b"\x16\x03\x01\x02\x00\x01",
    "http_2": b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "http_09": b"HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "two_lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "length_and_chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks_and_length": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "negative_length": OK + b"content-length: -2\r\n\r\n{}",
    "signed_length": OK + b"content-length: +2\r\n\r\n{}",
    "length_list": OK + b"content-length: 2, 2\r\n\r\n{}",
    "unknown_transfer_coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked_not_last": OK + b"transfer-encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked_twice": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "bad_chunk_size": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "bare_line_feeds": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "folded_header": OK + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
    "nul_in_a_header": OK + b"x: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "switching_protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "cut_in_the_head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "cut_in_the_body": OK + b"content-length: 9\r\n\r\n{}",
    "cut_in_a_chunk": OK + b"transfer-encoding: chunked\r\n\r\n5\r\n{}",
    "cut_between_chunks": OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "status_below_100": b"HTTP/1.1 099 Odd\r\ncontent-length: 2\r\n\r\n{}",
    "endless_interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_is_protocol(case: str) -> None:
    """Broken after its first byte, or not HTTP."""
    failed = await failure(always(BROKEN[case], ends=True))
    assert (failed.type, failed.retryable, failed.blames_upstream, failed.sent) == ("protocol", True, True, True)


@pytest.mark.parametrize("script", [refuse, reset])
async def test_an_end_before_the_first_byte_is_connect(script: object) -> None:
    """Closed or reset; the request may have reached the upstream."""
    failed = await failure(script)
    assert (failed.type, failed.retryable, failed.blames_upstream, failed.sent) == ("connect", True, True, True)


async def test_a_reset_in_the_body_is_protocol_and_keeps_its_status() -> None:
    """The upstream had answered."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(OK + b"content-length: 100\r\n\r\n{")
        await asyncio.sleep(0.01)
        line.reset()

    record = Record()
    failed = await failure(script, record=record)
    assert (failed.type, failed.http_status, record.http_status) == ("protocol", 200, 200)


async def test_a_refused_connection_is_connect_and_nothing_was_sent() -> None:
    """So any method may be tried again."""
    async with FakeUpstream(silence) as upstream:
        url = upstream.url
    async with asking(url) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get()
        assert (caught.value.type, caught.value.sent) == ("connect", False)
        assert u.connections == 0


async def test_a_name_that_does_not_resolve_is_connect() -> None:
    """RFC 6761 reserves `.invalid` for this."""
    async with asking("http://nowhere.invalid") as u:
        with pytest.raises(CallFailure) as caught:
            await u.get()
        assert (caught.value.type, caught.value.sent) == ("connect", False)


# --- limits


@pytest.mark.parametrize(
    "answered",
    [
        answer(b'"' + b"x" * 1023 + b'"'),
        OK + b"content-length: 99999999999\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n401\r\n" + b"x" * 0x401 + b"\r\n0\r\n\r\n",
        OK + b"\r\n" + b"x" * 1025,
        OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b'"' + b"x" * 1023 + b'"', mtime=0),
        OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"0" * (8 << 20), mtime=0),
        OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"", mtime=0) * 200,
        OK + b"".join(b"x-%d: 1\r\n" % i for i in range(120)) + b"\r\n",
        OK + b"x: " + b"y" * 40000 + b"\r\n\r\n",
        OK + b"x: " + b"y" * 40000,
        OK + b"transfer-encoding: chunked\r\n\r\n2;" + b"x" * 600_000,
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: " + b"x" * 600_000,
    ],
    ids=["length", "announced", "chunks", "unframed", "gzip", "bomb", "empty_members", "fields", "head", "endless_head", "extension", "trailer"],
)
async def test_an_answer_over_a_limit_is_too_large(answered: bytes) -> None:
    """Decoded bytes, header fields, bytes of a head, framing without a body."""
    failed = await failure(always(answered), reading=KIB)
    assert (failed.type, failed.retryable, failed.blames_upstream, failed.http_status) == ("too_large", False, False, 200)


async def test_a_body_may_be_as_large_as_the_limit() -> None:
    """The limit is exact, coded or not."""
    whole = b'"' + b"x" * 1022 + b'"'
    assert await data(answer(whole), reading=KIB) == whole
    coded = gzip.compress(whole, mtime=0)
    assert await data(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(coded) + coded, reading=KIB) == whole


# --- content codings


RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(b'{"a":1}') + RAW.flush()
CODED = {
    "gzip": (b"gzip", gzip.compress(b'{"a":1}', mtime=0)),
    "x-gzip": (b"X-GZIP", gzip.compress(b'{"a":1}', mtime=0)),
    "members": (b"gzip", gzip.compress(b'{"a"', mtime=0) + gzip.compress(b":1}", mtime=0) + b"\0\0"),
    "zlib": (b"deflate", zlib.compress(b'{"a":1}')),
    "deflate": (b"deflate", DEFLATED),
    "identity": (b"identity", b'{"a":1}'),
    "identity_too": (b"identity, gzip", gzip.compress(b'{"a":1}', mtime=0)),
}


@pytest.mark.parametrize("case", CODED)
@pytest.mark.parametrize("cut", [1, 2, 1000])
async def test_a_coded_body_is_decoded(case: str, cut: int) -> None:
    """gzip, with members and padding, and deflate of both kinds, however it is cut."""
    coding, body = CODED[case]
    head = OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (coding, len(body))
    assert await data(head, *(body[i : i + cut] for i in range(0, len(body), cut))) == b'{"a":1}'


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", b"\x1f\x8b\x08broken"),
        (b"gzip", gzip.compress(b'{"a":1}', mtime=0)[:-1]),
        (b"gzip", gzip.compress(b'{"a":1}', mtime=0) + b"more"),
        (b"gzip", gzip.compress(b'{"a":1}', mtime=0)[:-8] + b"\0" * 8),
        (b"gzip", b'{"a":1}'),
        (b"deflate", zlib.compress(b'{"a":1}') + b"more"),
        (b"deflate", b"x"),
        (b"br", b"{}"),
        (b"xz", b"{}"),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
    ],
)
async def test_a_corrupt_or_unknown_coding_is_decode(coding: bytes, body: bytes) -> None:
    """At most one coding, one that we asked for, whole and with the right checksum."""
    answered = OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (coding, len(body), body)
    async with FakeUpstream(always(answered)) as upstream, asking(upstream.url) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get()
    assert (caught.value.type, caught.value.http_status) == ("decode", 200)


# --- time


async def test_silence_ends_with_the_attempt() -> None:
    """At `expires`, to the millisecond or two; the connection is closed."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    failed = await failure(silence, timeout=0.05)
    assert (failed.type, failed.sent, failed.blames_upstream) == ("timeout", True, True)
    assert 0.045 < loop.time() - began < 0.5


async def test_an_answer_that_trickles_ends_with_the_attempt_too() -> None:
    """Bytes do not move the deadline."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(OK + b"content-length: 9999\r\n\r\n")
        while not line.writer.is_closing():
            await line.send(b"x")
            await asyncio.sleep(0.005)

    assert (await failure(script, timeout=0.06)).type == "timeout"


async def test_an_attempt_that_is_over_is_not_begun() -> None:
    """Nothing is sent and no attempt counted."""
    async with FakeUpstream(always(answer())) as upstream, asking(upstream.url) as u:
        record = Record()
        with pytest.raises(CallFailure) as caught:
            await u.get(timeout=-0.1, record=record)
        assert (caught.value.type, caught.value.sent, caught.value.blames_upstream, record.attempts) == ("timeout", False, False, 0)
        assert upstream.made == 0


async def test_deadlines_of_exchanges_on_one_connection_do_not_mix() -> None:
    """A long one, then a short one, then a long one: each ends at its own."""
    slow = by_path({"/fast": answer(), "/slow": silence})
    async with FakeUpstream(slow) as upstream, asking(upstream.url) as u:
        loop = asyncio.get_running_loop()
        await u.get("/fast", timeout=9)
        await u.get("/fast", timeout=0.02)
        await asyncio.sleep(0.04)
        await u.get("/fast", timeout=9)
        began = loop.time()
        with pytest.raises(CallFailure):
            await u.get("/slow", timeout=0.06)
        assert 0.05 < loop.time() - began < 0.5
        assert upstream.made == 1


# --- statuses whose body nobody reads


async def test_a_status_is_known_with_the_head() -> None:
    """A body that trickles behind a 503 delays nobody, and the connection is given a second to finish it."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(b"HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.03)
        await line.send(b"oops")

    async with FakeUpstream(script) as upstream, asking(upstream.url) as u:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(CallFailure) as caught:
            await u.get()
        assert (caught.value.type, caught.value.http_status) == ("status", 503)
        assert loop.time() - began < 0.025
        await asyncio.sleep(0.06)
        with pytest.raises(CallFailure):
            await u.get()
        assert upstream.made == 1


async def test_a_long_error_body_is_not_read_to_its_end() -> None:
    """Over 64 KiB the connection is closed instead."""
    failed = await failure(always(b"HTTP/1.1 500 X\r\ncontent-length: 9999999\r\n\r\n", b"x" * 300_000))
    assert failed.http_status == 500


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
async def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110 section 10.2.3)."""
    async with FakeUpstream(always(answer(b"{}", 503, f"retry-after: {value}"))) as upstream, asking(upstream.url) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get()
        assert caught.value.retry_after == seconds
