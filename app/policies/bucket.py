"""A token bucket: `burst` at once, then `rate` a second; as the generic cell rate algorithm (ITU-T I.371), which needs one number."""

from __future__ import annotations

from math import ceil
from typing import Protocol

CLOSE = 1e-9
"""Seconds within which two moments are the same: sums of floats."""


class Bucket:
    """Hands out turns. A turn in the future is a reservation: who comes later gets a later one."""

    __slots__ = ("_burst", "_due", "_interval")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._burst = (burst - 1) * self._interval
        self._due = 0.0

    def delay(self, now: float) -> float:
        """Seconds until the next free turn; 0.0 if it is now."""
        wait = self._due - self._burst - now
        return wait if wait > CLOSE else 0.0

    def reserve(self, now: float, patience: float) -> float | None:
        """Takes the next turn if it is at most `patience` seconds away, and says how many; None otherwise."""
        delay = self.delay(now)
        if delay > patience + CLOSE:
            return None
        self._due = max(self._due, now) + self._interval
        return delay

    def give_back(self) -> None:
        """A reserved turn is not used."""
        self._due -= self._interval

    def __repr__(self) -> str:
        return f"<Bucket {1 / self._interval:g}/s, due {self._due:.3f}>"


class Paced(Protocol):
    """A `rate` or `limit` of the catalog."""

    @property
    def rate(self) -> float:
        """Tokens a second."""
        ...

    @property
    def burst(self) -> int | None:
        """Tokens at once, where it is said."""
        ...


def burst_of(paced: Paced) -> int:
    """How many may go at once: as said, else a second's worth, of which one that has begun counts."""
    return paced.burst if paced.burst is not None else ceil(paced.rate)
