"""What the guard refuses is told as any other request: with the status and the id that the client saw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from app.api.edge import Limits
from app.api.middleware import Surface
from tests.fakes.guarded import Echo, Guarded, guarded
from tests.unit.api.test_guard_requests import get, problem, status
from tests.unit.api.test_guard_time import until

QUICK = Limits(header=0.3, body=0.3)
STALLED = get("/body", "content-length: 10", method="POST", closes=False) + b"abc"


@asynccontextmanager
async def told() -> AsyncIterator[tuple[Guarded, list[Any], Echo]]:
    """A guard and the surface behind it, and what they tell."""
    events: list[Any] = []
    service = SimpleNamespace(runtime=SimpleNamespace(emit=events.append))
    echo = Echo()
    app: Any = Surface(echo, service_of=lambda: service)  # type: ignore[arg-type, return-value]
    app.state = SimpleNamespace()
    async with guarded(app, QUICK) as site:
        site.edge.emit = events.append
        yield site, events, echo


REFUSED = {
    "malformed": (400, "-", b"GET\0\r\n\r\n"),
    "no-host": (400, "GET", get(host=None)),
    "head-too-large": (431, "-", b"GET /a HTTP/1.1\r\nx-a: " + b"a" * 40_000),
    "slow-head": (408, "-", b"GET /a HTTP/1.1\r\nhost: x\r\n"),
    "slow-body": (408, "POST", STALLED),
    "bad-chunk": (400, "POST", get("/body", "transfer-encoding: chunked", method="POST") + b"zz\r\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_request_is_told_once(case: str) -> None:
    """By the guard, or by the application where that has the request already; a method that is not known yet is none."""
    expected, method, sent = REFUSED[case]
    async with told() as (site, events, _):
        answer = await site.ask(sent)
    assert status(answer) == expected
    assert [(event.endpoint, event.method, event.status, event.request_id) for event in events] == [
        ("-", method, expected, problem(answer)["instance"])
    ]
    assert 0 <= events[0].seconds < 2


@pytest.mark.parametrize(("expected", "behind"), [(400, get(host=None)), (431, b"\r\n" * 20_000)])
async def test_a_refused_request_does_not_go_by_the_id_of_the_one_before(expected: int, behind: bytes) -> None:
    """Also where nothing of its own has come."""
    async with told() as (site, events, _):
        line = await site.dial(get("/a", "x-request-id: first", closes=False))
        assert status(await line.answer()) == 200
        line.writer.write(behind)
        refused = problem(await line.answer())
    assert refused["instance"] != "first"
    assert [(event.status, event.request_id) for event in events] == [(200, "first"), (expected, refused["instance"])]


@pytest.mark.slow
async def test_a_request_that_was_never_started_is_told_too() -> None:
    """It waited behind another, and its body did not come."""
    async with told() as (site, events, echo):
        line = await site.dial(get("/hang", closes=False) + STALLED)
        await until(lambda: any(connection.is_deaf for connection in site.edge.connections))  # type: ignore[attr-defined]
        echo.release.set()
        answers = [await line.answer() for _ in range(2)]
    assert [status(answer) for answer in answers] == [200, 408]
    assert [(event.status, event.request_id) for event in events if event.status == 408] == [(408, problem(answers[1])["instance"])]
