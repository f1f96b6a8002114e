"""What an upstream answered, before anyone has read meaning into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Header fields as sent, in order; names in lower case."""


def field(fields: Fields, name: bytes) -> bytes | None:
    """The first value of a header field; `name` in lower case."""
    for key, value in fields:
        if key == name:
            return value
    return None


class Timing:
    """Seconds that one attempt took to connect, to agree on TLS, and to its first answer byte; 0.0 where it had no such phase."""

    __slots__ = ("connect", "first_byte", "tls")

    def __init__(self, connect: float = 0.0, tls: float = 0.0, first_byte: float = 0.0) -> None:
        self.connect = connect
        self.tls = tls
        self.first_byte = first_byte


NO_TIME = Timing()


class Answer:
    """One whole answer. `body` is decoded, and empty where the status is no success: nobody reads those bodies."""

    __slots__ = ("body", "fields", "status", "timing")

    def __init__(self, status: int, fields: Fields, body: bytes, timing: Timing) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.timing = timing


class Streamed:
    """An answer whose body is still on its way: iterate it once, and always `aclose` it.

    The chunks are the wire's, still coded. A failure after the head is raised by the iteration, as a `CallFailure`.
    """

    __slots__ = ("_aclose", "_chunks", "fields", "status")

    def __init__(self, status: int, fields: Fields, chunks: AsyncIterator[bytes], aclose: Callable[[], Awaitable[None]]) -> None:
        self.status = status
        self.fields = fields
        self._chunks = chunks
        self._aclose = aclose

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Gives the connection back if all was read, else closes it. May be called again."""
        await self._aclose()
