"""A call on its way to an upstream, and the record of what became of it."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from app.core.context import Context
from app.core.data import canonical
from app.core.reply import Reply

Headers: TypeAlias = tuple[tuple[str, str], ...]
Cached = Literal["miss", "hit", "stale", "coalesced"]


class Record(Struct):
    """What happened to one call of one answer: written by the stack, read when the call has settled.

    `attempts` counts requests begun; `http_status` is that of the last upstream answer; `notes` are short lines for `?explain`.
    `tried` are the upstream's urls asked so far, so that a retry goes to another.
    """

    attempts: int = 0
    cache: Cached | None = None
    http_status: int | None = None
    notes: list[str] = []
    tried: tuple[str, ...] = ()


class Flight(Struct, eq=False):
    """A request that several callers may share: it outlives each of them, and ends with the last.

    `until` is the latest deadline of those who joined. `is_cut` turns true when the last of them has run out of time: the
    cancellation that follows is then a timeout of the upstream, not a client that left.
    """

    until: float
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """Whose answer it is and how it is read: part of the cache key, since two readings of one body differ.

    `source` tells upstreams of one name apart, which processes with different catalogs may have in a store that they share.
    `key` says it all as a text, whose hash is kept.
    """

    decode: str = "auto"
    max_body: int = 4 * 1024 * 1024
    null_on: frozenset[int] = frozenset()
    graphql: bool = False
    source: str = ""
    key: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        key = f"{self.decode} {self.max_body} {sorted(self.null_on)} {self.graphql} {self.source}"
        object.__setattr__(self, "key", key)


class Call(Struct):
    """One request to an upstream. No policy changes a call: `msgspec.structs.replace` derives another.

    `target` is the origin-form of RFC 9112 section 3.2.1, percent-encoded, without the upstream's base path. `headers` are
    the declared and forwarded ones, names in lower case; what every request gets (request id, trace, user agent) is added
    by the transport. `deadline` and `expires` are moments of the loop's clock: when the caller's answer must be there, and
    when this attempt is given up. Every wait below the timeout policy ends at `expires` with `TimedOut`, by itself: no
    layer sets a timer for another. Python upstreams have `args`. `origin` is one of the upstream's `urls`, None for the
    first. `credentials` are our own for the upstream, added after every other header. In a `flight` the deadline is
    infinite, since callers who join may have later ones: the flight is cut when the last has run out of time.

    `lingers` is told by the upstream: the work of this attempt that it could not stop when the caller was released; the
    slot that the attempt holds is free when it is done. Attempts that run at once are therefore calls of their own.
    """

    name: str
    upstream: str
    method: str
    target: str
    headers: Headers
    body: bytes | None
    args: dict[str, Any] | None
    deadline: float
    reading: Reading
    context: Context
    record: Record
    expires: float = float("inf")
    origin: str | None = None
    credentials: Headers = ()
    flight: Flight | None = None
    lingers: Future[Any] | None = None

    @property
    def until(self) -> float:
        """When nobody waits for the answer any more; what would begin after it is not begun."""
        return self.deadline if self.flight is None else self.flight.until

    @property
    def key(self) -> Key:
        """What it has in common with calls that are the same."""
        args = canonical(self.args) if self.args is not None else None
        return (self.upstream, self.method, self.target, self.headers, self.body, args, self.reading.key)


Key: TypeAlias = tuple[str, str, str, Headers, bytes | None, bytes | None, str]
"""What makes two calls the same: upstream, method, target, every declared and forwarded header, body, args, and how it is read."""


def size_of(key: Key) -> int:
    """Bytes of a key that come from a client, who may make them many."""
    _, _, target, headers, body, args, _ = key
    size = len(target) + (len(body) if body else 0) + (len(args) if args else 0)
    for _, value in headers:
        size += len(value)
    return size


Send: TypeAlias = Callable[[Call], Awaitable[Reply]]
"""A service: takes a call, gives a reply, raises `CallFailure` and nothing else."""

Policy: TypeAlias = Callable[[Send], Send]
"""Wraps one service into another."""
