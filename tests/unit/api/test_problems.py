"""Errors as problem documents, and which status an answer comes to."""

from typing import Any

import pytest

from app.api.problems import Problem, status_of, verdict, whole_seconds
from app.core.errors import CircuitOpen, RateLimited, TimedOut
from tests.fakes.plans import Bench, Script, status

LATE, SHED, OPEN = TimedOut(), RateLimited(retry_after=2.2), CircuitOpen(retry_after=4.0)
"""Failures by time, and by our own shedding."""


@pytest.mark.parametrize(("types", "expected"), [
    (["timeout"], 504), (["timeout", "timeout"], 504), (["circuit_open"], 503), (["overloaded", "rate_limited", "circuit_open"], 503),
    (["timeout", "overloaded"], 504), (["timeout", "status"], 502), (["overloaded", "connect"], 502), (["status"], 502), (["expression"], 502),
])  # fmt: skip
def test_root_causes_make_the_status(types: list[str], expected: int) -> None:
    """All late 504, all shed 503, a mix of these 504, else 502."""
    assert status_of(types) == expected


@pytest.mark.parametrize(("answers", "calls", "expected"), [
    ({"/a": status(500)}, {"a": "/a", "b": "/b"}, None),
    ({"/a": status(500), "/b": status(404)}, {"a": "/a", "b": "/b"}, 502),
    ({"/a": LATE, "/b": LATE}, {"a": "/a", "b": "/b"}, 504),
    ({"/a": LATE, "/b": SHED}, {"a": "/a", "b": "/b"}, 504),
    ({"/a": LATE, "/b": status(500)}, {"a": {"path": "/a", "required": True}, "b": "/b"}, 504),
    ({"/a": LATE}, {"a": "/a", "b": "/{a.x}", "c": {"path": "/{b.x}", "required": True}}, 504),
    ({"/a": status(500)}, {"a": "/a", "b": {"path": "/b", "when": "`false`"}}, 502),
    ({"/a": status(500), "/b": status(500)}, {"a": "/a", "b": {"path": "/b", "fallback": None}}, None),
    ({"/a": status(404)}, {"a": "/a"}, 404),
    ({"/a": status(404)}, {"a": {"path": "/a", "required": False}}, 502),
    ({"/a": status(404)}, {"a": {"path": "/a", "pass_status": []}}, 502),
    ({"/a": status(410)}, {"a": {"path": "/a", "pass_status": [409, 410]}}, 410),
    ({"/a": status(503)}, {"a": "/a"}, 502),
])  # fmt: skip
async def test_the_table_of_statuses(answers: dict[str, Any], calls: dict[str, Any], expected: int | None) -> None:
    """The table of statuses, row by row."""
    bench = Bench({"calls": calls}, Script(answers))
    problem = verdict(bench.plan, await bench.run())
    assert (problem.status if problem else None) == expected
    if problem is not None:
        assert problem.sources is not None


async def test_shedding_says_when_it_is_over() -> None:
    """The longest of what the causes say, in whole seconds, at least one; only a 503 says it."""
    bench = Bench({"calls": {"a": "/a", "b": "/b"}}, Script({"/a": SHED, "/b": OPEN}))
    problem = verdict(bench.plan, await bench.run())
    assert problem is not None
    assert (problem.status, problem.retry_after) == (503, 4.0)
    assert (b"retry-after", b"4") in problem.response("id")[0]
    assert (whole_seconds(2.2), whole_seconds(0.0)) == (3, 1)


def test_a_problem_is_rfc_9457() -> None:
    """type, title, status, detail; instance is the request's id; errors and sources where there are any."""
    document = Problem(422, errors=[{"loc": ["query", "q"], "msg": "must be given", "type": "required"}]).document("id-1")
    assert document.keys() == {"type", "title", "status", "detail", "instance", "errors"}
    assert (document["status"], document["instance"]) == (422, "id-1")
    assert Problem(599).document("x")["title"] == "Error"


def test_a_304_that_a_call_passes_on_has_no_content() -> None:
    """HTTP allows none there: a document would break the connection."""
    headers, body = Problem(304).response("x")
    assert (body, [name for name, _ in headers]) == (b"", [b"cache-control"])
