"""The adaptive limit's decisions; how it behaves under load is simulated in tests/simulation."""

from __future__ import annotations

from app.policies.gradient import START, Gradient


def feed(gradient: Gradient, now: float, seconds: float, latency: float, in_flight: int | None = None) -> float:
    """Answers every 10 ms for so long; the time then."""
    end = now + seconds
    while now < end:
        gradient.sample(now, latency, gradient.limit if in_flight is None else in_flight)
        now += 0.01
    return now


def test_it_grows_while_answers_are_as_fast_as_ever() -> None:
    """Up to `most`, if the calls need it."""
    gradient = Gradient(60)
    assert gradient.limit == START
    feed(gradient, 1000, 30, 0.02)
    assert gradient.limit in (60, 45)


def test_it_does_not_grow_when_nobody_needs_it() -> None:
    """Two calls at once say nothing about sixty."""
    gradient = Gradient(60)
    feed(gradient, 1000, 30, 0.02, in_flight=2)
    assert gradient.limit <= START


def test_it_shrinks_when_answers_slow_down_and_comes_back() -> None:
    """Twice as slow as the best: about half, and less; never under one."""
    gradient = Gradient(100)
    now = feed(gradient, 1000, 3, 0.02)
    now = feed(gradient, now, 1, 0.2)
    assert gradient.limit < 10
    feed(gradient, now, 4, 0.02)
    assert gradient.limit > 10
    gradient = Gradient(1)
    feed(gradient, 1000, 5, 0.02)
    feed(gradient, 1005, 5, 9.0)
    assert gradient.limit == 1


def test_it_lowers_itself_for_a_moment_to_see_the_best_latency() -> None:
    """Now and then, to three quarters."""
    gradient, now, seen = Gradient(40), 1000.0, set()
    for _ in range(4000):
        gradient.sample(now, 0.02, gradient.limit)
        seen.add(gradient.limit)
        now += 0.01
    assert {40, 30} <= seen


def test_a_clock_that_stands_still_breaks_nothing() -> None:
    """Answers that took no time."""
    gradient = Gradient(40)
    feed(gradient, 1000, 5, 0.0)
    assert gradient.limit >= 20
    assert repr(gradient).startswith("<Gradient ")


def test_what_is_slow_for_one_call_alone_is_the_upstreams_own_pace() -> None:
    """No queue of ours can be in it: the way back begins within seconds, and is quick up to half of what the limit was."""
    gradient = Gradient(100)
    now = feed(gradient, 1000, 4, 0.02)
    high = gradient.limit
    now = feed(gradient, now, 3, 0.2)
    assert gradient.limit >= high / 2


def test_what_is_slow_for_one_of_several_is_not() -> None:
    """Calls from before the limit was one are still out: it waits for them."""
    gradient = Gradient(100)
    now = feed(gradient, 1000, 4, 0.02)
    now = feed(gradient, now, 3, 0.2, in_flight=9)
    assert gradient.limit <= 2
