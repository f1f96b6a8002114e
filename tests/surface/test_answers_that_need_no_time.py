"""When time is up, what needs nobody's answer is still answered: the cache, and an empty list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.service import serving

KEPT: dict[str, Any] = {"path": "/kept", "cache": {"ttl": "60s"}}


def late(**calls: Any) -> dict[str, Any]:
    """`/late` runs `calls` after one that takes all the time; `/warm` fills the cache before."""
    after = {name: {**call, "after": ["hangs"]} for name, call in calls.items()}
    return {
        "warm": {"get": "/warm", "calls": {"b": KEPT}},
        "late": {"get": "/late", "deadline": "100ms", "calls": {"hangs": {"path": "/hang", "fallback": 1}, **after}},
    }


async def test_a_fresh_answer_of_the_cache_is_answered_after_the_deadline() -> None:
    """No request is made for it."""
    async with serving(late(b=KEPT), {"/kept": 7}) as service:
        await service.get("/warm")
        answer = (await service.get("/late")).json()
    assert answer["data"] == {"hangs": 1, "b": 7}
    assert (answer["sources"]["b"]["status"], answer["sources"]["b"]["cache"], answer["sources"]["b"]["attempts"]) == ("ok", "hit", 0)
    assert service.upstream.paths() == ["/kept", "/hang"]


async def test_old_data_is_answered_after_the_deadline_where_it_may_stand_in() -> None:
    """`stale_if_error`: the deadline is a failure like any other."""
    kept = {**KEPT, "cache": {"ttl": "1ms", "stale_if_error": "60s"}}
    async with serving({**late(b=kept), "warm": {"get": "/warm", "calls": {"b": kept}}}, {"/kept": 7}) as service:
        await service.get("/warm")
        answer = (await service.get("/late")).json()
    assert answer["data"]["b"] == 7
    assert (answer["sources"]["b"]["status"], answer["sources"]["b"]["error"]["type"]) == ("stale", "timeout")
    assert service.upstream.paths() == ["/kept", "/hang"]


@pytest.mark.parametrize("call", [KEPT, {"path": "/kept"}, {"path": "/kept/{item}", "each": "[`1`]"}])
async def test_nothing_is_asked_after_the_deadline(call: dict[str, Any]) -> None:
    """What would have to be asked fails with `timeout`, no attempt made."""
    async with serving(late(b=call), {"/kept": 7, "/kept/1": 7}) as service:
        answer = (await service.get("/late")).json()
    assert (answer["data"]["b"], answer["complete"]) == (None, False)
    assert (answer["sources"]["b"]["error"]["type"], answer["sources"]["b"]["attempts"]) == ("timeout", 0)
    assert service.upstream.paths() == ["/hang"]


async def test_an_empty_list_needs_no_time() -> None:
    """`each` over nothing is `[]`."""
    async with serving(late(b={"path": "/{item}", "each": "`[]`"})) as service:
        answer = (await service.get("/late")).json()
    assert (answer["data"]["b"], answer["sources"]["b"]["status"]) == ([], "ok")
