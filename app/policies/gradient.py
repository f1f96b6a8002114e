"""Finds how many calls at once an upstream can serve: as long as answers are not slower than its best, a few more; else fewer.

After Netflix's concurrency-limits (Gradient) and Envoy's adaptive concurrency: the limit moves by the ratio of the best
latency to that of now, plus a little room. The best is that of the last ten seconds, during which the limit is lowered
once for a moment, so that a queue of our own making is not taken for the upstream's own pace. A limit of one makes no
queue: what is slow then is the upstream's pace of today, and the best from now on (Envoy does the same at its least limit).
After a fall the way back to half of the old limit is quick, as in TCP's slow start (RFC 5681 section 3.1).
"""

from __future__ import annotations

from math import sqrt

SAMPLES = 5
"""Answers that make a measurement; so many at least, and half of the limit."""
ALONE = 2
"""Answers that make one while a single call is out at a time."""
PACE = 0.1
"""A measurement also takes so many seconds."""
TOLERANCE = 1.15
"""Latency may be so much over the best before the limit falls: noise."""
SHORTEST = 0.0001
"""Seconds: what is faster counts as this, since no queue shows at that scale."""
MEMORY = 10.0
"""Seconds for which the best latency is believed."""
DIP = 0.75
"""What is left of the limit while the best latency is measured anew."""
START = 20


class Gradient:
    """The limit of one upstream, between 1 and `most`."""

    __slots__ = ("_best", "_busiest", "_dips", "_falls", "_limit", "_next_dip", "_samples", "_since", "_top", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._limit = float(min(most, START))
        self._samples: list[float] = []
        self._since = 0.0
        self._busiest = 0
        self._best: list[tuple[float, float]] = []
        self._next_dip = 0.0
        self._dips = False
        self._falls = False
        self._top = 0.0

    @property
    def limit(self) -> int:
        """How many calls may be with the upstream now."""
        return max(1, int(self._limit * DIP if self._dips else self._limit))

    def sample(self, now: float, seconds: float, in_flight: int) -> None:
        """An answer took `seconds`, with `in_flight` calls out; one that came too late counts as well."""
        if not self._samples:
            self._since, self._busiest = now, 0
        self._samples.append(seconds)
        self._busiest = max(self._busiest, in_flight)
        is_alone = self._limit < 2 and self._busiest <= 1
        if len(self._samples) >= (ALONE if is_alone else max(SAMPLES, self._limit / 2)) and now - self._since >= PACE:
            self._measure(now)

    def _measure(self, now: float) -> None:
        latency = max(SHORTEST, sorted(self._samples)[len(self._samples) // 2])
        self._samples = []
        best = self._remember(now, latency)
        if self._dips or now >= self._next_dip:
            self._dips = not self._dips
            self._next_dip = now + MEMORY / 2
            return
        gradient = max(0.5, min(1.0, TOLERANCE * best / latency))
        if gradient == 1.0 and self._busiest < self._limit / 2:
            return
        if gradient < 1.0 and not self._falls:
            self._top = self._limit
        self._falls = gradient < 1.0
        self._limit = max(1.0, min(float(self.most), gradient * self._limit + self._room()))

    def _room(self) -> float:
        """How much more may be tried at once."""
        is_low = not self._falls and self._limit < self._top / 2
        return self._limit / 2 if is_low else max(0.5, sqrt(self._limit) / 3)

    def _remember(self, now: float, latency: float) -> float:
        """The least latency of the last ten seconds, this one included; this one where no call can have waited for another."""
        if self._limit < 2 and self._busiest <= 1:
            self._best = []
        self._best = [(at, known) for at, known in self._best if now - at < MEMORY and known < latency]
        self._best.append((now, latency))
        return self._best[0][1]

    def __repr__(self) -> str:
        best = f"{self._best[0][1] * 1000:.1f} ms" if self._best else "unknown"
        return f"<Gradient {self.limit} of {self.most}, best {best}>"
