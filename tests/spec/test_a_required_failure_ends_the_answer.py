"""The promise: a required failure ends the answer at once and the other calls are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.plans import Bench, Script, status, statuses

pytestmark = pytest.mark.virtual_time


async def test_the_others_are_cancelled_at_once() -> None:
    """Nobody waits for them, and only settled calls are told."""
    script = Script({"/a": status(500)}, {"/a": 0.1, "/slow": 5, "/quick": 0.05})
    bench = Bench({"deadline": "9s", "calls": {"a": {"path": "/a", "required": True}, "slow": "/slow", "quick": "/quick"}}, script)
    answer = await bench.run()
    assert bench.runtime.now() - answer.began == pytest.approx(0.1)
    assert answer.failed
    assert not answer.complete
    assert statuses(answer) == {"a": "failed", "quick": "ok"}
    assert script.cancelled == {"/slow": 1}


async def test_a_required_call_that_is_declared_last_ends_it_too() -> None:
    """Whichever task it runs in."""
    script = Script({"/z": status(500)}, {"/a": 5, "/z": 0.1})
    bench = Bench({"deadline": "9s", "calls": {"a": "/a", "z": {"path": "/z", "required": True}}}, script)
    answer = await bench.run()
    assert answer.failed
    assert script.cancelled == {"/a": 1}


async def test_two_required_failures_at_the_same_moment_are_one_failed_answer() -> None:
    """Both are told."""
    script = Script({"/a": status(500), "/b": status(500)}, {"/a": 0.1, "/b": 0.1})
    bench = Bench({"calls": {"a": {"path": "/a", "required": True}, "b": {"path": "/b", "required": True}}}, script)
    answer = await bench.run()
    assert answer.failed
    assert statuses(answer)["a"] == "failed"


async def test_the_only_call_is_required_unless_it_says_otherwise() -> None:
    """Or has a fallback."""
    assert Bench({"calls": {"a": "/a"}}).plan.steps[0].required
    assert not Bench({"calls": {"a": {"path": "/a", "required": False}}}).plan.steps[0].required
    assert not Bench({"calls": {"a": {"path": "/a", "fallback": None}}}).plan.steps[0].required
    assert not Bench({"calls": {"a": "/a", "b": "/b"}}).plan.steps[0].required


async def test_every_call_failing_fails_the_answer() -> None:
    """Skipped ones aside; one with a fallback has not failed."""
    script = Script({"/a": status(500), "/b": status(404)})
    calls = {"a": "/a", "b": "/b", "s": {"path": "/s", "when": "`false`"}}
    assert (await Bench({"calls": calls}, script).run()).failed
    rescued = await Bench({"calls": {**calls, "b": {"path": "/b", "fallback": None}}}, script).run()
    assert not rescued.failed
    assert statuses(rescued) == {"a": "failed", "b": "fallback", "s": "skipped"}


async def test_a_client_that_goes_away_cancels_every_call() -> None:
    """Cancellation of the run reaches each of them, and comes out."""
    script = Script(delays={"/a": 5, "/b": 5})
    bench = Bench({"deadline": "9s", "calls": {"a": "/a", "b": "/b"}}, script)
    task = asyncio.ensure_future(bench.run())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.cancelled == {"/a": 1, "/b": 1}
    assert script.open == 0
