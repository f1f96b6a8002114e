"""Whether an upstream is up, by its attempts and breakers: told once when it goes down and once when it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from app.core.events import AttemptEnded, BreakerChanged

DOWN_AFTER = 5
"""Failures in a row, of those that blame the upstream, without a success between: what AWS and Envoy take for outliers."""
UNHEARD = frozenset({"cancelled", "timeout"})
"""Failures that say nothing of the upstream unless they blame it: its client left, its rival won, its time went in a queue of ours."""

Tell = Callable[[str, Literal["down", "up"], str | None, float], None]
"""Upstream, its new state, the last failure's type, seconds that it was down."""


class _Upstream:
    __slots__ = ("failures", "is_down", "open", "since")

    def __init__(self) -> None:
        self.failures = 0
        self.open: set[str] = set()
        self.is_down = False
        self.since = 0.0


class Health:
    """Follows every upstream that speaks of itself through events."""

    def __init__(self, tell: Tell, now: Callable[[], float]) -> None:
        self._tell, self._now = tell, now
        self._upstreams: dict[str, _Upstream] = {}

    def attempt_ended(self, event: AttemptEnded) -> None:
        """Counts failures in a row; a success, or an answer that is the client's fault, ends the row."""
        if event.failure in UNHEARD and not event.blames_upstream:
            return
        one = self._upstreams.get(event.upstream)
        if one is None:
            one = self._upstreams[event.upstream] = _Upstream()
        if event.blames_upstream:
            one.failures += 1
            if one.failures >= DOWN_AFTER:
                self._went_down(event.upstream, one, event.failure)
        elif one.failures or one.is_down:
            one.failures = 0
            self._came_back(event.upstream, one)

    def breaker_changed(self, event: BreakerChanged) -> None:
        """An open breaker is down; it is back when no breaker of the upstream is open any more."""
        one = self._upstreams.setdefault(event.upstream, _Upstream())
        if event.state == "open":
            one.open.add(event.origin)
            self._went_down(event.upstream, one, "circuit_open")
        elif event.state == "closed":
            one.open.discard(event.origin)
            one.failures = 0
            self._came_back(event.upstream, one)

    def is_down(self, upstream: str) -> bool:
        """Whether it is down by now."""
        return upstream in self._upstreams and self._upstreams[upstream].is_down

    def _went_down(self, name: str, one: _Upstream, failure: str | None) -> None:
        if not one.is_down:
            one.is_down, one.since = True, self._now()
            self._tell(name, "down", failure, 0.0)

    def _came_back(self, name: str, one: _Upstream) -> None:
        if one.is_down and not one.open:
            one.is_down = False
            self._tell(name, "up", None, self._now() - one.since)
