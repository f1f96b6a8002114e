"""Quantiles of the last minute."""

from __future__ import annotations

from random import Random

from app.policies.latency import Latency


def test_a_quantile_is_five_per_cent_off_at_most() -> None:
    """Of a thousand attempts."""
    latency, random = Latency(), Random(1)
    times = [random.lognormvariate(-3, 1) for _ in range(1000)]
    for seconds in times:
        latency.good(1000.0, seconds)
    for q in (0.5, 0.9, 0.95, 0.99):
        exact = sorted(times)[int(q * 1000) - 1]
        found = latency.quantile(1000.0, q)
        assert found is not None
        assert abs(found / exact - 1) < 0.06


def test_of_few_attempts_nothing_is_known() -> None:
    """Twenty at least."""
    latency = Latency()
    for _ in range(19):
        latency.good(1000.0, 0.1)
    assert latency.quantile(1000.0, 0.5) is None
    latency.good(1000.0, 0.1)
    assert latency.quantile(1001.1, 0.5) is not None


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    """Times, counts and the shortest alike."""
    latency = Latency()
    for _ in range(50):
        latency.good(1000.0, 0.01)
    for _ in range(50):
        latency.good(1055.0, 1.0)
    assert latency.shortest(1055.0) == 0.01
    assert latency.shortest(1070.0) == 1.0
    found = latency.quantile(1070.0, 0.05)
    assert found is not None
    assert found > 0.9


def test_failures_have_no_time_but_are_counted() -> None:
    """How fast a refusal comes says nothing about answers."""
    latency = Latency()
    latency.bad(1000.0)
    latency.cut(1000.0, 2.0)
    assert latency.lately(1000.0) == (0, 1)
    assert latency.shortest(1000.0) == 0.0


def test_a_clock_that_stands_still_breaks_nothing() -> None:
    """uvloop's clock counts milliseconds: many answers take no time."""
    latency = Latency()
    for _ in range(30):
        latency.good(1000.0, 0.0)
    found = latency.quantile(1000.0, 0.5)
    assert found is not None
    assert found < 0.0001


def test_the_last_minute_in_pieces_of_ten_seconds() -> None:
    """Oldest first, with attempts and quantiles however few they are; what is older than a minute is gone."""
    latency = Latency()
    latency.good(940.0, 9.0)
    latency.good(995.0, 0.1)
    latency.good(1003.0, 0.2)
    latency.good(1004.0, 0.4)
    latency.bad(1004.0)
    pieces = latency.slices(1005.0, 0.5, 0.95)
    assert [(at, attempts) for at, attempts, _ in pieces] == [(99, 1), (100, 3)]
    quantiles = [value for _, _, values in pieces for value in values if value is not None]
    assert all(abs(found / exact - 1) < 0.06 for found, exact in zip(quantiles, [0.1, 0.1, 0.2, 0.4], strict=True))
