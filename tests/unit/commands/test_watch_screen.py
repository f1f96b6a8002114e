"""The table of `watch` on a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from app.commands.watch import Screen, drawn, gathered, plain
from app.watch import Watch


def text_of(renderable: Any) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Madrid", ["Madrid"]),
        (None, []),
        (3.5, ["3.5"]),
        ({"sets": "17:51", "is_up": True}, ["sets", "17:51", "is_up", "true"]),
        ([{"to": "WAW", "gate": None}, {"to": "[b]GVA[/b]"}], ["to", "gate", "WAW", "[b]GVA[/b]"]),
        ([1, {"a": []}], ["[1,", '{"a":', "[]}]"]),
        ([], ["[]"]),
        ([{"[/x]": 1, "[red]y": 2}], ["[/x]", "[red]y", "1", "2"]),
        ("red\x1b[31mX\x1b]0;title\x07", ["red\ufffd[31mX\ufffd]0;title\ufffd"]),
        ({"k\x1b[5m": "\x9b5m"}, ["k\ufffd[5m", "\ufffd5m"]),
        ([{"k\x1b[5m": "\x9b5m\r"}], ["k\ufffd[5m", "\ufffd5m\ufffd"]),
        ([["\x9b5m"], "\x7f"], ['[["\ufffd5m"],', '"\ufffd"]']),
        ("two\nlines\tand a tab", ["two", "lines", "and", "a", "tab"]),
    ],
)
def test_values_are_written_for_people(value: Any, words: list[str]) -> None:
    """Lists of flat objects as tables; keys and texts of an upstream are no markup, and nothing in them steers the terminal."""
    assert text_of(drawn(value)).split() == words


def test_the_table_shows_what_has_come() -> None:
    """Parts, whether all is there, and what the connection does."""
    one = Watch("http://h", "trip", {}, lambda message: None)
    screen = Screen(one)
    assert "connecting" in text_of(screen.table())
    for message in (
        {"type": "subscribed", "payload": {"recovered": None, "epoch": "e", "offset": 0, "parts": ["city"], "live": True}},
        {"type": "part", "offset": 1, "part": "city", "data": "Madrid", "sources": {"place": {"status": "ok"}}},
        {"type": "complete", "offset": 1, "live": True, "complete": True, "sources": {"place": {"status": "ok"}}},
    ):
        assert one.watched.take(message)
        screen.told(message)
    screen.told({"type": "status", "status": "connected"})
    shown = text_of(screen.table())
    assert all(word in shown for word in ("trip", "connected", "complete", "offset 1", "city", "Madrid", "place"))


@pytest.mark.parametrize("part", ["[/x]", "k\x1b[5m"])
def test_the_names_of_parts_and_what_the_server_says_are_no_markup(part: str) -> None:
    """The keys of a merged answer are an upstream's own."""
    one = Watch("http://h", "trip", {}, lambda message: None)
    screen = Screen(one)
    for message in (
        {"type": "subscribed", "payload": {"recovered": None, "epoch": "e", "offset": 0, "parts": [], "live": True}},
        {"type": "complete", "offset": 1, "live": True, "complete": True, "sources": {part: {"status": "ok"}}, "data": {part: 1}},
    ):
        assert one.watched.take(message)
        screen.told(message)
    screen.told({"type": "status", "status": "reconnecting", "detail": part})
    assert text_of(screen.table()).count(plain(part)) == 3


def test_the_table_says_what_has_failed_until_something_comes() -> None:
    """A subscription that is asked for again stands over a connection that was never lost: no `connected` ends it."""
    screen = Screen(Watch("http://h", "trip", {}, lambda message: None))
    screen.told({"type": "status", "status": "subscribing again", "detail": "failed: no."})
    screen.told({"type": "subscribed", "payload": {}})
    assert "failed: no.; subscribing again" in text_of(screen.table())
    screen.told({"type": "part", "part": "city", "data": 1})
    assert "connected" in text_of(screen.table())


def test_a_name_that_comes_twice_has_a_list() -> None:
    """As `call` takes it."""
    assert gathered((("stops", "LIS"), ("stops", "KEF"), ("n", "1"))) == {"stops": ["LIS", "KEF"], "n": "1"}
