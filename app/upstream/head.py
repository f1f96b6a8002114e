"""The head of a request as bytes: what an upstream always gets is encoded once, what a call adds is put behind it."""

from __future__ import annotations

import re

from app import __version__
from app.core.call import Headers
from app.core.context import Context
from app.core.errors import ExpressionFailed
from app.core.http import HOP_BY_HOP
from app.upstream.origin import Origin

_OURS = HOP_BY_HOP | {"content-length", "expect", "traceparent", "tracestate", "x-request-id"}
_TELLS_LENGTH = frozenset(("POST", "PUT", "PATCH"))
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_MAX_TARGET = 60 * 1024
"""Bytes of path and query: far more than servers take, and as much as every transport of ours can send."""
_MAX_BLOCKS, _MAX_BLOCK = 512, 2048
"""What is kept: the blocks of a catalog are few and small, those with a client's headers in them may be neither."""


class HeadWriter:
    """Writes the heads of requests to one origin.

    `decodes`: whether the answer is decoded by us, so that gzip may be asked for; what only passes through is each client's own.
    """

    def __init__(self, origin: Origin, base: str, *, decodes: bool = True) -> None:
        self._base = base
        self._own = {"host": origin.authority, "user-agent": f"merganser/{__version__}"}
        if decodes:
            self._own["accept-encoding"] = "gzip"
        self._keeps = decodes
        self._blocks: dict[tuple[Headers, Headers], bytes] = {}

    def write(self, method: str, target: str, headers: Headers, credentials: Headers, context: Context, length: int | None) -> bytes:
        """The head, its empty line included; `length` is the body's, None for no body, -1 for one in chunks. ExpressionFailed for what is no header.

        `target` is in origin-form and goes behind the base path. Framing headers, request id and trace are never the caller's.
        """
        block = self._blocks.get((headers, credentials))
        if block is None:
            block = self._block(headers, credentials)
        if not target.isascii() or not target.isprintable() or " " in target or len(target) > _MAX_TARGET:
            raise ExpressionFailed("a path that cannot be sent")
        tail = f"x-request-id: {context.id}\r\n"
        if context.traceparent is not None:
            tail = f"{tail}traceparent: {context.traceparent}\r\n"
            if context.tracestate:
                tail = f"{tail}tracestate: {context.tracestate}\r\n"
        if length is not None:
            tail += "transfer-encoding: chunked\r\n" if length < 0 else f"content-length: {length}\r\n"
        elif method in _TELLS_LENGTH:
            tail += "content-length: 0\r\n"
        return b"".join((f"{method} {self._base}{target} HTTP/1.1\r\n".encode("ascii"), block, tail.encode("latin-1"), b"\r\n"))

    def _block(self, headers: Headers, credentials: Headers) -> bytes:
        """Every header but those of the one request; of the same name, credentials stand before headers before ours."""
        secret = {name.lower() for name, _ in credentials}
        kept = [(name.lower(), value) for name, value in headers]
        kept = [(name, value) for name, value in kept if name not in _OURS and name not in secret]
        given = secret.union(name for name, _ in kept)
        lines = [(name, value) for name, value in self._own.items() if name not in given]
        block = b"".join(_line(name, value) for name, value in (*lines, *kept, *credentials))
        if self._keeps and len(block) <= _MAX_BLOCK:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks[headers, credentials] = block
        return block


def _line(name: str, value: str) -> bytes:
    """One header line. Text goes as Latin-1, as it came from a client, and as UTF-8 where that cannot hold it; blanks round it mean nothing."""
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ExpressionFailed("a header that cannot be sent")
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        encoded = value.encode("utf-8", "replace")
    return b"%b: %b\r\n" % (name.encode("ascii"), encoded.strip(b" \t"))
