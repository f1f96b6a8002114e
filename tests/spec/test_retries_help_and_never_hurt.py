"""Retries: what is retried, when, and how often at most."""

from __future__ import annotations

import itertools

import pytest

from app.core.errors import ConnectFailed, DecodeFailed, FunctionRaised, GraphqlFailed, InternalFailure, ProtocolFailed, StatusFailed, TlsFailed
from app.core.events import BudgetSpent, Retried
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
RETRY = {"attempts": 3, "backoff": "20ms", "budget": "100%"}


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [(503, 3), (502, 3), (504, 3), (500, 1), (429, 1), (404, 1), (ConnectFailed(), 3), (ProtocolFailed(), 1), (TlsFailed(), 1), (DecodeFailed(), 1)],
)
async def test_what_on_names_is_retried_and_nothing_else(failure: object, attempts: int) -> None:
    """By default: connect, timeout, 502, 503, 504."""
    rig = Rig([(0.01, failure)], retry=RETRY)
    call = rig.call()
    await rig.outcome(call)
    assert call.record.attempts == len(rig.wire) == attempts
    assert len(rig.told(Retried)) == attempts - 1


async def test_a_broken_answer_is_retried_where_on_says_so() -> None:
    """`protocol` and any status may be named; GraphQL errors and what cannot be decoded are final whatever `on` says."""
    rig = Rig([(0, ProtocolFailed()), (0, 429), (0, "fine")], retry={**RETRY, "on": ["protocol", 429, 200]})
    assert await rig.outcome() == "fine"
    rig = Rig([(0, GraphqlFailed())], retry={**RETRY, "on": [200]})
    assert await rig.outcome() == "status"
    assert len(rig.wire) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH", "CALL"])
async def test_what_may_not_be_repeated_is_not(method: str) -> None:
    """POST, PATCH and Python functions are retried only where `unsafe: true` says so."""
    rig = Rig([(0, 503)], method=method, retry=RETRY)
    await rig.outcome()
    assert len(rig.wire) == 1
    rig = Rig([(0, 503)], method=method, retry={**RETRY, "unsafe": True})
    await rig.outcome()
    assert len(rig.wire) == 3


async def test_a_function_that_raised_is_called_again_where_it_may_be() -> None:
    """`on` has no word for an exception; `unsafe: true` is the word. A fault of ours is final."""
    rig = Rig([(0, FunctionRaised()), (0, "fine")], method="CALL", retry={**RETRY, "unsafe": True})
    assert await rig.outcome() == "fine"
    rig = Rig([(0, FunctionRaised())], method="CALL", retry=RETRY)
    assert await rig.outcome() == "internal"
    rig = Rig([(0, InternalFailure())], retry=RETRY)
    assert await rig.outcome() == "internal"
    assert len(rig.wire) == 1


async def test_pauses_have_full_jitter_and_double_up_to_their_limit() -> None:
    """Each is anything between nothing and 100, 200, 250 ms."""
    longest = [0.0] * 3
    for _ in range(200):
        rig = Rig([(0, 503)], retry={"attempts": 4, "backoff": "100ms", "max_backoff": "250ms", "budget": "100%"})
        await rig.outcome()
        gaps = [b - a for a, b in itertools.pairwise(rig.wire.times)]
        longest = [max(pair) for pair in zip(longest, gaps, strict=True)]
    assert 0.09 < longest[0] <= 0.1
    assert 0.18 < longest[1] <= 0.2
    assert 0.22 < longest[2] <= 0.25


async def test_retry_after_is_obeyed() -> None:
    """The upstream's word counts over the backoff."""
    rig = Rig([(0, StatusFailed(503, retry_after=2.0)), (0, "fine")], retry=RETRY)
    assert await rig.outcome() == "fine"
    assert rig.wire.times[1] - rig.wire.times[0] >= 2


async def test_retry_after_past_the_deadline_means_no_retry() -> None:
    """The failure is answered at once."""
    rig = Rig([(0, StatusFailed(503, retry_after=20.0))], retry=RETRY)
    began = rig.now()
    assert await rig.outcome() == "status"
    assert rig.now() == began
    assert len(rig.wire) == 1


@pytest.mark.parametrize("coalesce", [True, False])
async def test_nothing_begins_past_the_deadline(coalesce: bool) -> None:
    """Neither in a flight nor without one."""
    rig = Rig([(0.03, 503)], coalesce=coalesce, retry={"attempts": 10, "backoff": "50ms", "budget": "100%"})
    began = rig.now()
    assert await rig.outcome(within=0.4) in ("status", "timeout")
    assert rig.now() - began <= 0.4 + 1e-6
    assert 2 < len(rig.wire) < 10
    assert max(rig.wire.times) < began + 0.4


async def test_each_attempt_has_a_timeout_of_its_own() -> None:
    """Three attempts of 200 ms each."""
    rig = Rig([(9, "late")], timeout="200ms", retry=RETRY)
    began = rig.now()
    assert await rig.outcome() == "timeout"
    assert len(rig.wire) == 3
    assert 0.6 <= rig.now() - began < 0.7


async def test_the_budget_is_the_upstreams() -> None:
    """All of its calls together have 30 retries in ten seconds, or their share."""
    rig = Rig([(0, 503)], coalesce=False, retry={"attempts": 3, "backoff": "1ms", "budget": "10%"})
    for _ in range(200):
        await rig.outcome()
    assert len(rig.wire) == 230
    assert {event.policy for event in rig.told(BudgetSpent)} == {"retry"}
    assert len(rig.told(BudgetSpent)) >= 170
