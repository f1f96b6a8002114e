"""`?explain`: what an operator sees of an answer, and what nobody else does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes.service import serving

CALLS = {"who": {"path": "/who", "required": True}, "more": {"path": "/more", "query": {"of": "{who.id}"}}, "other": "/other"}
ANSWERS: dict[str, Any] = {"/who": {"id": 1}, "/more": {"m": 2}, "/other": {"o": 3}}
TOKEN = {"authorization": "Bearer t"}


def endpoint(**more: Any) -> dict[str, Any]:
    """One endpoint of three calls, at /x."""
    return {"x": {"get": "/x", "calls": CALLS, **more}}


async def test_the_answer_stays_and_an_explanation_stands_beside_it() -> None:
    """`data`, `complete` and `sources` as ever; the plan, the stacks, times, and the chain that decided."""
    async with serving(endpoint(), ANSWERS, host="127.0.0.1") as service:
        answer = await service.get("/x?explain")
        plain = await service.get("/x")
    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert told["data"] == plain.json()["data"]
    explain = told["explain"]
    assert (explain["endpoint"], explain["deadline_ms"], explain["worst_case_ms"]) == ("x", 2000.0, 2000.0)
    assert explain["critical_path"][-1] in ("more", "other")
    assert explain["calls"]["more"]["needs"] == ["who"]
    assert explain["calls"]["more"]["start_ms"] >= explain["calls"]["who"]["ms"] - 0.2
    assert list(explain["calls"]["who"]["stack"]) == ["observe", "deadline", "coalesce", "transport"]
    assert explain["upstreams"] == {"u": {"state": "up", "in_flight": 0, "queued": 0, "limit": None, "breakers": {}}}
    assert explain["calls"]["who"].items() >= {"status": "ok", "attempts": 1, "http_status": 200, "required": True}.items()


async def test_policies_leave_notes() -> None:
    """A retry, the cache, an open breaker, old data in place of a failure: a line each, and none where nothing happened."""
    answers = {**ANSWERS, "/more": httpx.Response(503), "/other": {"o": 3}}
    upstream = {"url": "http://upstream.test", "retry": {"attempts": 2, "backoff": "1ms"}, "cache": {"ttl": "1ms", "stale_if_error": "1m"}}
    async with serving(endpoint(), answers, upstreams={"u": upstream}) as service:
        first = (await service.get("/x?explain=1")).json()["explain"]["calls"]
        service.upstream.answers["/other"] = httpx.Response(503)
        second = (await service.get("/x?explain=1")).json()["explain"]["calls"]
    assert first["who"]["notes"] == []
    assert [note.split(" after ")[0] for note in first["more"]["notes"]] == ["retried"]
    assert first["more"]["notes"][0].endswith("ms: status, answered 503")
    assert second["other"]["notes"][-1] == "old data instead of a failure: status, answered 503"


async def test_a_failed_answer_is_explained_too() -> None:
    """The problem document with its own status, `explain` in it; calls that never ran are there."""
    async with serving(endpoint(), {**ANSWERS, "/who": httpx.Response(500)}) as service:
        answer = await service.get("/x?explain")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    explain = answer.json()["explain"]
    assert explain["critical_path"][-1] == "who"
    assert explain["calls"]["more"]["status"] == "unsettled"


@pytest.mark.parametrize("envelope", ["full", "data"])
async def test_to_others_it_is_a_parameter_like_any_other(envelope: str) -> None:
    """Ignored, or a 422 under `strict_query`; the answer is the ordinary one to the byte of its shape."""
    async with serving(endpoint(envelope=envelope), ANSWERS, admin_token="t") as service:
        without = await service.get("/x?explain")
        wrong = await service.get("/x?explain", headers={"authorization": "Bearer u"})
        right = await service.get("/x?explain", headers=TOKEN)
    assert ["explain" in answer.json() for answer in (without, wrong, right)] == [False, False, True]
    async with serving(endpoint(strict_query=True), ANSWERS, admin_token="t") as service:
        assert (await service.get("/x?explain")).status_code == 422
        assert "explain" in (await service.get("/x?explain", headers=TOKEN)).json()
    async with serving(endpoint(), ANSWERS, host="0.0.0.0") as service:  # noqa: S104 - what the rule looks at
        assert "explain" not in (await service.get("/x?explain")).json()


async def test_a_param_of_that_name_wins() -> None:
    """Declared or forwarded: the endpoint's own meaning."""
    declared = {"params": {"explain": {"in": "query", "type": "integer"}}, "response": {"n": "{explain}"}}
    async with serving(endpoint(**declared), ANSWERS) as service:
        answer = (await service.get("/x?explain=7")).json()
    assert (answer["data"], "explain" in answer) == ({"n": 7}, False)
    async with serving(endpoint(forward={"query": ["explain"]}), ANSWERS) as service:
        assert "explain" not in (await service.get("/x?explain=7")).json()
        assert service.upstream.asked[0].url.params["explain"] == "7"
    for query in ("*", ["*"]):
        async with serving(endpoint(forward={"query": query, "headers": "*"}), ANSWERS, admin_token="t") as service:
            assert "explain" not in (await service.get("/x?explain=7", headers=TOKEN)).json()
            assert {request.url.params["explain"] for request in service.upstream.asked} == {"7"}
            assert not any("authorization" in request.headers for request in service.upstream.asked)


async def test_the_operators_token_goes_to_no_upstream() -> None:
    """Neither the header nor the question is passed on, whatever is forwarded; the endpoint's own credential is."""
    forward = {"headers": ["*"], "query": ["a"]}
    async with serving(endpoint(forward=forward), ANSWERS, admin_token="t") as service:
        assert "explain" in (await service.get("/x?explain&a=1", headers=TOKEN)).json()
        both = {"merganser-admin": "t", "authorization": "Bearer mine"}
        assert "explain" in (await service.get("/x?explain&a=1", headers=both)).json()
    asked = service.upstream.asked
    assert all("explain" not in request.url.params and request.url.params["a"] == "1" for request in asked)
    assert all("merganser-admin" not in request.headers for request in asked)
    assert [request.headers.get("authorization") for request in asked] == [None] * 3 + ["Bearer mine"] * 3
