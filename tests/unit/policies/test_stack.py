"""THE order, and what is in a stack."""

from __future__ import annotations

from typing import Any

import pytest

from app.policies.stack import ORDER
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual
EVERYTHING: dict[str, Any] = {
    "retry": {"attempts": 3, "backoff": "100ms", "max_backoff": "150ms"}, "hedge": {"after": "80ms"}, "timeout": "400ms",
    "cache": {"stale_while_revalidate": "5s", "stale_if_error": "10m"}, "fallback": None,
}  # fmt: skip
UPSTREAM: dict[str, Any] = {
    "url": None, "urls": ["http://a.test", "http://b.test"], "breaker": {}, "rate": {"rate": "200/s", "wait": "50ms"}, "concurrency": {},
    "auth": {"bearer": "s3cret"},
}  # fmt: skip


def full() -> Rig:
    return Rig([(0, "good")], upstream=UPSTREAM, credentials=lambda send: send, **EVERYTHING)


async def test_a_full_stack_has_every_policy_in_the_order() -> None:
    """Outermost first, as `ORDER` lists them."""
    rig = full()
    assert rig.stack.names == tuple(ORDER)
    assert [name for name in ORDER if name != "balance"] == (
        "observe fallback cache deadline coalesce retry hedge breaker rate timeout concurrency credentials transport".split()
    )
    assert all(ORDER.values())
    assert await rig.outcome() == "good"


async def test_what_is_not_configured_is_not_there() -> None:
    """A plain GET is watched, has a deadline, and is coalesced."""
    assert Rig([(0, 1)]).stack.names == ("observe", "deadline", "coalesce", "transport")
    assert Rig([(0, 1)], method="POST").stack.names == ("observe", "deadline", "transport")
    assert Rig([(0, 1)], method="POST", retry={}, hedge={"after": "1s"}).stack.names == ("observe", "deadline", "transport")
    assert "retry" not in Rig([(0, 1)], retry={"attempts": 1}).stack.names


async def test_it_prints_a_line_a_layer_and_no_secret() -> None:
    """What `merganser plan` shows."""
    lines = repr(full().stack).splitlines()
    assert len(lines) == len(ORDER)
    assert lines[2] == "cache       fresh 30s, then old data 5s while it is refreshed, 10m when the call fails"
    assert lines[5] == "retry       3 attempts on connect timeout 502 503 504; 100ms to 150ms, full jitter; budget 20%"
    assert lines[8] == "breaker     opens at 50% failures of 20 or more in 10s; for 5s, doubling to 1m"
    assert lines[11] == "concurrency 100 at once; 100 more wait what the timeout leaves"
    assert "s3cret" not in repr(full().stack)


@pytest.mark.parametrize(
    ("policies", "seconds"),
    [
        ({}, 2.0),
        ({"timeout": "400ms"}, 0.4),
        ({"timeout": "5s"}, 2.0),
        ({"timeout": "400ms", "retry": {"attempts": 3, "backoff": "100ms", "max_backoff": "150ms"}}, 1.45),
        ({"timeout": "1ms", "retry": {"attempts": 6, "backoff": "10ms", "max_backoff": "80ms"}}, 0.236),
        ({"timeout": "100ms", "retry": {"attempts": 3, "backoff": "2s", "max_backoff": "50ms"}}, 0.4),
        ({"timeout": "1ms", "retry": {"attempts": 1100}}, 2.0),
        ({"timeout": "1ms", "retry": {"attempts": 1100, "backoff": 0}}, 1.1),
        ({"timeout": "100ms", "retry": {}}, 0.225),
        ({"timeout": "100ms", "retry": {}, "method": "POST"}, 0.1),
        ({"timeout": "100ms", "retry": {"unsafe": True, "backoff": 0}, "method": "CALL", "path": None}, 0.2),
        ({"retry": {"attempts": 3}}, 2.0),
        ({"timeout": "500ms", "hedge": {"after": "400ms"}}, 0.9),
        ({"timeout": "500ms", "hedge": {"after": "600ms"}}, 0.5),
        ({"timeout": "500ms", "hedge": {"after": "p95"}}, 1.0),
        ({"timeout": "100ms", "hedge": {"after": "50ms"}, "retry": {"backoff": 0}}, 0.3),
        ({"timeout": "100ms", "upstream": {"rate": {"rate": "1/s", "wait": "50ms"}}}, 0.15),
        ({"timeout": "30ms", "each": "items", "max_items": 21, "concurrency": 4}, 0.18),
        ({"timeout": "30ms", "each": "items"}, 0.3),
    ],
)
async def test_the_worst_case_is_every_attempt_hedge_pause_and_item(policies: dict[str, Any], seconds: float) -> None:
    """Never over the deadline."""
    assert Rig([(0, 1)], **policies).stack.worst_case(2.0) == pytest.approx(seconds)


@pytest.mark.parametrize("policies", [
    {"timeout": "500ms", "hedge": {"after": "400ms"}},
    {"timeout": "500ms", "hedge": {"after": "500ms"}},
    {"timeout": "500ms", "hedge": {"after": "400ms"}, "retry": {"attempts": 4, "backoff": "100ms"}},
])  # fmt: skip
async def test_no_call_takes_longer_than_its_worst_case(policies: dict[str, Any]) -> None:
    """However long the upstream hangs."""
    rig = Rig([(99.0, 1)], **policies)
    began = rig.now()
    assert await rig.outcome() == "timeout"
    assert rig.now() - began <= rig.stack.worst_case(10.0) + 1e-9


async def test_a_state_prints_itself_and_gives_its_figures() -> None:
    """One line for people, a snapshot for the console and the metrics."""
    rig = full()
    await rig.outcome()
    await rig.outcome()
    assert rig.state.snapshot() == {
        "state": "up", "in_flight": 0, "queued": 0, "limit": 100,
        "breakers": {"http://a.test": "closed", "http://b.test": "closed"},
        "cache": {"hit": 1, "miss": 1, "stale": 0, "coalesced": 0},
        "latency_ms": {"p50": None, "p95": None, "p99": None},
    }  # fmt: skip
    assert repr(rig.state).startswith("<UpstreamState u up, 0 in flight <Slots 0 of 100 taken, 0 wait> <Circuit closed")
    assert "\n" not in repr(rig.state)
