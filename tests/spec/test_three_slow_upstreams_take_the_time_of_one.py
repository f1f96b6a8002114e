"""The promise: three upstreams of 200 ms each are one answer in under 260 ms; on real sockets, best of three on a busy machine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import yaml

from tests.fakes.process import serving
from tests.fakes.upstream import Asked, FakeUpstream, Line

BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


async def slow(asked: Asked, line: Line) -> None:
    await asyncio.sleep(0.2)
    await line.send(BODY)


@pytest.mark.slow
async def test_the_answer_takes_the_time_of_the_slowest(tmp_path: Path) -> None:
    """Not the sum, and hardly more than one."""
    async with FakeUpstream(slow) as upstream:
        calls = {name: {"upstream": "u", "path": f"/{name}"} for name in "abc"}
        catalog = tmp_path / "merganser.yaml"
        catalog.write_text(yaml.safe_dump({"upstreams": {"u": {"url": upstream.url}}, "endpoints": {"x": {"get": "/x", "calls": calls}}}))
        async with serving(catalog) as server:
            took = []
            for _ in range(3):
                began = time.perf_counter()
                answer = await server.client.get(f"{server.url}/x")
                took.append(time.perf_counter() - began)
                assert answer.json()["complete"] is True
        assert 0.2 <= min(took) < 0.26
        assert len(upstream.asked) == 9
