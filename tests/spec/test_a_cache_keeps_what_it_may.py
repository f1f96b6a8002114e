"""The cache: fresh, refreshed behind, old in need; whose data it is; what the upstream allows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from app.core.data import NULL, Data
from app.core.errors import StatusFailed
from app.core.events import CacheAsked
from app.core.reply import Reply
from app.policies.store import Store
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual


def counting(seconds: float = 0.0) -> Any:
    """Answers 1, 2, 3 ..."""
    return lambda call, number: (seconds, number + 1)


def cached(script: Any = None, **spec: Any) -> Rig:
    return Rig(script or counting(), cache={"ttl": "10s", **spec})


def with_headers(value: Any, **headers: str) -> Reply:
    raw = tuple((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items())
    return Reply(Data.of(value), 200, raw)


async def test_a_fresh_answer_is_a_hit() -> None:
    """No attempt, no upstream status, and it says until when it is fresh."""
    rig = cached()
    first, second = rig.call(), rig.call()
    began = rig.now()
    assert [await rig.outcome(first), await rig.outcome(second)] == [1, 1]
    assert [(c.record.cache, c.record.attempts, c.record.http_status) for c in (first, second)] == [("miss", 1, 200), ("hit", 0, None)]
    await asyncio.sleep(4)
    assert (await rig.send()).fresh_until == began + 10
    assert [event.outcome for event in rig.told(CacheAsked)] == ["miss", "hit", "hit"]


async def test_past_its_ttl_it_is_fetched_again() -> None:
    """The stale windows are off unless given."""
    rig = cached()
    await rig.outcome()
    await asyncio.sleep(10)
    call = rig.call()
    assert await rig.outcome(call) == 2
    assert call.record.cache == "miss"


async def test_old_data_is_answered_at_once_and_refreshed_once_behind() -> None:
    """Thirty readers, one refresh; nobody waits; the answer stays complete."""
    rig = cached(counting(2.0), stale_while_revalidate="60s")
    await rig.outcome()
    await asyncio.sleep(11)
    began = rig.now()
    calls = [rig.call() for _ in range(30)]
    replies = await asyncio.gather(*(rig.stack.send(call) for call in calls))
    assert rig.now() == began
    assert {(reply.data.value, reply.state, reply.within_window, reply.fresh_until) for reply in replies} == {(1, "stale", True, None)}
    assert {(call.record.cache, call.record.attempts) for call in calls} == {("stale", 0)}
    await asyncio.sleep(2.1)
    assert len(rig.wire) == 2
    assert await rig.outcome() == 2
    rig.assert_nothing_is_left()


async def test_a_refresh_outlives_who_caused_it() -> None:
    """It has ten seconds at least, and a failed one leaves the old data until its window ends."""
    rig = cached(lambda call, number: (4.0 if number == 1 else 0.0, number + 1), stale_while_revalidate="60s")
    await rig.outcome()
    await asyncio.sleep(11)
    assert await rig.outcome(within=0.5) == 1
    await asyncio.sleep(4.1)
    assert await rig.outcome() == 2
    rig = cached([(0, 1), (0, 500), (0, 3)], stale_while_revalidate="60s")
    await rig.outcome()
    await asyncio.sleep(11)
    assert [await rig.outcome() for _ in range(2)] == [1, 1]
    await asyncio.sleep(1)
    assert await rig.outcome() == 1
    await asyncio.sleep(1)
    assert await rig.outcome() == 3
    assert not rig.faults


@pytest.mark.parametrize("failure", [500, 404, StatusFailed(503)])
async def test_old_data_is_answered_when_the_call_fails(failure: Any) -> None:
    """Inside `stale_if_error`: incomplete, with the failure that it stands in for."""
    rig = cached([(0, 1), (0, failure)], stale_if_error="60s")
    await rig.outcome()
    await asyncio.sleep(11)
    call = rig.call()
    reply = await rig.stack.send(call)
    assert (reply.data.value, reply.state, reply.within_window) == (1, "stale", False)
    assert reply.error is not None
    assert (call.record.cache, call.record.attempts) == ("stale", 1)
    await asyncio.sleep(60)
    assert await rig.outcome() == "status"


async def test_old_data_is_answered_when_time_runs_out_or_the_circuit_is_open() -> None:
    """Whatever made the call fail."""
    windows = {"ttl": "1s", "stale_if_error": "1m"}
    rig = Rig(lambda call, number: (0.0 if number == 0 else 9.0, 1), upstream={"breaker": {"minimum": 3}}, cache=windows)
    await rig.outcome()
    await asyncio.sleep(2)
    errors = []
    for _ in range(4):
        reply = await rig.stack.send(rig.call(within=0.2))
        errors.append(reply.error.type if reply.error else None)
        await asyncio.sleep(0.001)
    assert errors[0] == "timeout"
    assert errors[-1] == "circuit_open"


async def test_only_successes_are_stored() -> None:
    """A failure is asked again."""
    rig = cached([(0, 500), (0, "good")])
    assert [await rig.outcome() for _ in range(3)] == ["status", "good", "good"]


@pytest.mark.parametrize("more", [
    {"headers": (("authorization", "Bearer 2"),)}, {"headers": (("x-tenant", "1"),)}, {"target": "/x?a=1"}, {"body": b"1"},
])  # fmt: skip
async def test_one_clients_data_is_never_anothers(more: dict[str, Any]) -> None:
    """Every forwarded header, the URL and the body are part of the key."""
    rig = cached()
    first = {"headers": (("authorization", "Bearer 1"),)}
    assert [await rig.outcome(rig.call(**first)), await rig.outcome(rig.call(**more)), await rig.outcome(rig.call(**first))] == [1, 2, 1]


async def test_two_upstreams_do_not_share_entries() -> None:
    """The store is the process's, the key holds the upstream."""
    store = Store(1 << 20)
    one, other = Rig([(0, "one")], cache={}, store=store), Rig([(0, "other")], cache={}, store=store)
    assert await one.outcome() == "one"
    call = other.call()
    call.upstream = "v"
    assert await other.outcome(call) == "other"


@pytest.mark.parametrize(("method", "is_read", "own", "is_cached"), [
    ("GET", True, False, True), ("CALL", False, False, True), ("POST", True, False, True), ("POST", False, False, False),
    ("PUT", True, False, False), ("DELETE", True, False, False), ("POST", False, True, True),
])  # fmt: skip
async def test_writes_are_not_cached_unless_the_call_says_so(method: str, is_read: bool, own: bool, is_cached: bool) -> None:
    """An upstream's cache is for what reads: GET, functions, and the POST of a GET endpoint."""
    upstream: dict[str, Any] = {} if own else {"cache": {"ttl": "10s"}}
    rig = Rig(counting(), upstream=upstream, cache={"ttl": "10s"}, method=method, is_read=is_read)
    await rig.outcome()
    assert await rig.outcome() == (1 if is_cached else 2)


async def test_functions_are_cached_by_their_arguments() -> None:
    """In whatever order they are written."""
    rig = Rig(counting(), cache={}, method="CALL")
    arguments: list[Mapping[str, Any]] = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 2, "b": [2]}]
    assert [await rig.outcome(args=args) for args in arguments] == [1, 1, 2]


async def test_a_respectful_cache_goes_by_the_upstreams_word() -> None:
    """Its max-age less its Age; `no-store` not at all, and not what is stored already either."""
    script = [(0, with_headers(n, cache_control=control, age="5")) for n, control in enumerate(("max-age=8", "max-age=8", "no-store", "no-store"))]
    rig = cached(script, respect=True)
    assert [await rig.outcome(), await rig.outcome()] == [0, 0]
    await asyncio.sleep(3)
    assert await rig.outcome() == 1
    await asyncio.sleep(3)
    assert [await rig.outcome(), await rig.outcome()] == [2, 3]


@pytest.mark.parametrize(("validator", "condition"), [
    ({"etag": '"v1"'}, ("if-none-match", '"v1"')),
    ({"last_modified": "Fri, 15 Jan 2027 08:00:00 GMT"}, ("if-modified-since", "Fri, 15 Jan 2027 08:00:00 GMT")),
])  # fmt: skip
async def test_an_old_answer_is_validated_and_nobody_sees_it(validator: dict[str, str], condition: tuple[str, str]) -> None:
    """The upstream is asked for news only; its 304 makes the old data fresh, and the source says 200 as ever."""
    rig = cached([(0, with_headers("kept", **validator)), (0, StatusFailed(304))], stale_if_error="1h")
    await rig.outcome()
    await asyncio.sleep(11)
    call = rig.call()
    reply = await rig.stack.send(call)
    assert condition in rig.wire.calls[1].headers
    assert condition not in rig.wire.calls[0].headers
    assert (reply.data.value, reply.state, reply.fresh_until) == ("kept", "ok", rig.now() + 10)
    assert (call.record.cache, call.record.attempts, call.record.http_status) == ("miss", 1, 200)
    assert await rig.outcome() == "kept"
    assert len(rig.wire) == 2


async def test_news_replace_what_was_validated() -> None:
    """A 200 to a conditional request is stored like any other."""
    rig = cached([(0, with_headers("old", etag='"1"')), (0, with_headers("new", etag='"2"')), (0, StatusFailed(304))])
    await rig.outcome()
    await asyncio.sleep(11)
    assert await rig.outcome() == "new"
    await asyncio.sleep(11)
    assert await rig.outcome() == "new"
    assert ("if-none-match", '"2"') in rig.wire.calls[2].headers


async def test_a_condition_of_the_catalogs_own_is_left_alone() -> None:
    """Then a 304 is what the call asked for: a failure like any other status."""
    rig = cached([(0, with_headers("old", etag='"1"')), (0, StatusFailed(304))])
    own = (("if-none-match", '"mine"'),)
    await rig.outcome(rig.call(headers=own))
    await asyncio.sleep(11)
    assert await rig.outcome(rig.call(headers=own)) == "status"


async def test_a_miss_of_many_is_one_request() -> None:
    """The cache stands outside coalescing."""
    rig = cached(counting(0.1))
    calls = [rig.call() for _ in range(20)]
    assert await asyncio.gather(*(rig.outcome(call) for call in calls)) == [1] * 20
    assert len(rig.wire) == 1
    assert sorted(str(call.record.cache) for call in calls) == ["coalesced"] * 19 + ["miss"]


class Elsewhere:
    """A shared store that may be down."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.is_down = False
        self.tokens = 1

    async def get(self, key: str) -> bytes | None:
        return None if self.is_down else self.values.get(key)

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        assert ttl > 0
        if not self.is_down:
            self.values[key] = value

    async def take(self, key: str, rate: float, burst: int) -> float | None:
        if self.is_down:
            return None
        self.tokens -= 1
        return 0.0 if self.tokens >= 0 else 1 / rate


async def test_entries_are_shared_between_processes() -> None:
    """What one has fetched is a hit for the other, for as long as it is fresh; no key shows a credential."""
    elsewhere = Elsewhere()
    one, other = (Rig(counting(), cache={"ttl": "10s"}, shared=elsewhere) for _ in range(2))
    secret = {"headers": (("authorization", "Bearer s3cret"),)}
    await one.outcome(one.call(**secret))
    await asyncio.sleep(4)
    call = other.call(**secret)
    reply = await other.stack.send(call)
    assert (reply.data.value, call.record.cache, len(other.wire)) == (1, "hit", 0)
    assert reply.fresh_until == pytest.approx(other.now() + 6)
    assert not any("s3cret" in key for key in elsewhere.values)
    await asyncio.sleep(7)
    assert await other.outcome(other.call(**secret)) == 1
    assert len(other.wire) == 1


async def test_a_shared_store_that_is_down_or_talks_nonsense_is_a_miss() -> None:
    """Degraded, never failed."""
    elsewhere = Elsewhere()
    rig = Rig(counting(), cache={"ttl": "10s"}, shared=elsewhere)
    elsewhere.is_down = True
    assert [await rig.outcome(), await rig.outcome()] == [1, 1]
    elsewhere.is_down = False
    await rig.outcome("/other")
    await asyncio.sleep(0)
    elsewhere.values = dict.fromkeys(elsewhere.values, b"\xff\x00")
    fresh = Rig([(0, "own")], cache={"ttl": "10s"}, shared=elsewhere)
    assert await fresh.outcome("/other") == "own"
    assert not rig.faults
    assert not fresh.faults


async def test_a_rate_is_shared_between_processes() -> None:
    """And a process's own where the store is down."""
    elsewhere = Elsewhere()
    rig = Rig([(0, "good")], upstream={"rate": {"rate": "2/s", "burst": 1}}, coalesce=False, shared=elsewhere)
    assert [await rig.outcome(), await rig.outcome()] == ["good", "rate_limited"]
    elsewhere.is_down = True
    assert [await rig.outcome(), await rig.outcome()] == ["good", "rate_limited"]


async def test_a_304_validates_though_null_on_names_it() -> None:
    """It answers our condition, not the call's: the data of the cache holds."""

    def script(call: Any, number: int) -> Any:
        return 0.0, with_headers("data", etag='"v"') if number == 0 else Reply(NULL, 304)

    rig = cached(script, ttl="1s")
    await rig.outcome()
    await asyncio.sleep(2)
    call = rig.call()
    assert await rig.outcome(call) == "data"
    assert call.record.notes == ["not modified: the data of the cache still holds"]


async def test_a_revalidation_that_is_hedged_takes_the_first_304() -> None:
    """Whichever attempt it comes to: the entry is fresh again at once."""
    for script in ([(0.15, 304), (9, "never")], [(9, "never"), (0.05, 304)]):
        whole = Reply(Data.of("kept"), 200, ((b"etag", b'"1"'),))
        rig = Rig([(0.0, whole), *script], cache={"ttl": "1s", "stale_if_error": "1h"}, hedge={"after": "100ms", "budget": "100%"})
        assert await rig.outcome() == "kept"
        await asyncio.sleep(2)
        began, call = rig.now(), rig.call()
        reply = await rig.stack.send(call)
        assert (reply.data.value, reply.state, call.record.http_status) == ("kept", "ok", 200)
        assert rig.now() - began == pytest.approx(0.15)


async def test_what_a_client_puts_into_a_key_weighs_as_data_does() -> None:
    """A long URL, header or body is bounded with the rest: nobody fills the memory with names of small answers."""
    store = Store(1 << 20)
    rig = Rig([(0.0, "x")], cache={}, store=store)
    for number in range(100):
        await rig.outcome(f"/{number}?{'q' * 30_000}")
    assert len(store) < 40
    kept = len(store)
    for number in range(20):
        await rig.outcome(f"/{number}", headers=(("x-long", "h" * 30_000),))
    assert len(store) <= kept
