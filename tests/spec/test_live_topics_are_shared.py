"""All subscribers of a topic share one poller, and a cold topic is fetched once for all who wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.core.context import Context
from app.core.identity import Identity
from app.live.events import Draining, Ended, Part
from app.live.hub import Bounds, Hub, TooManyTopics
from tests.fakes.plans import Bench, Script
from tests.fakes.shared_store import SharedStore
from tests.fakes.subscriber import Subscriber, passes

pytestmark = pytest.mark.virtual_time
LIVE = {"every": "1s"}


async def test_a_cold_topic_is_fetched_once_for_all_who_wait() -> None:
    """Those who come during the first fetch join it, those who come later get its result."""
    bench = Bench({"calls": {"v": "/v"}, "live": {"every": "1h"}}, Script({"/v": 1}, {"/v": 0.5}))
    hub = Hub(bench.runtime)
    early = [Subscriber(hub, bench) for _ in range(50)]
    await passes(0.2)
    early += [Subscriber(hub, bench) for _ in range(50)]
    await passes(1)
    late = Subscriber(hub, bench)
    await passes(0.01)
    assert [one.state for one in [*early, late]] == [{"v": 1}] * 101
    assert bench.script.asked("/v") == 1


async def test_one_poll_an_interval_however_many_subscribe() -> None:
    """The interval varies by 10 % at most."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE})
    hub = Hub(bench.runtime)
    [Subscriber(hub, bench) for _ in range(100)]
    await passes(100)
    assert 90 <= bench.script.asked("/v") <= 112


async def test_a_topic_is_its_endpoint_and_params() -> None:
    """Their order makes no difference, their values do."""
    bench = Bench({"get": "/x/{a}", "params": {"a": {"in": "path"}, "b": {}}, "calls": {"v": "/v/{a}"}, "live": LIVE})
    hub = Hub(bench.runtime)
    for params in ({"a": "1", "b": None}, {"b": None, "a": "1"}, {"a": "2", "b": None}):
        Subscriber(hub, bench, params)
    await passes(0.01)
    assert hub.snapshot()["topics"] == 2


async def test_only_what_is_used_of_the_client_makes_a_topic_of_its_own() -> None:
    """A forwarded header does, another does not, and the order of headers never."""
    bench = Bench({"calls": {"v": {"path": "/v", "forward": {"headers": ["x-tenant"]}}}, "live": LIVE})
    hub = Hub(bench.runtime)
    for n, headers in enumerate([
        [("x-tenant", "red"), ("cookie", "a")], [("cookie", "b"), ("x-tenant", "red")], [("x-tenant", "blue")], [("x-other", "red")],
    ]):  # fmt: skip
        Subscriber(hub, bench, context=Context(f"r{n}", headers=headers, address=f"10.0.0.{n}"))
    await passes(0.01)
    assert hub.snapshot()["topics"] == 3


async def test_claims_that_expressions_name_make_topics_and_others_do_not() -> None:
    """Two tokens of one subject share, two subjects never do."""
    bench = Bench({"calls": {"v": "/v"}, "response": {"who": "{claims.sub}", "v": "{v}"}, "live": LIVE})
    hub = Hub(bench.runtime)
    subscribers = [
        Subscriber(hub, bench, context=Context("r", identity=Identity("user", sub, {"sub": sub, "jti": jti})))
        for sub, jti in (("ann", "1"), ("ann", "2"), ("bob", "1"))
    ]
    await passes(0.01)
    assert hub.snapshot()["topics"] == 2
    assert [one.state["who"] for one in subscribers] == ["ann", "ann", "bob"]


async def test_polling_ends_a_while_after_the_last_subscriber_left() -> None:
    """5 s; somebody who comes back before that costs no new fetch."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE})
    hub = Hub(bench.runtime)
    first, second = Subscriber(hub, bench), Subscriber(hub, bench)
    await passes(2)
    first.leave()
    await passes(20)
    assert bench.script.asked("/v") > 15
    second.leave()
    await passes(3)
    third = Subscriber(hub, bench)
    before = bench.script.asked("/v")
    await passes(1e-6)  # no poll is due in so short a time
    assert third.state == {"v": {"target": "/v"}}
    assert bench.script.asked("/v") == before
    third.leave()
    await passes(5.1)
    ended = bench.script.asked("/v")
    await passes(60)
    assert bench.script.asked("/v") == ended
    assert hub.snapshot()["topics"] == 1
    await passes(60)
    assert hub.snapshot() == {**hub.snapshot(), "topics": 0, "bytes": 0, "subscriptions": 0}


async def test_who_comes_after_polling_has_ended_gets_fresh_data() -> None:
    """What was kept is for resumes: it may be old."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE}, Script({"/v": 1}))
    hub = Hub(bench.runtime)
    first = Subscriber(hub, bench)
    await passes(1)
    first.leave()
    await passes(30)
    bench.script.answers["/v"] = 2
    second = Subscriber(hub, bench)
    await passes(0.01)
    assert [part.data.value for part in second.of(Part)] == [2]


async def test_leaving_during_the_first_fetch_ends_it() -> None:
    """Calls that nobody waits for are cancelled at once, and not while somebody does."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE}, Script(delays={"/v": 1.0}))
    hub = Hub(bench.runtime)
    first, second = Subscriber(hub, bench), Subscriber(hub, bench)
    await passes(0.1)
    first.leave()
    await passes(0.1)
    assert bench.script.cancelled["/v"] == 0
    second.leave()
    await passes(0.01)
    assert bench.script.cancelled["/v"] == 1
    assert hub.snapshot()["topics"] == 0


async def test_who_declines_updates_starts_no_polling() -> None:
    """With a live subscriber beside it the polling is that one's."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE})
    hub = Hub(bench.runtime)
    once = Subscriber(hub, bench, live=False)
    await passes(10)
    assert once.phase == "ended"
    assert bench.script.asked("/v") == 1
    live = Subscriber(hub, bench)
    await passes(10.5)
    assert live.phase == "live"
    assert 10 <= bench.script.asked("/v") <= 13


async def test_an_endpoint_that_is_not_live_ends_with_complete_and_is_not_kept() -> None:
    """The next subscriber is served afresh; those who come together share."""
    bench = Bench({"calls": {"v": "/v"}}, Script(delays={"/v": 0.1}))
    hub = Hub(bench.runtime)
    both = [Subscriber(hub, bench), Subscriber(hub, bench)]
    await passes(1)
    assert [one.phase for one in both] == ["ended", "ended"]
    assert hub.snapshot()["topics"] == 0
    Subscriber(hub, bench)
    await passes(1)
    assert bench.script.asked("/v") == 2


async def test_the_topic_left_longest_ago_makes_room() -> None:
    """And where all are in use the newcomer is refused."""
    bench = Bench({"get": "/{k}", "params": {"k": {"in": "path"}}, "calls": {"v": "/v/{k}"}, "live": {"every": "1h"}})
    hub = Hub(bench.runtime, bounds=Bounds(topics=2))
    a, b = Subscriber(hub, bench, {"k": "a"}), Subscriber(hub, bench, {"k": "b"})
    await passes(0.1)
    with pytest.raises(TooManyTopics):
        Subscriber(hub, bench, {"k": "c"})
    a.leave()
    await passes(0.1)
    b.leave()
    await passes(0.1)
    Subscriber(hub, bench, {"k": "c"})
    back = Subscriber(hub, bench, {"k": "b"}, resume=b.position)
    assert back.subscription.recovered is True, "a was left longer ago"
    assert hub.snapshot()["refused_total"] == 1


async def test_the_bytes_of_all_topics_are_bounded() -> None:
    """Idle ones go first; then the one that grows over the bound ends."""
    script = Script({"/v/a": "x" * 60_000, "/v/b": "y" * 60_000, "/v/c": 1})
    bench = Bench({"get": "/{k}", "params": {"k": {"in": "path"}}, "calls": {"v": "/v/{k}"}, "live": LIVE}, script)
    hub = Hub(bench.runtime, bounds=Bounds(bytes=100_000))
    a = Subscriber(hub, bench, {"k": "a"})
    await passes(0.1)
    a.leave()
    b = Subscriber(hub, bench, {"k": "b"})
    await passes(0.1)
    assert b.state == {"v": "y" * 60_000}
    assert hub.snapshot()["topics"] == 1, "the idle one made room"
    c = Subscriber(hub, bench, {"k": "c"})
    await passes(0.1)
    script.answers["/v/c"] = "z" * 60_000
    await passes(2)
    assert c.end == Ended("too_many_subscriptions")
    assert b.phase == "live"
    assert hub.snapshot()["bytes"] < 100_000


async def test_a_topic_that_alone_is_over_the_bound_is_gone_for_good() -> None:
    """It ends in its first round: nothing is polled any more, no byte of it is counted, and others find room."""
    script = Script({"/v/big": "x" * 200_000, "/v/small": 1})
    bench = Bench({"get": "/{k}", "params": {"k": {"in": "path"}}, "calls": {"v": "/v/{k}"}, "live": LIVE}, script)
    hub = Hub(bench.runtime, bounds=Bounds(bytes=100_000))
    big = Subscriber(hub, bench, {"k": "big"})
    await passes(10)
    assert big.end == Ended("too_many_subscriptions")
    assert bench.script.asked("/v/big") == 1
    assert hub.snapshot()["bytes"] == 0
    small = Subscriber(hub, bench, {"k": "small"})
    await passes(0.1)
    assert small.state == {"v": 1}


async def test_an_expired_credential_ends_its_subscription() -> None:
    """Others of the topic go on."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE})
    hub = Hub(bench.runtime)
    soon, later = (Subscriber(hub, bench, expires=bench.runtime.wall() + seconds) for seconds in (10, 10_000))
    await passes(9)
    assert soon.phase == later.phase == "live"
    await passes(2)
    assert soon.end == Ended("unauthorized")
    assert later.phase == "live"
    await passes(10_000)
    assert later.end == Ended("unauthorized")


async def test_a_credential_that_holds_by_the_leeway_alone_ends_its_subscription_with_that() -> None:
    """As over REST: 30 s for clocks that differ."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE})
    hub = Hub(bench.runtime)
    past, over = (Subscriber(hub, bench, expires=bench.runtime.wall() - seconds) for seconds in (15, 31))
    await passes(14)
    assert (past.phase, over.end) == ("live", Ended("unauthorized"))
    await passes(2)
    assert past.end == Ended("unauthorized")


async def test_a_drain_ends_live_subscriptions_that_wait_by_themselves() -> None:
    """Those that end by themselves may still do so."""
    bench = Bench({"calls": {"v": "/v"}, "live": LIVE}, Script(delays={"/v": 0.5}))
    hub = Hub(bench.runtime)
    live, once = Subscriber(hub, bench), Subscriber(hub, bench, live=False)
    hub.drain()
    await passes(1)
    assert live.events == [Draining()]
    assert once.state == {"v": {"target": "/v"}}


async def test_processes_that_share_a_store_share_the_polls() -> None:
    """About one an interval for all of them; each polls for itself where the store does not answer."""
    bench = Bench({"calls": {"v": "/v"}, "live": {"every": "1s"}}, Script({"/v": 1}))
    store = SharedStore(bench.runtime.now)
    runtime = replace(bench.runtime, shared=store)
    readers = [Subscriber(Hub(runtime), bench) for _ in range(4)]
    await passes(50)
    assert 45 <= bench.script.asked("/v") <= 60
    bench.script.answers["/v"] = 2
    await passes(3)
    assert [one.state for one in readers] == [{"v": 2}] * 4
    store.answers = False
    before = bench.script.asked("/v")
    await passes(20)
    assert bench.script.asked("/v") - before > 70


async def test_a_first_answer_is_of_just_now_whatever_another_process_was_told() -> None:
    """Cold, or after a rest: nobody may have looked for most of an interval. Those who go on polling are told it too."""
    bench = Bench({"calls": {"v": "/v"}, "live": {"every": "20s"}}, Script({"/v": 1}))
    now = bench.runtime.now
    here, there = (Hub(replace(bench.runtime, wall=now, shared=store)) for store in [SharedStore(now)] * 2)
    first = Subscriber(here, bench)
    await passes(0.1)
    first.leave()
    for value in (2, 3):
        bench.script.answers["/v"] = value
        await passes(9)
        cold_then_rested = Subscriber(there, bench)
        await passes(0.1)
        assert cold_then_rested.state == {"v": value}
        cold_then_rested.leave()
    assert bench.script.asked("/v") == 3
    back = Subscriber(here, bench)
    await passes(0.1)
    assert (back.state, bench.script.asked("/v")) == ({"v": 3}, 3)
