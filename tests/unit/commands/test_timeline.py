"""The timeline of `call`."""

from __future__ import annotations

from app.commands.timeline import timeline
from app.core.answer import Answer
from app.core.errors import TimedOut
from app.core.outcome import Outcome


def test_calls_stand_where_they_ran() -> None:
    """In order of start; bars to scale; what became of each; the whole."""
    answer = Answer(
        {
            "late": Outcome("late", "failed", 10.5, 11.0, attempts=2, error=TimedOut()),
            "first": Outcome("first", "ok", 10.0, 10.5, attempts=1, cache="hit", http_status=200),
        },
        began=10.0,
    )
    first, late, whole = (line for line in timeline(answer, 100, is_plain=True))
    assert first.index("first") == 0
    assert "cache hit" in first
    assert "(timeout: no answer in time, attempts 2)" in late
    assert abs(first.count("#") - late.count("#")) <= 1
    assert late.index("#") > first.index("#")
    assert "1000.0 ms" in whole
    assert "partial" in whole


def test_nothing_at_all_is_a_line() -> None:
    """An answer that failed before any call has settled."""
    assert len(list(timeline(Answer({}, failed=True), 80))) == 1
