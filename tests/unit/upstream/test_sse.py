"""Reading server-sent events as the HTML standard says, in whatever pieces they come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import TooLarge
from app.upstream.sse import EventReader

STREAM = (
    "\ufeff: a comment\nretry: 1500\n\nevent: add\r\ndata: one\r\ndata:two\r\nid: 7\r\n\r\n"
    "data\n\ndata:\n\nid\ndata: é😀\rdata:  x\r\rfoo: bar\nid: 9\n\ndata: lost"
).encode()
EVENTS = [("add", "one\ntwo"), ("message", ""), ("message", ""), ("message", "é😀\n x")]


def read(chunks: list[bytes]) -> tuple[list[tuple[str, str]], EventReader]:
    reader = EventReader(10_000)
    return [(e.kind, e.data) for chunk in chunks for e in reader.feed(chunk)], reader


def test_events_have_type_data_and_id() -> None:
    """Comments and unknown fields are skipped, an incomplete event at the end is dropped, an id stands for what follows too."""
    events, reader = read([STREAM])
    assert events == EVENTS
    assert reader.retry == 1.5
    assert reader.last_id == "9"
    reader.restart()
    assert [e.data for e in reader.feed(b"data: new\n\n")] == ["new"]
    assert reader.last_id == "9"


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_makes_no_difference_where_the_pieces_are_cut(cuts: list[int]) -> None:
    """Not inside a line end, a character or a byte order mark either."""
    at = [0, *sorted(cuts), len(STREAM)]
    events, _ = read([STREAM[a:b] for a, b in itertools.pairwise(at)])
    assert events == EVENTS


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 2000, b"data: xxxxxxxxxxxx\n" * 200])
def test_an_event_has_a_bound(chunk: bytes) -> None:
    """One line or many."""
    reader = EventReader(1000)
    with pytest.raises(TooLarge):
        reader.feed(chunk)
