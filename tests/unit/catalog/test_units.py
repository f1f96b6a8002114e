"""Durations, sizes, rates and shares."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog import units


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("2s", 2), ("1m", 60), ("1h", 3600), ("1.5s", 1.5), (0, 0), ("0s", 0)])
def test_a_duration_is_a_number_and_its_unit(text: object, seconds: float) -> None:
    """`250ms 2s 1m 1h`; 0 may stand alone."""
    assert units.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "size"), [("64KiB", 65536), ("2MiB", 2 << 20), ("1GiB", 1 << 30), ("12B", 12), (12, 12), ("12", 12)])
def test_a_size_is_bytes_or_has_a_binary_unit(text: object, size: int) -> None:
    """`64KiB 2MiB`."""
    assert units.size(text) == size


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100), ("600/m", 10), ("3600/h", 1), ("0.5/s", 0.5)])
def test_a_rate_is_so_many_in_a_time(text: object, rate: float) -> None:
    """`100/s 600/m`."""
    assert units.per_second(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", [None, True, "", "1", 1, "s", "-1s", "1 s", "1S", "1d", "٣s", "1e3s", "9" * 400 + "s", [], {}])
def test_what_is_no_duration_is_refused_with_the_forms_that_are(text: object) -> None:
    """No bare numbers but 0, no signs, no spaces, ASCII digits."""
    with pytest.raises(units.UnitError, match="250ms, 2s, 1m or 1h"):
        units.seconds(text)


@pytest.mark.parametrize("parse", [units.size, units.per_second, units.share, units.positive_seconds, units.interval])
@given(text=st.none() | st.booleans() | st.text(max_size=8) | st.floats() | st.lists(st.integers(), max_size=2))
def test_any_value_is_read_or_refused(parse: Callable[[object], float], text: object) -> None:
    """A unit is a finite number, not negative, or a UnitError; nothing else."""
    try:
        found = parse(text)
    except units.UnitError:
        return
    assert 0 <= found < float("inf")


@pytest.mark.parametrize("text", ["0s", "99ms"])
def test_an_interval_is_at_least_100_ms(text: str) -> None:
    """Nothing runs again more often."""
    assert units.interval("100ms") == pytest.approx(0.1)
    with pytest.raises(units.UnitError, match="100ms"):
        units.interval(text)


@given(st.integers(min_value=1, max_value=10**7))
def test_durations_come_back_as_they_were_written(milliseconds: int) -> None:
    """Documents show defaults in the units of a catalog."""
    assert units.seconds(units.duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, rel=1e-4)


@given(st.integers(min_value=0, max_value=1 << 40))
def test_sizes_come_back_as_they_were_written(size: int) -> None:
    """Documents show defaults in the units of a catalog."""
    assert units.size(units.size_text(size)) == size
