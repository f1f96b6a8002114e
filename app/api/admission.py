"""How many requests are served at once: a bound that gives way while the event loop lags.

A request too many costs a few bytes, not a turn of the application: the guard asks here before it starts anything. The
limit is `most` while the loop is on time. Once every sample of a second has been late it falls by a tenth with each
further late one, and grows back by a twentieth with each that is on time (additive-increase would take minutes from a
low floor). So under overload those who are let in keep their latency, and goodput stays near its peak.
"""

from __future__ import annotations

LATE = 0.1
"""Seconds of lag that count as late: what a person notices."""
PATIENCE = 1.0
"""Seconds that lag must last before fewer are let in: one burst is no overload."""
FLOOR = 16
"""As many are let in whatever the lag."""
SHRINK, GROW = 0.9, 1.05


class Admission:
    """Counts requests in flight. `enter` and `leave` are called in pairs by the guard; `tick` by its clock."""

    __slots__ = ("_late_since", "in_flight", "limit", "most", "shed_total")

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.in_flight = 0
        self.shed_total = 0
        self._late_since: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next request would be one too many."""
        return self.in_flight >= self.limit

    def enter(self) -> bool:
        """Takes a place, if there is one."""
        if self.in_flight >= self.limit:
            self.shed_total += 1
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        """Gives a place back."""
        self.in_flight -= 1

    def tick(self, now: float, lag: float) -> None:
        """Takes a sample of the loop's lag, in seconds, at the moment `now`."""
        if lag < LATE:
            self._late_since = None
            self.limit = min(float(self.most), self.limit * GROW)
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since >= PATIENCE:
            self.limit = max(float(min(FLOOR, self.most)), min(self.limit, float(self.in_flight)) * SHRINK)

    def snapshot(self) -> dict[str, int]:
        """For metrics and the console."""
        return {"in_flight": self.in_flight, "limit": int(self.limit), "shed_total": self.shed_total}

    def __repr__(self) -> str:
        return f"<Admission {self.in_flight}/{int(self.limit)} of {self.most}, {self.shed_total} shed>"
