"""The budget of retries, or of hedges: extra requests are a share of the calls, so that trouble never doubles the load."""

from __future__ import annotations

from app.policies.rolling import Rolling

WINDOW = 10.0
FLOOR = 30
"""Extra requests in the window that are always allowed, 3 a second: a quiet upstream may be retried too (as in Envoy, Finagle, Linkerd)."""


class Budget:
    """One upstream's: over any 10 s at most `share` of the calls, or 30, whichever is more.

    What was spent is counted over half a second more than the calls, so that no window of 10 s ever holds too much.
    """

    __slots__ = ("_calls", "_spent")

    def __init__(self) -> None:
        self._calls = Rolling(WINDOW, 20)
        self._spent = Rolling(WINDOW + WINDOW / 20, 21)

    def count(self, now: float) -> None:
        """A call begins."""
        self._calls.add(now)

    def take(self, now: float, share: float) -> bool:
        """Whether one more extra request may be made; it counts as made then."""
        if self._spent.count(now) >= max(share * self._calls.count(now), FLOOR):
            return False
        self._spent.add(now)
        return True

    def __repr__(self) -> str:
        return f"<Budget {self._spent.total} extra of {self._calls.total} calls>"
