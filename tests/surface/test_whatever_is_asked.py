"""Whatever a client sends, the answer is an answer: never a 5xx, never without a request id, every error a problem."""

import json
from random import Random

from tests.fakes.service import Client, serving

ENDPOINTS = {
    "get": {
        "get": "/{a}/x-{b}.json", "strict_query": True, "forward": {"headers": "*", "query": "*"},
        "params": {"n": {"type": "integer"}, "l": {"type": "array"}, "x-h": {"in": "header", "type": "number"}},
        "calls": {"c": {"path": "/ok", "query": {"n": "{n}", "l": "{l}", "a": "{a}"}, "headers": {"x-b": '{"x-h"}'}, "fallback": 1}},
    },
    "post": {"post": "/{a}", "body": {"schema": {"type": "object", "additionalProperties": {"type": "integer"}}}, "calls": {"c": "/ok"}},
}  # fmt: skip
PIECES = [
    "/", "//", "a", "x-b.json", "x-.json", "%2F", "%00", "%ff", "%", "%zz", "..", "%2e%2e", ".", "{a}", "ñ", "\u202e", "\\", ";", ":", "@", " ", "+",
    "?", "&", "=", "n=1", "n=x", "&l=1&l=2", "l[]=1", "&n=9e999", "*", "healthz", "docs", "\x7f", "\U0001f986", "a" * 300,
]  # fmt: skip
HEADERS = {
    "accept": ["*/*", "text/event-stream", "application/x-ndjson;q=", ";;,,", "a" * 600, "text/event-stream;q=0.1, */*;q=zzz"],
    "accept-encoding": ["gzip", "gzip;q=nan", "*;q=0", ",", "a" * 600],
    "if-none-match": ["*", '"', "W/", ",,,", '"a", W/"b"'],
    "last-event-id": ["", "a.1", "\xff", "." * 200],
    "content-type": ["application/json", "application/json;;", "+json", "/", "application/json; charset=\xff"],
    "x-request-id": ["a", "", "\xe4", "a b"],
    "traceparent": ["00-", "ff-" + "1" * 32 + "-" + "1" * 16 + "-01", "\xff" * 55],
    "x-h": ["1", "1e5", "nan", "", "\xb2", "1,2"],
    "x-forwarded-for": ["", "for=", "1.1.1.1, \xff"],
    "authorization": ["Basic", "Bearer ", "\xff"],
    "connection": ["", ",", "accept, x-h"],
}
BODIES = [b"", b"{", b'{"a": 1}', b'{"a": "x"}', b"[]", b"\xff", b'"\\ud800"', b"1e999", b"[" * 5000, b'{"a":1}' + b" " * 2000, b"null", b"NaN"]


def asked(random: Random) -> tuple[str, str, dict[str, str], bytes]:
    """A request of pieces that have made trouble somewhere."""
    path = "/" + "".join(random.choice(PIECES) for _ in range(random.randint(0, 6)))
    headers = {name: random.choice(values) for name, values in HEADERS.items() if random.random() < 0.3}
    method = random.choice(["GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
    body = random.choice(BODIES)
    if body:
        headers["content-length"] = str(len(body))
    return method, path, headers, body


async def test_whatever_is_asked_is_answered() -> None:
    """A thousand requests, the same every time."""
    random = Random(7)
    async with serving(ENDPOINTS, {"/ok": {"a": 1}}) as service:
        for _ in range(1000):
            method, path, headers, body = asked(random)
            client = Client(service.app, path, method=method, headers=headers, body=body)
            await client.task
            about = (method, path, headers, body, client.status, client.body)
            assert 200 <= client.status < 500, about
            assert client.is_whole, about
            assert client.headers["x-request-id"], about
            if client.status >= 400 and method != "HEAD":
                assert client.headers["content-type"] == "application/problem+json", about
                assert json.loads(client.body)["status"] == client.status, about
