"""What a catalog may say of policies: one model each, with the defaults that hold where it is named without them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.catalog.schema_types import Duration, Model, NonNegative, PerSecond, Positive, Share, Status, Timeout


class Retry(Model):
    """Try again after a failure that may pass, within a budget."""

    attempts: Annotated[int, Field(ge=1)] = 2
    backoff: Duration = 0.025
    max_backoff: Duration = 0.25
    on: list[Literal["connect", "timeout", "protocol"] | Status] = ["connect", "timeout", 502, 503, 504]
    budget: Share = 0.2
    unsafe: bool = False


class Hedge(Model):
    """Start a second attempt when the first is slow; the first good answer wins. `after` may be `p95` of the last minute."""

    after: Duration | Literal["p50", "p90", "p95", "p99"]
    budget: Share = 0.05


class Breaker(Model):
    """Leave an upstream alone while it fails."""

    failures: Share = 0.5
    minimum: Positive = 20
    window: Timeout = 10.0
    open: Timeout = 5.0


class Concurrency(Model):
    """Bound the calls in flight; over `max` they queue. `adaptive` finds the limit itself, up to `max`."""

    max: Positive = 100
    queue: NonNegative = 100
    wait: Duration | None = None
    adaptive: bool = False


class Rate(Model):
    """Pace the calls to an upstream; over the rate a call waits up to `wait`, then fails. `burst` defaults to a second's worth."""

    rate: PerSecond
    burst: Positive | None = None
    wait: Duration = 0.0


class Cache(Model):
    """Keep answers. The two stale windows are off unless given; `respect` goes by the upstream's own Cache-Control."""

    ttl: Duration = 30.0
    stale_while_revalidate: Duration = 0.0
    stale_if_error: Duration = 0.0
    respect: bool = False


class Forward(Model):
    """What of the client's request goes on: names in any case, or `"*"` for all."""

    headers: list[str] | Literal["*"] = []
    query: list[str] | Literal["*"] = []


class Redirects(Model):
    """How many redirects to follow, and to which other origins besides the upstream's own."""

    max: Annotated[int, Field(ge=0)] = 0
    origins: list[str] = []
