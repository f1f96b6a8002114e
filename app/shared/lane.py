"""One connection to Redis for the commands of many callers: those that come while a batch is under way are the next batch.

A command of its own costs a connection and several turns of the loop; two hundred at once are so many that the store
seems slow when it is not. In batches they are a few packets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError, ResponseError

Command = tuple[bytes | str | float, ...]

BATCH = 64
"""Commands at once at most."""

TURNS = 5
"""Turns of the loop that are granted after the patience: none of time on a calm loop; on a busy one what has arrived is read in them."""


@dataclass(slots=True)
class Pulse:
    """How many answers Redis has given on all lanes: while it answers some it is alive, busy with large values perhaps."""

    answers: int = 0


class Lane:
    """Sends batches one after another. Made without connecting; `aclose` it."""

    def __init__(self, connect: Callable[[], AbstractConnection], patience: float, pulse: Pulse) -> None:
        self._connect, self._patience, self._pulse = connect, patience, pulse
        self._connection = connect()
        self._waiting: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    @property
    def load(self) -> int:
        """How many commands wait; one under way counts as a batch."""
        return len(self._waiting) + (BATCH if self._sending is not None else 0)

    async def ask(self, command: Command) -> Any:
        """The answer to a command. Raises RedisError, OSError, TimeoutError."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="shared store")
        return await answer

    async def _send(self) -> None:
        """Sends what waits until nothing does; one failure fails all who wait, since they would only wait for the same."""
        batch: list[tuple[Command, asyncio.Future[Any]]] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                for (_, answer), said in zip(batch, await self._in_time([command for command, _ in batch]), strict=True):
                    _settle(answer, said)
        except (RedisError, OSError, TimeoutError) as fault:
            self._fail(batch, fault)
        except asyncio.CancelledError:
            self._fail(batch, Lost("closed"))
            raise
        finally:
            self._sending = None

    def _fail(self, batch: list[tuple[Command, asyncio.Future[Any]]], fault: Exception) -> None:
        for _, answer in (*batch, *self._waiting):
            _settle(answer, fault)
        self._waiting.clear()

    async def _in_time(self, commands: list[Command]) -> list[Any]:
        """The answers, if Redis never is silent for longer than the patience; that our own loop is busy is not held against Redis."""
        exchange = asyncio.create_task(self._exchange(commands), name="shared store exchange")
        heard = -1
        try:
            while self._pulse.answers != heard:
                heard = self._pulse.answers
                await asyncio.wait((exchange,), timeout=self._patience)
                for _ in range(TURNS):
                    if exchange.done():
                        return exchange.result()
                    await asyncio.sleep(0)
            raise TimeoutError
        finally:
            if not exchange.done():
                exchange.cancel()  # closes the connection: what comes late is nobody's
                await asyncio.wait((exchange,))

    async def _exchange(self, commands: list[Command]) -> list[Any]:
        """One batch there and back; once more on a fresh connection where the kept one was lost."""
        if self._connection.is_connected:
            with suppress(Lost, OSError):
                return await self._converse(commands)
        self._connection = self._connect()
        return await self._converse(commands)

    async def _converse(self, commands: list[Command]) -> list[Any]:
        connection = self._connection
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await self._answer() for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _answer(self) -> Any:
        """The next answer; an error that Redis says of one command is that command's alone."""
        try:
            return await self._connection.read_response()
        except ResponseError as fault:
            return fault
        finally:
            self._pulse.answers += 1

    async def aclose(self) -> None:
        """Ends what is under way and closes the connection."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait((self._sending,))
        self._fail([], Lost("closed"))  # who came when nothing had been sent yet
        await self._connection.disconnect(nowait=True)

    def __repr__(self) -> str:
        return f"<Lane {len(self._waiting)} wait{'' if self._sending is None else ', one batch under way'}>"


def _settle(answer: asyncio.Future[Any], said: Any) -> None:
    """Tells a caller, if it still waits."""
    if answer.done():
        return
    if isinstance(said, BaseException):
        answer.set_exception(said)
    else:
        answer.set_result(said)
