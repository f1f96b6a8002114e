"""A client's going ends the work for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message

from app.api.body import ClientGone
from app.api.disconnect import Watched


class Connection:
    """A client, as a server tells of it: by messages, and by a callback where it `tells`."""

    def __init__(self, tells: bool) -> None:
        self.scope: dict[str, Any] = {"merganser.gone": self._tell} if tells else {}
        self.watcher: Callable[[], None] | None = None
        self.received = 0
        self._gone = asyncio.Event()

    def _tell(self, watcher: Callable[[], None] | None) -> bool:
        self.watcher = watcher
        if watcher is not None and self._gone.is_set():
            watcher()
        return True

    async def receive(self) -> Message:
        """Waits for the disconnect."""
        self.received += 1
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        """Hangs up."""
        self._gone.set()
        if self.watcher is not None:
            self.watcher()


both = pytest.mark.parametrize("tells", [False, True])


@both
async def test_the_block_is_cancelled_when_the_client_leaves(tells: bool) -> None:
    """And ClientGone is raised in place of the cancellation; the task itself goes on."""
    client, was_cancelled = Connection(tells), False
    asyncio.get_running_loop().call_later(0.01, client.leave)

    async def work() -> None:
        nonlocal was_cancelled
        async with Watched(client.scope, client.receive):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                was_cancelled = True
                raise

    with pytest.raises(ClientGone):
        await work()
    assert was_cancelled
    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


@both
async def test_one_who_has_left_already_gets_nothing_done(tells: bool) -> None:
    """The first wait ends it."""
    client = Connection(tells)
    client.leave()
    with pytest.raises(ClientGone):
        async with Watched(client.scope, client.receive):
            await asyncio.sleep(1)


@both
async def test_work_that_ends_first_is_left_in_peace(tells: bool) -> None:
    """Nobody watches any more: a later disconnect cancels nothing."""
    client = Connection(tells)
    async with Watched(client.scope, client.receive):
        await asyncio.sleep(0)
    client.leave()
    await asyncio.sleep(0.01)
    assert client.watcher is None
    assert (client.received > 0) is not tells


@both
async def test_a_cancellation_from_outside_stays_one(tells: bool) -> None:
    """Even where the client leaves at the same moment."""
    client = Connection(tells)

    async def work() -> None:
        async with Watched(client.scope, client.receive):
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    client.leave()
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_a_fault_of_the_work_is_its_own(tells: bool) -> None:
    """It is not taken for anything else."""
    client = Connection(tells)
    with pytest.raises(ValueError, match="mine"):
        async with Watched(client.scope, client.receive):
            raise ValueError("mine")
