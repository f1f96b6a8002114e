"""From an answer's body to data, by its content type or as the catalog says; JSON is checked and kept as bytes."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import orjson

from app.core.data import Data
from app.core.errors import DecodeFailed, TimedOut
from app.upstream import formats
from app.upstream.strict_json import checked
from app.upstream.threads import Threads

_KINDS = {
    "": "json",
    "application/json": "json",
    "text/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/rss+xml": "rss",
    "application/atom+xml": "rss",
    "application/rdf+xml": "rss",
    "text/csv": "csv",
    "application/csv": "csv",
    "text/plain": "text",
    "text/html": "html",
    "application/xhtml+xml": "html",
}

_READERS: dict[str, Callable[[bytes, str | None], Any]] = {"xml": formats.xml, "rss": formats.feed, "csv": formats.table, "text": formats.text}

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"',]+)""", re.IGNORECASE)

ON_LOOP = {"json": 1 << 20, "text": 1 << 20, "csv": 16 << 10, "xml": 8 << 10, "rss": 0}
"""Up to how many bytes a body is decoded on the loop: about a millisecond's worth of Python. Measured per KB, CSV takes 40 us, XML
130, and feedparser 1 ms for the least of feeds. JSON (4 us) and text are C code that holds the interpreter's lock wherever it
runs: a thread helps only where several such steps add up."""

THREADS = 2
"""Decoders of one upstream at work at once beside the loop: they are bound by the processor, more would not be faster."""


class Decoder:
    """Decodes one upstream's answers, the small ones on the loop, the large ones on threads."""

    def __init__(self, name: str) -> None:
        self._threads = Threads(THREADS, f"decode {name}")

    def at_once(self, body: bytes, content_type: str | None, how: str) -> Data | None:
        """The data of a body that is not empty; None for one that is better decoded beside the loop. Raises DecodeFailed or TooLarge."""
        kind, charset = reading(content_type, how)
        return decode(body, kind, charset) if len(body) <= ON_LOOP[kind] else None

    async def decode(self, body: bytes, content_type: str | None, how: str, expires: float = math.inf) -> Data:
        """The data of a body of any size but none, at the latest at `expires`; raises DecodeFailed, TooLarge or TimedOut."""
        if (data := self.at_once(body, content_type, how)) is not None:
            return data
        kind, charset = reading(content_type, how)
        job = self._threads.submit(partial(decode, body, kind, charset))
        try:
            await asyncio.wait((job.future,), timeout=None if expires == math.inf else expires - asyncio.get_running_loop().time())
            if job.future.done():
                return job.future.result()
            raise TimedOut
        finally:
            job.withdraw()

    def close(self) -> None:
        """Lets go of what is being decoded."""
        self._threads.close()


def reading(content_type: str | None, how: str) -> tuple[str, str | None]:
    """How to read a body, and its charset. `auto` goes by the type: a page instead of data fails, an unknown type may be JSON."""
    kind, charset = _parsed(content_type or "")
    if how != "auto":
        return how, charset
    if kind not in _KINDS:
        kind = "application/xml" if kind.endswith("+xml") else ""
    if _KINDS[kind] == "html":
        raise DecodeFailed("a page instead of data")
    return _KINDS[kind], charset


@lru_cache(256)  # an upstream sends few different ones
def _parsed(content_type: str) -> tuple[str, str | None]:
    """The media type in lower case, and its charset."""
    charset = _CHARSET.search(content_type)
    return content_type.partition(";")[0].strip().lower(), charset[1] if charset else None


def decode(body: bytes, kind: str, charset: str | None) -> Data:
    """The data of a body of a kind; raises DecodeFailed or TooLarge."""
    if kind == "json":
        return Data.of_raw(checked(body))
    value = _READERS[kind](body, charset)
    try:
        return Data(orjson.dumps(value), value)
    except TypeError as exc:  # nested too deep, or a lone surrogate
        raise DecodeFailed from exc
