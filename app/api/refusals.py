"""What the guard says before any request reaches the application: problem documents as ready bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from app.api.problems import Problem, title

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

OVERLOADED = Problem(503, "The server is over its load; come back after Retry-After seconds.", retry_after=1)
DRAINING = Problem(503, "The server is shutting down; come back after Retry-After seconds.", retry_after=1)
FULL = Problem(503, "The server has no connection to spare; come back after Retry-After seconds.", retry_after=1)
TOO_SLOW = Problem(408)
MALFORMED = Problem(400)
CROWDED = Problem(400, "Too many requests wait on this connection.")


def answer(problem: Problem, headers: Iterable[tuple[bytes, bytes]], *, closes: bool = True, is_head: bool = False) -> bytes:
    """The whole answer, head and body. `headers` are the request's, as far as they came: its id is echoed."""
    mark = _request_id(headers)
    fields, body = problem.response(mark)
    lines = [f"HTTP/1.1 {problem.status} {title(problem.status)}\r\nx-request-id: {mark}\r\n".encode("ascii")]
    lines += [name + b": " + value + b"\r\n" for name, value in fields]
    if closes:
        lines.append(b"connection: close\r\n")
    return b"".join(lines) + b"\r\n" + (b"" if is_head else body)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    sent = [value for name, value in headers if name == b"x-request-id"]
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return str(sent[0], "ascii")
    return os.urandom(8).hex()
