"""Who is served next."""

from __future__ import annotations

from app.policies.line import Line


def test_in_order_while_the_line_moves() -> None:
    """First come, first served."""
    line: Line[str] = Line()
    for number, who in enumerate("abc"):
        line.join(who, 1000 + number / 100)
    assert [line.serve(1000.09), line.serve(1000.09), line.serve(1000.09), line.serve(1000.09)] == ["a", "b", "c", None]


def test_newest_first_once_the_oldest_has_waited_a_tenth_of_a_second() -> None:
    """Those who have all their time left are served; in order again when the line has emptied."""
    line: Line[str] = Line()
    for number, who in enumerate("abc"):
        line.join(who, 1000 + number / 100)
    assert line.serve(1000.1) == "c"
    first = line.join("d", 1000.11)
    assert line.serve(1000.12) == "d"
    line.leave(first)
    assert line.serve(1000.12) == "b"
    assert line.serve(1000.12) == "a"
    line.join("e", 1001)
    line.join("f", 1001)
    assert line.serve(1001) == "e"


def test_who_leaves_is_not_served() -> None:
    """From anywhere in the line."""
    line: Line[str] = Line()
    places = [line.join(who, 1000) for who in "abc"]
    line.leave(places[1])
    line.leave(places[1])
    assert [line.serve(1000) for _ in range(3)] == ["a", "c", None]
