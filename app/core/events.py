"""What policies and transports tell: frozen facts, turned into logs and metrics by `telemetry/`.

Structs, since some are made per attempt: made in C, in a fifth of a dataclass's time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct


class AttemptEnded(Struct, frozen=True):
    """One request to an upstream is over. `seconds` from asking for a connection; `failure` is None, its type, or `cancelled`.

    `blames_upstream` tells a failure of the upstream's from one of ours, such as a wait in a queue of our own.

    `connect_seconds` (DNS and TCP) and `tls_seconds` are 0.0 on a connection that was there; `first_byte_seconds` count from writing.
    """

    upstream: str
    call: str
    seconds: float
    failure: str | None
    status: int | None
    sent_bytes: int = 0
    received_bytes: int = 0
    connect_seconds: float = 0.0
    tls_seconds: float = 0.0
    first_byte_seconds: float = 0.0
    blames_upstream: bool = False


class FunctionFailed(Struct, frozen=True):
    """A Python upstream's function raised, or returned what is no JSON. `reason` names a type and a line, and holds no values."""

    upstream: str
    call: str
    reason: str


class CallEnded(Struct, frozen=True):
    """A call has settled, with the status of its source."""

    endpoint: str
    call: str
    upstream: str
    seconds: float
    status: str
    failure: str | None
    cache: str | None


class Retried(Struct, frozen=True):
    """A call is tried again after `delay` seconds."""

    upstream: str
    call: str
    delay: float
    failure: str


class Hedged(Struct, frozen=True):
    """A second attempt was started beside a slow one."""

    upstream: str
    call: str


class BudgetSpent(Struct, frozen=True):
    """A retry or hedge was not made because its budget is used up."""

    upstream: str
    policy: Literal["retry", "hedge"]


class BreakerChanged(Struct, frozen=True):
    """A breaker has changed its state; `origin` is the url that it guards."""

    upstream: str
    origin: str
    state: Literal["closed", "open", "half_open"]


class Rejected(Struct, frozen=True):
    """A policy of ours kept a call from the upstream."""

    upstream: str
    policy: Literal["concurrency", "rate", "breaker"]


class CacheAsked(Struct, frozen=True):
    """What the cache said: hit, miss, stale, or coalesced."""

    upstream: str
    outcome: str


class SchemaDrifted(Struct, frozen=True):
    """A call's data breaks its schema and `validate` is `warn`; `where` is a JSON pointer."""

    endpoint: str
    call: str
    where: str
    message: str


class ExpressionNulled(Struct, frozen=True):
    """An expression of a `response` could not be computed and became null."""

    endpoint: str
    expression: str


class RequestEnded(Struct, frozen=True):
    """A client's request has been answered, or its client has left (`status` 499).

    `endpoint` is the catalog's name, `-` for our own pages and for routes that do not exist. `complete` is None where there
    was no answer (an error, a proxy). `calls` are the calls that had settled.
    """

    endpoint: str
    method: str
    status: int
    seconds: float
    request_id: str
    complete: bool | None = None
    calls: int = 0
    surface: Literal["rest", "sse", "ndjson", "proxy", "ws"] = "rest"


class StoreChanged(Struct, frozen=True):
    """The shared store (Redis) stopped answering in time, or answers again."""

    state: Literal["up", "down"]


Event: TypeAlias = (
    StoreChanged
    | RequestEnded
    | AttemptEnded
    | FunctionFailed
    | CallEnded
    | Retried
    | Hedged
    | BudgetSpent
    | BreakerChanged
    | Rejected
    | CacheAsked
    | SchemaDrifted
    | ExpressionNulled
)
Emit: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Takes an event and does nothing: the default where nobody listens."""
