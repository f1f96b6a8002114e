"""A canary in every place where a secret can be, every way to fail, and no canary in any place where people look."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.fakes.issuer import AUDIENCE, ISSUER, SIGNER, STRANGER, jwk, key_set, token
from tests.fakes.process import ROOT, Process, serving
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = pytest.mark.slow

CANARY = re.compile(r"canary[-_]?\w+", re.IGNORECASE)
ENV = {
    "BEARER": "canary-bearer", "HEADER": "canary-header", "QUERY": "canary-query", "USER": "canary-user", "PASSWORD": "canary-password",
    "CLIENT": "canary-client", "FIXED": "canary-fixed", "MERGANSER_ADMIN_TOKEN": "canary-admin", "UNUSED": "canary-unused",
}  # fmt: skip
KEY = "canary-api-key"
SENT = {
    "x-forwarded-for": "canary-address", "cookie": "session=canary-cookie", "x-api-key": KEY, "x-forwarded": "canary-forwarded",
    "user-agent": "canary-agent", "x-request-id": "a canary-id",
}  # fmt: skip
BODY = b'{"detail": "canary-upstream-body"}'


async def _script(asked: Asked, line: Line) -> None:
    """Fails in the way that the path names; its own words are secret too."""
    kind = asked.path.strip("/").partition("/")[0]
    if kind == "reset":
        line.reset()
    elif kind == "hang":
        await asyncio.sleep(30)
    elif kind == "broken":
        await line.send(b"canary-not-http\r\n\r\n")
        line.close()
    elif kind == "truncated":
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n" + BODY)
        line.close()
    elif kind == "html":
        await line.send(answer(b"<p>canary-html", kind="text/html"))
    elif kind == "nojson":
        await line.send(answer(b"canary-no-json"))
    elif kind == "moved":
        await line.send(answer(b"", 302, "location: http://canary-host.test/canary-path"))
    elif kind == "large":
        await line.send(answer(b'"' + b"canary-large" * 1000 + b'"'))
    else:
        await line.send(answer(BODY, int(kind)))


FAILURES = ["reset", "hang", "broken", "truncated", "html", "nojson", "moved", "large", "400", "401", "403", "404", "409", "429", "500", "503"]


def catalog(url: str) -> dict[str, Any]:
    """Every kind of credential in front of every kind of failure."""
    credentials = {
        "bearer": {"bearer": "${BEARER}"}, "header": {"header": {"name": "x-secret", "value": "${HEADER}"}},
        "query": {"query": {"name": "secret", "value": "${QUERY}"}}, "basic": {"basic": {"username": "${USER}", "password": "${PASSWORD}"}},
        "oauth2": {"oauth2": {"token_url": url + "/500", "client_id": "it", "client_secret": "${CLIENT}"}},
    }  # fmt: skip
    upstreams: dict[str, Any] = {
        name: {"url": url, "auth": auth, "timeout": "300ms", "max_body": "1KiB", "headers": {"x-fixed": "${FIXED}"}}
        for name, auth in credentials.items()
    }
    upstreams["refused"] = {"url": "http://127.0.0.1:1/canary-base", "auth": credentials["bearer"]}
    upstreams["python"] = {"python": "secrets_of:fail"}
    endpoints: dict[str, Any] = {
        f"{kind}_{name}": {"get": f"/{kind}/{name}", "deadline": "1s", "calls": {"it": {"upstream": name, "path": f"/{kind}/x"}}}
        for kind in FAILURES
        for name in credentials
    }
    endpoints["refused"] = {"get": "/refused", "calls": {"it": {"upstream": "refused", "path": "/x"}}}
    endpoints["python"] = {
        "get": "/python",
        "calls": {"it": {"upstream": "python", "args": {"it": "{p}"}}},
        "params": {"p": {}},
    }
    endpoints["shape"] = {
        "get": "/shape",
        "calls": {"it": {"upstream": "bearer", "path": "/200/x", "schema": {"required": ["nothing"]}, "validate": "enforce"}},
    }
    endpoints["guarded"] = {"get": "/guarded", "auth": ["user", "partner"], "calls": {"it": {"upstream": "bearer", "path": "/500/x"}}}
    endpoints["body"] = {
        "post": "/body",
        "body": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "calls": {"it": {"upstream": "bearer", "path": "/500/x"}},
    }
    endpoints["live"] = {"get": "/live", "live": {"every": "200ms"}, "calls": {"it": {"upstream": "bearer", "path": "/500/x"}}}
    auth = {
        "partner": {"type": "api_key", "keys": {"acme": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}},
        "user": {"type": "jwt", "issuer": ISSUER, "audience": AUDIENCE, "jwks": "keys.json", "algorithms": ["RS256"]},
    }
    return {"upstreams": upstreams, "auth": auth, "endpoints": endpoints}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """The catalog."""
    async with FakeUpstream(_script) as upstream:
        (tmp_path / "keys.json").write_bytes(key_set(jwk(SIGNER, "main")))
        (tmp_path / "secrets_of.py").write_text("def fail(it):\n    raise RuntimeError(f'canary-exception {it}')\n")
        (tmp_path / "merganser.yaml").write_text(json.dumps(catalog(upstream.url)))
        yield tmp_path / "merganser.yaml"


def clean(where: str, text: str, *more: str) -> None:
    """No canary, no credential, no place of ours."""
    found = {*CANARY.findall(text), *(one for one in more if one in text)}
    assert not found, f"{where} shows {found}: ...{text[max(0, text.find(next(iter(found))) - 300) :][:600]}"


async def test_no_answer_log_or_metric_shows_a_secret(path: Path) -> None:
    """Over every failure, for JSON, SSE and NDJSON, and over bad credentials and bodies."""
    good, bad = token(), token(STRANGER)
    async with serving(path, **ENV, MERGANSER_LOG_LEVEL="debug", MERGANSER_LOG_FORMAT="json") as server:
        await asyncio.gather(*(_failures(server, name) for name in ("bearer", "header", "query", "basic", "oauth2")))
        for where in (
            "/refused",
            "/python?p=canary-query-string",
            "/shape",
            "/refused?q=canary-query-string",
            "/nowhere/canary-path",
            "/metrics",
            "/docs",
            "/openapi.json",
        ):
            await _ask(server, where)
        for credential in ({"authorization": f"Bearer {good}"}, {"authorization": f"Bearer {bad}"}, {"x-api-key": "canary-wrong"}, {}):
            await _ask(server, "/guarded", credential, good, bad)
        for sent in (b'{"a": "canary-body"}', b'{"canary-key": NaN', b"canary-text"):
            await _ask(server, "/body", {"content-type": "application/json"}, content=sent)
        await _ask(server, "/body", {"content-type": "text/canary-type"}, content=b"canary")
        await _ask(server, "/refused", {"x_canary_field": "canary"})
        await _live(server, good, bad)
        metrics = await server.client.get(server.url + "/metrics", headers={"authorization": "Bearer canary-admin"})
        assert metrics.status_code == 200
        clean("metrics", metrics.text, good, bad)
        server.signal()
        await server.ended()
        log = server.log
    assert log.count('"event":"request"') > 80
    own_words = log.replace("canary-exception canary-query-string", "")  # what a function of the catalog's owner says is in his log
    clean("log", own_words, good, bad, *good.split("."))


async def _failures(server: Process, name: str) -> None:
    for kind in FAILURES:
        for accept in ("application/json", "text/event-stream", "application/x-ndjson"):
            await _ask(server, f"/{kind}/{name}", {"accept": accept})


async def _ask(server: Process, where: str, headers: dict[str, str] | None = None, *more: str, content: bytes | None = None) -> None:
    method = "GET" if content is None else "POST"
    response = await server.client.request(method, server.url + where, headers={**SENT, **(headers or {})}, content=content)
    shown = response.text.replace("canary-query-string", "") if "query-string" in where else response.text
    clean(f"{method} {where}", f"{response.headers}\n{shown}", *more, "127.0.0.1", "Traceback", "site-packages", str(ROOT))


async def _live(server: Process, *tokens: str) -> None:
    for text in (*tokens, "canary-live-token"):
        async with connect(f"ws://127.0.0.1:{server.port}/ws?token=canary-in-the-url", compression=None) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": {"token": text}}))
            await ws.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"endpoint": "live"}}))
            try:
                async with asyncio.timeout(1):
                    while True:
                        clean("/ws", str(await ws.recv()), *tokens, "127.0.0.1")
            except (ConnectionClosed, TimeoutError):
                pass


def _broken(path: Path) -> Path:
    """The catalog with a secret where a duration should be."""
    broken = path.with_name("broken.yaml")
    broken.write_text(path.read_text().replace('"300ms"', '"${BEARER}"').replace('"x-fixed"', '"x-fixed": 1, "x-other"'))
    return broken


@pytest.mark.parametrize(
    "command", [["check"], ["check", "--format", "json"], ["plan", "500_bearer"], ["call", "500_query"], ["call", "python"], ["infer", "500_basic"]]
)
async def test_no_command_shows_a_secret(path: Path, command: list[str]) -> None:
    """Commands print catalogs, plans and failures, never what was substituted."""
    broken = _broken(path)
    for file in (path, broken):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", command[0], str(file), *command[1:],
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **ENV, "PYTHONPATH": str(ROOT)}, cwd=path.parent,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert output
        clean(" ".join(command), output.decode())
