"""Our reading of answers held against httpx's and aiohttp's, over generated answers cut at every byte.

Where the two agree on an answer, so do we; where both refuse one, so do we. Where they differ we agree with one of them or
refuse. In one thing we are stricter than both: a coded body that ends before its coding does is no answer.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from itertools import pairwise

import aiohttp
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import CallFailure
from app.upstream.origin import Origin
from app.upstream.transport import Transport
from tests.fakes.upstream import Asked, FakeUpstream, Line

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(lambda text: f"x-{text}")
VALUE = st.text("".join(map(chr, range(0x20, 0x7F))) + "ñü", max_size=30).map(str.strip)


@dataclass(frozen=True)
class Generated:
    """An answer, whether its body says that it is coded, the cuts between its segments, and whether the connection ends behind it."""

    raw: bytes
    is_coded: bool
    cuts: tuple[int, ...]
    ends: bool

    def pieces(self) -> list[bytes]:
        """The segments."""
        at = [0, *sorted({cut % (len(self.raw) + 1) for cut in self.cuts}), len(self.raw)]
        return [piece for start, end in pairwise(at) if (piece := self.raw[start:end])]


@st.composite
def answers(draw: st.DrawFn) -> Generated:
    """Whole and cut ones, good and faulty framing, coded and plain."""
    body = draw(st.binary(max_size=200) | st.binary(min_size=1000, max_size=3000))
    status = draw(st.sampled_from([200, 200, 200, 201, 203, 206, 204, 299]))
    coding = draw(st.sampled_from(["", "", "", "gzip", "deflate", "corrupt"]))
    headers = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(TOKEN, VALUE), max_size=6))]
    coded = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)(body)
    if coding:
        headers.append(f"Content-Encoding: {'gzip' if coding == 'corrupt' else coding}")
        coded = b"\x1f\x8b\x08" + coded if coding == "corrupt" else coded
    framing = draw(st.sampled_from(["length", "length", "chunks", "chunks", "none", "short", "no_end", "bad_chunk", "bad_length"]))
    payload = coded
    if framing in ("length", "short"):
        headers.append(f"Content-Length: {len(coded) + (7 if framing == 'short' else 0)}")
    elif framing == "bad_length":
        headers.append(f"Content-Length: {draw(st.sampled_from(['x', '-1', '1 2', '0x3', '']))}")
    elif framing in ("chunks", "no_end", "bad_chunk"):
        headers.append("Transfer-Encoding: chunked")
        size = draw(st.integers(1, 500))
        payload = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (coded[i : i + size] for i in range(0, len(coded), size)))
        payload += {"chunks": b"0\r\n\r\n", "no_end": b"", "bad_chunk": b"zz\r\n\r\n"}[framing]
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * draw(st.integers(0, 2))
    head = "\r\n".join([f"HTTP/1.{draw(st.sampled_from('1111110'))} {status} Reason", *headers]).encode("latin-1") + b"\r\n\r\n"
    raw = interim + head + (b"" if status == 204 else payload)
    if draw(st.integers(0, 9)) == 0:
        raw = raw[: draw(st.integers(1, len(raw)))]
    return Generated(
        raw, bool(coding), tuple(draw(st.lists(st.integers(0, 4000), max_size=6))), draw(st.booleans()) or framing in ("none", "short", "no_end")
    )


async def ours(transport: Transport, url: str) -> object:
    """Status and body, or None for a failure."""
    pool = transport.open_pool(Origin.of(url))
    try:
        expires = asyncio.get_running_loop().time() + 9
        got = await pool.request(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", is_idempotent=True, is_bodiless=False, expires=expires, limit=1 << 20)
    except CallFailure:
        return None
    finally:
        transport.close_pool(pool)
    return got.status, got.body


async def by_httpx(url: str) -> object:
    """The same of httpx on httpcore."""
    async with httpx.AsyncClient(trust_env=False, timeout=9) as client:
        try:
            response = await client.get(url, headers={"accept-encoding": "gzip"})
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
    return response.status_code, response.content


async def by_aiohttp(url: str) -> object:
    """The same of aiohttp, which waits out its time after a faulty chunk."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
        try:
            async with session.get(url) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return None


async def read_by_all(generated: Generated) -> tuple[object, object, object]:
    """What the three make of one answer."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(*generated.pieces())
        if not generated.ends:
            await asyncio.sleep(0.02)  # long enough for whole answers to be taken without the end
        line.close()

    async with FakeUpstream(script) as upstream:
        transport = Transport()
        found = await asyncio.gather(ours(transport, upstream.url), by_httpx(upstream.url), by_aiohttp(upstream.url))
        await transport.aclose()
    return found


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers())
def test_we_read_an_answer_as_httpx_and_aiohttp_do(generated: Generated) -> None:
    """The same status and body, or a failure where both fail. A difference counts if it shows each of three times: sockets race."""
    assert any(_agree(generated, *asyncio.run(read_by_all(generated))) for _ in range(3)), generated


def _agree(generated: Generated, mine: object, first: object, second: object) -> bool:
    if mine is None:
        return first is None or second is None or generated.is_coded
    return mine in (first, second)


EXACT = (
    b"HTTP/1.1 103 X\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\nx-a: b\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"5;x=y\r\n" + gzip.compress(b"whole", mtime=0)[:5] + b"\r\n14\r\n" + gzip.compress(b"whole", mtime=0)[5:] + b"\r\n0\r\nx-t: 1\r\n\r\n"
)  # fmt: skip


async def test_an_answer_cut_at_every_byte_is_the_same_answer_or_none() -> None:
    """Cut in two segments at each byte it is whole; ended at each byte it is a failure, never a shorter answer."""
    ends = False
    cut = 0

    async def script(asked: Asked, line: Line) -> None:
        await line.send(EXACT[:cut])
        if ends:
            line.close()
        else:
            await line.send(EXACT[cut:])

    async with FakeUpstream(script) as upstream:
        transport = Transport()
        for cut in range(len(EXACT) + 1):
            ends = False
            assert await ours(transport, upstream.url) == (200, b"whole"), cut
            ends = cut < len(EXACT)
            assert await ours(transport, upstream.url) == (None if ends else (200, b"whole")), cut
        await transport.aclose()
