"""The rules of one connection of `/ws`: time-outs, rates, ids, ends; every frame is held against the published models."""

from __future__ import annotations

import json
import random

import pytest

from app.core.errors import CallFailure, CircuitOpen, TimedOut
from app.core.events import RequestEnded
from tests.fakes.plans import Bench, Script, status
from tests.fakes.subscriber import passes
from tests.fakes.ws_client import Wire

pytestmark = pytest.mark.virtual_time


def wire(every: str = "1s", **keys: object) -> tuple[Wire, Bench]:
    bench = Bench({"calls": {"a": "/a", "b": "/b"}, "live": {"every": every}, **keys}, Script({"/a": 1, "/b": {"n": 1}}))
    return Wire(bench), bench


async def test_a_client_without_init_is_closed_after_10_seconds() -> None:
    """4408; one with it stays."""
    sockets, _ = wire()
    mute, other = sockets.open(), sockets.open().begin()
    await passes(9)
    assert mute.closed is None
    await passes(3)
    assert (mute.closed, other.closed) == (4408, None)


async def test_silence_is_broken_by_a_ping_every_25_seconds() -> None:
    """Updates are no silence."""
    sockets, bench = wire(every="10s")
    quiet, busy = sockets.open().begin(), sockets.open().begin().subscribe()
    for n in range(20):
        bench.script.answers["/a"] = n
        await passes(5)
    assert 3 <= len(quiet.of("ping")) <= 4
    assert busy.of("ping") == []


async def test_a_send_of_10_seconds_ends_the_connection() -> None:
    """4421, and its subscriptions with it."""
    sockets, _ = wire()
    stalled = sockets.open(stalls=True).begin().subscribe()
    await passes(9)
    assert stalled.dropped is None
    await passes(3)
    assert stalled.dropped == 4421
    await passes(10)
    assert sockets.sockets.snapshot()["connections"] == 0
    assert sockets.hub.snapshot()["subscriptions"] == 0


async def test_a_client_that_asks_without_reading_is_not_read_on() -> None:
    """What waits for it stays bounded."""
    sockets, _ = wire()
    stalled = sockets.open(stalls=True).begin()
    for _ in range(400):
        stalled.say({"type": "ping", "payload": "x" * 16_000})
        await passes(0.06)
        if stalled.dropped:
            break
    assert stalled.dropped == 4421
    assert stalled._inbox.qsize() > 20, "left in the socket"


@pytest.mark.parametrize("burst", [150, 151])
async def test_the_message_rate(burst: int) -> None:
    """150 at once, 20 a second after that; over it 4429."""
    sockets, _ = wire()
    one = sockets.open().begin()
    for _ in range(burst - 1):
        one.say({"type": "pong"})
    await passes(0.001)
    assert one.closed == (None if burst == 150 else 4429)
    if burst == 150:
        for _ in range(60):
            await passes(0.051)
            one.say({"type": "pong"})
        await passes(0.1)
        assert one.closed is None


async def test_an_id_is_free_again_as_soon_as_its_subscription_has_ended() -> None:
    """Messages are handled in order."""
    sockets, _ = wire()
    one = sockets.open().begin()
    for _ in range(5):
        one.subscribe("a")
        one.say({"type": "unsubscribe", "id": "a"})
    one.subscribe("a", live=False)
    await passes(0.1)
    one.subscribe("a")
    await passes(0.1)
    assert one.closed is None
    kinds = [message["type"] for message in one.sent if message.get("id") == "a"]
    assert kinds[:10] == ["subscribed", "unsubscribed"] * 5
    assert kinds.count("complete") == 2
    one.subscribe("a")
    await passes(0.1)
    assert one.closed == 4409


async def test_a_faulty_subscribe_with_an_id_in_use_does_not_end_the_one_that_uses_it() -> None:
    """Its `error` would be taken for the other's: 4409."""
    sockets, _ = wire()
    one = sockets.open().begin().subscribe("a")
    await passes(0.1)
    one.say({"type": "subscribe", "id": "a", "payload": {"endpoint": 7}})
    await passes(0.1)
    assert one.closed == 4409
    assert one.of("error") == []


@pytest.mark.parametrize(
    "message", ['{"type": "ping"}', '{"type": "subscribe", "id": "1", "payload": {"endpoint": "x"}}', '{"type": "unsubscribe", "id": "1"}']
)
async def test_init_comes_first(message: str) -> None:
    """4401 for anything else."""
    sockets, _ = wire()
    one = sockets.open()
    one.say(message)
    await passes(0.1)
    assert one.closed == 4401


async def test_upgrades_of_foreign_pages_are_refused() -> None:
    """403 before the upgrade: own host and port only, default ports understood, `null` and lists never."""
    sockets, _ = wire()
    for origin, host, is_own in [
        ("http://api.test", "api.test", True), ("https://api.test", "api.test:443", True), ("http://API.test", "api.test:80", True),
        ("http://[::1]:8000", "[::1]:8000", True), ("http://api.test:81", "api.test", False), ("https://api.test", "api.test:80", False),
        ("http://api.test.evil.test", "api.test", False),
        ("http://evil.test/api.test", "api.test", False), ("http://api.test@evil.test", "api.test", False),
        ("null", "api.test", False), ("file://", "api.test", False), ("", "api.test", False),
        ("http://api.test http://evil.test", "api.test", False),
        ("http://api.test:x", "api.test", False), ("ftp://api.test", "api.test", False),
    ]:  # fmt: skip
        one = sockets.open(headers={"host": host, "origin": origin})
        await passes(0.01)
        assert (one.accepted is not None, one.refused) == ((True, None) if is_own else (False, 403)), origin


async def test_only_unknown_subprotocols_are_closed_with_4406() -> None:
    """None at all is fine, and of several the known one is chosen."""
    sockets, _ = wire()
    for offers, chosen, closed in [([], None, None), (["a", "merganser.v1"], "merganser.v1", None), (["a", "b"], None, 4406)]:
        one = sockets.open(offers=offers)
        await passes(0.01)
        assert one.accepted is not None
        assert (one.accepted["subprotocol"], one.closed) == (chosen, closed)


async def test_a_drain_tells_everybody_to_reconnect_and_closes_with_1012() -> None:
    """Not all at the same moment; upgrades after it are refused."""
    sockets, _ = wire()
    clients = [sockets.open().begin().subscribe() for _ in range(40)]
    await passes(0.5)
    await sockets.sockets.drain(10)
    await passes(0.1)
    assert {one.closed for one in clients} == {1012}
    assert all(len(one.of("reconnect")) == 1 for one in clients)
    late = sockets.open()
    await passes(0.01)
    assert late.refused == 503


async def test_text_of_upstreams_stays_on_one_line() -> None:
    """Their JSON passes as sent; a line end between its values would break the framing of streams."""
    sockets, bench = wire()
    bench.script.answers["/a"] = {"text": "a\nb\u2028c"}
    one = sockets.open().begin().subscribe()
    await passes(0.1)
    assert next(m["data"] for m in one.of("part") if m["part"] == "a") == {"text": "a\nb\u2028c"}
    assert not any("\n" in text or "\r" in text for text in one.texts)


async def test_whatever_clients_send_nothing_breaks() -> None:
    """Random messages, in random order: a close code of the protocol or none, and no fault of ours."""
    sockets, bench = wire()
    dice = random.Random(3)
    words = ["connection_init", "subscribe", "unsubscribe", "ping", "pong", "part", None, 7]
    for _ in range(60):
        one = sockets.open()
        if dice.random() < 0.8:
            one.begin()
        for _ in range(dice.randrange(12)):
            payload = dice.choice([{}, None, {"endpoint": "x"}, {"endpoint": "y"}, {"endpoint": "x", "params": {"q": [1, {}]}}, [], {"token": "t"}])
            message = {"type": dice.choice(words), "id": dice.choice(["a", "b", "", 7, None]), "payload": payload}
            one.say(json.dumps({key: value for key, value in message.items() if dice.random() < 0.9}))
        await passes(dice.random())
        assert one.closed in (None, 4400, 4401, 4409, 4429)
        one.leave()
    await passes(200)
    assert not bench.faults
    assert sockets.sockets.snapshot() | {"deliveries_total": 0} == sockets.sockets.snapshot() | {
        "deliveries_total": 0, "connections": 0, "subscriptions": 0, "topics": 0, "bytes": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("failure", "told"), [(status(404), 404), (status(500), 502), (TimedOut(), 504), (CircuitOpen(), 503)], ids=["404", "500", "late", "open"]
)
async def test_a_subscription_is_counted_with_the_status_that_rest_has(failure: CallFailure, told: int) -> None:
    """In logs and metrics; the client gets its `failed` either way."""
    bench = Bench({"calls": {"a": "/a"}}, Script({"/a": failure}))
    one = Wire(bench).open().begin().subscribe()
    await passes(1)
    assert [error["payload"]["code"] for error in one.of("error")] == ["failed"]
    assert [event.status for event in bench.events if isinstance(event, RequestEnded)] == [told]
