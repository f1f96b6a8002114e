"""A request's body on its way to an upstream: its beginning is kept until an answer comes, so that it can be sent once more."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

KEPT = 64 * 1024
"""Bytes: a body of which more has been taken when its connection is lost is not sent again."""


class Upload(AsyncIterator[bytes]):
    """The pieces of a body, again from the first after `restart`.

    The `source` of one that is sent again may be left while it waits, and gone on with, as an asyncio.Queue may.
    """

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = aiter(source)
        self._kept: list[bytes] = []
        self._place = 0
        self._room = KEPT
        self._has_ended = False

    @property
    def is_kept(self) -> bool:
        """Whether all that was taken of it is still at hand."""
        return self._room >= 0

    def restart(self) -> None:
        """Goes back to the first piece. Whoever has iterated it does so no more."""
        self._place = 0

    def forget(self) -> None:
        """It will not be sent again."""
        self._kept.clear()
        self._place, self._room = 0, -1

    async def __anext__(self) -> bytes:
        if self._place < len(self._kept):
            self._place += 1
            return self._kept[self._place - 1]
        if self._has_ended:
            raise StopAsyncIteration
        try:
            piece = await anext(self._source)
        except StopAsyncIteration:
            self._has_ended = True
            raise
        self._keep(piece)
        return piece

    def _keep(self, piece: bytes) -> None:
        self._room -= len(piece)
        if self._room < 0:
            self.forget()
            return
        self._kept.append(piece)
        self._place += 1

    def __repr__(self) -> str:
        return f"<Upload {KEPT - self._room} bytes kept>" if self.is_kept else "<Upload, nothing kept>"
