"""Frames that are written without the protocol library are what it would have written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from app.api.socket import framed
from tests.fakes.served import load, serve


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_text_is_one_unmasked_frame(size: int) -> None:
    """In each of the three forms of its length (RFC 6455 section 5.2)."""
    payload = b"x" * size
    assert framed(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


SHAKE = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}


@pytest.mark.parametrize(
    ("path", "changed", "status"),
    [
        ("/nope", {}, 404), ("/ws/", {}, 404), ("/x", {}, 404),
        ("/ws", {"sec-websocket-version": "8"}, 426), ("/ws", {"sec-websocket-version": None}, 426),
        ("/ws", {"sec-websocket-key": None}, 400), ("/ws", {"sec-websocket-key": "short"}, 400), ("/ws", {"sec-websocket-protocol": "a b"}, 400),
        ("/ws", {"origin": "http://elsewhere.test"}, 403), ("/ws", {"cookie": "c" * 9000}, 431), ("/ws?" + "q" * 9000, {}, 414),
    ],
)  # fmt: skip
async def test_a_refused_handshake_is_a_problem(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], path: str, changed: dict[str, str | None], status: int
) -> None:
    """With the request's id, at once, and not worth a line of ours; 426 names the version that is spoken (RFC 6455 section 4.4)."""
    calls = {"a": {"upstream": "u", "path": "/a"}}
    catalog = {"upstreams": {"u": {"url": "http://up.test"}}, "endpoints": {"x": {"get": "/x", "calls": calls}}}
    fields = {"host": "h", **SHAKE, "x-request-id": "mine-1", **changed}
    async with serve(load(catalog, tmp_path)) as served, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b"content-type: application/problem+json" in head
    document = json.loads(body)
    assert (int(head.split()[1]), document["status"]) == (status, status)
    assert document["instance"] == "mine-1" if status not in (414, 431) else document["instance"]
    assert (b"sec-websocket-version: 13" in head) is (status == 426)
    assert '"level":"error"' not in "".join(capfd.readouterr())
