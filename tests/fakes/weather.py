"""Upstreams in every mood, in this process: most answers are plausible, some are faults of every sort that a network knows."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import httpx

from app.demo.fleet import SAMPLES

FAULTS: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "an error": lambda _: httpx.Response(500, text="boom at /srv/secret.py"),
    "shedding": lambda _: httpx.Response(503, headers={"retry-after": "1"}),
    "too many": lambda _: httpx.Response(429, headers={"retry-after": "soon"}),
    "missing": lambda _: httpx.Response(404, json={"error": "no such thing"}),
    "in conflict": lambda _: httpx.Response(409, json={"error": "no"}),
    "odd status": lambda _: httpx.Response(599),
    "nothing": lambda _: httpx.Response(204),
    "empty": lambda _: httpx.Response(200, content=b"", headers={"content-type": "application/json"}),
    "not JSON": lambda _: httpx.Response(200, content=b"{", headers={"content-type": "application/json"}),
    "NaN": lambda _: httpx.Response(200, content=b'{"n": NaN}', headers={"content-type": "application/json"}),
    "deep": lambda _: httpx.Response(200, content=b"[" * 5000 + b"]" * 5000, headers={"content-type": "application/json"}),
    "surrogate": lambda _: httpx.Response(200, content=b'{"name": "\\ud800"}', headers={"content-type": "application/json"}),
    "bad UTF-8": lambda _: httpx.Response(200, content=b'{"name": "\xff"}', headers={"content-type": "application/json"}),
    "a page": lambda _: httpx.Response(200, html="<h1>hello"),
    "bad gzip": lambda _: httpx.Response(200, stream=httpx.ByteStream(b"no gzip"), headers={"content-encoding": "gzip"}),
    "too large": lambda _: httpx.Response(200, content=b'"' + b"x" * (5 << 20) + b'"', headers={"content-type": "application/json"}),
    "astray": lambda _: httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
    "another shape": lambda _: httpx.Response(200, json=[1, "two", None, {"n": "three"}]),
    "null": lambda _: httpx.Response(200, json=None),
    "a text": lambda _: httpx.Response(200, json="text"),
    "refused": lambda request: _raised(httpx.ConnectError("refused", request=request)),
    "cut": lambda request: _raised(httpx.RemoteProtocolError("cut", request=request)),
    "late": lambda request: _raised(httpx.ReadTimeout("late", request=request)),
}  # fmt: skip
FILES = {
    "/file/xml": ("application/xml", "<a b='1'><c>ü</c><c/></a>"),
    "/file/csv": ("text/csv", 'a,b\n1,"two"\n'),
    "/file/rss": ("application/rss+xml", "<rss version='2.0'><channel><title>t</title><item><title>i</title></item></channel></rss>"),
    "/file/text": ("text/plain; charset=utf-8", "text"),
}


def _raised(fault: Exception) -> httpx.Response:
    raise fault


class Weather:
    """A handler for `httpx.MockTransport`: the samples at their ports, a plausible answer at every other address; a share of faults."""

    def __init__(self, seed: int, share: float = 0.2) -> None:
        self._dice, self._share = random.Random(seed), share
        self._samples = {port: name for name, port in SAMPLES.items()}
        self._apps: dict[int, httpx.ASGITransport] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One request to any upstream."""
        await request.aread()
        if self._dice.random() < self._share:
            return FAULTS[self._dice.choice(list(FAULTS))](request)
        await asyncio.sleep(self._dice.choice((0, 0, 0.002)))
        if request.url.port in self._samples:
            return await self._sample(request.url.port).handle_async_request(request)
        if (file := FILES.get(request.url.path)) is not None:
            return httpx.Response(200, text=file[1], headers={"content-type": file[0]})
        if request.url.path == "/two":
            return httpx.Response(200, json=self._dice.choice([{"data": {"x": 1}}, {"errors": [{"message": "no"}]}, {}]))
        return httpx.Response(200, json=self._plausible(request))

    def _plausible(self, request: httpx.Request) -> Any:
        n = self._dice.choice([1, 2, 3, -1, 2**53, "x"] if request.url.path == "/told" else [1, 2, 3])
        return {"n": n, "list": [{"x": self._dice.choice([1.5, None, "ü", {"y": []}])}], "path": request.url.path, "sent": _sent(request)}

    def _sample(self, port: int) -> httpx.ASGITransport:
        if port not in self._apps:
            self._apps[port] = httpx.ASGITransport(import_module(f"app.demo.{self._samples[port]}").app)
        return self._apps[port]


def _sent(request: httpx.Request) -> Any:
    """The body, where it is JSON."""
    try:
        return json.loads(request.content)
    except ValueError:
        return None
