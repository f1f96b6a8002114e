"""How long attempts took within the last minute: quantiles to five per cent, and how many were good."""

from __future__ import annotations

from math import exp, floor, log

SLICE = 10.0
SLICES = 6
STEP = 0.05
"""Buckets grow by so much: a quantile is at most this share over."""
FEW = 20
"""Below so many attempts a quantile says nothing."""
RENEWAL = 1.0
"""Seconds for which a quantile is kept once it was asked for."""


class _Slice:
    """Ten seconds: attempts by the logarithm of their time."""

    __slots__ = ("bad", "counts", "good", "number", "shortest")

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: dict[int, int] = {}
        self.shortest = float("inf")
        self.good = 0
        self.bad = 0


class Latency:
    """The last minute of one upstream, in slices of ten seconds."""

    __slots__ = ("_kept", "_last", "_slices")

    def __init__(self) -> None:
        self._last = _Slice(0)
        self._slices: list[_Slice] = [self._last]
        self._kept: dict[float, tuple[float, float | None]] = {}

    def good(self, now: float, seconds: float) -> None:
        """An attempt was answered."""
        last = self._slice(now)
        last.good += 1
        if seconds < last.shortest:
            last.shortest = seconds
        bucket = _bucket(seconds)
        last.counts[bucket] = last.counts.get(bucket, 0) + 1

    def bad(self, now: float) -> None:
        """An attempt failed: how fast that went says nothing."""
        self._slice(now).bad += 1

    def cut(self, now: float, seconds: float) -> None:
        """An attempt was given up: it would have taken longer than that."""
        last = self._slice(now)
        bucket = _bucket(seconds)
        last.counts[bucket] = last.counts.get(bucket, 0) + 1

    def quantile(self, now: float, q: float) -> float | None:
        """Seconds within which the share `q` of the attempts ended; None of too few."""
        at, value = self._kept.get(q, (-RENEWAL, None))
        if now - at >= RENEWAL:
            value = self._quantile(now, q)
            self._kept[q] = (now, value)
        return value

    def _quantile(self, now: float, q: float) -> float | None:
        counts: dict[int, int] = {}
        for piece in self._recent(now):
            for bucket, count in piece.counts.items():
                counts[bucket] = counts.get(bucket, 0) + count
        return None if sum(counts.values()) < FEW else _at(counts, q)

    def slices(self, now: float, *shares: float) -> list[tuple[int, int, list[float | None]]]:
        """The last minute in pieces of ten seconds, oldest first: number of the piece, attempts, a quantile per share however few they are."""
        return [(piece.number, piece.good + piece.bad, [_at(piece.counts, q) for q in shares]) for piece in self._recent(now)]

    def shortest(self, now: float) -> float:
        """The least seconds that an answer took; 0.0 where none is known."""
        known = [piece.shortest for piece in self._recent(now) if piece.good]
        return min(known, default=0.0)

    def lately(self, now: float) -> tuple[int, int]:
        """Good and bad attempts of the last ten to twenty seconds."""
        recent = [piece for piece in self._slices if piece.number >= int(now / SLICE) - 1]
        return sum(piece.good for piece in recent), sum(piece.bad for piece in recent)

    def _slice(self, now: float) -> _Slice:
        number = int(now / SLICE)
        if self._last.number != number:
            self._last = _Slice(number)
            self._slices = [*self._recent(now), self._last]
        return self._last

    def _recent(self, now: float) -> list[_Slice]:
        return [piece for piece in self._slices if piece.number > int(now / SLICE) - SLICES]

    def __repr__(self) -> str:
        return f"<Latency {sum(piece.good for piece in self._slices)} good, {sum(piece.bad for piece in self._slices)} bad>"


def _at(counts: dict[int, int], q: float) -> float | None:
    """The time, by the upper bound of its bucket, within which the share `q` ended; None of none."""
    left = q * sum(counts.values())
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            return exp((bucket + 1) * STEP)
    return None


def _bucket(seconds: float) -> int:
    """The bucket of a time; all below a microsecond are one."""
    return floor(log(seconds if seconds > 1e-6 else 1e-6) / STEP)
