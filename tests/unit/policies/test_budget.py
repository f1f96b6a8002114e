"""The budget of extra requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.policies.budget import Budget
from app.policies.rolling import Rolling


def test_a_quiet_upstream_has_thirty_in_ten_seconds() -> None:
    """3 a second, 30 in the window, however few the calls and however small the share."""
    budget = Budget()
    budget.count(1000.0)
    assert sum(budget.take(1000.0, 0.01) for _ in range(100)) == 30
    assert not budget.take(1009.9, 0.01)
    assert sum(budget.take(1011.0, 0.01) for _ in range(100)) == 30


def test_a_busy_upstream_has_its_share() -> None:
    """20 % of a thousand calls are two hundred."""
    budget = Budget()
    for _ in range(1000):
        budget.count(1000.0)
    assert sum(budget.take(1000.0, 0.2) for _ in range(1000)) == 200


def test_calls_of_long_ago_allow_nothing() -> None:
    """Only the calls of the last ten seconds count."""
    budget = Budget()
    for _ in range(1000):
        budget.count(1000.0)
    assert sum(budget.take(1020.0, 0.2) for _ in range(1000)) == 30


@given(st.lists(st.floats(0, 1), min_size=50, max_size=400), st.sampled_from([0.05, 0.2, 1.0]))
def test_no_window_of_ten_seconds_ever_holds_too_much(steps: list[float], share: float) -> None:
    """Whatever the arrivals: extra requests are at most the share of the calls of that window and what came just before it, or 30."""
    budget, now, calls, extra = Budget(), 1000.0, [], []
    for step in steps:
        now += step
        budget.count(now)
        calls.append(now)
        if budget.take(now, share):
            extra.append(now)
    for end in extra:
        spent = sum(end - 10 < at <= end for at in extra)
        assert spent <= max(30, share * sum(end - 10.5 < at <= end for at in calls) + 1)


@given(st.lists(st.floats(0, 3), max_size=100))
def test_a_rolling_count_is_that_of_its_span_to_one_step(steps: list[float]) -> None:
    """It never forgets what is younger than the span less a step, nor keeps what is older than the span."""
    rolling, now, times = Rolling(10.0, 10), 500.0, []
    for step in steps:
        now += step
        rolling.add(now)
        times.append(now)
        assert sum(now - at < 9.0 for at in times) <= rolling.count(now) <= sum(now - at < 10.0 + 1e-6 for at in times)
