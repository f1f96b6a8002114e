"""The table of `watch` on a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from app.commands.watch import Screen, drawn, gathered
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
    ],
)
def test_values_are_written_for_people(value: Any, words: list[str]) -> None:
    """Lists of flat objects as tables; texts of an upstream are no markup."""
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


def test_a_name_that_comes_twice_has_a_list() -> None:
    """As `call` takes it."""
    assert gathered((("stops", "LIS"), ("stops", "KEF"), ("n", "1"))) == {"stops": ["LIS", "KEF"], "n": "1"}
