"""What waits in idle sockets is seen before they are written to, by one system call for many."""

from __future__ import annotations

import socket
import time

import pytest

from app.upstream.lookout import FRESH, Lookout


class _Watched:
    """Two ends of a connection; ours is watched."""

    def __init__(self, lookout: Lookout) -> None:
        self.ours, self.theirs = socket.socketpair()
        lookout.watch(self.ours.fileno(), self)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.mark.parametrize("news", ["a byte", "an end"])
def test_a_byte_and_an_end_are_news_and_silence_is_none(news: str) -> None:
    """Whichever of the watched sockets it is."""
    lookout = Lookout()
    quiet, loud = _Watched(lookout), _Watched(lookout)
    emptied = time.monotonic()
    loud.theirs.send(b"x") if news == "a byte" else loud.theirs.close()
    assert lookout.has_news(loud.ours.fileno(), emptied)
    assert not lookout.has_news(quiet.ours.fileno(), emptied)
    quiet.close()
    loud.close()
    lookout.close()


def test_what_was_emptied_after_the_last_look_is_looked_at_again() -> None:
    """However fresh that look is: it says nothing about what came since."""
    lookout = Lookout()
    one = _Watched(lookout)
    assert not lookout.has_news(one.ours.fileno(), 0.0)
    one.theirs.send(b"x")
    assert lookout.has_news(one.ours.fileno(), time.monotonic())
    one.close()
    lookout.close()


def test_a_look_grows_old() -> None:
    """After half a millisecond."""
    lookout = Lookout()
    one = _Watched(lookout)
    looked = time.monotonic()
    assert not lookout.has_news(one.ours.fileno(), 0.0)
    one.theirs.send(b"x")
    while time.monotonic() < looked + 2 * FRESH:
        pass
    assert lookout.has_news(one.ours.fileno(), 0.0)
    one.close()
    lookout.close()


def test_the_number_of_a_closed_socket_may_be_anothers() -> None:
    """Who leaves late does not take the new one's watch away."""
    lookout = Lookout()
    old = _Watched(lookout)
    number = old.ours.fileno()
    old.close()
    new = _Watched(lookout)
    assert new.ours.fileno() == number
    lookout.leave(number, old)
    new.theirs.send(b"x")
    assert lookout.has_news(number, time.monotonic())
    lookout.leave(number, new)
    new.close()
    lookout.leave(number, new)
    lookout.close()
