"""What the guard says before any request reaches the application: problem documents as ready bytes."""

from __future__ import annotations

import functools

from starlette.types import Scope

from app.api.problems import Problem, title
from app.api.seen import seen
from app.core.events import Emit, RequestEnded

OVERLOADED = Problem(503, "The server is over its load; come back after Retry-After seconds.", retry_after=1)
DRAINING = Problem(503, "The server is shutting down; come back after Retry-After seconds.", retry_after=1)
FULL = Problem(503, "The server has no connection to spare; come back after Retry-After seconds.", retry_after=1)
GREEDY = Problem(429, "You have too many connections open; come back after Retry-After seconds.", retry_after=1)
BROKEN = Problem(500)
TOO_SLOW = Problem(408)
MALFORMED = Problem(400)
CROWDED = Problem(400, "Too many requests wait on this connection.")
NO_HANDSHAKE = Problem(400, "The WebSocket handshake is malformed.")
OTHER_WEBSOCKET = Problem(
    426, "Version 13 of WebSocket is spoken here.",
    headers=[("sec-websocket-version", "13"), ("upgrade", "websocket"), ("connection", "upgrade")],
)  # fmt: skip
"""RFC 6455 section 4.4, RFC 9110 section 15.5.22."""


_MARK = "0" * 16
"""Stands for a request id of ours, which is as long."""


def answer(problem: Problem, request_id: str, *, closes: bool = True, is_head: bool = False) -> bytes:
    """The whole answer, head and body."""
    if len(request_id) == len(_MARK):
        return request_id.encode("ascii").join(_ready(problem, closes, is_head))
    return _written(problem, request_id, closes, is_head)


def last_word(problem: Problem, scope: Scope, seconds: float, emit: Emit) -> bytes:
    """The answer that ends a connection; `scope` is the request as far as it came. Told as a request's end, unless the application tells it."""
    scope.setdefault("headers", ())
    about = seen(scope)
    if not about.status:
        emit(RequestEnded("-", scope.get("method", "-"), problem.status, seconds, about.request_id))
    return answer(problem, about.request_id)


@functools.lru_cache(maxsize=64)
def _ready(problem: Problem, closes: bool, is_head: bool) -> list[bytes]:
    """The answer around the request id: under overload it is only joined."""
    return _written(problem, _MARK, closes, is_head).split(_MARK.encode("ascii"))


def _written(problem: Problem, request_id: str, closes: bool, is_head: bool) -> bytes:
    fields, body = problem.response(request_id)
    lines = [f"HTTP/1.1 {problem.status} {title(problem.status)}\r\nx-request-id: {request_id}\r\n".encode("ascii")]
    lines += [name + b": " + value + b"\r\n" for name, value in fields]
    if closes:
        lines.append(b"connection: close\r\n")
    return b"".join(lines) + b"\r\n" + (b"" if is_head else body)
