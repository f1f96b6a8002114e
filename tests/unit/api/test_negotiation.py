"""Accept and Accept-Encoding."""

import gzip

import pytest

from app.api.compress import gzipped, takes_gzip
from app.api.negotiate import form_of


@pytest.mark.parametrize(("accept", "form"), [
    ("", "json"), ("*/*", "json"), ("application/json", "json"), ("text/html,application/xml;q=0.9,*/*;q=0.8", "json"),
    ("text/event-stream", "sse"), ("TEXT/EVENT-STREAM; charset=utf-8", "sse"), ("text/event-stream, */*;q=0.1", "sse"),
    ("application/x-ndjson", "ndjson"), ("application/x-ndjson, application/json;q=0.5", "ndjson"), ("text/event-stream, application/json", "json"),
    ("text/*", "json"), ("application/*", "json"), ("text/event-stream;q=0", "json"), ("application/x-ndjson;q=0.4, text/event-stream;q=0.6", "sse"),
    ("text/event-stream;q=0.3, application/*;q=0.2", "sse"), ("text/event-stream;q=x", "json"), ("text/event-stream" + ", a/b" * 200, "json"),
])  # fmt: skip
def test_json_unless_a_stream_is_preferred(accept: str, form: str) -> None:
    """By weight; a wildcard never means a stream."""
    assert form_of(accept) == form


@pytest.mark.parametrize(("header", "takes"), [
    ("gzip", True), ("GZIP;q=0.2", True), ("br, gzip", True), ("*", True), ("x-gzip", True), ("", False), ("identity", False), ("gzip;q=0", False),
    ("br;q=0, gzip;q=0", False), ("*;q=0", False), ("gzip;q=0, *", False), ("gzip;q=0.4, identity;q=0.6", False), ("br", False), ("gzip;q=no", False),
])  # fmt: skip
def test_gzip_for_those_who_take_it(header: str, takes: bool) -> None:
    """Where it is no less welcome than the plain body."""
    assert takes_gzip(header) is takes


@pytest.mark.parametrize("size", [1025, 200_000])
async def test_a_long_body_is_packed(size: int) -> None:
    """On the loop or beside it, the same bytes every time."""
    body = b"merganser " * (size // 10 + 1)
    packed = await gzipped(body, "gzip")
    assert packed is not None
    assert gzip.decompress(packed) == body
    assert packed == await gzipped(body, "gzip")


async def test_a_short_body_goes_out_as_it_is() -> None:
    """Up to 1 KiB."""
    assert await gzipped(b"x" * 1024, "gzip") is None
