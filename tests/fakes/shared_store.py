"""What processes share, in memory and by a clock of the test's own; `answers` says whether it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.policies.bucket import Bucket


@dataclass
class SharedStore:
    """The `Shared` of several processes at once."""

    now: Callable[[], float]
    answers: bool = True
    values: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)

    async def get(self, key: str) -> bytes | None:
        """A value whose time is not over."""
        value, until = self.values.get(key, (None, 0.0))
        return value if self.answers and self.now() < until else None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keeps a value."""
        if self.answers:
            self.values[key] = (value, self.now() + ttl)

    async def take(self, key: str, rate: float, burst: int) -> float | None:
        """A token of the bucket."""
        if not self.answers:
            return None
        bucket = self.buckets.setdefault(key, Bucket(rate, burst))
        return 0.0 if bucket.reserve(self.now(), 0.0) is not None else bucket.delay(self.now())

    async def aclose(self) -> None:
        """Nothing to close."""
