"""The policies round a streamed answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from app.core.call import Call, Send
from app.core.errors import CallFailure, ProtocolFailed, StatusFailed
from app.core.reply import Reply
from app.policies.proxy import Admit, build_proxy
from tests.fakes.policies import Rig
from tests.fakes.virtual_time import virtual

pytestmark = virtual


def proxied(**upstream: Any) -> tuple[Rig, Admit]:
    rig = Rig([(0, 1)], upstream=upstream)

    def sign(send: Send) -> Send:
        async def signed(call: Call) -> Reply:
            return await send(replace(call, credentials=(("authorization", "Bearer x"),)))

        return signed

    return rig, build_proxy(rig.spec, rig.state, sign)


async def passed(rig: Rig, admit: Admit, status: int = 200, fault: Exception | None = None) -> str | None:
    """The type of the failure, None where it went through."""
    try:
        async with admit(rig.call()) as admitted:
            if status:
                admitted.answered(status)
            if fault is not None:
                raise fault
    except CallFailure as failure:
        return failure.type
    return None


async def test_an_admitted_call_has_its_credentials_and_its_time() -> None:
    """The timeout bounds the wait for the head; the slot is held to the end of the block."""
    rig, admit = proxied(timeout="300ms", concurrency={"max": 1, "queue": 0})
    async with admit(rig.call()) as admitted:
        assert admitted.call.credentials == (("authorization", "Bearer x"),)
        assert admitted.call.expires == pytest.approx(rig.now() + 0.3)
        assert await passed(rig, admit) == "overloaded"
        assert rig.state.in_flight == 1
    assert await passed(rig, admit) is None
    rig.assert_nothing_is_left()


@pytest.mark.parametrize(("status", "fault", "opens"), [
    (500, None, True), (200, None, False), (404, None, False), (0, ProtocolFailed(), True), (200, ProtocolFailed(), True),
])  # fmt: skip
async def test_the_breaker_counts_heads_and_what_breaks_after_them(status: int, fault: Exception | None, opens: bool) -> None:
    """A 5xx is passed on and counted; a body that breaks counts too."""
    rig, admit = proxied(breaker={"minimum": 4})
    for _ in range(8):
        await passed(rig, admit, status, fault)
    assert (await passed(rig, admit) == "circuit_open") is opens


async def test_an_answer_that_breaks_off_counts_once() -> None:
    """As bad: a head that was good is not counted beside it."""
    rig, admit = proxied(breaker={"failures": "80%", "minimum": 4})
    for _ in range(4):
        assert await passed(rig, admit, 200, ProtocolFailed()) == "protocol"
    assert await passed(rig, admit) == "circuit_open"


async def test_a_stream_does_not_hold_the_probe() -> None:
    """Its head closes the circuit; a client that leaves it later says nothing."""
    rig, admit = proxied(breaker={"minimum": 2, "open": "5s"})
    for _ in range(2):
        await passed(rig, admit, 500)
    await asyncio.sleep(6)
    async with admit(rig.call()) as admitted:
        assert await passed(rig, admit) == "circuit_open"
        admitted.answered(200)
        await asyncio.sleep(600)
        assert await passed(rig, admit) is None
    assert await passed(rig, admit) is None


async def test_a_refused_credential_is_renewed() -> None:
    """The policy is asked what it would do about a 401; one that has no other says no."""
    rig, admit = proxied()
    async with admit(rig.call()) as admitted:
        assert not await admitted.renew()
    tokens = iter("abc")

    def sign(send: Send) -> Send:
        async def signed(call: Call) -> Reply:
            for _ in range(2):
                try:
                    return await send(replace(call, credentials=(("authorization", next(tokens)),)))
                except StatusFailed:
                    continue
            raise AssertionError("asked twice")

        return signed

    async with build_proxy(rig.spec, rig.state, sign)(rig.call()) as admitted:
        assert admitted.call.credentials == (("authorization", "a"),)
        assert await admitted.renew()
        assert admitted.call.credentials == (("authorization", "b"),)


async def test_a_client_that_leaves_blames_nobody() -> None:
    """Its slot is free again."""
    rig, admit = proxied(breaker={"minimum": 2}, concurrency={"max": 1, "queue": 0})

    async def hang() -> None:
        async with admit(rig.call()):
            await asyncio.sleep(99)

    for _ in range(5):
        task = asyncio.create_task(hang())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    assert await passed(rig, admit) is None
    rig.assert_nothing_is_left()


async def test_rate_and_urls_apply() -> None:
    """Over the rate it fails; each call has a url."""
    rig, admit = proxied(url=None, urls=["http://a.test", "http://b.test"], rate={"rate": "2/s"})
    origins = set()
    async with admit(rig.call()) as admitted:
        origins.add(admitted.call.origin)
        async with admit(rig.call()) as admitted:
            origins.add(admitted.call.origin)
    assert origins == {"http://a.test", "http://b.test"}
    assert await passed(rig, admit) == "rate_limited"
    rig.assert_nothing_is_left()
