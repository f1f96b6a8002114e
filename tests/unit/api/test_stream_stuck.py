"""A client that takes nothing of a stream any more is cut off, so that it holds up neither its place nor the end of the server."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from app.api.body import ClientGone
from app.api.stream import SEND_WITHIN, stream
from app.core.data import Data
from app.engine.plan import Plan
from app.live.events import Part
from app.live.hub import Hub

pytestmark = pytest.mark.virtual_time


class _Subscription:
    """One part, then silence."""

    has_data = True
    is_closed = False

    async def next(self) -> Part:
        return Part(1, "a", Data.of(1), {})

    def close(self) -> None:
        self.is_closed = True


async def test_after_ten_seconds_of_a_full_socket_the_connection_is_cut() -> None:
    """Not closed: what waits to be written would keep it open."""
    loop, subscription, cuts = asyncio.get_running_loop(), _Subscription(), list[float]()
    began = loop.time()

    class OneHub:
        def once(self, plan: Any, inputs: Any) -> _Subscription:
            return subscription

    class APlan:
        is_live, method = False, "GET"

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await loop.create_future()

    scope = {"headers": [], "merganser.gone": lambda watcher: True, "merganser.cut": lambda: cuts.append(loop.time() - began)}
    with pytest.raises(ClientGone):
        await stream("ndjson", cast(Plan, APlan()), cast(Any, None), cast(Hub, OneHub()), [], None, scope, cast(Any, None), cast(Any, send))
    assert cuts == [pytest.approx(SEND_WITHIN)]
    assert subscription.is_closed
