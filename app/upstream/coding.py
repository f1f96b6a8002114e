"""Content codings undone in bounded steps: what comes out is counted while it comes out (RFC 9110 section 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from app.core.errors import DecodeFailed, TooLarge

STEP = 256 * 1024
"""At most so many bytes are made in one go, however small the input that they come from."""

_GZIP = 16 + zlib.MAX_WBITS


class Decoder:
    """Undoes gzip or deflate. `limit` bounds the decoded bytes, and the coded ones with the slack that incompressible data needs."""

    __slots__ = ("_coded", "_decoded", "_empty", "_is_gzip", "_limit", "_start", "_zip")

    def __init__(self, coding: bytes, limit: int) -> None:
        self._is_gzip = coding == b"gzip"
        self._zip = zlib.decompressobj(_GZIP) if self._is_gzip else None
        self._start = b""
        self._limit = limit
        self._decoded = 0
        self._coded = 0
        self._empty = True

    def feed(self, data: bytes) -> list[bytes]:
        """The decoded pieces of `data`. DecodeFailed where it is corrupt, TooLarge past the limit."""
        self._coded += len(data)
        if self._coded > self._limit + self._limit // 1000 + 1024:
            raise TooLarge
        self._empty = False
        pieces: list[bytes] = []
        try:
            while data:
                data = self._step(data, pieces)
        except zlib.error as exc:
            raise DecodeFailed("a corrupt content coding") from exc
        return pieces

    def _step(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Decodes one bounded piece of `data` and returns what is left of it."""
        if self._zip is None:
            data = self._start + data
            if len(data) < 2:
                self._start = data
                return b""
            self._start = b""
            self._zip = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS)
        if self._zip.eof:
            return self._after_end(data)
        piece = self._zip.decompress(data, min(STEP, self._limit - self._decoded + 1))
        self._decoded += len(piece)
        if self._decoded > self._limit:
            raise TooLarge
        if piece:
            pieces.append(piece)
        return self._zip.unused_data if self._zip.eof else self._zip.unconsumed_tail

    def _after_end(self, data: bytes) -> bytes:
        """gzip may have several members (RFC 1952 section 2.2) and zeros behind them; nothing else follows the end."""
        data = data.lstrip(b"\0") if self._is_gzip else data
        if not data:
            return b""
        if not self._is_gzip:
            raise DecodeFailed("a corrupt content coding")
        self._zip = zlib.decompressobj(_GZIP)
        return data

    def finish(self) -> None:
        """The body has ended: DecodeFailed if the coding has not. A body of no bytes is no bytes in every coding."""
        if not self._empty and (self._zip is None or not self._zip.eof):
            raise DecodeFailed("a content coding cut short")


def _is_zlib(start: bytes) -> bool:
    """Whether this is the zlib format of RFC 1950, as `deflate` means; some servers send bare RFC 1951."""
    return start[0] & 0x0F == 8 and (start[0] * 256 + start[1]) % 31 == 0


def decoder(codings: Sequence[bytes], limit: int) -> Decoder | None:
    """A decoder for the values of Content-Encoding, None where nothing is coded; DecodeFailed for more than one or an unknown one."""
    if not codings:
        return None
    names = [name.strip().lower() for value in codings for name in value.split(b",")]
    applied = [name for name in names if name not in (b"", b"identity")]
    if not applied:
        return None
    if len(applied) > 1:
        raise DecodeFailed("more than one content coding")
    if applied[0] not in (b"gzip", b"x-gzip", b"deflate"):
        raise DecodeFailed("an unknown content coding")
    return Decoder(b"gzip" if applied[0].endswith(b"gzip") else b"deflate", limit)
