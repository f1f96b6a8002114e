"""What waits on a connection: order, turns, bounds."""

from __future__ import annotations

import asyncio

from app.api.outbox import MAX_WAITING, Close, Outbox


def test_control_messages_go_first_and_in_order() -> None:
    """They answer what the client asked."""
    box: Outbox[str] = Outbox()
    box.ready("feed")
    box.put("1")
    box.put("2")
    assert [box.next() for _ in range(4)] == ["1", "2", "feed", None]


def test_subscriptions_take_turns_and_wait_once_each() -> None:
    """However often one has news."""
    box: Outbox[str] = Outbox()
    for name in ("a", "b", "a", "a"):
        box.ready(name)
    assert box.next() == "a"
    box.ready("a")
    assert [box.next(), box.next(), box.next()] == ["b", "a", None]


def test_a_close_lets_everything_go() -> None:
    """Nothing is sent behind it."""
    box: Outbox[str] = Outbox()
    box.put("1")
    box.ready("a")
    box.close(Close(4400, "no"))
    box.put("2")
    box.close(Close(1012, "other"))
    assert box.next() == Close(4400, "no")
    assert box.is_closing


async def test_what_waits_is_bounded() -> None:
    """At 1 MiB of control messages the reader waits for room, or for the end."""
    for makes_room in (Outbox.next, lambda b: b.close(Close(1012, ""))):
        box: Outbox[str] = Outbox()
        for _ in range(MAX_WAITING // 1024):
            box.put("x" * 1024)
        assert box.is_full
        asyncio.get_running_loop().call_soon(makes_room, box)
        await asyncio.wait_for(box.room(), 1)
        assert not box.is_full


async def test_the_writer_is_woken() -> None:
    """By a message, by a subscription, by the end."""
    for fill in (lambda b: b.put("x"), lambda b: b.ready("feed"), lambda b: b.close(Close(1012, ""))):
        box: Outbox[str] = Outbox()
        asyncio.get_running_loop().call_soon(fill, box)
        await asyncio.wait_for(box.wait(), 1)
        assert box.next() is not None
