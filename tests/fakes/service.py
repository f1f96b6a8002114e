"""The whole service in this process over scripted answers: httpx on one side, httpx.MockTransport on the other, no sockets."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import yaml
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from app.catalog.load import load_text
from app.main import create_app
from app.settings import Settings

Asked = list[httpx.Request]


class Scripted:
    """Upstreams by path: a JSON value, an httpx.Response, or a function of the request (async too). `/hang` never answers."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: Asked = []
        self.cancelled: Counter[str] = Counter()
        self.hanging = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One request to any upstream."""
        await request.aread()
        self.asked.append(request)
        if request.url.path == "/hang":
            self.hanging.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.cancelled[request.url.path] += 1
                raise
        answer = self.answers.get(request.url.path, httpx.Response(404, json={"no": "such thing"}))
        if callable(answer):
            answer = answer(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, httpx.Response) and isinstance(answer.stream, httpx.ByteStream):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def paths(self) -> list[str]:
        """What was asked, in order."""
        return [request.url.path for request in self.asked]


class Served:
    """A running service: `get`, `post`, `send` ask it as a client would; `app` is the ASGI application."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, upstream: Scripted) -> None:
        self.app, self.client, self.upstream = app, client, upstream
        self.get, self.post, self.send = client.get, client.post, client.request


@asynccontextmanager
async def serving(
    endpoints: dict[str, Any], answers: dict[str, Any] | None = None, *, folder: Path | None = None, **top: Any
) -> AsyncIterator[Served]:
    """Serves endpoints whose calls may be short: a path for `{upstream: u, path: ...}`. `u` is at http://upstream.test."""
    upstream = Scripted(answers or {})
    settings = {name: top.pop(name) for name in ("admin_token", "host", "trusted_proxies") if name in top}
    upstreams = {"u": {"url": "http://upstream.test"}, **top.pop("upstreams", {})}
    catalog = {**top, "upstreams": upstreams, "endpoints": {name: _long(spec) for name, spec in endpoints.items()}}
    loaded = load_text(yaml.safe_dump(catalog, sort_keys=False), folder=folder or Path(), environ={})
    app = create_app(Settings(_env_file=None, log_level="error", **settings), loaded, transport=httpx.MockTransport(upstream))
    async with (
        LifespanManager(app) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url="http://merganser.test") as client,
    ):
        yield Served(app, client, upstream)


def _long(spec: dict[str, Any]) -> dict[str, Any]:
    calls = {
        name: {"upstream": "u", "path": call} if isinstance(call, str) else {"upstream": "u", **call} for name, call in spec.get("calls", {}).items()
    }
    return {**spec, "calls": calls} if calls else spec


class Client:
    """An ASGI client that can leave: `asks` begins a request, `leave` hangs up, `body` is what came back so far."""

    def __init__(self, app: Callable[..., Any], path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.status, self.headers, self.body, self.is_whole = 0, dict[str, str](), b"", False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived = asyncio.Condition()
        raw_path, _, query = path.partition("?")
        self._scope = {
            "type": "http", "method": method, "path": unquote(raw_path), "raw_path": raw_path.encode(), "query_string": query.encode(),
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in (headers or {}).items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "http_version": "1.1", "scheme": "http", "root_path": "",
        }  # fmt: skip
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.task = asyncio.create_task(app(self._scope, self._inbox.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._arrived:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.body += message.get("body", b"")
                self.is_whole = not message.get("more_body", False)
            self._arrived.notify_all()

    async def until(self, check: Callable[[], Any]) -> None:
        """Waits for something to be true of what came back."""
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(check)

    async def leave(self) -> None:
        """Hangs up, and waits until the service has let go."""
        self._inbox.put_nowait({"type": "http.disconnect"})
        await self.task

    def lines(self) -> list[Any]:
        """The messages of an NDJSON stream, or of server-sent events, so far."""
        texts = [line.removeprefix(b"data: ") for line in self.body.split(b"\n")]
        return [json.loads(text) for text in texts if text.startswith(b"{")]
