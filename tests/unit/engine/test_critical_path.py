"""The chain of calls that an answer waited for, and what the others could have spared."""

from __future__ import annotations

from app.engine.critical_path import critical_path, slack
from tests.fakes.plans import Bench, Script, status
from tests.fakes.virtual_time import virtual

CALLS = {
    "a": "/a",
    "quick": {"path": "/quick", "query": {"x": "{a.target}"}},
    "slow": {"path": "/slow", "query": {"x": "{a.target}"}},
    "last": {"path": "/last", "after": ["quick", "slow"]},
    "alone": "/alone",
}
DELAYS = {"/a": 0.1, "/quick?x=%2Fa": 0.1, "/slow?x=%2Fa": 0.3, "/last": 0.1, "/alone": 0.2}


@virtual
async def test_the_chain_that_decided_and_the_slack_of_the_others() -> None:
    """Each call's time counts from when the last of those it waited for had ended."""
    bench = Bench({"calls": CALLS}, Script(delays=DELAYS))
    answer = await bench.run()
    assert critical_path(bench.plan, answer.outcomes) == ["a", "slow", "last"]
    spare = slack(bench.plan, answer.outcomes)
    assert {name: round(seconds, 3) for name, seconds in spare.items()} == {"a": 0.0, "quick": 0.2, "slow": 0.0, "last": 0.0, "alone": 0.3}


@virtual
async def test_of_an_answer_that_failed_it_is_the_way_to_the_failure() -> None:
    """What never settled is on no path."""
    calls = {"a": "/a", "b": {"path": "/b", "after": ["a"], "required": True}, "alone": "/alone"}
    bench = Bench({"calls": calls}, Script({"/b": status(500)}, {"/a": 0.1, "/alone": 1.0}))
    answer = await bench.run()
    assert critical_path(bench.plan, answer.outcomes) == ["a", "b"]
    assert critical_path(bench.plan, {}) == []
    assert slack(bench.plan, {}) == {}
