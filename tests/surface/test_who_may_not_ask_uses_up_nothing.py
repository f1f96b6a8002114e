"""The promise: what `allow` refuses is not counted by `limit`; without `allow`, whoever asks is counted before anything is read."""

from __future__ import annotations

from typing import Any

from tests.fakes.service import serving

LIMITED: dict[str, Any] = {
    "get": "/x",
    "params": {"who": {"in": "query"}, "n": {"in": "query", "type": "integer"}},
    "calls": {"a": "/a"},
    "limit": {"rate": "1/h", "by": "endpoint"},
}


async def test_a_refused_client_leaves_the_bucket_to_the_others() -> None:
    """403 as often as it likes; the one turn of the hour is still there."""
    async with serving({"x": {**LIMITED, "allow": "who == 'ann'"}}, {"/a": 1}) as service:
        assert [(await service.get("/x?who=bo")).status_code for _ in range(3)] == [403] * 3
        assert (await service.get("/x?who=ann")).status_code == 200
        assert (await service.get("/x?who=ann")).status_code == 429


async def test_without_allow_a_bad_request_counts_too() -> None:
    """429 comes before 422."""
    async with serving({"x": LIMITED}, {"/a": 1}) as service:
        assert (await service.get("/x?n=one")).status_code == 422
        assert (await service.get("/x?n=1")).status_code == 429
