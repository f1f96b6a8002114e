"""After `complete`: what changed is told once, to everybody, over an unbroken chain; what a call answered once is kept."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from app.live.events import Complete, Failed, Part, Position, Update
from app.live.hub import Hub
from tests.fakes.plans import Bench, Script, status
from tests.fakes.subscriber import Subscriber, passes

pytestmark = pytest.mark.virtual_time
LIVE = {"every": "1s"}


def live(answers: dict[str, Any], calls: dict[str, Any] | None = None, **keys: Any) -> tuple[Bench, Hub, dict[str, Any]]:
    bench = Bench({"calls": calls or {name: f"/{name}" for name in answers}, "live": LIVE, **keys}, Script({f"/{n}": v for n, v in answers.items()}))
    return bench, Hub(bench.runtime), bench.script.answers


async def test_a_change_is_an_update_of_the_changed_part_alone() -> None:
    """With the source of its call."""
    bench, hub, answers = live({"a": 1, "b": 1})
    one = Subscriber(hub, bench)
    await passes(0.1)
    answers["/b"] = {"x": None}
    await passes(1.2)
    (update,) = one.of(Update)
    assert {name: data.value for name, data in update.parts.items()} == {"b": {"x": None}}
    assert set(update.sources) == {"b"}
    assert update.conflated == 0


async def test_equal_data_is_no_update() -> None:
    """However often it is fetched."""
    bench, hub, answers = live({"a": {"x": 1, "y": [1, 2]}})
    one = Subscriber(hub, bench)
    await passes(5)
    answers["/a"] = {"y": [1.0, 2], "x": 1}
    await passes(5)
    assert one.of(Update) == []


async def test_a_failing_call_keeps_its_data_and_turns_stale_once() -> None:
    """And is `ok` once when it answers again, with the same data too."""
    bench, hub, answers = live({"a": {"n": 1}, "b": 1})
    one = Subscriber(hub, bench)
    await passes(0.1)
    answers["/a"] = status(503)
    await passes(6)
    (update,) = one.of(Update)
    assert (dict(update.parts), update.sources["a"].status, update.complete) == ({}, "stale", False)
    answers["/a"] = {"n": 1}
    await passes(6)
    assert [u.sources["a"].status for u in one.of(Update)] == ["stale", "ok"]
    assert one.of(Update)[-1].complete
    assert one.state == {"a": {"n": 1}, "b": 1}


async def test_who_comes_later_is_told_how_calls_stand_now() -> None:
    """A part is old data with today's source: what it says is what `complete` says."""
    bench, hub, answers = live({"a": {"n": 1}, "b": 1})
    first = Subscriber(hub, bench)
    await passes(0.1)
    answers["/a"] = status(503)
    await passes(2)
    answers["/b"] = 2
    await passes(2)
    late, back = Subscriber(hub, bench), Subscriber(hub, bench, resume=Position(first.subscription.epoch, 0))
    await passes(0.01)
    for one in (late, back):
        (complete,) = one.of(Complete)
        assert {part.name: part.sources[part.name].status for part in one.of(Part)} == {"a": "stale", "b": "ok"}
        assert all(complete.sources[part.name] is part.sources[part.name] for part in one.of(Part))


async def test_another_error_type_is_told_too() -> None:
    """Status and type of error are what a source is judged by."""
    bench, hub, answers = live({"a": 1, "b": 1})
    one = Subscriber(hub, bench)
    await passes(0.1)
    answers["/a"] = status(503)
    await passes(3)
    bench.script.delays["/a"] = 10.0
    await passes(9)
    assert [u.sources["a"].error.type for u in one.of(Update)] == ["status", "timeout"]


async def test_a_fallback_stands_in_only_where_there_never_was_data() -> None:
    """A call that failed from the start has it until it answers."""
    bench, hub, answers = live(
        {"kept": 1, "never": status(500)}, {name: {"path": f"/{name}", "fallback": "spare"} for name in ("kept", "never")}
    )  # fmt: skip
    one = Subscriber(hub, bench)
    await passes(0.1)
    assert one.state == {"kept": 1, "never": "spare"}
    answers["/kept"], answers["/never"] = status(500), 2
    await passes(2)
    assert one.state == {"kept": 1, "never": 2}
    assert one.sources == {"kept": "stale", "never": "ok"}


async def test_a_fallback_that_cannot_be_computed_any_more_leaves_nothing() -> None:
    """It was no answer: the call has failed, its part is null, as REST says it."""
    bench, hub, answers = live({"a": {"v": -1}, "b": status(500)}, {"a": "/a", "b": {"path": "/b", "fallback": {"n": "{abs(a.v)}"}}})
    one = Subscriber(hub, bench)
    await passes(0.1)
    assert one.state["b"] == {"n": 1}
    answers["/a"] = {"v": "text"}
    await passes(2)
    assert (one.state["b"], one.sources["b"]) == (None, "failed")
    answers["/a"] = {"v": 2}
    await passes(2)
    assert (one.state["b"], one.sources["b"]) == ({"n": 2}, "fallback")


async def test_a_part_that_needs_no_call_does_not_hide_that_all_have_failed() -> None:
    """It comes with the first call that settles: a first answer that fails is an `error`, over which a client comes back."""
    bench = Bench(
        {"calls": {"a": {"path": "/a", "required": True}}, "params": {"k": {}}, "response": {"k": "{k}", "a": "{a}"}, "live": LIVE},
        Script({"/a": status(500)}),
    )
    hub = Hub(bench.runtime)
    one = Subscriber(hub, bench, {"k": "x"})
    await passes(1)
    assert (one.of(Part), len(one.of(Failed))) == ([], 1)
    bench.script.answers = {"/a": 1}
    two = Subscriber(hub, bench, {"k": "x"})
    await passes(0.01)
    assert (two.state, two.phase) == ({"k": "x", "a": 1}, "live")


async def test_a_skipped_call_that_is_made_later_appears() -> None:
    """`when` is asked at every run, and at once when what it names has changed."""
    bench, hub, answers = live(
        {"a": {"more": False}, "b": 7}, {"a": "/a", "b": {"path": "/b", "when": "a.more", "every": "1h"}}
    )  # fmt: skip
    one = Subscriber(hub, bench)
    await passes(0.1)
    assert one.sources["b"] == "skipped"
    answers["/a"] = {"more": True}
    await passes(2)
    assert one.state["b"] == 7
    answers["/a"] = {"more": False}
    await passes(2)
    assert one.state["b"] is None
    assert one.sources["b"] == "skipped"


async def test_dependents_follow_when_the_request_they_would_make_has_changed() -> None:
    """And not for other changes; a chain follows to its end."""
    answers = {"/head": {"next": "x", "other": 1}, "/mid/x": {"id": 1}, "/mid/y": {"id": 2}, "/tail/1": "one", "/tail/2": "two"}
    calls = {"head": "/head", "mid": {"path": "/mid/{head.next}", "every": "1h"}, "tail": {"path": "/tail/{mid.id}", "every": "1h"}}
    bench = Bench({"calls": calls, "live": LIVE}, Script(answers))
    one = Subscriber(Hub(bench.runtime), bench)
    await passes(0.1)
    assert one.state["tail"] == "one"
    bench.script.answers["/head"] = {"next": "x", "other": 2}
    await passes(3)
    assert bench.script.asked("/mid/x") == 1
    bench.script.answers["/head"] = {"next": "y", "other": 2}
    await passes(1.2)
    assert one.state["tail"] == "two"
    assert (bench.script.asked("/mid/y"), bench.script.asked("/tail/2")) == (1, 1)


async def test_a_dependent_runs_as_soon_as_what_it_names_has_data() -> None:
    """It had failed for want of it."""
    calls = {"head": "/head", "tail": {"path": "/tail", "query": {"q": "{head.q}"}, "every": "1h"}, "other": "/other"}
    bench = Bench({"calls": calls, "live": LIVE}, Script({"/head": status(500), "/tail": "there"}))
    one = Subscriber(Hub(bench.runtime), bench)
    await passes(0.1)
    assert one.sources["tail"] == "failed"
    bench.script.answers["/head"] = {"q": None}
    await passes(1.2)
    assert one.state["tail"] == "there"


async def test_a_call_has_an_interval_of_its_own() -> None:
    """`every` of a call goes before the endpoint's; a slow call is not run twice at once."""
    bench = Bench({"calls": {"quick": "/quick", "lazy": {"path": "/lazy", "every": "10s"}, "slow": "/slow"}, "live": LIVE, "deadline": "9s"},
                  Script(delays={"/slow": 3.0}))  # fmt: skip
    Subscriber(Hub(bench.runtime), bench)
    await passes(103)
    assert 90 <= bench.script.asked("/quick") <= 113
    assert 9 <= bench.script.asked("/lazy") <= 12
    assert 30 <= bench.script.asked("/slow") <= 34
    assert bench.script.peak <= 3


async def test_an_answer_without_fixed_keys_comes_whole() -> None:
    """Absent from an update where it did not change."""
    bench, hub, answers = live({"v": [1]}, response="{v}")
    one = Subscriber(hub, bench)
    await passes(0.1)
    assert one.of(Complete)[0].data.value == [1]
    answers["/v"] = {"a": 1}
    await passes(2)
    answers["/v"] = status(500)
    await passes(2)
    assert [u.whole.value if u.whole else None for u in one.of(Update)] == [{"a": 1}, None]
    assert one.state == {"a": 1}


async def test_min_interval_spaces_updates_and_counts_what_it_merged() -> None:
    """The newest state wins."""
    bench, hub, answers = live({"v": 0}, live={"every": "100ms"})
    one = Subscriber(hub, bench, min_interval=1.0)
    for n in range(50):
        answers["/v"] = n
        await passes(0.1)
    await passes(2)
    updates = one.of(Update)
    assert 4 <= len(updates) <= 6
    assert sum(u.conflated for u in updates) + len(updates) == updates[-1].offset - one.of(Complete)[0].offset
    assert one.state == {"v": 49}


async def test_a_failure_of_the_first_answer_is_told_and_not_remembered() -> None:
    """`failed` before any part, `complete` with its reason after one."""
    bench, hub, answers = live({"v": status(500)})
    one = Subscriber(hub, bench)
    await passes(0.1)
    assert isinstance(one.end, Failed)
    answers["/v"] = 1
    two = Subscriber(hub, bench)
    await passes(0.1)
    assert two.state == {"v": 1}
    must = {"quick": "/quick", "pause": "/pause", "must": {"path": "/must", "required": True, "after": ["pause"]}}
    late = Bench({"calls": must, "live": LIVE}, Script({"/must": status(500)}, {"/pause": 0.5}))
    three = Subscriber(Hub(late.runtime), late)
    await passes(1)
    (complete,) = three.of(Complete)
    assert (complete.live, complete.complete, complete.failed is not None) == (False, False, True)
    assert [part.name for part in three.of(Part)] == ["quick", "pause"]


async def test_a_resume_sends_exactly_what_changed() -> None:
    """From a live topic, from one that rests, and not from another epoch or the future."""
    bench, hub, answers = live({"a": 1, "b": 1, "c": 1})
    stays, first = Subscriber(hub, bench), Subscriber(hub, bench)
    await passes(0.1)
    first.leave()
    answers["/b"] = 2
    await passes(2)
    second = Subscriber(hub, bench, resume=first.position)
    await passes(0.01)
    assert second.subscription.recovered is True
    assert [part.name for part in second.of(Part)] == ["b"]
    second.leave()
    stays.leave()
    await passes(30)
    answers["/c"] = 2
    third = Subscriber(hub, bench, resume=second.position)
    await passes(0.1)
    assert third.subscription.recovered is True
    assert [part.name for part in third.of(Part)] == ["c"]
    assert third.phase == "live"
    for position in (Position("other", 1), Position(third.subscription.epoch, 999)):
        fresh = Subscriber(hub, bench, resume=position)
        await passes(0.01)
        assert fresh.subscription.recovered is False
        assert fresh.state == {"a": 1, "b": 2, "c": 2}


async def test_a_topic_that_rests_keeps_data_of_calls_that_fail_on_return() -> None:
    """They are stale, required ones too."""
    bench, hub, answers = live({"a": 1, "b": 1}, {"a": {"path": "/a", "required": True}, "b": "/b"})
    first = Subscriber(hub, bench)
    await passes(0.1)
    first.leave()
    await passes(30)
    answers["/a"] = status(500)
    second = Subscriber(hub, bench, resume=first.position)
    await passes(0.1)
    assert second.phase == "live"
    assert second.sources["a"] == "stale"


async def test_clients_that_come_and_go_rebuild_exactly_the_state() -> None:
    """Over random changes, losses and resumes, nobody sees a gap and everybody ends with the same."""
    bench, hub, answers = live(dict.fromkeys("abcd", 0), live={"every": "200ms"})
    dice = random.Random(11)
    clients = [Subscriber(hub, bench) for _ in range(10)]
    for n in range(300):
        answers[f"/{dice.choice('abcd')}"] = dice.choice([n, n, status(500)])
        await passes(dice.random() * 0.1)
        at = dice.randrange(10)
        if dice.random() < 0.2 and clients[at].phase == "live":
            old = clients[at]
            old.leave()
            clients[at] = new = Subscriber(hub, bench, resume=old.position, min_interval=dice.choice([0, 0, 1.5]))
            assert new.subscription.recovered is True
            new.state = dict(old.state)
    answers.update({f"/{name}": n for n, name in enumerate("abcd", 1000)})
    await passes(5)
    assert [one.state for one in clients] == [dict(zip("abcd", itertools.count(1000), strict=False))] * 10
    assert not bench.faults
