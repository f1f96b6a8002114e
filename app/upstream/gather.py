"""The exchange of a call: collects the whole answer, decoded and bounded, and gives it to the one who waits."""

from __future__ import annotations

import asyncio

from app.core.errors import CallFailure, TooLarge
from app.upstream.answer import NO_TIME, Answer, Fields, Timing
from app.upstream.coding import Decoder, decoder

DRAIN = 64 * 1024
"""The body of an answer that is no success is read up to here, so that its connection can be used again."""


class Gather:
    """One answer in the making. A status that is no success is known with the head: its body is read behind the caller's back."""

    __slots__ = ("_chunks", "_decoder", "_fields", "_left", "_limit", "_status", "_unread", "answer", "is_bodiless", "timing")

    def __init__(self, answer: asyncio.Future[Answer], limit: int, *, is_bodiless: bool) -> None:
        self.answer = answer
        self.timing: Timing = NO_TIME
        self.is_bodiless = is_bodiless
        self._limit = limit
        self._left = limit
        self._status = 0
        self._fields: Fields = []
        self._chunks: list[bytes] = []
        self._decoder: Decoder | None = None
        self._unread = -1

    def head(self, status: int, fields: Fields, noted: dict[bytes, list[bytes]]) -> bool:
        """Takes the head; TooLarge for a body that says it is over the limit, DecodeFailed for a coding that we do not know."""
        self._status = status
        self._fields = fields
        if not 200 <= status < 300:
            self._unread = DRAIN
            self._settle(b"")
            return False
        if self.is_bodiless or status == 204:
            return True
        lengths = noted.get(b"content-length")
        length = int(lengths[0]) if lengths else None
        if length != 0 and (codings := noted.get(b"content-encoding")):
            self._decoder = decoder(codings, self._limit)
        if self._decoder is None and length is not None and length > self._limit:
            raise TooLarge
        return True

    def body(self, data: bytes) -> None:
        """Takes a piece of the body; TooLarge past the limit, DecodeFailed where its coding is corrupt."""
        if self._unread >= 0:
            self._unread -= len(data)
            if self._unread < 0:
                raise TooLarge
        elif self._decoder is not None:
            self._chunks += self._decoder.feed(data)
        else:
            self._left -= len(data)
            if self._left < 0:
                raise TooLarge
            self._chunks.append(data)

    def end(self) -> None:
        """The answer is whole; DecodeFailed if its coding is not."""
        if self._unread >= 0:
            return
        if self._decoder is not None:
            self._decoder.finish()
        chunks = self._chunks
        self._settle(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def failed(self, failure: CallFailure) -> None:
        """There will be no whole answer."""
        if self._status:
            failure.http_status = self._status
        if not self.answer.done():
            self.answer.set_exception(failure)

    def _settle(self, body: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(Answer(self._status, self._fields, body, self.timing))
