"""The token bucket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.catalog.schema import Limit
from app.catalog.schema_policies import Rate
from app.policies.bucket import Bucket, burst_of


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    """Ten at once, then one each tenth of a second."""
    bucket = Bucket(10, 10)
    delays = [bucket.reserve(1000.0, 5) for _ in range(13)]
    assert delays[:10] == [0.0] * 10
    assert [round(d or 0, 6) for d in delays[10:]] == [0.1, 0.2, 0.3]


def test_a_burst_is_a_seconds_worth_unless_said() -> None:
    """For the rate of an upstream and the limit of a client alike; at least one."""
    for made in (Rate, Limit):
        assert [burst_of(made(rate=rate)) for rate in ("10/s", "150/m", "6/m")] == [10, 3, 1]
        assert burst_of(made(rate="10/s", burst=2)) == 2


def test_who_would_wait_too_long_takes_nothing() -> None:
    """A refusal costs no token."""
    bucket = Bucket(10, 1)
    assert bucket.reserve(1000.0, 0) == 0.0
    assert [bucket.reserve(1000.0, 0.05) for _ in range(5)] == [None] * 5
    assert round(bucket.delay(1000.0), 6) == 0.1
    assert bucket.reserve(1000.1, 0) == 0.0


def test_a_turn_given_back_is_anothers() -> None:
    """Who leaves while waiting frees the turn."""
    bucket = Bucket(10, 1)
    bucket.reserve(1000.0, 1)
    assert bucket.reserve(1000.0, 1) is not None
    bucket.give_back()
    assert round(bucket.reserve(1000.0, 1) or 0, 6) == 0.1


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 2)), min_size=1, max_size=200), st.integers(1, 20), st.floats(1, 50))
def test_no_second_ever_holds_more_than_burst_and_rate(steps: list[tuple[float, float]], burst: int, rate: float) -> None:
    """Whatever the arrivals and the patience: within any t seconds at most burst + rate * t go."""
    bucket, now, went = Bucket(rate, burst), 1000.0, []
    for step, patience in steps:
        now += step
        delay = bucket.reserve(now, patience)
        if delay is not None:
            assert delay <= patience + 1e-6
            went.append(now + delay)
    went.sort()
    for first in range(len(went)):
        for last in range(first, len(went)):
            assert last - first + 1 <= burst + rate * (went[last] - went[first]) + 1e-3
