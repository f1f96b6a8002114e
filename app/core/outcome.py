"""How a call settled: a value, never raised."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from app.core.data import NULL, Data
from app.core.errors import CallFailure

Status = Literal["ok", "stale", "fallback", "partial", "skipped", "failed"]


class Outcome(Struct):
    """A settled call. Times are of the loop's clock: `started` when the call could start, `ended` when it had settled.

    `items` are the failures of a call with `each` whose items all failed; `error` is then the first of them.
    """

    name: str
    status: Status
    started: float
    ended: float
    data: Data = NULL
    attempts: int = 0
    cache: str | None = None
    http_status: int | None = None
    error: CallFailure | None = None
    within_window: bool = True
    fresh_until: float | None = None
    notes: list[str] | None = None
    items: list[CallFailure] | None = None

    @property
    def roots(self) -> tuple[CallFailure, ...]:
        """The failures behind its own; none where it did not fail."""
        own = self.items or ([self.error] if self.error is not None else [])
        return tuple(root for failure in own for root in failure.roots)

    @property
    def has_data(self) -> bool:
        """Whether calls that name it may run: null is data, a failure without a fallback gives none."""
        return self.status != "failed"

    @property
    def is_complete(self) -> bool:
        """Whether it leaves the answer complete."""
        return self.status in ("ok", "skipped") or (self.status == "stale" and self.within_window)

    def source(self) -> dict[str, Any]:
        """Its entry in `sources`."""
        entry: dict[str, Any] = {
            "status": self.status, "ms": round((self.ended - self.started) * 1000, 1), "attempts": self.attempts,
        }  # fmt: skip
        if self.cache is not None:
            entry["cache"] = self.cache
        if self.http_status is not None:
            entry["http_status"] = self.http_status
        if self.error is not None:
            entry["error"] = {"type": self.error.type, "detail": self.error.detail}
        return entry
