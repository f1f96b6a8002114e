"""A count over the last seconds, in steps: old steps fall out as time goes on."""

from __future__ import annotations


class Rolling:
    """How often something happened within `span` seconds, to the precision of one of `steps` steps; `now` in seconds, never going back."""

    __slots__ = ("_at", "_counts", "_seconds", "_steps", "total")

    def __init__(self, span: float, steps: int) -> None:
        self._seconds = span / steps
        self._steps = steps
        self._counts = [0] * steps
        self._at = 0
        self.total = 0

    def add(self, now: float) -> None:
        """It happened once more."""
        at = int(now / self._seconds)
        if at != self._at:
            self._move(at)
        self._counts[at % self._steps] += 1
        self.total += 1

    def count(self, now: float) -> int:
        """How often it happened, the current step included."""
        at = int(now / self._seconds)
        if at != self._at:
            self._move(at)
        return self.total

    def take_back(self, then: float) -> None:
        """What happened at `then` did not: it counts no more, if it has not fallen out already."""
        at = int(then / self._seconds)
        if at > self._at - self._steps and self._counts[at % self._steps]:
            self._counts[at % self._steps] -= 1
            self.total -= 1

    def clear(self) -> None:
        """Forgets everything."""
        self._counts = [0] * self._steps
        self.total = 0

    def _move(self, at: int) -> None:
        if at - self._at >= self._steps:
            self.clear()
        else:
            for step in range(self._at + 1, at + 1):
                self.total -= self._counts[step % self._steps]
                self._counts[step % self._steps] = 0
        self._at = at

    def __repr__(self) -> str:
        return f"<Rolling {self.total}>"
