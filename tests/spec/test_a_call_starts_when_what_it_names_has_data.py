"""The promise: no stages; each call starts the moment the calls that it names have data."""

from __future__ import annotations

import pytest

from tests.fakes.plans import Bench, Script, kinds, status, statuses

pytestmark = pytest.mark.virtual_time


async def test_calls_that_name_no_other_start_at_once() -> None:
    """The answer takes the time of the slowest, not the sum."""
    bench = Bench({"calls": {"a": "/a", "b": "/b", "c": "/c"}}, Script(delays={"/a": 0.3, "/b": 0.2, "/c": 0.1}))
    answer = await bench.run()
    assert bench.runtime.now() - answer.began == pytest.approx(0.3)
    assert answer.complete
    assert {o.started for o in answer.outcomes.values()} == {answer.began}


async def test_chains_overlap() -> None:
    """A chain does not wait for the slowest call of another chain."""
    script = Script({"/a": {"n": "x"}, "/c": {"n": "y"}}, {"/a": 0.8, "/b/x": 0.1, "/c": 0.1, "/d/y": 0.8})
    bench = Bench({"calls": {"a": "/a", "b": "/b/{a.n}", "c": "/c", "d": "/d/{c.n}"}}, script)
    answer = await bench.run()
    assert bench.runtime.now() - answer.began == pytest.approx(0.9)


async def test_a_call_that_waits_counts_its_time_from_when_it_could_start() -> None:
    """`ms` leaves out the time of the calls before it."""
    bench = Bench({"calls": {"a": "/a", "b": {"path": "/b", "after": ["a"]}}}, Script(delays={"/a": 0.5, "/b": 0.1}))
    answer = await bench.run()
    assert answer.outcomes["b"].source()["ms"] == pytest.approx(100)


async def test_a_diamond_waits_for_both_sides_and_runs_its_end_once() -> None:
    """However many calls it is the follower of."""
    script = Script({"/a": {"n": 1}, "/b/1": {"n": 2}, "/c/1": {"n": 3}}, {"/b/1": 0.1, "/c/1": 0.1})
    bench = Bench({"calls": {"a": "/a", "b": "/b/{a.n}", "c": "/c/{a.n}", "d": "/d/{b.n}/{c.n}"}}, script)
    answer = await bench.run()
    assert statuses(answer) == dict.fromkeys("abcd", "ok")
    assert script.asked("/d/2/3") == 1


async def test_a_failed_call_fails_those_that_name_it_down_the_chain() -> None:
    """With `dependency`, and without asking; `roots` are the first causes."""
    bench = Bench({"calls": {"a": "/a", "b": "/b/{a.n}", "c": "/c/{b.n}", "d": "/d"}}, Script({"/a": status(500)}))
    answer = await bench.run()
    assert kinds(answer) == {"a": "status", "b": "dependency", "c": "dependency"}
    error = answer.outcomes["c"].error
    assert error is not None
    assert [root.type for root in error.roots] == ["status"]
    assert len(bench.script.calls) == 2


async def test_after_waits_for_a_failed_call_too() -> None:
    """Order alone: whatever became of it."""
    bench = Bench({"calls": {"a": "/a", "b": {"path": "/b", "after": ["a"]}}}, Script({"/a": status(500)}, {"/a": 0.2}))
    answer = await bench.run()
    assert statuses(answer) == {"a": "failed", "b": "ok"}


async def test_a_skipped_call_has_data() -> None:
    """null: those that name it run."""
    bench = Bench({"calls": {"a": {"path": "/a", "when": "`false`"}, "b": {"path": "/b", "query": {"q": "{a.n}", "k": "v"}}}})
    answer = await bench.run()
    assert statuses(answer) == {"a": "skipped", "b": "ok"}
    assert bench.script.asked("/b?k=v") == 1
    assert answer.complete


async def test_an_answer_that_has_passed_its_deadline_starts_no_further_call() -> None:
    """What could not begin in time is a timeout with no attempt."""
    bench = Bench({"deadline": "300ms", "calls": {"a": "/a", "b": {"path": "/b", "after": ["a"]}, "c": "/c"}}, Script(delays={"/a": 0.5, "/c": 0.1}))
    answer = await bench.run()
    assert kinds(answer) == {"a": "timeout", "b": "timeout"}
    assert answer.outcomes["b"].attempts == 0
    assert bench.runtime.now() - answer.began == pytest.approx(0.3, abs=0.01)
