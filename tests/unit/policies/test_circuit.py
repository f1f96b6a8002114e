"""The circuit breaker's decisions."""

from __future__ import annotations

from random import Random

import pytest

from app.catalog.schema_policies import Breaker
from app.policies.circuit import Circuit


def circuit(**spec: object) -> Circuit:
    return Circuit(Breaker.model_validate({"minimum": 10, **spec}), Random(1))


def fail(breaker: Circuit, times: int, now: float) -> None:
    for _ in range(times):
        ticket = breaker.admit(now)
        assert ticket is not None
        breaker.bad(ticket, now)


def test_it_opens_at_its_rate_of_its_minimum() -> None:
    """Nine failures prove nothing, the tenth opens it."""
    breaker = circuit()
    fail(breaker, 9, 1000)
    assert breaker.state == "closed"
    fail(breaker, 1, 1000)
    assert breaker.state == "open"
    assert breaker.admit(1000) is None


def test_below_the_rate_it_stays_closed() -> None:
    """40 % failures do not open a circuit of 50 %; half of them does."""
    breaker = circuit()
    for number in range(100):
        ticket = breaker.admit(1000)
        assert ticket is not None
        (breaker.bad if number % 5 in (1, 3) else breaker.good)(ticket, 1000)
    assert breaker.state == "closed"
    breaker = circuit()
    for number in range(10):
        ticket = breaker.admit(1000)
        assert ticket is not None
        (breaker.bad if number % 2 else breaker.good)(ticket, 1000)
    assert breaker.state == "open"


def test_old_failures_are_forgotten() -> None:
    """What is older than the window does not count."""
    breaker = circuit()
    fail(breaker, 9, 1000)
    fail(breaker, 1, 1011)
    assert breaker.state == "closed"


def test_exactly_one_probe_goes_through() -> None:
    """After the pause the first to ask is the probe; the others are refused until its verdict."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    assert breaker.admit(1004.9) is None
    probe = breaker.admit(1005.6)
    assert probe is not None
    assert [breaker.admit(1006) for _ in range(50)] == [None] * 50
    breaker.good(probe, 1007)
    assert breaker.state == "closed"
    assert breaker.admit(1007) is not None


def test_a_closed_again_circuit_starts_from_nothing() -> None:
    """The failures from before the pause are forgotten."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    probe = breaker.admit(1006)
    assert probe is not None
    breaker.good(probe, 1006)
    fail(breaker, 9, 1006)
    assert breaker.state == "closed"


def test_the_pause_doubles_up_to_a_minute_while_probes_fail() -> None:
    """5, 10, 20, 40, 60, 60 seconds, each up to a tenth longer but never over the minute; a good probe starts over."""
    breaker, now, pauses = circuit(), 1000.0, []
    fail(breaker, 10, now)
    for _ in range(6):
        pauses.append(breaker.until - now)
        now = breaker.until
        fail(breaker, 1, now)
    for pause, least in zip(pauses, (5, 10, 20, 40, 60, 60), strict=True):
        assert least <= pause <= min(60, least * 1.1)
    now = breaker.until
    probe = breaker.admit(now)
    assert probe is not None
    breaker.good(probe, now)
    fail(breaker, 10, now)
    assert 5 <= breaker.until - now <= 5.5


def test_a_cancelled_probe_gives_its_place_back() -> None:
    """The next to ask probes at once, and the pause is not doubled."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    probe = breaker.admit(1006)
    assert probe is not None
    breaker.give_back(probe, 1006.5)
    second = breaker.admit(1006.5)
    assert second is not None
    breaker.bad(second, 1007)
    assert 10 <= breaker.until - 1007 <= 11


@pytest.mark.parametrize("verdict", ["good", "bad", "give_back"])
def test_an_attempt_from_before_the_pause_decides_nothing(verdict: str) -> None:
    """Whoever began before the circuit opened says nothing about the probe."""
    breaker = circuit()
    late = breaker.admit(999)
    assert late is not None
    fail(breaker, 10, 1000)
    getattr(breaker, verdict)(late, 1001)
    assert breaker.state == "open"
    probe = breaker.admit(1006)
    getattr(breaker, verdict)(late, 1006)
    assert breaker.state == "half_open"
    assert probe is not None


def test_what_says_nothing_neither_opens_nor_hides() -> None:
    """A place given back is no success."""
    breaker = circuit()
    for _ in range(9):
        fail(breaker, 1, 1000)
        for _ in range(20):
            ticket = breaker.admit(1000)
            assert ticket is not None
            breaker.give_back(ticket, 1000)
    fail(breaker, 1, 1000)
    assert breaker.state == "open"


def test_what_broke_off_was_bad_and_not_good_as_well() -> None:
    """Its head counted as good; that is taken back, if the window still holds it."""
    breaker = circuit(failures="80%", minimum=4, window="10s")
    ticket = breaker.admit(1000)
    assert ticket is not None
    for _ in range(3):
        breaker.good(ticket, 1000)
        breaker.broke(ticket, 1000, 1001)
    assert repr(breaker).startswith("<Circuit closed 3 bad, 0 good")
    breaker.good(ticket, 1005)
    breaker.broke(ticket, 990, 1005)
    assert repr(breaker).startswith("<Circuit open 4 bad, 1 good")


def test_a_probe_that_breaks_off_has_failed() -> None:
    """It closed the circuit with its head; the pause doubles as if it had not."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    probe = breaker.admit(1006)
    assert probe is not None
    breaker.good(probe, 1006)
    assert breaker.state == "closed"
    breaker.broke(probe, 1006, 1007)
    assert breaker.state == "open"
    assert 10 <= breaker.until - 1007 <= 11


@pytest.mark.parametrize(("is_asked", "later"), [(True, 1007), (False, 1017)])
def test_a_probe_that_breaks_off_late_is_one_failure_among_others(is_asked: bool, later: float) -> None:
    """Others were good since, or it went on for longer than the window."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    probe = breaker.admit(1006)
    assert probe is not None
    breaker.good(probe, 1006)
    ticket = breaker.admit(1006)
    assert ticket is not None
    if is_asked:
        breaker.good(ticket, 1006)
    breaker.broke(probe, 1006, later)
    assert repr(breaker).startswith("<Circuit closed 1 bad")


def test_what_began_before_the_pause_and_breaks_off_after_it_decides_nothing() -> None:
    """Neither while the circuit is open, nor when it is closed again."""
    breaker = circuit()
    ticket = breaker.admit(999)
    assert ticket is not None
    breaker.good(ticket, 999)
    fail(breaker, 9, 1000)
    breaker.broke(ticket, 999, 1001)
    assert breaker.state == "open"
    probe = breaker.admit(1006)
    assert probe is not None
    breaker.good(probe, 1006)
    breaker.broke(ticket, 999, 1007)
    assert repr(breaker).startswith("<Circuit closed 0 bad")


def test_retry_after_is_the_rest_of_the_pause() -> None:
    """And a second while a probe is out."""
    breaker = circuit()
    fail(breaker, 10, 1000)
    assert 0.9 < breaker.retry_after(1004) < 1.6
    breaker.admit(1006)
    assert breaker.retry_after(1006) == 1.0


def test_it_prints_itself_in_one_line() -> None:
    """State is read in logs."""
    breaker = circuit()
    fail(breaker, 3, 1000)
    assert repr(breaker) == "<Circuit closed 3 bad, 0 good, pause 5 s>"
