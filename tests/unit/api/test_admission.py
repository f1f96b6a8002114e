"""How many requests are let in, and how that gives way while the loop lags."""

from __future__ import annotations

from app.api.admission import FLOOR, LATE, Admission


def lag(admission: Admission, seconds: float, late: float, start: float = 0.0) -> float:
    """So many seconds of samples, ten a second."""
    for i in range(int(seconds * 10)):
        admission.tick(start + i / 10, late)
    return start + seconds


def full(most: int = 1000, in_flight: int = 500) -> Admission:
    """With so many in flight."""
    admission = Admission(most)
    assert all(admission.enter() for _ in range(in_flight))
    return admission


def test_over_the_bound_nobody_is_let_in() -> None:
    """Until a place is given back."""
    admission = Admission(2)
    assert [admission.enter() for _ in range(3)] == [True, True, False]
    assert admission.is_full
    admission.leave()
    assert admission.enter()
    assert admission.snapshot() == {"in_flight": 2, "limit": 2, "shed_total": 1}


def test_a_burst_of_lag_changes_nothing() -> None:
    """Only what lasts is overload."""
    admission = full()
    now = lag(admission, 0.9, 0.5)
    now = lag(admission, 0.1, 0.0, now)
    lag(admission, 0.9, 0.5, now)
    assert admission.limit == 1000


def test_lag_that_lasts_lets_fewer_in() -> None:
    """Down from what is in flight, never under the floor."""
    admission = full()
    now = lag(admission, 1.5, 2 * LATE)
    assert 200 < admission.limit < 500
    lag(admission, 20, 2 * LATE, now)
    assert admission.limit == FLOOR


def test_a_loop_on_time_lets_more_in_again() -> None:
    """Back to the whole bound within seconds."""
    admission = full()
    now = lag(admission, 20, 2 * LATE)
    now = lag(admission, 3, 0.0, now)
    assert admission.limit > 3 * FLOOR
    lag(admission, 8, 0.0, now)
    assert admission.limit == 1000


def test_a_small_bound_is_its_own_floor() -> None:
    """`MERGANSER_MAX_IN_FLIGHT=4` never means more."""
    admission = full(4, 4)
    lag(admission, 20, 1.0)
    assert admission.limit == 4
